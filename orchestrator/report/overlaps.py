"""Who runs which generation, for a person and as JSON, and whether the previous credential may be revoked."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from textwrap import indent
from typing import assert_never

from orchestrator.core.doubts import BY_A_RUN, MEANINGS, Doubt, Uncertain
from orchestrator.core.overlap import Overlap, Running, Verdict, moment_of
from orchestrator.core.rotation import CURRENT, PENDING
from orchestrator.report.layout import WIDTH, columns, folded_command, names, wrap
from orchestrator.report.times import moment
from orchestrator.report.visible import visible

_SHOWN = 12
_NAMED = 5
_SEEN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Where and when it was looked (epoch seconds), and what the generations are called where that is known.

    `command`: the plan of the run that gives the cluster the credential, word by word. `known`: the journal knows runs
    of the cluster; `last`: what somebody must know of the last one, as a sentence.
    """

    cluster: str
    at: float
    command: tuple[str, ...]
    names: Mapping[str, str] = field(default_factory=dict)
    known: bool = False
    last: str = ""


def verdict_line(found: Overlap, scene: Scene) -> str:
    """Say in one sentence whether the previous credential is still used."""
    match found.verdict:
        case Verdict.UNUSED:
            since = f"since {moment(found.since)}" if found.since is not None else f"seen at {moment(scene.at)}"
            return f"The previous credential is no longer used by any instance, {since}."
        case Verdict.IN_USE:
            return _used(found, scene)
        case Verdict.UNKNOWN:
            if not found.wanted:
                return _nobody(scene)
            doubtful = visible(names(sorted({each.what for each in found.doubts}), _NAMED))
            return f"Unknown: no instance is seen to use the previous credential, but it may come back by {doubtful}."
        case _:
            assert_never(found.verdict)


def _nobody(scene: Scene) -> str:
    """Say that no instance runs a credential of ours: none was installed yet, or none is left."""
    if not scene.known:
        return "Unknown: ecs-rollout has not installed a credential here yet."
    seen = "Unknown: no instance is seen to run a credential that ecs-rollout installed."
    return f"{seen} {scene.last}".rstrip()


def _used(found: Overlap, scene: Scene) -> str:
    """Name who runs another credential than the wanted one; one that is to come is not called previous."""
    coming = [each for each in found.users if _is_pending(each.generation, scene)]
    previous = [each.instance_id for each in found.users if each not in coming]
    sentences = []
    if previous:
        sentences.append(f"The previous credential is still used by {visible(names(previous, _NAMED))}.")
    if coming:
        sentences.append(
            f"{PENDING} is run by {len(coming)} of {len(found.running)} instances, and {CURRENT} has not moved: "
            f"the next `ecs-rollout rotate` goes on."
        )
    return " ".join(sentences)


def _is_pending(generation: str, scene: Scene) -> bool:
    return PENDING in scene.names.get(generation, "").split(", ")


def overlap_text(found: Overlap, scene: Scene) -> str:
    """Give the table of generations, the doubts with what to do, and the verdict."""
    rows: list[tuple[str, ...]] = [
        (generation[:_SHOWN], _minute(members), str(len(members)), _called(generation, found, scene))
        for generation, members in found.generations.items()
    ]
    head: tuple[str, ...] = ("GENERATION", "INSTALLED FROM", "COUNT", "IS")
    if scene.names:
        head = (*head, "CREDENTIAL")
        rows = [(*row, scene.names.get(each, "-")) for row, each in zip(rows, found.generations, strict=True)]
    table = columns(head, rows) if rows else ""
    grouped: dict[Doubt, list[Uncertain]] = {}
    for each in found.doubts:
        grouped.setdefault(each.doubt, []).append(each)
    doubts = "\n".join(_doubt(doubt, members, scene) for doubt, members in grouped.items())
    closing = wrap(verdict_line(found, scene))
    return "\n\n".join(part for part in (table, doubts, closing) if part)


def _called(generation: str, found: Overlap, scene: Scene) -> str:
    if generation == found.wanted:
        return "wanted"
    return "pending" if _is_pending(generation, scene) else "previous"


def _minute(members: Sequence[Running]) -> str:
    """Say when the first run began that installed it on one of them."""
    whole = _installed_from(members)
    return f"{whole[:10]} {whole[11:16]}Z" if whole else "-"


def _installed_from(members: Sequence[Running]) -> str | None:
    return _moment(moment_of(min(each.run for each in members)))


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else moment(seconds)


def _doubt(doubt: Doubt, members: list[Uncertain], scene: Scene) -> str:
    meaning, remedy = MEANINGS[doubt]
    seen = sorted({each.seen for each in members if each.seen})
    return "\n".join(
        (
            wrap(f"unknown({doubt}): {visible(names([each.what for each in members], _NAMED))}"),
            wrap(meaning, "    "),
            *(wrap(f"seen: {visible(each)}", "    ") for each in seen[:_SEEN]),
            wrap(f"do: {remedy}", "    "),
            *((indent(folded_command(scene.command, WIDTH - 4), "    "),) if doubt in BY_A_RUN else ()),
        )
    )


def _remedy(doubt: Doubt, scene: Scene) -> str:
    remedy = MEANINGS[doubt][1]
    return f"{remedy} `{shlex.join(scene.command)}`." if doubt in BY_A_RUN else remedy


def overlap_json(found: Overlap, scene: Scene) -> str:
    """Give the same as one JSON object (schema 1); keys are added, never renamed."""
    return json.dumps(overlap_object(found, scene), indent=2)


def overlap_object(found: Overlap, scene: Scene) -> dict[str, object]:
    """Give what JSON is made of: a report may hold it, too."""
    return {
        "schema": 1,
        "cluster": scene.cluster,
        "at": moment(scene.at),
        "verdict": found.verdict,
        "summary": verdict_line(found, scene),
        "since": _moment(found.since) if found.verdict is Verdict.UNUSED else None,
        "wanted": found.wanted,
        "generations": [
            {
                "generation": generation,
                "credential": scene.names.get(generation, ""),
                "wanted": generation == found.wanted,
                "installed_from": _installed_from(members),
                "instances": [{"instance_id": each.instance_id, "run": each.run} for each in members],
            }
            for generation, members in found.generations.items()
        ],
        "doubts": [
            {
                "doubt": each.doubt,
                "what": each.what,
                "seen": each.seen,
                "meaning": MEANINGS[each.doubt][0],
                "remedy": _remedy(each.doubt, scene),
            }
            for each in found.doubts
        ],
    }
