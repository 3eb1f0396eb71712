"""A plan, for a person and as JSON: what would happen to each instance, and why."""

import json
import textwrap
from collections import Counter
from dataclasses import asdict, dataclass

from orchestrator.core.credential import Credential, compare
from orchestrator.core.model import Persistence, Plan, Planned
from orchestrator.core.planning import outcome_of
from orchestrator.core.reasons import EXPLANATIONS
from orchestrator.report.text import WIDTH, columns, short_zone, wrap

_STATE = {Persistence.PERSISTENT: "kept", Persistence.EPHEMERAL: "lost", Persistence.UNKNOWN: "?"}
"""What a restart does to the agent's state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the plan is for: in words, its credential (None where a run is taken back), and the window's size."""

    words: str
    credential: Credential | None
    window: int


def plan_text(plan: Plan, wish: Wish) -> str:
    """Give the plan's table, what it means, what changes at the registries, and what running tasks miss."""
    headers = ("INSTANCE", "ZONE", "AGENT", "TASKS", "STATE", "DECISION", "WHY")
    table = columns(headers, [_plan_row(each) for each in plan.planned])
    why = Counter(each.decision.reason for each in plan.planned if outcome_of(each) is not None)
    notes = [
        _bullet(f"{count} x {reason}: {EXPLANATIONS[reason].meaning} {EXPLANATIONS[reason].remedy}")
        for reason, count in why.most_common()
    ]
    closing = [wrap(f"Credential: {wish.words}"), *_registries(plan, wish.credential)]
    closing.append(
        f"{plan.changes} of {len(plan.planned)} instances would be changed, at most {wish.window} at a time."
    )
    if plan.changes:
        sizes = Counter(each.wave for each in plan.planned if each.wave)
        closing.append(
            wrap(f"Waves: {', '.join(str(sizes[wave]) for wave in sorted(sizes))}; the first is the canary.")
        )
        closing.append(
            wrap(
                "Each agent restarts, typically for one to a few seconds. Its tasks keep running, but meanwhile they "
                "get no new role credentials and no task metadata."
            )
        )
    return "\n\n".join(part for part in (table, "\n".join(notes), "\n".join(closing)) if part)


def _registries(plan: Plan, credential: Credential | None) -> list[str]:
    """Say which registries instances get, keep and lose. Whether a kept one's login changes, names cannot tell."""
    if credential is None:
        return []
    counts: dict[str, Counter[str]] = {"added": Counter(), "kept or changed": Counter(), "removed": Counter()}
    for each in plan.planned:
        if each.facts is not None:
            changes = compare(each.facts.registries, credential)
            for names, what in (
                (changes.added, "added"),
                (changes.kept, "kept or changed"),
                (changes.removed, "removed"),
            ):
                counts[what].update(names)
    return [
        wrap(f"  {what}: " + ", ".join(f"{name} (on {count})" for name, count in sorted(found.items())))
        for what, found in counts.items()
        if found
    ]


def _plan_row(each: Planned) -> tuple[str, ...]:
    instance, facts = each.instance, each.facts
    return (
        instance.instance_id,
        short_zone(instance.zone),
        instance.agent_version or "-",
        str(instance.running_tasks),
        _STATE[facts.persistence] if facts else "-",
        each.decision.kind.value,
        each.decision.reason.value,
    )


def _bullet(text: str) -> str:
    return textwrap.fill(text, WIDTH, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False)


def plan_json(plan: Plan, wish: Wish) -> str:
    """Give the plan as one JSON object (schema 1)."""
    return json.dumps(
        {
            "schema": 1,
            "plan": {
                "cluster": plan.cluster,
                "generation": plan.generation,
                "credential": wish.words,
                "changes": plan.changes,
                "max_unavailable": wish.window,
            },
            "instances": [_instance(each, wish.credential) for each in plan.planned],
        },
        indent=2,
    )


def _instance(each: Planned, credential: Credential | None) -> dict[str, object]:
    instance, facts = each.instance, each.facts
    changes = compare(facts.registries, credential) if facts and credential else None
    return {
        "instance_id": instance.instance_id,
        "container_instance_arn": instance.arn,
        "zone": instance.zone,
        "wave": each.wave,
        "decision": each.decision.kind,
        "reason": each.decision.reason,
        "meaning": EXPLANATIONS[each.decision.reason].meaning,
        "agent_version": instance.agent_version,
        "persistence": facts.persistence if facts else "unknown",
        "restart_method": facts.method if facts else "none",
        "tasks": instance.running_tasks,
        "registries": asdict(changes) if changes else None,
        "warnings": list(facts.warnings) if facts else [],
    }
