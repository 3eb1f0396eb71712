"""Runs to report: a fleet with every kind of trouble, with hostile names, a run that broke off, a large one."""

import uuid
from dataclasses import replace

from msgspec import structs

from orchestrator.core.amount import Amount
from orchestrator.core.events import Admitted, Entry
from orchestrator.core.model import Ping, Platform, Status
from orchestrator.core.settings import EVERYTHING, Deadlines, OnEphemeral, Policy
from orchestrator.core.state import RunState, replay
from tests.fake_fleet import Host, World, fleet_of, roll

LENIENT = Policy(max_failures=(EVERYTHING,), max_unreachable=(EVERYTHING,))
SCRIPT = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"' onclick='"
CONTROL = "a\x00b\x1b[31mc\u202ed\ud800e"
FORMULA = '=HYPERLINK("http://x","y")|`*[x](y)'


def trouble(prefix: str = "i-00000000000000a") -> list[Host]:
    """One host with each kind of trouble."""
    return [
        Host(f"{prefix}01", behaviour="rolled_back", zone="eu-central-1a"),
        Host(f"{prefix}02", behaviour="failed", reason="container_not_replaced", zone="eu-central-1b"),
        Host(f"{prefix}03", behaviour="lost_restored"),
        Host(f"{prefix}04", ping=Ping.CONNECTION_LOST, zone="eu-central-1a"),
        Host(f"{prefix}05", persistence="ephemeral"),
        Host(f"{prefix}06", platform=Platform.BOTTLEROCKET),
        Host(f"{prefix}07", status=Status.DRAINING),
        Host(f"{prefix}08", behaviour="lost_updated"),
    ]


def _go_mute(world: World) -> None:
    """Answer no inspection after the plan's: a lost result then stays unknown."""
    for host in world.hosts.values():
        host.mute = host.behaviour == "lost_updated"


def troubled() -> RunState:
    """A run in which everything that can happen has happened to somebody."""
    return roll([*fleet_of(6), *trouble()], LENIENT, prepare=_go_mute)[0]


def fine() -> RunState:
    """A run that ended as it was meant to."""
    return roll(fleet_of(3), LENIENT)[0]


def halted() -> RunState:
    """A run that its canary halted."""
    return roll(fleet_of(6, behaviour="rolled_back"))[0]


def interrupted() -> RunState:
    """A run that was stopped before it began with anybody."""
    return roll(fleet_of(2), stop_requested=lambda: "stopped by a signal")[0]


def broken_off() -> RunState:
    """A run whose journal ends while its canary is at work."""
    _, _, journal = roll([*fleet_of(6), *trouble()], LENIENT)
    first = next(index for index, entry in enumerate(journal.entries) if isinstance(entry.event, Admitted))
    return replay(journal.entries[: first + 1])


def drained() -> RunState:
    """A run that drains agents without state, and tries an unreachable one again after its last wave."""
    hosts = [
        *fleet_of(4),
        Host("i-0000000000000e001", persistence="ephemeral", tasks=3),
        Host("i-0000000000000e002", persistence="ephemeral", behaviour="rolled_back"),
        Host("i-0000000000000e003", ping=Ping.CONNECTION_LOST),
    ]
    return roll(hosts, replace(LENIENT, on_ephemeral=OnEphemeral.DRAIN))[0]


def taken_back() -> RunState:
    """The restore of a run."""
    hosts = fleet_of(2)
    roll(hosts)
    return roll(hosts, fence=2, run="run-2", restores="run-1")[0]


def hostile() -> RunState:
    """A run over instances whose every word was chosen by an enemy."""
    state = troubled()
    for number, progress in enumerate(state.instances.values()):
        word = (SCRIPT, CONTROL, FORMULA)[number % 3]
        instance = replace(
            progress.planned.instance, instance_id=f"{word}{number}", zone=word, agent_version=word, arn=word
        )
        progress.planned = replace(progress.planned, instance=instance)
        if progress.outcome:
            progress.outcome = replace(progress.outcome, message=word)
        progress.command_ids = [word]
        if progress.report:
            progress.report = replace(progress.report, arn=word, log=word, warnings=(word,))
    state.started = structs.replace(state.run, cluster=SCRIPT, region=CONTROL)
    return state


def large(count: int = 5000) -> RunState:
    """A run over a fleet with trouble here and there."""
    some = [host for number in range(4) for host in trouble(f"i-0000000000000b{number}")]
    policy = replace(LENIENT, max_unavailable=Amount.parse("10%"))
    return roll([*fleet_of(count - len(some)), *some], policy, prepare=_go_mute)[0]


def showcase(count: int = 16) -> RunState:
    """A run to be looked at: a cluster in Frankfurt, one night in November."""
    hosts = [
        *fleet_of(count - 5),
        Host("i-0c2f00000000000a1", behaviour="rolled_back"),
        Host("i-0c2f00000000000a2", behaviour="failed", reason="container_not_replaced", zone="b"),
        Host("i-0c2f00000000000a3", behaviour="lost_restored", zone="c"),
        Host("i-0c2f00000000000a4", ping=Ping.CONNECTION_LOST),
        Host("i-0c2f00000000000a5", persistence="ephemeral", zone="b", tasks=3),
    ]
    hosts[-1].drain_seconds = 45
    for number, host in enumerate(hosts):
        host.zone = f"eu-central-1{host.zone}"
        host.apply_seconds += 7 * (number % 5)
    policy = replace(
        LENIENT,
        max_unavailable=Amount.parse("20%"),
        on_ephemeral=OnEphemeral.DRAIN,
        deadlines=Deadlines(watchdog=301, step=302),
    )
    _, _, journal = roll(hosts, policy, run="20261124-013006-d617fabc")
    since = 1_795_483_806 - journal.entries[0].at
    state = replay([Entry(entry.at + since, entry.event) for entry in journal.entries])
    flags = {"credential": "secretsmanager:registry", "region": "eu-central-1", "on_ephemeral": "drain"}
    state.started = structs.replace(
        state.run, cluster="web", region="eu-central-1", options={"cluster": "web", **flags}
    )
    for progress in state.instances.values():
        if progress.report is not None:
            tasks = progress.planned.instance.running_tasks
            progress.report = replace(progress.report, tasks_before=tasks, tasks_after=tasks)
        progress.command_ids = [str(uuid.uuid5(uuid.NAMESPACE_OID, each)) for each in progress.command_ids]
    return state


STATES = {
    each.__name__: each for each in (troubled, fine, halted, interrupted, broken_off, drained, taken_back, hostile)
}
