"""The table of a plan, wave by wave: a row for each instance, or for each kind of instance where there are many."""

from collections import Counter
from collections.abc import Iterable, Sequence

from orchestrator.core.model import Persistence, Planned
from orchestrator.report.layout import MANY, columns, short_zone

_STATE = {Persistence.PERSISTENT: "kept", Persistence.EPHEMERAL: "lost", Persistence.UNKNOWN: "?"}
"""What a restart does to the agent's state."""

_COLUMNS = ("AGENT", "TASKS", "STATE", "DECISION", "WHY")
_FEW_ZONES = 3


def table(planned: Sequence[Planned], *, full: bool) -> str:
    """Lay a plan out in at most 80 columns: those to change wave by wave, then the others."""
    if full or len(planned) <= MANY:
        return _by_instance(planned)
    return _by_kind(planned)


def _by_instance(planned: Sequence[Planned]) -> str:
    """Give one table for all waves, so that its columns line up, with a caption above each wave."""
    ordered = sorted(planned, key=lambda each: each.wave or len(planned))
    headers = ("INSTANCE", "ZONE", *_COLUMNS)
    rows = [(each.instance.instance_id, short_zone(each.instance.zone), *_facts(each)) for each in ordered]
    header, *lines = columns(headers, rows).splitlines()
    text = [header]
    for number, (each, line) in enumerate(zip(ordered, lines, strict=True)):
        if number == 0 or ordered[number - 1].wave != each.wave:
            text.append(_caption(each.wave, [other for other in ordered if other.wave == each.wave]))
        text.append(line)
    return "\n".join(text)


def _caption(wave: int, members: Sequence[Planned]) -> str:
    if not wave:
        return f"-- not changed: {len(members)}"
    canary = ", the canary" if wave == 1 else ""
    return f"-- wave {wave}{canary}: {len(members)}"


def _by_kind(planned: Sequence[Planned]) -> str:
    kinds: dict[tuple[int, str, str, str, str], list[Planned]] = {}
    for each in planned:
        agent, _, state, decision, why = _facts(each)
        kinds.setdefault((each.wave or len(planned), agent, state, decision, why), []).append(each)
    rows = []
    for _, members in sorted(kinds.items()):
        agent, _, state, decision, why = _facts(members[0])
        tasks = sum(each.instance.running_tasks for each in members)
        wave = str(members[0].wave or "-")
        rows.append((wave, str(len(members)), _zones(members), agent, str(tasks), state, decision, why))
    return columns(("WAVE", "COUNT", "ZONES", *_COLUMNS), rows)


def _zones(members: Iterable[Planned]) -> str:
    zones = sorted({short_zone(each.instance.zone) for each in members})
    return ",".join(zones) if len(zones) <= _FEW_ZONES else f"{len(zones)} zones"


def _facts(each: Planned) -> tuple[str, str, str, str, str]:
    return (
        each.instance.agent_version or "-",
        str(each.instance.running_tasks),
        _STATE[each.facts.persistence] if each.facts else "-",
        each.decision.kind.value,
        each.decision.reason.value,
    )


def waves_of(planned: Iterable[Planned]) -> list[int]:
    """Count the instances of each wave, in order."""
    sizes = Counter(each.wave for each in planned if each.wave)
    return [sizes[wave] for wave in sorted(sizes)]
