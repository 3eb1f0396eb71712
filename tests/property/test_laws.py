"""The laws of design section 6, each alone, over random fleets, policies and troubles, on a virtual clock."""

from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.amount import Amount
from orchestrator.core.events import (
    Admitted,
    Approved,
    Concluded,
    Deferred,
    Draining,
    Halted,
    Looked,
    Looking,
    Lost,
    NotSent,
    Settled,
    Surveyed,
    TakingBack,
    WaveOpened,
)
from orchestrator.core.lifecycle import LIFECYCLE
from orchestrator.core.model import OutcomeKind, Ping, Platform, Status
from orchestrator.core.reasons import Reason
from orchestrator.core.result import Op, parse_facts
from orchestrator.core.settings import EVERYTHING, OnEphemeral, Policy, ZoneOrder
from orchestrator.core.state import RunState, replay
from tests.fake_fleet import GENERATION, NEVER, Host, VirtualClock, roll
from tests.property.strategies import DEAD_RUN, LAW, LOST, Case, cases, fleets, left_by_name, play
from tests.property.troubles import Kind, Trouble


def unlimited(case: Case) -> Case:
    """Let no budget stop a run, so that it comes to everybody."""
    policy = replace(case.policy, max_failures=(), max_unreachable=(), max_refused=())
    return replace(case, policy=policy)


@LAW
@given(cases)
def test_never_more_than_the_window_is_out_of_service(case: Case) -> None:
    """At no moment are more instances drained or restarting than the window allows, whatever the journal says."""
    assert play(case).over == []


@LAW
@given(cases)
def test_never_more_than_a_zones_window_is_out_of_service(case: Case) -> None:
    """In no zone are more instances drained or restarting than --max-unavailable-per-zone allows."""
    assert play(case).zone_over == []


@LAW
@given(cases)
def test_no_more_hold_a_place_than_the_window_has(case: Case) -> None:
    """The run's own book-keeping keeps to the window, in total and by zone, after every event."""
    played = play(case)
    state = RunState()
    for entry in played.journal.entries:
        state.fold(entry)
        assert len(state.roster.in_flight) <= state.window
        if case.policy.max_unavailable_per_zone:
            for zone, count in state.roster.zones.items():
                assert count <= case.policy.max_unavailable_per_zone.of(state.roster.zone_sizes[zone], at_least=1)


@LAW
@given(cases)
def test_one_by_one_works_at_one_zone_at_a_time(case: Case) -> None:
    """With --zones one-by-one nobody of another zone is begun while somebody of the first is at work."""
    played = play(replace(case, policy=replace(case.policy, zones=ZoneOrder.ONE_BY_ONE)))
    state = RunState()
    for entry in played.journal.entries:
        state.fold(entry)
        assert sum(count > 0 for count in state.roster.zones.values()) <= 1


@LAW
@given(cases, st.integers(1, 3), st.integers(0, 3), st.integers(1, 3))
def test_failures_end_within_budget_and_window(case: Case, window_size: int, budget: int, every: int) -> None:
    """The run fails on at most budget + window instances, however many would fail."""
    for host in case.fleet[::every]:
        host.behaviour = "failed"
    policy = replace(
        case.policy,
        waves=(EVERYTHING,),
        max_unavailable=Amount(window_size, percent=False),
        max_failures=(*case.policy.max_failures, Amount(budget, percent=False)),
        max_unreachable=(),
        max_refused=(),
    )
    state = play(replace(case, policy=policy)).state
    for amount in policy.max_failures:
        assert state.failed <= amount.of(state.roster.in_scope, at_least=0) + state.window


@LAW
@given(cases)
def test_nothing_is_admitted_after_a_halt(case: Case) -> None:
    """Behind Halted no instance is sent to nor drained."""
    kinds = [type(entry.event) for entry in play(case).journal.entries]
    if Halted in kinds:
        assert not {Admitted, Draining} & set(kinds[kinds.index(Halted) :])


