"""What must be true when a run has ended, however often its controller has died on the way."""

from orchestrator.core.model import OutcomeKind, Status
from orchestrator.core.result import Op, parse_facts
from orchestrator.core.state import RunState
from orchestrator.errors import LockedError
from tests.fake_fleet import Rollout
from tests.property.strategies import left_by_name


def taken() -> None:
    """Answer as the lock of an owner that was taken over does."""
    raise LockedError("somebody else goes on with the run", hint="leave it")


def holdings(rollout: Rollout) -> dict[str, tuple[str, int]]:
    """Say what each instance holds, and how often it was changed."""
    return {key: (host.generation, host.applies) for key, host in rollout.world.hosts.items()}


def check(rollout: Rollout, state: RunState) -> None:
    """Hold what is left against the laws."""
    world = rollout.world
    if state.started is None:
        assert not [order for order in world.sends if order.op is not Op.INSPECT]
        assert not world.drained
        return
    assert state.ended is not None
    for key, progress in state.instances.items():
        assert progress.outcome is not None, key
    for host in world.hosts.values():
        seen = state.instances.get(host.instance_id)
        if seen is None or host.status is None:  # it has joined after the last look around, or is gone
            continue
        outcome = seen.outcome
        assert outcome is not None
        marked = host.mark or any(each.mark for each in host.ghosts if each.status is not None)
        assert not marked or (left_by_name(outcome) and not outcome.as_wanted), (host, outcome)
        assert host.status is not Status.DRAINING or host.mark or host.arn in world.foreign, host
        ours = host.armed != "no" and (rollout.heals or host.armed_run == rollout.run)
        half = ours and outcome.kind not in {OutcomeKind.NOT_ATTEMPTED, OutcomeKind.UNVERIFIED}
        assert not half or outcome.reason == "restore_failed", (host, outcome)
        assert host.applies <= 1
        assert not host.applies or rollout.selects(host), host
        unproven = outcome.kind is OutcomeKind.UNVERIFIED
        assert unproven or not host.registration or host.attributes == {"team"}, (host, outcome)
    assert world.trespasses == []
    once(rollout)


def once(rollout: Rollout) -> None:
    """No instance was sent a second command of apply unless a look showed that the first never began."""
    sent: set[str] = set()
    for command in rollout.world.commands.values():
        for key in command.order.instance_ids:
            if command.order.op is Op.APPLY:
                assert key not in sent, key
                sent.add(key)
            elif command.order.op is Op.INSPECT:
                facts = parse_facts(command.ended[key][2])
                if not isinstance(facts, str) and not facts.fence:
                    sent.discard(key)
