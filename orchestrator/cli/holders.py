"""Who runs which generation at the end of a rotation, and whether the previous credential may be revoked."""

import json
from collections.abc import Iterable, Mapping

from orchestrator.cli import approvals, loading, overlap
from orchestrator.cli.compose import Parts
from orchestrator.cli.generations import generations
from orchestrator.cli.speech import say
from orchestrator.core.model import Plan
from orchestrator.core.overlap import Overlap
from orchestrator.core.overlap import overlap as judged
from orchestrator.core.reasons import Reason
from orchestrator.core.settings import OptionValue, spelled
from orchestrator.core.state import RunState
from orchestrator.errors import RolloutError
from orchestrator.report.after import Holders
from orchestrator.report.layout import wrap
from orchestrator.report.overlaps import Scene, overlap_object, overlap_text

RUNS = 30
"""How many of a cluster's runs are looked at: 'since T' is no older than they are."""


def of_plan(parts: Parts, planned: Plan, key: bytes | None, runs: Iterable[RunState]) -> Overlap:
    """Judge by what a plan has just seen, with the cluster's `key`: nobody is asked again."""
    present = [each for each in planned.planned if each.decision.reason is not Reason.GHOST]
    looks = {each.instance.instance_id: each.facts or each.decision.reason for each in present}
    instances = [each.instance for each in present]
    asked = overlap.Asked(key=key, boot_configs=parts.request.boot_configs)
    around = overlap.surroundings(parts, instances, asked, parts.seen)
    return judged(instances, looks, around, wanted=planned.generation, runs=runs)


def look_words(options: Mapping[str, OptionValue], region: str) -> tuple[str, ...]:
    """Write the command that looks again, with those flags of a rotation that it knows, too."""
    known = {param.name for param in generations.params} - approvals.NOT_PART
    chosen = {name: value for name, value in options.items() if name in known}
    return ("ecs-rollout", "generations", *spelled({**chosen, "region": region}))


def seen(parts: Parts, runs: Iterable[RunState], look: tuple[str, ...]) -> Holders | None:
    """Look at the whole cluster anew after a run; None, with a warning, where that fails: the run has ended.

    `look`: see Holders.
    """
    try:
        key = loading.existing_key(parts)
        asked = overlap.Asked(key=key, boot_configs=parts.request.boot_configs, runs=runs)
        found = overlap.look(parts, asked, say=say)
        scene = _scene(parts, overlap.names_of(parts, key, found.generations, anew=True))
    except RolloutError as error:
        say(f"warning: it is not known who runs which credential now: {error.message} {error.hint}")
        return None
    return Holders(text=overlap_text(found, scene), object=overlap_object(found, scene), look=look)


def shown(parts: Parts, found: Overlap, key: bytes | None, words: str, form: str) -> str:
    """Show the same where no run was needed: `words` and the verdict, or as `generations` does in JSON."""
    scene = _scene(parts, overlap.names_of(parts, key, found.generations))
    if form == "json":
        return json.dumps({**overlap_object(found, scene), "nothing_to_do": words}, indent=2)
    return f"{overlap_text(found, scene)}\n{wrap(words)}"


def _scene(parts: Parts, names: Mapping[str, str]) -> Scene:
    command = overlap.command_of(parts, ())
    return Scene(cluster=parts.cluster, at=parts.clock.now(), names=names, command=command)
