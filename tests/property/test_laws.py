"""The laws of design section 6, over random fleets, policies and faults, on a virtual clock."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.core.amount import Amount
from orchestrator.core.events import Admitted, Concluded, Deferred, Draining, Halted, Surveyed
from orchestrator.core.lifecycle import LIFECYCLE, Phase
from orchestrator.core.model import DecisionKind, OutcomeKind, Ping, Platform, Status
from orchestrator.core.policy import window
from orchestrator.core.settings import Policy, ZoneOrder
from orchestrator.core.state import RunState, replay
from tests.fake_fleet import GENERATION, Host, MemoryJournal, World, roll

hosts = st.builds(
    Host,
    instance_id=st.integers(0, 10**6).map(lambda number: f"i-{number:017x}"),
    zone=st.sampled_from("abc"),
    ping=st.sampled_from([Ping.ONLINE] * 8 + list(Ping)),
    status=st.sampled_from([Status.ACTIVE] * 12 + [Status.DRAINING, Status.REGISTERING]),
    platform=st.sampled_from([Platform.LINUX] * 12 + list(Platform)),
    persistence=st.sampled_from(["persistent"] * 8 + ["ephemeral", "unknown"]),
    tasks=st.integers(0, 4),
    generation=st.sampled_from(["", "", "", "older", GENERATION]),
    behaviour=st.sampled_from(
        ["updated"] * 12
        + ["rolled_back", "failed", "refused", "lost", "lost_updated", "lost_restored", "undelivered", "garbage"]
    ),
    apply_seconds=st.floats(3, 200),
    reconnect_seconds=st.sampled_from([0.0, 5.0, 30.0, 100_000.0]),
)
fleets = st.lists(hosts, min_size=1, max_size=40, unique_by=lambda host: host.instance_id)
amounts = st.one_of(
    st.integers(0, 40).map(lambda value: Amount(value, percent=False)),
    st.integers(0, 100).map(lambda value: Amount(value, percent=True)),
)
budgets = st.lists(amounts, max_size=2).map(tuple)
policies = st.builds(
    Policy,
    waves=st.lists(amounts, min_size=1, max_size=4).map(tuple),
    bake=st.sampled_from([0, 0, 300]),
    zones=st.sampled_from(ZoneOrder),
    max_unavailable=amounts,
    max_unavailable_per_zone=st.one_of(st.none(), amounts),
    max_failures=budgets,
    max_unreachable=budgets,
    max_refused=budgets,
)

Ran = tuple[RunState, World, MemoryJournal]


def in_flight_over_time(journal: MemoryJournal) -> list[tuple[RunState, int]]:
    """Fold the journal step by step; after each, how many instances hold a place of the window."""
    state = RunState()
    steps = []
    for entry in journal.entries:
        state.fold(entry)
        steps.append((state, len(state.in_flight)))
    return steps


@given(fleets, policies)
def test_never_more_than_the_window_is_out_of_service(fleet: list[Host], policy: Policy) -> None:
    """At no moment do more instances than the window hold a place, whatever happens to them."""
    state, world, journal = roll(fleet, policy)
    assert all(count <= window(state) for _, count in in_flight_over_time(journal))
    assert world.most_in_flight <= window(state)


@given(fleets, policies)
def test_failures_end_within_budget_and_window(fleet: list[Host], policy: Policy) -> None:
    """The run fails on at most budget + window instances."""
    state, _, _ = roll(fleet, policy)
    for amount in policy.max_failures:
        assert state.failed <= amount.of(state.in_scope, at_least=0) + window(state)


@given(fleets, policies)
def test_nothing_is_admitted_after_a_halt(fleet: list[Host], policy: Policy) -> None:
    """Behind Halted no instance is sent to nor drained."""
    _, _, journal = roll(fleet, policy)
    kinds = [type(entry.event) for entry in journal.entries]
    if Halted in kinds:
        assert not {Admitted, Draining} & set(kinds[kinds.index(Halted) :])


@given(fleets, policies)
def test_everybody_ends_in_exactly_one_outcome(fleet: list[Host], policy: Policy) -> None:
    """Every instance of the cluster has exactly one outcome, and it is one that its last phase allows."""
    state, world, journal = roll(fleet, policy)
    concluded = [entry.event.key for entry in journal.entries if isinstance(entry.event, Concluded)]
    assert sorted(concluded) == sorted(each.instance_id for each in world.discover())
    for progress in state.instances.values():
        assert progress.outcome is not None
        assert progress.outcome.kind in LIFECYCLE[progress.spans[-1].phase].outcomes


@given(fleets, policies)
def test_no_instance_is_applied_to_twice(fleet: list[Host], policy: Policy) -> None:
    """One run changes an instance at most once."""
    _, world, _ = roll(fleet, policy)
    assert all(host.applies <= 1 for host in world.hosts.values())


@given(fleets, policies)
def test_updated_is_claimed_only_where_it_is_true(fleet: list[Host], policy: Policy) -> None:
    """An instance that is called updated or current holds the generation."""
    state, world, _ = roll(fleet, policy)
    for key, progress in state.instances.items():
        if progress.outcome and progress.outcome.kind in {OutcomeKind.UPDATED, OutcomeKind.CURRENT}:
            assert world.hosts[key].generation == GENERATION


@given(fleets, policies)
def test_the_fold_of_the_journal_is_the_state(fleet: list[Host], policy: Policy) -> None:
    """Replaying the journal gives the run's own state: outcomes, counts, spans."""
    state, _, journal = roll(fleet, policy)
    again = replay(journal.entries)
    assert again.counts == state.counts
    assert [(key, each.outcome, each.spans) for key, each in again.instances.items()] == [
        (key, each.outcome, each.spans) for key, each in state.instances.items()
    ]


