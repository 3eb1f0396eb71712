"""One host of the fleet in memory: what it is, and how it answers inspect, apply and restore."""

import json
from dataclasses import dataclass, field, replace

from orchestrator.core.model import Instance, Ping, Platform, Sighting, Status
from orchestrator.core.result import Op
from orchestrator.ports import Order

NEVER = 1e9


@dataclass(slots=True)
class Registration:
    """A container instance that no agent answers for any more."""

    arn: str
    status: Status | None
    mark: str
    attributes: frozenset[str] = frozenset()


@dataclass(slots=True)
class Host:
    """One instance: what it is, and how it answers an apply."""

    instance_id: str
    zone: str = "a"
    ping: Ping = Ping.ONLINE
    status: Status | None = Status.ACTIVE
    platform: Platform = Platform.LINUX
    persistence: str = "persistent"
    tasks: int = 1
    generation: str = ""
    connected: bool = True
    # What apply does: updated, rolled_back, failed, refused, current, unseen (ECS never sees its agent again, until it
    # is taken back), or lost: nothing was done, or all of it (lost_updated), or the watchdog has taken it back
    # (lost_restored), or the host was rebooted half-way (lost_armed).
    behaviour: str = "updated"
    apply_seconds: float = 40.0
    reconnect_seconds: float = 5.0
    reason: str = ""
    run: str = ""
    before: tuple[str, str] = ("", "")
    fence: int = 0
    last: str = ""
    last_run: str = ""
    mute: bool = False
    armed: str = "no"
    armed_run: str = ""
    restore_dies: bool = False
    restore_refuses: bool = False
    down_until: float = 0.0
    disagrees: bool = False
    applies: int = 0
    connects_at: float = 0.0
    # Draining: tasks of services leave within `drain_seconds`, standalone ones stay until somebody stops them.
    drain_seconds: float = 20.0
    drains_at: float = 0.0
    standalone: int = 0
    mark: str = ""
    registration: int = 0
    ghosts: list[Registration] = field(default_factory=list)
    attributes: frozenset[str] = frozenset({"team"})
    joins_at: float = 0.0
    registries: tuple[str, ...] = ()

    @property
    def arn(self) -> str:
        name = f"{self.instance_id[2:]:0>24}{self.registration:0>8}"
        return f"arn:aws:ecs:us-east-1:123456789012:container-instance/c/{name}"

    def arns(self) -> tuple[str, ...]:
        return (self.arn, *(each.arn for each in self.ghosts))

    def copy(self) -> "Host":
        return replace(self, ghosts=[replace(each) for each in self.ghosts])

    def lives_at(self, now: float) -> bool:
        return self.status not in {None, Status.INACTIVE} and now >= self.joins_at

    def out_of_service(self, run: str, now: float) -> bool:
        """Whether tasks cannot run or be placed on it because of that run: drained by it, or its agent restarts."""
        drained = self.status is Status.DRAINING and self.mark == run
        return self.status is not None and (drained or now < self.down_until)

    def tasks_at(self, now: float) -> int:
        drained = self.status is Status.DRAINING and now >= self.drains_at
        return self.standalone + (0 if drained else self.tasks)

    def restart(self) -> None:
        """Restart the agent: one that keeps no state leaves its registration behind and comes back ACTIVE (F33)."""
        if self.persistence == "persistent" or self.status is None:
            return
        self.ghosts.append(Registration(self.arn, self.status, self.mark, self.attributes))
        self.registration += 1
        self.status, self.mark, self.attributes = Status.ACTIVE, "", frozenset()


def answer(host: Host, order: Order, now: float) -> tuple[float, str, str]:
    """Do what a document says, as this host does; give when it ends, its status and its output."""
    away = host.ping is not Ping.ONLINE or host.status is None
    if away or (order.op is Op.INSPECT and host.mute):
        return now + order.delivery_seconds, "Delivery Timed Out", ""
    if order.op is Op.INSPECT:
        return now + 1, "Success", inspect_line(host)
    return _apply(host, order, now)


def _apply(host: Host, order: Order, now: float) -> tuple[float, str, str]:
    end = now + host.apply_seconds
    behaviour = host.behaviour
    if behaviour == "undelivered":
        return now + order.delivery_seconds, "DeliveryTimedOut", ""
    if now > int(order.parameters["NotAfter"]):
        return end, "Failed", apply_line("refused", "expired", changed=False, op=order.op)
    fence = int(order.parameters["Fence"])
    if fence < host.fence:
        return end, "Failed", apply_line("refused", "fence_stale", changed=False, op=order.op)
    host.fence = fence
    if order.op is Op.APPLY:
        host.armed = "no"  # what a dead watchdog has left is restored first
    if order.op is Op.RESTORE:
        return _restore(host, order, end)
    if host.generation == order.parameters["Generation"]:
        return end, "Success", apply_line("current", "already_current", changed=False)
    if host.persistence != "persistent" and host.tasks_at(now) and order.parameters["OnTasks"] != "force":
        return end, "Failed", apply_line("refused", "tasks_running", changed=False)
    return _change(host, order, end)


