"""The round of inspections before anything is decided."""

from collections.abc import Callable
from itertools import pairwise

import pytest

from orchestrator.aws.owner import HEARTBEAT_SECONDS
from orchestrator.core.model import Facts, Ping
from orchestrator.core.orders import Context, HostPaths
from orchestrator.core.reasons import Reason
from orchestrator.core.settings import Deadlines
from orchestrator.errors import EnvironmentFault
from orchestrator.inspection import Inspection
from orchestrator.ports import Answer, Doubtful, Rejected
from tests.fake_fleet import Host, VirtualClock, World, fleet_of


def look(world: World, keep: Callable[[], None] = lambda: None) -> dict[str, Facts | Reason]:
    context = Context(run="r", cluster="c", fence=0, deadlines=Deadlines(), paths=HostPaths())
    return dict(Inspection(commands=world, clock=world.clock, context=context, keep=keep).look(world.hosts))


def world_of(hosts: list[Host], *answers: Answer | str) -> World:
    world = World(hosts, VirtualClock())
    world.next_answers = list(answers)
    return world


def test_everybody_is_looked_at_by_fifty() -> None:
    """120 instances take three commands, and every one gives its facts."""
    world = world_of(fleet_of(120))
    assert all(isinstance(each, Facts) for each in look(world).values())
    assert [len(order.instance_ids) for order in world.sends] == [50, 50, 20]


def test_a_lost_answer_is_found_by_its_comment() -> None:
    """When only the answer to SendCommand was lost, the inspection is found and read; it is not sent again."""
    world = world_of(fleet_of(3), "accepted, answer lost")
    assert all(isinstance(each, Facts) for each in look(world).values())
    assert len(world.sends) == 1


def test_a_command_that_cannot_be_found_is_no_refusal() -> None:
    """When the command cannot be found either, nothing is known of its instances, and that is what is said."""
    world = world_of(fleet_of(2), Doubtful("ReadTimeoutError"))
    assert set(look(world).values()) == {Reason.NO_RESULT}


def test_a_missing_right_is_an_error_and_not_a_fleet_of_unreachable_instances() -> None:
    """What SSM turns down for every instance is said as one error."""
    with pytest.raises(EnvironmentFault, match="Not allowed"):
        look(world_of(fleet_of(2), Rejected("Not allowed: ssm:SendCommand.", instances=False)))


def test_one_unregistered_instance_does_not_blind_us_for_the_others() -> None:
    """One id that SSM does not know fails the whole call (F71): the others are asked again."""
    hosts = fleet_of(3)
    hosts[1].ping = Ping.UNREGISTERED
    seen = look(world_of(hosts))
    assert seen[hosts[1].instance_id] is Reason.SSM_NOT_REGISTERED
    assert sum(isinstance(each, Facts) for each in seen.values()) == 2


def test_who_does_not_answer_in_time_is_said_so() -> None:
    """An instance that the command does not reach has timed out; the others are not held up by it."""
    hosts = fleet_of(2)
    hosts[0].mute = True
    seen = look(world_of(hosts))
    assert seen[hosts[0].instance_id] is Reason.DELIVERY_TIMED_OUT
    assert isinstance(seen[hosts[1].instance_id], Facts)


def test_the_heartbeat_goes_on_while_instances_are_looked_at() -> None:
    """A large fleet, answers that are lost and instances that do not answer: the lock is kept all the while."""
    world = world_of(fleet_of(120), "accepted, answer lost", Doubtful("ReadTimeoutError"))
    for host in list(world.hosts.values())[:10]:
        host.mute = True
    kept: list[float] = [world.clock.now()]
    look(world, lambda: kept.append(world.clock.now()))
    kept.append(world.clock.now())
    assert kept[-1] - kept[0] >= 2 * HEARTBEAT_SECONDS
    assert max(after - before for before, after in pairwise(kept)) <= HEARTBEAT_SECONDS