@LAW
@given(cases)
def test_a_plan_partitions_the_cluster(case: Case) -> None:
    """Every registration has exactly one decision; exactly those to change have a wave, without gaps, in order."""
    planned = play(case).state.run.planned
    keys = [each.key for each in planned]
    assert len(set(keys)) == len(keys)
    listed = [
        arn
        for host in case.fleet
        if host.lives_at(VirtualClock().now())
        for arn in (host.arn, *(ghost.arn for ghost in host.ghosts if ghost.status))
    ]
    assert sorted(each.instance.arn for each in planned) == sorted(listed)
    assert len({each.instance.arn for each in planned}) == len(planned)
    numbers = [each.wave for each in planned if each.decision.changes]
    assert numbers == sorted(numbers)
    assert set(numbers) == set(range(1, max(numbers, default=0) + 1))
    assert all(each.wave == 0 for each in planned if not each.decision.changes)


@LAW
@given(cases)
def test_everybody_ends_in_exactly_one_outcome(case: Case) -> None:
    """Every instance of the cluster, late joiners too, has exactly one outcome, one that its last phase allows."""
    played = play(case)
    concluded = [entry.event.key for entry in played.journal.entries if isinstance(entry.event, Concluded)]
    assert len(concluded) == len(set(concluded))
    assert set(concluded) == set(played.state.instances) >= {each.key for each in played.state.run.planned}
    for progress in played.state.instances.values():
        assert progress.outcome is not None
        assert progress.outcome.kind in LIFECYCLE[progress.spans[-1].phase].outcomes


@LAW
@given(cases)
def test_no_instance_is_applied_to_twice_without_need(case: Case) -> None:
    """Between two commands of apply for one instance lies a look that showed that the first never began."""
    for number, host in enumerate(case.fleet[::2]):
        host.behaviour = LOST[number % len(LOST)]
    world = play(unlimited(case)).world
    sent: dict[str, bool] = {}
    for command in world.commands.values():
        for key in command.order.instance_ids:
            if command.order.op is Op.APPLY:
                assert not sent.get(key)
                sent[key] = True
            elif command.order.op is Op.INSPECT and sent.get(key):
                facts = parse_facts(command.ended[key][2])
                sent[key] = isinstance(facts, str) or facts.fence >= 1
    assert all(host.applies <= 1 for host in world.hosts.values())


@LAW
@given(cases)
def test_updated_is_claimed_only_where_it_is_true(case: Case) -> None:
    """An instance that is called updated or current holds the generation and is not half-way."""
    played = play(case)
    for key, progress in played.state.instances.items():
        if progress.outcome and progress.outcome.kind in {OutcomeKind.UPDATED, OutcomeKind.CURRENT}:
            assert played.world.hosts[key].generation == GENERATION
            assert played.world.hosts[key].armed == "no"


@LAW
@given(cases)
def test_nobody_is_left_half_changed(case: Case) -> None:
    """An instance on which a change broke off half-way was taken back, unless it could not be asked or has gone."""
    for host in case.fleet[::3]:
        host.behaviour = "lost_armed"
    played = play(unlimited(case))
    for host in played.world.hosts.values():
        if host.armed_run == played.rollout.run and host.armed != "no" and host.status is not None:
            outcome = played.state.instances[host.instance_id].outcome
            assert outcome is not None
            assert outcome.kind is OutcomeKind.UNVERIFIED or outcome.reason == "restore_failed"


@LAW
@given(cases)
def test_the_fold_of_the_journal_is_the_state(case: Case) -> None:
    """Replaying the journal gives the run's own state: outcomes, counts, spans."""
    played = play(case)
    again = replay(played.journal.entries)
    assert again.counts == played.state.counts
    assert again.roster.zones == played.state.roster.zones
    assert [(key, each.outcome, each.spans) for key, each in again.instances.items()] == [
        (key, each.outcome, each.spans) for key, each in played.state.instances.items()
    ]