def _change(host: Host, order: Order, end: float) -> tuple[float, str, str]:
    behaviour, arn_before, run = host.behaviour, host.arn, order.parameters["RunId"]
    host.applies += 1
    if behaviour not in {"refused", "current"}:
        host.restart()
        host.down_until = end
    if behaviour in {"rolled_back", "lost_restored"}:
        host.restart()
    if behaviour in {"updated", "lost_updated", "unseen"}:
        host.before = host.generation, host.run
        host.generation, host.run = order.parameters["Generation"], run
        host.connects_at = end + (NEVER if behaviour == "unseen" else host.reconnect_seconds)
        host.down_until = host.connects_at
    if behaviour == "lost_restored":
        host.last, host.last_run = "watchdog_restored", run
    if behaviour == "lost_armed":
        host.armed, host.armed_run = "dead", run
    if behaviour.startswith("lost"):
        return end, "ExecutionTimedOut", ""
    if behaviour == "garbage":
        return end, "Success", '{"v":1,"op":"apply","outcome":"updated"'
    claim = "updated" if behaviour == "unseen" else behaviour
    default = {"updated": "verified", "refused": "locked"}.get(claim, "agent_did_not_return")
    changed = claim in {"updated", "failed"}
    arns = {"arn": host.arn, "arn_before": arn_before}
    status = "Success" if claim == "updated" else "Failed"
    return end, status, apply_line(claim, host.reason or default, changed=changed, **arns)


def _restore(host: Host, order: Order, end: float) -> tuple[float, str, str]:
    wanted = order.parameters["RestoreRun"]
    if host.restore_refuses:
        return end, "Failed", apply_line("refused", "tasks_running", changed=False, op="restore")
    if host.restore_dies:
        host.armed = "dead"
        return end, "ExecutionTimedOut", ""
    if host.armed == "dead":
        host.restart()
        host.armed, host.connects_at = "no", end + host.reconnect_seconds
        if host.armed_run == wanted:
            return end, "Success", apply_line("rolled_back", "restored", changed=True, op="restore", arn=host.arn)
    if host.run != wanted:
        return end, "Success", apply_line("current", "nothing_to_restore", changed=False, op="restore")
    if host.behaviour in {"failed", "lost"}:
        return end, "Failed", apply_line("failed", "no_backup", changed=False, op="restore")
    host.restart()
    host.generation, host.run = host.before
    host.connects_at = host.down_until = end + host.reconnect_seconds
    if host.behaviour == "lost_updated":
        return end, "ExecutionTimedOut", ""
    return end, "Success", apply_line("rolled_back", "restored", changed=True, op="restore", arn=host.arn)


def instance_of(host: Host, now: float) -> Instance:
    assert host.status is not None
    return Instance(
        instance_id=host.instance_id,
        arn=host.arn,
        zone=host.zone,
        status=host.status,
        platform=host.platform,
        ping=host.ping,
        agent_connected=host.connected and now >= host.connects_at,
        agent_version="1.105.1",
        running_tasks=host.tasks_at(now),
        pending_tasks=0,
        mark=host.mark,
    )


def ghost_of(host: Host, ghost: Registration) -> Instance:
    return replace(
        instance_of(replace(host, status=ghost.status or Status.INACTIVE), 0.0),
        arn=ghost.arn,
        mark=ghost.mark,
        agent_connected=False,
    )


def seen_ghosts(host: Host) -> list[Sighting]:
    return [
        Sighting(arn=each.arn, status=each.status, agent_connected=False, running_tasks=0, mark=each.mark)
        for each in host.ghosts
    ]


def sighting(host: Host, now: float) -> Sighting:
    return Sighting(
        arn=host.arn,
        status=host.status,
        agent_connected=host.connected and now >= host.connects_at,
        running_tasks=host.tasks_at(now),
        mark=host.mark,
    )


def apply_line(outcome: str, reason: str, *, changed: bool, op: str = "apply", **more: str) -> str:
    return json.dumps({"v": 1, "op": op, "outcome": outcome, "reason": reason, "changed": changed, **more}) + "\n"


def inspect_line(host: Host) -> str:
    facts = {
        "v": 1,
        "op": "inspect",
        "outcome": "inspected",
        "reason": "verified",
        "changed": False,
        "agent": "up",
        "arn": host.arn,
        "method": "systemd",
        "persistence": host.persistence,
        "why": ["datadir_set"],
        "tasks": host.tasks,
        "generation": host.generation,
        "run": host.run,
        "agrees": bool(host.generation) and not host.disagrees,
        "fence": host.fence,
        "armed": host.armed,
        "last": host.last,
        "last_run": host.last_run,
        "fetch": "curl",
        "registries": list(host.registries),
        "registries_total": len(host.registries),
    }
    return json.dumps(facts) + "\n"
