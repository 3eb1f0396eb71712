"""A fleet rolls through an SSM that throttles, without one call given up (the large one: tests/bench/throttled.py)."""

from orchestrator.core.model import OutcomeKind
from tests.bench.throttled import measured


def test_throttling_aborts_no_call() -> None:
    """With SendCommand at 5/s and lists at 10/s everybody is updated, each by one command, and calls were throttled."""
    found = measured(600)
    assert found.state.counts == {OutcomeKind.UPDATED: 600}
    assert found.calls["SendCommand", 200] == 12
    assert found.throttled > 0