@LAW
@given(cases)
def test_what_is_drained_by_us_is_given_back_or_named(case: Case) -> None:
    """No registration carries our mark at the end unless the report names it, and its outcome is not as wanted."""
    for number, host in enumerate(case.fleet[::2]):
        host.persistence, host.drain_seconds = "ephemeral", (20.0, NEVER)[number % 2]
    played = play(replace(case, policy=replace(case.policy, on_ephemeral=OnEphemeral.DRAIN)))
    for host in played.world.hosts.values():
        progress = played.state.instances.get(host.instance_id)
        marked = bool(host.mark) or any(each.mark for each in host.ghosts if each.status is not None)
        if host.status is None or progress is None or not marked:
            continue
        assert progress.outcome is not None
        assert left_by_name(progress.outcome)
        assert not progress.outcome.as_wanted
    drained = {key for key, host in played.world.hosts.items() if host.status is Status.DRAINING and not host.mark}
    assert all(played.world.hosts[key].arn in played.world.foreign for key in drained)


@LAW
@given(cases, st.integers(1, 3))
def test_what_dead_runs_have_drained_is_given_back_or_no_good_end(case: Case, every: int) -> None:
    """Who is still DRAINING under our mark, selected or not, ends not as wanted.

    To those outside the selection nothing is sent but what takes back what was left half-way.
    """
    for number, host in enumerate(case.fleet[::every]):
        host.mark, host.status = DEAD_RUN, Status.DRAINING
        host.armed, host.armed_run = (("dead", DEAD_RUN), ("no", ""), ("living", DEAD_RUN))[number % 3]
    half = {host.instance_id for host in case.fleet if host.mark and host.armed == "dead"}
    played = play(case)
    world, instances = played.world, played.state.instances
    for host in world.hosts.values():
        progress = instances.get(host.instance_id)
        if host.mark and host.status is Status.DRAINING and progress is not None:
            assert progress.outcome is not None
            assert not progress.outcome.as_wanted
    left_out = {host.instance_id for host in world.hosts.values() if not played.rollout.selects(host)}
    for order in world.sends:
        outside = left_out.intersection(order.instance_ids)
        assert not outside or order.op is Op.INSPECT or (order.op is Op.RESTORE and outside <= half)


@LAW
@given(cases, st.integers(1, 3))
def test_whoever_answers_is_given_back_whatever_is_selected(case: Case, every: int) -> None:
    """Where nothing goes wrong, nobody outside the selection stays DRAINING by a dead run, though the run may halt."""
    for host in case.fleet[::every]:
        host.mark, host.status, host.armed = DEAD_RUN, Status.DRAINING, "no"
    for host in case.fleet:
        host.joins_at = 0.0  # nobody comes after the last look around
    played = play(replace(case, troubles=[]))
    for host in played.world.hosts.values():
        answers = host.ping is Ping.ONLINE and host.platform is Platform.LINUX
        assert not (answers and host.status is Status.DRAINING and host.mark and not played.rollout.selects(host))


@LAW
@given(cases)
def test_what_others_have_drained_is_not_touched(case: Case) -> None:
    """Whoever drained an instance finds it DRAINING and without a mark of ours; no call of ours changed it."""
    world = play(case).world
    assert world.trespasses == []
    for host in world.hosts.values():
        if host.arn in world.foreign and host.status is not None:
            assert (host.status, host.mark) == (Status.DRAINING, "")


@LAW
@given(cases)
def test_a_new_registration_has_what_the_old_one_had(case: Case) -> None:
    """Custom attributes are on every registration that came about in the run, except where nothing could be known."""
    played = play(case)
    for key, progress in played.state.instances.items():
        host = played.world.hosts.get(key)
        if host is None or host.status is None or not host.registration:
            continue
        assert progress.outcome is not None
        unknown = progress.outcome.kind is OutcomeKind.UNVERIFIED or not host.connected
        assert unknown or host.attributes == {"team"}


@LAW
@given(cases)
def test_only_ghosts_of_this_run_are_deregistered(case: Case) -> None:
    """Nothing that was there before is deregistered but what the instance itself left behind by its restart."""
    world = play(case).world
    assert not [arn for arn in world.deregistered if arn.endswith("-old")]
    for host in world.hosts.values():
        assert all(ghost.status is Status.ACTIVE for ghost in host.ghosts if ghost.arn.endswith("-old"))


