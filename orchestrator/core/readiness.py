"""Is each instance ready to be rolled? Pure judgements of `doctor` on what ECS, Systems Manager and inspect say."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from orchestrator.core.checkup import Check, Level
from orchestrator.core.deciding import UNREACHED, Goal, Look, decide, exclude_early
from orchestrator.core.model import DecisionKind, Facts, Instance
from orchestrator.core.planning import find_ghosts
from orchestrator.core.reasons import EXPLANATIONS, Reason
from orchestrator.core.settings import OnEphemeral
from orchestrator.errors import ExitCode

NAME = "instances"
"""The check of who can be rolled; what is remarked beside that has a name of its own."""

_AGENTS, _DOCKER, _ENV_FILE, _LEFTOVERS, _TOOLS = "agents", "docker", "env file", "leftovers", "tools"

REMARKS: Mapping[str, tuple[str, str]] = {
    "auth_data_malformed": (
        "The agent's present credential cannot be parsed.",
        "Nothing: a rollout replaces it. Until then no pull with it works.",
    ),
    "auths_wrapper": (
        "The agent's present credential has the `auths` wrapper of docker login: the agent uses nothing of it (F6).",
        "Nothing: a rollout replaces it.",
    ),
    "cluster_pending": (
        "The env file names another cluster than the agent serves: the next restart would move it.",
        "Check ECS_CLUSTER in /etc/ecs/ecs.config there.",
    ),
    "commented_auth": (
        "The env file has a commented-out copy of the credential, which ecs-init passes on all the same (F40).",
        "Nothing: a rollout removes it.",
    ),
    "config_odd": (
        "The agent's env file is not a regular file.",
        "Replace it by a regular file; until then an apply refuses.",
    ),
    "config_unsupported": (
        "The agent's env file has a form that cannot be edited without risk.",
        "Mend its quoting or line ends; until then an apply refuses.",
    ),
    "config_world_readable": (
        "Everybody on the instance can read the credential in the agent's env file.",
        "`chmod 0600 /etc/ecs/ecs.config` there: a rollout keeps the mode it finds.",
    ),
    "docker_silent": ("Docker does not answer there.", "Look at `systemctl status docker` there."),
    "duplicate_auth": (
        "The env file holds the credential more than once; the last one counts (F40).",
        "Nothing: a rollout leaves one.",
    ),
    "init_config_has_auth": (
        "/var/lib/ecs/ecs.config holds a credential, too: it counts when the other file has none (F9).",
        "Remove the two lines there, so that no old credential comes back.",
    ),
    "json_config_has_auth": (
        "/etc/ecs/ecs.config.json holds a credential, too: it counts when the environment has none (F9).",
        "Remove EngineAuthType and EngineAuthData there, so that no old credential comes back.",
    ),
    "odd_registry": (
        "The agent's present credential has a registry of a name that matches no image.",
        "Nothing: a rollout replaces it; `ecs-rollout credential lint` judges the new one.",
    ),
}
"""What inspect remarks on an instance, and what to do about it."""

_DISCONNECTED = (
    "ECS does not see the agent connected.",
    "Look at /var/log/ecs/ecs-agent.log there; a rollout could not prove its change.",
)
_NOT_INSPECTED = "Reached by Systems Manager; not looked at more closely."


ANY_CREDENTIAL = Goal(generation="none of them", registries=frozenset(), allow_removal=True)
"""What is asked where no credential was named. Whoever runs one already is `plan`'s to tell."""


class _Kind(NamedTuple):
    name: str
    level: Level
    seen: str
    todo: str


