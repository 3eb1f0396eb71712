"""How it is found out which generations a cluster runs and what can bring an older one back. Reads only."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from orchestrator.aws.autoscaling import Group, ScalingGroups
from orchestrator.aws.boot_config import BootConfigs
from orchestrator.aws.ecs import Cluster, find_cluster
from orchestrator.cli import loading
from orchestrator.cli.compose import Parts
from orchestrator.core.deciding import UNSUPPORTED, Look
from orchestrator.core.doubts import Doubt, Uncertain
from orchestrator.core.model import Instance, Ping, Platform
from orchestrator.core.overlap import Boot, Overlap, Surroundings, overlap
from orchestrator.core.planning import find_ghosts
from orchestrator.core.reasons import Reason
from orchestrator.core.settings import OptionValue, spelled
from orchestrator.core.source import S3Source, SecretsManagerSource, parse_source
from orchestrator.core.state import RunState
from orchestrator.core.user_data import look_into
from orchestrator.errors import EnvironmentFault, RolloutError
from orchestrator.inspection import EVERY, Inspection

_STAGES = ("AWSCURRENT", "AWSPENDING", "AWSPREVIOUS")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is looked at beside the fleet, with the cluster's `key`.

    `runs`: the cluster's runs that the journal knows, newest first.
    """

    key: bytes | None
    boot_configs: Sequence[S3Source] = ()
    runs: Iterable[RunState] = ()


def look(parts: Parts, asked: Asked, *, say: Callable[[str], None]) -> Overlap:
    """Inspect every instance that can be asked, draining ones too, and look at what new ones boot with."""
    fleet = parts.fleet.discover()
    if not fleet:
        parts.fleet.require_instances()
    ghosts = find_ghosts(fleet)
    present = [each for each in fleet if each.arn not in ghosts]
    early = {each.instance_id: reason for each in present if (reason := _unasked(each)) is not None}
    reachable = [each.instance_id for each in present if each.instance_id not in early]
    say(f"{len(present)} instances in {parts.cluster}; inspecting {len(reachable)} of them")
    every = min(EVERY, parts.request.pace.shortest)
    inspection = Inspection(commands=parts.commands, clock=parts.clock, context=parts.context(0), every=every)
    looks: dict[str, Look] = {**early, **inspection.look(reachable)}
    around = surroundings(parts, present, asked)
    wanted = loading.wanted_generation(parts, asked.key)
    return overlap(present, looks, around, wanted=wanted, runs=asked.runs)


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


def surroundings(
    parts: Parts, present: Sequence[Instance], asked: Asked, cluster: Cluster | None = None
) -> Surroundings:
    """Look at the Auto Scaling groups, at their user data, and at the boot configurations.

    What cannot be read is no error: it is a doubt with the reason. `cluster`: as it was seen just now, if it was.
    """
    groups = ScalingGroups(autoscaling=parts.session.autoscaling(), ec2=parts.session.ec2(), ecs=parts.session.ecs())
    unread: list[Uncertain] = []
    found: tuple[Group, ...] = ()
    warm: dict[str, frozenset[str]] = {}
    try:
        providers = (cluster or find_cluster(parts.session.ecs(), parts.cluster)).providers
        found = groups.around(providers, [each.instance_id for each in present])
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
        boots=(*_launches(groups, found, asked.key), *_objects(parts, asked)),
        unread=tuple(unread),
    )


def _launches(groups: ScalingGroups, found: Sequence[Group], key: bytes | None) -> Iterator[Boot]:
    for launch in sorted({launch for group in found for launch in group.launches}):
        try:
            yield look_into(str(launch), groups.user_data(launch), key)
        except EnvironmentFault as fault:
            yield Boot(name=str(launch), unread=fault.message)


def _objects(parts: Parts, asked: Asked) -> Iterator[Boot]:
    for source in asked.boot_configs:
        reader = BootConfigs(client=parts.session.s3(), source=source, wait=parts.clock.wait)
        try:
            yield look_into(str(source), reader.read().text.encode(), asked.key)
        except RolloutError as error:
            yield Boot(name=str(source), unread=error.message)


def command_of(parts: Parts, runs: Iterable[RunState]) -> tuple[str, ...]:
    """Write the plan that gives the cluster its credential: the given one, or that of the first of the `runs`.

    `runs`: newest first. SOURCE stands for the credential where neither is known.
    """
    request = parts.request
    about: dict[str, OptionValue | None] = {
        "credential": request.credential or None,
        "registry": request.registry,
        "allow-readable-file": request.allow_readable_file or None,
    }
    if not request.credential:
        flags = next((each.run.options for each in runs if "credential" in each.run.options), {})
        known = {name.replace("_", "-"): value for name, value in flags.items()}
        about = {name: known.get(name) for name in (*about, "allow-removal")} if known else {"credential": "SOURCE"}
    place = {"region": request.region, "profile": request.profile}
    return ("ecs-rollout", "plan", *spelled({"cluster": parts.cluster, **about, **place}))


def names_of(parts: Parts, key: bytes | None, shown: Iterable[str], *, anew: bool = False) -> dict[str, str]:
    """Say by what names generations are known: `as given`, and the stages of a secret's versions.

    The given one's comes first. Other versions are read only where one of the generations that are `shown` has no name
    yet; `anew`: labels may have moved since the credential was read, so all are read again. A stage that is not there,
    or holds nothing that could be installed, names none.
    """
    if key is None or parts.loaded is None:
        return {}
    known = () if anew else parts.loaded.stages
    names = {loading.generation_of(parts.loaded, key): ["as given", *(each for each in _STAGES if each in known)]}
    source = parse_source(parts.request.credential)
    if isinstance(source, SecretsManagerSource) and (anew or set(shown) - names.keys()):
        for stage in (each for each in _STAGES if each not in known):
            other = SecretsManagerSource(name=source.name, stage=stage)
            reading = loading.Reading(source=str(other), registry=parts.request.registry)
            with contextlib.suppress(RolloutError):
                found = loading.generation_of(loading.load_credential(parts.session, reading), key)
                names.setdefault(found, []).append(stage)
    return {generation: ", ".join(known) for generation, known in names.items()}
