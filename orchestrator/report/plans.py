"""A plan, for a person and as JSON: what would happen to each instance, and why."""

import json
import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from orchestrator.core.credential import Credential, compare
from orchestrator.core.deciding import outcome_of, unserved
from orchestrator.core.model import DecisionKind, Plan, Planned
from orchestrator.core.reasons import EXPLANATIONS, Reason
from orchestrator.core.settings import StandaloneTasks
from orchestrator.report.estimates import GUESS, Experience, Places, whole_run
from orchestrator.report.layout import MANY, WIDTH, folded_command, names, wrap
from orchestrator.report.plan_drains import DrainView, drains_text
from orchestrator.report.plan_tables import table, waves_of
from orchestrator.report.times import duration

_FEW = 3
_RESTARTS = frozenset({DecisionKind.APPLY, DecisionKind.DRAIN})
_OWED = frozenset({Reason.NEEDS_RELEASE, Reason.NEEDS_HEALING})


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the plan is for: in words, its credential (None where a run is taken back), and its places.

    `seed`: what decided the order among equals. `bake`: seconds between waves. `experience`: what earlier runs took.
    `next_command`: what carries the plan out, word by word. `full`: a row for each instance, however many there are.
    `drains`: those that are drained first, and where their tasks could go. `place`: where the cluster is; `runs`: how
    many runs of it the journal knows; `notes`: what else must be known before the plan is carried out, in sentences.
    """

    words: str
    credential: Credential | None
    places: Places
    seed: str = ""
    bake: int = 0
    experience: Experience | None = None
    next_command: tuple[str, ...] = ()
    full: bool = False
    drains: tuple[DrainView, ...] = ()
    standalone_tasks: StandaloneTasks = StandaloneTasks.WAIT
    place: str = ""
    runs: int = 0
    notes: tuple[str, ...] = ()

    def seconds(self, plan: Plan) -> float:
        """Estimate how long the plan takes."""
        each = self.experience.seconds if self.experience else GUESS
        return whole_run(plan, self.places, each, self.bake)


def plan_text(plan: Plan, wish: Wish) -> str:
    """Give the plan's table, what it means, what changes at the registries, what tasks miss, and what comes next."""
    closing = [wrap(f"Cluster: {wish.place}")] if wish.place else []
    closing += [wrap(f"Credential: {wish.words}"), *_registries(plan, wish.credential)]
    closing.append(
        f"{plan.changes} of {plan.machines} instances would be changed, at most {wish.places.window} at a time."
    )
    closing += _given_back(plan)
    if plan.changes:
        sizes = ", ".join(str(size) for size in waves_of(plan.planned))
        closing += [
            wrap(f"Waves: {sizes}; the first is the canary{_canary(plan)}. Seed of the order: {wish.seed!r}."),
            wrap(_estimate(plan, wish)),
        ]
    if any(each.decision.kind in _RESTARTS for each in plan.planned):
        closing.append(
            wrap(
                "Each agent restarts, typically for one to a few seconds. Its tasks keep running, but meanwhile they "
                "get no new role credentials and no task metadata."
            )
        )
    if len(plan.planned) > MANY and not wish.full:
        closing.append(wrap("Every instance by name: --full, or --output json."))
    notes = "\n".join(wrap(f"Note: {each}") for each in wish.notes)
    parts = (seen_text(plan, wish), "\n".join(closing), notes, _next(plan, wish))
    return "\n\n".join(part for part in parts if part)


def seen_text(plan: Plan, wish: Wish) -> str:
    """Give the plan's table, what its decisions mean, and what is drained."""
    drains = drains_text(wish.drains, wish.standalone_tasks, full=wish.full)
    parts = (table(plan.planned, full=wish.full), _notes(plan), drains)
    return "\n\n".join(part for part in parts if part)


def _notes(plan: Plan) -> str:
    """Say of those that stay as they are who they are, what that means, and what to do."""
    why: dict[Reason, list[Planned]] = {}
    for each in plan.planned:
        if outcome_of(each) is not None:
            why.setdefault(each.decision.reason, []).append(each)
    ordered = sorted(why.items(), key=lambda item: -len(item[1]))
    return "\n".join(
        line
        for reason, members in ordered
        for line in (_ghost_notes(plan, members) if reason is Reason.GHOST else [_note(reason, members)])
    )


def _note(reason: Reason, members: Sequence[Planned], remedy: str = "") -> str:
    who = names([each.instance.instance_id for each in members])
    known = EXPLANATIONS[reason]
    return _bullet(f"{reason} ({who}): {known.meaning} {remedy or known.remedy}")