def instance_checks(
    fleet: Sequence[Instance],
    looks: Mapping[str, Look] | None,
    goal: Goal = ANY_CREDENTIAL,
    on_ephemeral: OnEphemeral = OnEphemeral.REFUSE,
) -> list[Check]:
    """Judge each registration, those of one kind together, as a run with that goal would decide.

    `looks` None: nobody was inspected.
    """
    ghosts = find_ghosts(fleet)
    kinds: dict[_Kind, list[str]] = {}
    ready: list[Facts] = []
    for each in sorted(fleet, key=lambda each: (each.instance_id, each.arn)):
        early = exclude_early(each, ghost=each.arn in ghosts)
        if early is not None:
            found = [_of_reason(early.reason, left_out=early.kind is DecisionKind.SKIP)]
        elif looks is None:
            found = [_Kind(NAME, Level.OK, _NOT_INSPECTED, ""), *_around(each)]
        else:
            look = looks.get(each.instance_id, Reason.NO_RESULT)
            refusal = _refusal(look, goal, on_ephemeral)
            if refusal is None and isinstance(look, Facts):
                ready.append(look)
            found = [*([refusal] if refusal else []), *_around(each), *_remarks(look)]
        for kind in found:
            kinds.setdefault(kind, []).append(each.instance_id)
    checks = [_check(kind, tuple(ids)) for kind, ids in kinds.items()]
    if ready:
        seen = f"{len(ready)} of {len(fleet)} are ready: {_summary(ready)}."
        checks.insert(0, Check(name=NAME, level=Level.OK, seen=seen))
    return checks


def _check(kind: _Kind, ids: tuple[str, ...]) -> Check:
    code = ExitCode.NOT_ALL_UPDATED if kind.level is Level.FAIL else ExitCode.OK
    return Check(name=kind.name, level=kind.level, seen=kind.seen, todo=kind.todo, code=code, instances=ids)


def _refusal(look: Look, goal: Goal, on_ephemeral: OnEphemeral) -> _Kind | None:
    """Say why a run would not change an instance; None where it would."""
    decision = decide(look, goal, on_ephemeral)
    return None if decision.changes else _of_reason(decision.reason, left_out=False)


def _around(instance: Instance) -> Iterator[_Kind]:
    """Say what ECS remarks."""
    if not instance.agent_connected:
        yield _Kind(_AGENTS, Level.WARN, *_DISCONNECTED)
    if instance.mark:
        yield _of_reason(Reason.NEEDS_RELEASE, left_out=True)._replace(name=_LEFTOVERS)


def _remarks(look: Look) -> Iterator[_Kind]:
    """Say what inspect remarks."""
    for remark in look.warnings if isinstance(look, Facts) else ():
        yield _of_remark(remark)


def _of_remark(remark: str) -> _Kind:
    if remark in REMARKS:
        return _Kind(_DOCKER if remark == "docker_silent" else _ENV_FILE, Level.WARN, *REMARKS[remark])
    if remark.startswith("no_"):
        tool = remark.removeprefix("no_")
        return _Kind(
            _TOOLS, Level.WARN, f"Inspect misses {tool} there.", f"Install {tool}: without it apply may refuse."
        )
    return _Kind(NAME, Level.WARN, f"Inspect remarks: {remark}.", "Look at it there.")


def _of_reason(reason: Reason, *, left_out: bool) -> _Kind:
    """Judge a reason not to roll an instance. One that a run leaves out on purpose is no failure."""
    known = EXPLANATIONS[reason]
    level = Level.WARN if left_out and reason not in UNREACHED else Level.FAIL
    return _Kind(NAME, level, f"{known.meaning} [{reason}]", known.remedy)


def _summary(facts: Sequence[Facts]) -> str:
    agents = _counted([each.agent_version.removeprefix("v") or "of unknown version" for each in facts])
    methods = _counted([each.method.value for each in facts])
    fetchers = _counted([each.fetch for each in facts])
    return f"agent {agents}; restarted by {methods}; fetching with {fetchers}"


def _counted(values: Sequence[str]) -> str:
    found = Counter(values).most_common()
    return ", ".join(f"{value} ({count})" for value, count in found) if len(found) > 1 else found[0][0]
