"""What is read of commands in flight, and when: API calls are few, and nothing is missed."""

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.core.amount import Amount
from orchestrator.core.model import OutcomeKind
from orchestrator.core.polling import AT_LEAST_EVERY, has_news
from orchestrator.core.result import Op
from orchestrator.core.settings import EVERYTHING, Policy
from orchestrator.engine import Pace, result_of
from tests.api_calls import metered
from tests.fake_fleet import Host, World, fleet_of

AT_ONCE = Policy(waves=(EVERYTHING,), max_unavailable=EVERYTHING)


@pytest.mark.parametrize(
    ("ended", "known", "age", "awaited", "news"),
    [
        (None, 0, 0, False, True),  # the overview does not know it yet
        (0, 0, 10, True, False),
        (1, 0, 10, True, True),
        (7, 7, 10, True, False),  # nothing since the last page
        (49, 7, 10, False, False),  # nobody waits for a place: the rest will end, too
        (50, 7, 10, False, True),
        (50, 50, 10, False, False),
        (3, 7, 10, True, False),  # a count that is late
        (7, 7, AT_LEAST_EVERY, False, True),
    ],
)
def test_when_a_page_is_worth_a_call(*, ended: int | None, known: int, age: float, awaited: bool, news: bool) -> None:
    """A page is read where something has ended that was not seen, all of it unless somebody waits; and now and then."""
    assert has_news(ended=ended, known=known, total=50, age=age, awaited=awaited) is news


def of_any_speed(count: int) -> list[Host]:
    hosts = fleet_of(count)
    for number, host in enumerate(hosts):
        host.apply_seconds = Random(number).uniform(10, 60)
    return hosts


@pytest.mark.parametrize("fleet", [fleet_of, of_any_speed])
def test_a_thousand_at_once_cost_a_tenth_of_a_call_each(fleet: Callable[[int], list[Host]]) -> None:
    """In one wave at once: ceil(N/50) SendCommand, at most as many pages a tick, 0.1 calls for each in all."""
    state, meter = metered(fleet(1000), AT_ONCE)
    assert result_of(state) == "ok"
    assert meter.calls["SendCommand"] == 20
    assert max(meter.pages.values()) <= 20
    assert meter.calls.total() <= 100


@pytest.mark.parametrize("window", ["2%", "10%", "50%"])
def test_a_tick_reads_a_page_for_fifty_in_flight_at_most(window: str) -> None:
    """No tick reads more pages than there are commands in flight, whatever the window."""
    state, meter = metered(fleet_of(300), Policy(waves=(EVERYTHING,), max_unavailable=Amount.parse(window)))
    assert result_of(state) == "ok"
    commands = -(-Amount.parse(window).of(300, at_least=1) // 50)
    assert max(meter.pages.values()) <= commands


@given(st.lists(st.floats(2, 500), min_size=1, max_size=300), st.sampled_from(["1", "10%", "60%", "100%"]), st.data())
@settings(max_examples=40)
def test_an_overview_that_is_wrong_delays_and_changes_nothing(
    seconds: list[float], window: str, data: st.DataObject
) -> None:
    """Whatever the overview counts, too little or too much or not at all, everybody ends updated."""
    hosts = fleet_of(len(seconds))
    for host, each in zip(hosts, seconds, strict=True):
        host.apply_seconds = each
    random = data.draw(st.randoms(use_true_random=False))

    def err(world: World) -> None:
        def ended(op: Op, since: float) -> dict[str, int]:  # noqa: ARG001 - the port's signature
            return {each: random.randint(0, 50) for each in world.commands if random.random() < 0.8}

        world.ended = ended  # type: ignore[method-assign]  # one that errs

    policy = Policy(waves=(EVERYTHING,), max_unavailable=Amount.parse(window))
    state, _ = metered(hosts, policy, prepare=err)
    assert state.counts == {OutcomeKind.UPDATED: len(hosts)}


def test_an_end_is_seen_within_a_tick_while_somebody_waits() -> None:
    """With somebody waiting for a place, an instance's end is seen with the next tick."""
    hosts = of_any_speed(400)
    state, _ = metered(hosts, Policy(waves=(EVERYTHING,), max_unavailable=Amount.parse("50%")))
    at_work = {key: each.spans[1] for key, each in state.instances.items()}
    last = max(span.started_at for span in at_work.values())
    late = [
        span.ended_at - end
        for host in hosts
        if (span := at_work[host.instance_id]).ended_at is not None
        and (end := span.started_at + host.apply_seconds) < last
    ]
    assert len(late) > 150
    assert max(late) <= Pace().longest
