"""What a plan says of instances that are drained first."""

from orchestrator.core.capacity import Capacity, Load, Room, ServiceLoad, destinations
from orchestrator.core.model import Plan
from orchestrator.core.settings import OnEphemeral, Policy, StandaloneTasks
from orchestrator.report.plan_drains import drains_text, views
from tests.fake_fleet import Host, Rollout, VirtualClock, World, fleet_of

WEB = ServiceLoad(desired=4, running=4, minimum_percent=100, maximum_percent=200)


def plan_of(hosts: list[Host]) -> Plan:
    rollout = Rollout(World(hosts, VirtualClock()), Policy(on_ephemeral=OnEphemeral.DRAIN))
    return Plan(cluster="c", generation="g", planned=rollout.plan(fence=1))


def capacity_of(hosts: list[Host], loads: dict[str, list[Load]], left: int) -> Capacity:
    rooms = {host.arn: Room(cpu=1000, memory=left) for host in hosts}
    return Capacity(rooms=rooms, loads=loads, services={"web": WEB})


def test_it_names_where_the_tasks_could_go() -> None:
    """The view counts what moves, and says on which other instance there is room for how many."""
    hosts = [*fleet_of(2), Host("i-ephemeral", persistence="ephemeral")]
    tasks = [Load(service="web", cpu=10, memory=300)] * 2 + [Load(service="", cpu=1, memory=1)]
    (view,) = views(plan_of(hosts), capacity_of(hosts, {hosts[2].arn: tasks}, left=400))
    assert (view.instance_id, view.moving, view.standalone, view.obstacle) == ("i-ephemeral", 2, 1, "")
    assert view.goes_to == ((hosts[0].instance_id, 1), (hosts[1].instance_id, 1))
    text = drains_text([view], StandaloneTasks.STOP, full=False)
    assert f"room for 1 on {hosts[0].instance_id}" in " ".join(text.split())
    assert "ACTIVE at once" in text
    assert "--standalone-tasks stop" in text
    assert max(map(len, text.splitlines())) <= 80


def test_it_says_what_stands_in_the_way() -> None:
    """Where the rest of the cluster has no room, the plan says so before anything is drained."""
    hosts = [*fleet_of(1), Host("i-ephemeral", persistence="ephemeral")]
    tasks = [Load(service="web", cpu=10, memory=900)]
    capacity = capacity_of(hosts, {hosts[1].arn: tasks}, left=400)
    (view,) = views(plan_of(hosts), capacity)
    assert "has nowhere to go" in view.obstacle
    assert destinations(capacity, hosts[1].arn) == {}
    assert "held as it is now" in drains_text([view], StandaloneTasks.WAIT, full=False)


def test_many_are_summed_up() -> None:
    """Of many that are drained only those with something in the way are named, and the rest is counted."""
    hosts = fleet_of(8, persistence="ephemeral")
    plan = plan_of(hosts)
    shown = views(plan, capacity_of(hosts, {host.arn: [] for host in hosts}, left=400))
    text = drains_text(shown, StandaloneTasks.WAIT, full=False)
    assert "8 more, of which 0 would be held" in text
    assert text.count("i-0") == 0
    assert drains_text(shown, StandaloneTasks.WAIT, full=True).count("i-0") == 8
