"""Which generations a fleet runs, and whether anything can still bring an older credential back."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType

from orchestrator.core.deciding import Look
from orchestrator.core.doubts import Doubt, Uncertain
from orchestrator.core.model import Armed, Instance, OutcomeKind
from orchestrator.core.reasons import EXPLANATIONS, Reason
from orchestrator.core.state import RunState

_RUN_TIME = "%Y%m%d-%H%M%S"
_TIME_LENGTH = 15
_HAVE_IT = frozenset({OutcomeKind.UPDATED, OutcomeKind.CURRENT})
_NOT_THERE = frozenset({Reason.GHOST, Reason.TERMINATED})
_VARIABLE = re.compile(r"\\\$(\\\{)?\w+(\\\})?")  # of a shell, after re.escape


class Verdict(StrEnum):
    """May the previous credential be revoked?"""

    UNUSED = "unused"
    IN_USE = "in_use"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """An instance on which marker, file and running agent hold one credential; `run` installed it."""

    instance_id: str
    generation: str
    run: str


_NOBODY = Running(instance_id="", generation="", run="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Boot:
    """Something that new instances take their configuration from.

    `generation`: of the credential in it; empty where it `holds` none, or one that cannot be read. `unread`: why it
    could not be looked at; empty where it was. `refers`: the S3 objects that it fetches more configuration from.
    """

    name: str
    holds: bool = False
    generation: str = ""
    unread: str = ""
    refers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What stands around the cluster: who may join it, and with what they boot.

    `members`: every instance of its Auto Scaling groups, by group; `warm`: those in their warm pools.
    """

    members: Mapping[str, frozenset[str]] = field(default_factory=lambda: MappingProxyType({}))
    warm: Mapping[str, frozenset[str]] = field(default_factory=lambda: MappingProxyType({}))
    boots: tuple[Boot, ...] = ()
    unread: tuple[Uncertain, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """Who runs what. `wanted`: the generation that all others are called previous against; empty for none.

    `since` (epoch seconds): since when nobody has used another one, by the journal; None where that is not known.
    """

    wanted: str
    running: tuple[Running, ...]
    doubts: tuple[Uncertain, ...]
    since: float | None = None

    @property
    def users(self) -> tuple[Running, ...]:
        """The instances that certainly run another generation."""
        return tuple(each for each in self.running if each.generation != self.wanted)

    @property
    def verdict(self) -> Verdict:
        """Whether another credential than the wanted one is used: certainly, certainly not, or not known."""
        if self.wanted and self.users:
            return Verdict.IN_USE
        return Verdict.UNKNOWN if self.doubts else Verdict.UNUSED

    @property
    def generations(self) -> Mapping[str, tuple[Running, ...]]:
        """The instances by generation, the newest first."""
        found: dict[str, list[Running]] = {}
        for each in self.running:
            found.setdefault(each.generation, []).append(each)
        ordered = sorted(found.items(), key=lambda item: max(each.run for each in item[1]), reverse=True)
        return {generation: tuple(members) for generation, members in ordered}


def overlap(
    instances: Iterable[Instance],
    looks: Mapping[str, Look],
    around: Surroundings,
    *,
    wanted: str = "",
    runs: Iterable[RunState] = (),
) -> Overlap:
    """Say who runs what, and everything that can bring another credential back.

    `instances`: the cluster's registrations without its ghosts. `wanted`: a generation; where it is empty, that of the
    newest run seen on an instance. `runs`: those that the journal knows of the cluster, newest first.
    """
    fleet = sorted(instances, key=lambda each: each.instance_id)
    seen = [(each, looks.get(each.instance_id, Reason.NO_RESULT)) for each in fleet]
    running = tuple(found for each, look in seen if (found := _running(each, look)) is not None)
    target = wanted or max(running, key=lambda each: each.run, default=_NOBODY).generation
    doubts = [doubt for each, look in seen if (doubt := _doubt(each, look)) is not None]
    if not target:
        doubts.insert(0, Uncertain(Doubt.NO_GENERATION, "the cluster"))
    doubts += [
        *_of_groups(around, frozenset(each.instance_id for each in fleet)),
        *_of_boots(around.boots, target),
        *around.unread,
    ]
    return Overlap(wanted=target, running=running, doubts=tuple(doubts), since=unused_since(runs, target, running))


def _running(instance: Instance, look: Look) -> Running | None:
    if isinstance(look, Reason) or not look.agrees:
        return None
    return Running(instance_id=instance.instance_id, generation=look.generation, run=look.run)


def _doubt(instance: Instance, look: Look) -> Uncertain | None:
    name = instance.instance_id
    if isinstance(look, Reason):
        return Uncertain(Doubt.NOT_INSPECTED, name, f"{look}: {EXPLANATIONS[look].meaning}")
    if look.armed is not Armed.NO:
        return Uncertain(Doubt.WATCHDOG_ARMED, name)
    if look.agrees:
        return None
    if look.generation:
        return Uncertain(Doubt.DISAGREES, name)
    if look.registries_total:
        image = f", from the image {instance.ami}" if instance.ami else ""
        return Uncertain(Doubt.NOT_OURS, name, f"logins for {', '.join(look.registries)}{image}")
    return Uncertain(Doubt.NO_LOGIN_SEEN, name)


def _of_groups(around: Surroundings, fleet: frozenset[str]) -> Iterator[Uncertain]:
    """Name those that are in no list of the cluster: a registered one was looked at, wherever it waits."""
    waiting = frozenset(each for members in around.warm.values() for each in members)
    for doubt, groups in ((Doubt.WARM_POOL, around.warm), (Doubt.NOT_IN_CLUSTER, around.members)):
        beside = fleet | (waiting if doubt is Doubt.NOT_IN_CLUSTER else frozenset())
        for group, members in sorted(groups.items()):
            yield from (Uncertain(doubt, each, f"group {group}") for each in sorted(members - beside))


def _of_boots(boots: Sequence[Boot], wanted: str) -> Iterator[Uncertain]:
    for boot in boots:
        if boot.unread:
            yield Uncertain(Doubt.BOOT_UNREAD, boot.name, boot.unread)
        elif boot.holds and (not wanted or boot.generation != wanted):
            yield Uncertain(Doubt.BOOT_CREDENTIAL, boot.name, _content(boot))
    read = [boot.name for boot in boots if not boot.unread]
    for reference, name in sorted({(reference, boot.name) for boot in boots for reference in boot.refers}):
        if not any(_same_object(reference, each) for each in read):
            yield Uncertain(Doubt.BOOT_UNREAD, reference, f"named by {name}")


def _content(boot: Boot) -> str:
    return f"generation {boot.generation}" if boot.generation else "a credential whose content could not be read"


def _same_object(reference: str, name: str) -> bool:
    """Compare what user data names with an object that was read; a shell variable may stand for any text."""
    pattern = _VARIABLE.sub(".+", re.escape(reference))
    return re.fullmatch(pattern, name) is not None


def unused_since(runs: Iterable[RunState], wanted: str, running: Iterable[Running]) -> float | None:
    """Say since when every instance has had the generation, by the cluster's runs, newest first (epoch seconds).

    A run counts that left nobody behind; one that left somebody, wanted another generation or took a run back, is the
    end of what is known. None where the journal does not tell, or does not know the runs that the instances name. No
    more runs are taken than it needs: each may have to be read.
    """
    found: float | None = None
    named = {each.run for each in running}
    unbroken = True
    for state in runs:
        if state.started is None:
            continue
        named.discard(state.run.run)
        unbroken = unbroken and state.run.generation == wanted and everybody_has_it(state)
        found = state.ended_at if unbroken else found
        if not (unbroken or (found is not None and named)):
            break
    return None if named else found


def everybody_has_it(state: RunState) -> bool:
    """Say whether a run has ended and left nobody of the whole cluster behind: nobody was left out, either."""
    if state.ended is None:
        return False
    outcomes = [each.outcome for each in state.instances.values()]
    return all(
        outcome is not None and (outcome.kind in _HAVE_IT or (outcome.reason in _NOT_THERE)) for outcome in outcomes
    )


def moment_of(run: str) -> float | None:
    """Read from a run's id when it began (epoch seconds); None for an id that is not one of ours."""
    try:
        return datetime.strptime(run[:_TIME_LENGTH], _RUN_TIME).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


def running_after(state: RunState) -> tuple[Running, ...]:
    """List what each instance of a run holds by its end, as far as that was seen."""
    found = []
    for each in state.instances.values():
        facts, key = each.planned.facts, each.planned.instance.instance_id
        if each.outcome is not None and each.outcome.kind is OutcomeKind.UPDATED and not state.run.restores:
            found.append(Running(instance_id=key, generation=state.run.generation, run=state.run.run))
        elif (
            facts is not None and facts.agrees and (each.outcome is None or each.outcome.reason is not Reason.RESTORED)
        ):
            found.append(Running(instance_id=key, generation=facts.generation, run=facts.run))
    return tuple(found)


def oldest_age(running: Iterable[Running], now: float) -> float | None:
    """Give the age of the oldest generation that an instance runs: seconds since the first run known to install it."""
    first: dict[str, float] = {}
    for each in running:
        began = moment_of(each.run)
        if began is not None:
            first[each.generation] = min(began, first.get(each.generation, began))
    return max((now - began for began in first.values()), default=None)
