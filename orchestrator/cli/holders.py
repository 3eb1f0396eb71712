"""Who runs which generation at the end of a rotation, and whether the previous credential may be revoked."""

import json
from collections.abc import Sequence

from orchestrator.cli import loading, overlap
from orchestrator.cli.compose import Parts
from orchestrator.cli.speech import say
from orchestrator.core.model import Plan
from orchestrator.core.overlap import Overlap
from orchestrator.core.overlap import overlap as judged
from orchestrator.core.reasons import Reason
from orchestrator.core.state import RunState
from orchestrator.errors import RolloutError
from orchestrator.report.layout import wrap
from orchestrator.report.overlaps import Scene, overlap_object, overlap_text
from orchestrator.report.rows import Holders

RUNS = 30
"""How many of a cluster's runs are looked at: 'since T' is no older than they are."""


def _wanted(parts: Parts) -> str:
    key = loading.existing_key(parts)
    return loading.generation_of(parts.credential, key) if key else ""


def of_plan(parts: Parts, planned: Plan, runs: Sequence[RunState]) -> Overlap:
    """Judge by what a plan has just seen: nobody is asked again."""
    present = [each for each in planned.planned if each.decision.reason is not Reason.GHOST]
    looks = {each.instance.instance_id: each.facts or each.decision.reason for each in present}
    instances = [each.instance for each in present]
    around = overlap.surroundings(parts, instances, parts.request.boot_configs)
    return judged(instances, looks, around, wanted=planned.generation, runs=runs)


def seen(parts: Parts, runs: Sequence[RunState]) -> Holders | None:
    """Look at the whole cluster anew after a run; None, with a warning, where that fails: the run has ended."""
    try:
        asked = overlap.Asked(wanted=_wanted(parts), boot_configs=parts.request.boot_configs, runs=runs)
        found = overlap.look(parts, asked, say=say)
        scene = _scene(parts)
    except RolloutError as error:
        say(f"warning: it is not known who runs which credential now: {error.message} {error.hint}")
        return None
    return Holders(text=overlap_text(found, scene), object=overlap_object(found, scene))


def shown(parts: Parts, found: Overlap, words: str, form: str) -> str:
    """Show the same where no run was needed: `words` and the verdict, or as `generations` does in JSON."""
    scene = _scene(parts)
    if form == "json":
        return json.dumps({**overlap_object(found, scene), "nothing_to_do": words}, indent=2)
    return f"{overlap_text(found, scene)}\n{wrap(words)}"


def _scene(parts: Parts) -> Scene:
    return Scene(cluster=parts.cluster, at=parts.clock.now(), names=overlap.names_of(parts))
