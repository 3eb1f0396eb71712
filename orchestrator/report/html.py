"""A report as one HTML page that needs no network: its style and script are inside, and nothing else may run."""

import base64
import hashlib
import shlex
from collections import Counter
from collections.abc import Mapping
from functools import cache
from importlib import resources
from types import MappingProxyType

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from orchestrator.core.lifecycle import AT_WORK, Phase
from orchestrator.core.model import OutcomeKind
from orchestrator.report.advice import advise
from orchestrator.report.chosen import flag_of, setting
from orchestrator.report.console import command_url, partition_of
from orchestrator.report.formats import drifts, rotated
from orchestrator.report.gating import sentences
from orchestrator.report.layout import with_values
from orchestrator.report.remarks import remarks
from orchestrator.report.rows import RunReport
from orchestrator.report.timeline import WIDTH, draw
from orchestrator.report.times import clock, duration
from orchestrator.report.troubles import troubles
from orchestrator.report.wording import remark

SHOWN = 5
"""Instances of one kind of trouble that stand there at once; the others are folded away."""

FOLDED = 200
"""Instances of one kind of trouble that are listed at all with their evidence; the table has everybody."""

SIGNS: Mapping[OutcomeKind, str] = MappingProxyType(
    {
        OutcomeKind.FAILED: "✕",
        OutcomeKind.UNVERIFIED: "?",
        OutcomeKind.ROLLED_BACK: "↩",
        OutcomeKind.UNREACHABLE: "○",
        OutcomeKind.REFUSED: "!",
        OutcomeKind.NOT_ATTEMPTED: "-",
        OutcomeKind.SKIPPED: "·",
        OutcomeKind.UPDATED: "✓",
        OutcomeKind.CURRENT: "=",
    }
)
"""A sign for each outcome, beside its word and its colour."""


def as_html(report: RunReport) -> str:
    """Give the whole page, in ASCII. Others' words are escaped, and the page's own policy names all that may run."""
    partition = next((partition_of(row.container_instance_arn, report.region) for row in report.rows), "aws")
    places = {id(row): number for number, row in enumerate(report.rows, start=1)}  # two rows may have one instance's id
    ended = report.ended_at
    advice = advise(report)
    page = _environment().get_template("report.html.j2")
    text = page.render(
        report=report,
        advice=advice,
        following=with_values([shlex.quote(word) for word in advice.command]),
        counts=[(*kind, count) for kind, count in Counter((row.outcome, row.word) for row in report.rows).items()],
        troubles=troubles(report),
        remarks=remarks(report),
        gates=sentences(report.gates),
        rotated=(*rotated(report), *drifts(report)),
        timeline=draw(report),
        took=None if ended is None else duration(ended - report.started_at),
        place=lambda row: places[id(row)],
        link=lambda command_id: command_url(report.region, partition, command_id),
        **_fixed(),
    )
    return text.encode("ascii", "xmlcharrefreplace").decode("ascii")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("orchestrator.report", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["clock"] = clock
    environment.filters["duration"] = duration
    environment.filters["prose"] = _prose
    environment.filters["remark"] = remark
    environment.filters["flag"] = flag_of
    environment.filters["setting"] = setting
    return environment


@cache
def _fixed() -> dict[str, object]:
    """Give what is the same on every page: style, script, the policy that lets only these two in, signs and sizes."""
    style, script = (
        resources.files("orchestrator.report").joinpath("page", name).read_text("utf-8")
        for name in ("report.css", "report.js")
    )
    policy = (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    return {
        "style": Markup(style),  # noqa: S704 - files of this package
        "script": Markup(script),  # noqa: S704 - files of this package
        "policy": policy,
        "signs": SIGNS,
        "kinds": tuple(SIGNS),
        "order": {phase: number for number, phase in enumerate(Phase)},
        "at_work": AT_WORK,
        "width": WIDTH,
        "shown": SHOWN,
        "folded": FOLDED,
    }


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}"


def _prose(text: str) -> Markup:
    """Set what stands between backticks as code."""
    pieces = text.split("`")
    return Markup("").join(Markup("<code>{}</code>").format(each) if at % 2 else each for at, each in enumerate(pieces))