@given(fleets)
@settings(max_examples=30)
def test_a_second_run_touches_nobody_that_is_current(fleet: list[Host]) -> None:
    """Instances that a first run updated are current in the second, with no command but inspect."""
    everything = Amount(100, percent=True)
    policy = Policy(max_failures=(everything,), max_unreachable=(everything,))
    first, world, _ = roll(fleet, policy)
    before = {key: host.applies for key, host in world.hosts.items()}
    second, _, _ = roll(fleet, policy, fence=2, run="run-2")
    for key, progress in first.instances.items():
        if progress.outcome and progress.outcome.kind is OutcomeKind.UPDATED:
            again = second.instances[key].outcome
            assert again is not None
            assert again.kind is OutcomeKind.CURRENT
            assert world.hosts[key].applies == before[key]


@given(fleets, policies)
def test_a_lost_result_keeps_its_place_until_it_was_looked_at(fleet: list[Host], policy: Policy) -> None:
    """An instance whose result is lost leaves the window only after its watchdog's deadline and a look."""
    state, _, _ = roll(fleet, policy)
    for progress in state.instances.values():
        if progress.lost and progress.outcome and progress.outcome.kind is not OutcomeKind.SKIPPED:
            stay = next(span for span in progress.spans if span.phase is Phase.SETTLING)
            assert stay.ended_at is not None
            assert stay.ended_at - stay.started_at >= policy.deadlines.watchdog
            assert progress.looks >= 1


@given(fleets, policies)
def test_a_wave_opens_only_after_the_one_before_it(fleet: list[Host], policy: Policy) -> None:
    """Nobody of a later wave is admitted while one of an earlier wave is at work, nor before the bake time."""
    state, _, journal = roll(fleet, policy)
    waves = {each.key: each.wave for each in state.run.planned}
    ended: dict[int, list[float]] = {}
    left = Counter(wave for wave in waves.values() if wave)
    for entry in journal.entries:
        if isinstance(entry.event, Surveyed):
            waves |= {each.key: each.wave for each in entry.event.planned}
            left.update(each.wave for each in entry.event.planned if each.wave)
        if isinstance(entry.event, Concluded | Deferred) and waves[entry.event.key]:
            left[waves[entry.event.key]] -= 1
            ended.setdefault(waves[entry.event.key], []).append(entry.at)
        if isinstance(entry.event, Admitted):
            wave = max(waves[key] for key in entry.event.keys)
            assert all(left[earlier] == 0 for earlier in range(1, wave))
            if wave > 1:
                assert entry.at >= max(ended[wave - 1]) + policy.bake


@given(fleets, policies)
def test_never_more_than_the_zones_window(fleet: list[Host], policy: Policy) -> None:
    """In no zone more instances are out of service than --max-unavailable-per-zone allows."""
    if policy.max_unavailable_per_zone is None:
        return
    _, _, journal = roll(fleet, policy)
    state = RunState()
    for entry in journal.entries:
        state.fold(entry)
        for zone, count in state.zones.items():
            assert count <= policy.max_unavailable_per_zone.of(state.zone_sizes[zone], at_least=1)


@given(fleets, st.sampled_from(ZoneOrder))
def test_waves_partition_what_is_to_change(fleet: list[Host], zones: ZoneOrder) -> None:
    """Exactly the instances to change have a wave; waves are numbered from one without gaps, in order."""
    state, _, _ = roll(fleet, Policy(zones=zones))
    numbers = [each.wave for each in state.run.planned if each.decision.kind is DecisionKind.APPLY]
    assert numbers == sorted(numbers)
    assert set(numbers) == set(range(1, max(numbers, default=0) + 1))
    assert all(each.wave == 0 for each in state.run.planned if each.decision.kind is not DecisionKind.APPLY)