def _ghost_notes(plan: Plan, ghosts: Sequence[Planned]) -> list[str]:
    """Tell those that go away with a dead run's mark from those that somebody may deregister, with the command."""
    mended = {each.instance.instance_id for each in plan.planned if each.decision.changes}
    ours = [each for each in ghosts if each.instance.mark and each.instance.instance_id in mended]
    others = [each for each in ghosts if each not in ours]
    notes = [_note(Reason.GHOST, ours, "It is removed when its instance is given back.")] if ours else []
    if len(others) > _FEW:
        return [*notes, _note(Reason.GHOST, others)]
    for each in others:
        command = ("aws", "ecs", "deregister-container-instance", "--cluster", plan.cluster)
        words = (*command, "--container-instance", each.instance.arn.rsplit("/", 1)[-1], "--force")
        notes += [_note(Reason.GHOST, [each], "Once nobody needs it:"), folded_command(words)]
    return notes


def _given_back(plan: Plan) -> list[str]:
    """Name those that are given back and not changed any further."""
    owed = [each.instance for each in plan.planned if each.decision.reason in _OWED and each.instance.mark]
    who = names([each.instance_id for each in owed])
    text = f"Given back and changed no further, since a run that has died had taken them out: {who}."
    return [wrap(text)] if owed else []


def _canary(plan: Plan) -> str:
    first = [each.instance.instance_id for each in plan.planned if each.wave == 1]
    return f", {first[0]}" if len(first) == 1 else ""


def _estimate(plan: Plan, wish: Wish) -> str:
    """Say how long it takes and how that is known."""
    whole = duration(wish.seconds(plan))
    if wish.experience is None:
        none = "this cluster has no earlier run in the journal"
        if wish.runs:
            none = "no earlier run of this cluster in the journal has updated an instance"
        return f"Duration: unknown, {none}; about {whole} if an instance takes {duration(GUESS)}."
    each = duration(wish.experience.seconds)
    runs = "run" if wish.experience.runs == 1 else f"{wish.experience.runs} runs"
    return (
        f"Duration: about {whole}; in this cluster's last {runs} an instance took {each} "
        f"(median of {wish.experience.instances})."
    )


def _next(plan: Plan, wish: Wish) -> str:
    if not wish.next_command:
        return ""
    if plan.changes:
        return "Next:\n" + folded_command(wish.next_command)
    return wrap(_idle(plan))


def _idle(plan: Plan) -> str:
    """Say why nobody would be changed: all is as wanted, or what keeps most of those that are not, and what to do."""
    ends = unserved(plan.planned)
    if not ends:
        return "Next: nothing; no instance would be changed."
    (kind, reason), count = Counter((end.kind, end.reason) for end in ends).most_common(1)[0]
    more = f", and {len(ends) - count} more are not changed either" if len(ends) > count else ""
    most = f"{count} of {len(plan.planned)} would be {kind} ({reason})"
    return f"Next: nothing yet; {most}{more}. {EXPLANATIONS[reason].remedy}"


def _registries(plan: Plan, credential: Credential | None) -> list[str]:
    """Say which registries those that are changed get, keep and lose, and for which ones others are refused.

    Whether a kept one's login changes, names cannot tell.
    """
    if credential is None:
        return []
    added, kept, removed, refused = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    for each in plan.planned:
        if each.facts is None:
            continue
        changes = compare(each.facts.registries, credential)
        if each.decision.changes:
            added.update(changes.added)
            kept.update(changes.kept)
            removed.update(changes.removed)
        elif each.decision.reason is Reason.REGISTRY_REMOVED:
            refused.update(changes.removed)
    told = {"added": added, "kept or changed": kept, "removed": removed, "not removed without --allow-removal": refused}
    return [
        wrap(f"  {what}: " + ", ".join(f"{name} (on {count})" for name, count in sorted(found.items())))
        for what, found in told.items()
        if found
    ]


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
                "max_unavailable": wish.places.window,
                "seed": wish.seed,
                "waves": waves_of(plan.planned),
                "estimate": {
                    "seconds": round(wish.seconds(plan)),
                    "from_earlier_runs": wish.experience is not None,
                    "seconds_per_instance": wish.experience.seconds if wish.experience else GUESS,
                },
                "notes": list(wish.notes),
                "next_command": list(wish.next_command) if plan.changes else [],
                "drains": [asdict(each) | {"goes_to": dict(each.goes_to)} for each in wish.drains],
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
