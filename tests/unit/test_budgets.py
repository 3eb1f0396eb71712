"""The README's table of budgets, each row through the engine."""

import pytest

from orchestrator.core.model import OutcomeKind
from orchestrator.engine import result_of
from tests.budget_table import CASES, TROUBLE, Case
from tests.fake_fleet import roll

KINDS = {kind: OutcomeKind(kind.replace(" ", "_")) for kind in TROUBLE}


@pytest.mark.parametrize("case", CASES, ids=lambda case: " | ".join(case.row()))
def test_a_run_halts_as_the_table_says(case: Case) -> None:
    """The run halts for exactly the reason in its row, or goes on to its end; its trouble is what the row says."""
    state, _, _ = roll(case.hosts(), case.policy(), prepare=case.begin)
    assert (state.halted.why if state.halted else "") == case.halted
    assert result_of(state) == ("halted" if case.halted else "incomplete" if case.trouble else "ok")
    for kind, number in case.trouble.items():
        assert state.counts[KINDS[kind]] == number
    if not case.halted:
        assert state.counts[OutcomeKind.UPDATED] == case.count - sum(case.trouble.values())


def test_the_table_has_every_budget_both_ways() -> None:
    """Each budget both halts and lets go on, by count and by percent; each kind of trouble stands there."""
    for flag in ("--max-failures", "--max-unreachable", "--max-refused"):
        assert any(flag in case.halted for case in CASES)
        assert any(not case.halted and flag in dict(case.flags) for case in CASES)
    assert {kind for case in CASES for kind in case.trouble} == set(TROUBLE)
