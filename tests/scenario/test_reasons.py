"""The same fault has the same reason, however slow the host, and `why` and the report hold what proves it."""

import re
from collections.abc import Callable
from dataclasses import replace

from orchestrator.lab.scenario import AfterRestart
from tests.scenario.conftest import Workplace, fleet

PROOF = r"agent container ([0-9a-f]{12}) \w+, was (?!\1)[0-9a-f]{12}; metadata: no answer"


def test_how_slow_a_restart_is_changes_no_reason(workplace: Callable[..., Workplace]) -> None:
    """Fast and slow hosts whose agent stays down end alike, proof included; nothing is said of the old agent's log."""
    paces = ((0.05, 0.1), (2.0, 4.0), (4.0, 6.0))
    specs = fleet(3, after_restart=AfterRestart.STAYS_DOWN)
    place = workplace(*(replace(spec, restart_seconds=pace) for spec, pace in zip(specs, paces, strict=True)))
    place.put_secret()
    done = place.rollout("run", "--waves=100%", "--max-unavailable=100%", "--max-failures=3", "--output", "json")
    assert set(done.outcomes.values()) == {"rolled_back(agent_did_not_return)"}
    assert all(re.fullmatch(PROOF, row["message"]) for row in done.report["instances"])
    for spec in specs:
        told = place.cli("why", done.report["run"]["id"], spec.instance_id).out
        words = " ".join(told.split())
        assert re.search(f"the instance reported rolled_back .* detail: {PROOF} ", words)
        assert re.search(f"outcome rolled_back .* seen: {PROOF} ", words)
        assert "log: " not in words
