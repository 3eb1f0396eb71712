"""How it is found out which generations a cluster runs and what can bring an older one back. Reads only."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from orchestrator.aws.autoscaling import Group, ScalingGroups
from orchestrator.aws.boot_config import BootConfigs
from orchestrator.cli import loading
from orchestrator.cli.compose import Parts
from orchestrator.core.deciding import UNSUPPORTED, Look
from orchestrator.core.doubts import Doubt, Uncertain
from orchestrator.core.model import Instance, Ping, Platform
from orchestrator.core.overlap import Boot, Overlap, Surroundings, overlap
from orchestrator.core.planning import find_ghosts
from orchestrator.core.reasons import Reason
from orchestrator.core.source import S3Source, SecretsManagerSource, parse_source
from orchestrator.core.state import RunState
from orchestrator.core.user_data import look_into
from orchestrator.errors import EnvironmentFault, RolloutError
from orchestrator.inspection import EVERY, Inspection

_STAGES = ("AWSCURRENT", "AWSPENDING", "AWSPREVIOUS")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is looked at beside the fleet. `wanted`: the generation to compare with; empty: the newest one seen.

    `runs`: the cluster's runs that the journal knows, oldest first.
    """

    wanted: str = ""
    boot_configs: Sequence[S3Source] = ()
    runs: Sequence[RunState] = ()


def look(parts: Parts, asked: Asked, *, say: Callable[[str], None]) -> Overlap:
    """Inspect every instance that can be asked, draining ones too, and look at what new ones boot with."""
    fleet = parts.fleet.discover()
    if not fleet:
        parts.fleet.require_instances()
    ghosts = find_ghosts(fleet)
    present = [each for each in fleet if each.arn not in ghosts]
    early = {each.instance_id: reason for each in present if (reason := _unasked(each)) is not None}
    wanted = [each.instance_id for each in present if each.instance_id not in early]
    say(f"{len(present)} instances in {parts.cluster}; inspecting {len(wanted)} of them")
    every = min(EVERY, parts.request.pace.shortest)
    inspection = Inspection(commands=parts.commands, clock=parts.clock, context=parts.context(0), every=every)
    looks: dict[str, Look] = {**early, **inspection.look(wanted)}
    around = surroundings(parts, present, asked.boot_configs)
    return overlap(present, looks, around, wanted=asked.wanted, runs=asked.runs)


def _unasked(instance: Instance) -> Reason | None:
    """Give the reason why an instance cannot be inspected. A draining one can: nothing is changed there."""
    if instance.platform is not Platform.LINUX:
        return UNSUPPORTED[instance.platform]
    match instance.ping:
        case Ping.ONLINE:
            return None
        case Ping.UNREGISTERED:
            return Reason.SSM_NOT_REGISTERED
        case Ping.CONNECTION_LOST | Ping.INACTIVE:
            return Reason.SSM_OFFLINE


def surroundings(parts: Parts, present: Sequence[Instance], boot_configs: Sequence[S3Source]) -> Surroundings:
    """Look at the Auto Scaling groups, at their user data, and at the boot configurations.

    What cannot be read is no error: it is a doubt with the reason.
    """
    key = loading.existing_key(parts)
    groups = ScalingGroups(autoscaling=parts.session.autoscaling(), ec2=parts.session.ec2(), ecs=parts.session.ecs())
    unread: list[Uncertain] = []
    found: tuple[Group, ...] = ()
    warm: dict[str, frozenset[str]] = {}
    try:
        found = groups.around(parts.cluster, [each.instance_id for each in present])
    except EnvironmentFault as fault:
        unread.append(Uncertain(Doubt.BOOT_UNREAD, "the Auto Scaling groups", fault.message))
    for group in found:
        if group.warm:
            try:
                warm[group.name] = groups.warm_pool(group.name)
            except EnvironmentFault as fault:
                unread.append(Uncertain(Doubt.BOOT_UNREAD, f"the warm pool of {group.name}", fault.message))
    return Surroundings(
        members={group.name: group.members for group in found},
        warm=warm,
        boots=(*_launches(groups, found, key), *_objects(parts, boot_configs, key)),
        unread=tuple(unread),
    )


def _launches(groups: ScalingGroups, found: Sequence[Group], key: bytes | None) -> Iterator[Boot]:
    for launch in sorted({launch for group in found for launch in group.launches}):
        try:
            yield look_into(str(launch), groups.user_data(launch), key)
        except EnvironmentFault as fault:
            yield Boot(name=str(launch), unread=fault.message)


def _objects(parts: Parts, sources: Sequence[S3Source], key: bytes | None) -> Iterator[Boot]:
    for source in sources:
        reader = BootConfigs(client=parts.session.s3(), source=source, wait=parts.clock.wait)
        try:
            yield look_into(str(source), reader.read().text.encode(), key)
        except RolloutError as error:
            yield Boot(name=str(source), unread=error.message)


def names_of(parts: Parts) -> dict[str, str]:
    """Say by what names generations are known: `as given`, and the stages of a secret's versions.

    The given one's comes first. A stage that is not there, or holds nothing that could be installed, names none.
    """
    key = loading.existing_key(parts)
    if key is None or parts.loaded is None:
        return {}
    names = {loading.generation_of(parts.loaded, key): ["as given"]}
    source = parse_source(parts.request.credential)
    if isinstance(source, SecretsManagerSource):
        for stage in _STAGES:
            other = SecretsManagerSource(name=source.name, stage=stage)
            reading = loading.Reading(source=str(other), registry=parts.request.registry)
            with contextlib.suppress(RolloutError):
                found = loading.generation_of(loading.load_credential(parts.session, reading), key)
                names.setdefault(found, []).append(stage)
    return {generation: ", ".join(known) for generation, known in names.items()}