@LAW
@given(cases)
def test_a_lost_result_keeps_its_place_until_it_was_looked_at(case: Case) -> None:
    """An instance whose result is lost is looked at once its watchdog's deadline is over, and ends only after that."""
    for number, host in enumerate(case.fleet[::2]):
        host.behaviour, host.mute = LOST[number % len(LOST)], False
    case.troubles.append(Trouble(Kind.MUTE, at=30, lasts=3000.0))
    played = play(unlimited(case))
    due: dict[str, float] = {}
    looked: set[str] = set()
    for entry in played.journal.entries:
        match entry.event:
            case Lost(keys=keys):
                due |= dict.fromkeys(keys, entry.at + case.policy.deadlines.watchdog)
                looked.difference_update(keys)
            case Looking(keys=keys):
                assert all(entry.at >= due[key] for key in keys)
            case Looked(key=key):
                looked.add(key)
            case NotSent(keys=keys):
                assert looked.issuperset(due.keys() & set(keys))
            case Admitted(keys=keys) | TakingBack(keys=keys):
                for key in keys:
                    due.pop(key, None)
            case (
                Settled(key=key, outcome=outcome)
                | Deferred(key=key, outcome=outcome)
                | Concluded(key=key, outcome=outcome)
            ):
                open_end = key in due or outcome.kind is OutcomeKind.UNVERIFIED
                assert not open_end or key in looked or outcome.reason is Reason.TERMINATED
            case _:
                pass


@LAW
@given(cases)
def test_a_wave_opens_only_after_the_one_before_it(case: Case) -> None:
    """No later wave begins while somebody of an earlier one is at work, nor before its bake time or its approval."""
    played = play(case)
    waves = {each.key: each.wave for each in played.state.run.planned}
    left = Counter(wave for wave in waves.values() if wave)
    ended, approved = 0.0, set[int]()
    for entry in played.journal.entries:
        event = entry.event
        if isinstance(event, Surveyed):
            waves |= {each.key: each.wave for each in event.planned}
            left.update(each.wave for each in event.planned if each.wave)
        if isinstance(event, Concluded):
            ended = entry.at
        if isinstance(event, Approved):
            approved.add(event.wave)
        if isinstance(event, Concluded | Deferred) and waves[event.key]:
            left[waves[event.key]] -= 1
        if isinstance(event, WaveOpened) and event.wave > 1:
            assert all(left[earlier] == 0 for earlier in range(1, event.wave))
            assert entry.at >= ended + case.policy.bake
            assert event.wave in approved or not case.policy.approve
        if isinstance(event, Admitted | Draining):
            wave = max(waves[key] for key in event.keys)
            assert all(left[earlier] == 0 for earlier in range(1, wave))
            begun = any(waves[key] == wave and played.state.instances[key].spans[0].ended_at for key in event.keys)
            assert begun


@LAW
@given(fleets)
def test_a_second_run_touches_nobody_that_is_current(fleet: list[Host]) -> None:
    """Instances that a first run updated are current in the second, with no command but inspect."""
    everything = Amount(100, percent=True)
    policy = Policy(max_failures=(everything,), max_unreachable=(everything,))
    for host in fleet:
        host.joins_at = 0.0
    first, world, _ = roll(fleet, policy)
    before = {key: host.applies for key, host in world.hosts.items()}
    second, again_world, _ = roll(fleet, policy, fence=2, run="run-2")
    sent = [each for each in again_world.sends if each.op is not Op.INSPECT]
    for key, progress in first.instances.items():
        if progress.outcome and progress.outcome.kind is OutcomeKind.UPDATED:
            again = second.instances[key].outcome
            assert again is not None
            assert again.kind is OutcomeKind.CURRENT
            assert not [each for each in sent if key in each.instance_ids]
            assert world.hosts[key].applies == before[key]
