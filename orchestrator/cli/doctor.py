"""`ecs-rollout doctor`: is everything there that a run needs?"""

import json
import os
import sys
from typing import Any

import click

from orchestrator.cli import options, requests
from orchestrator.cli.rollout_options import rollout_options
from orchestrator.cli.speech import say
from orchestrator.journal.place import JournalPlace

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red", "skip": None}


@click.command()
@options.optional_credential_options
@rollout_options
@click.option("--no-inspect", is_flag=True, help="Send no inspect document to the instances.")
@options.journal
@options.plan_output
def doctor(*, credential: str | None, no_inspect: bool, journal: JournalPlace, output: str, **given: Any) -> int:  # noqa: ANN401 - a request's fields
    """Check everything that a run needs, and say what to do about what is missing. Reads only.

    It takes the flags of `run`, so that the same line can be checked first, and looks at the whole cluster. With
    --credential that is judged, too, and its logins are tried.

    Ends with 0 when nothing is worse than a warning, else as a run would end by the gravest failure: 4 AWS,
    permissions, clock or journal; 5 a run holds the cluster; 3 documents or credential; 1 instances alone.

    \b
      ecs-rollout doctor --cluster web
      ecs-rollout doctor --cluster web --credential secretsmanager:registry
    """
    from orchestrator.cli.checkup import Examination, Wish
    from orchestrator.clock import SystemClock
    from orchestrator.core.checkup import exit_code_of
    from orchestrator.report.checkups import checkup_json, checkup_text

    options.check_delivery(given["delivery"], given["delivery_bucket"])
    request = requests.request_of(credential=credential or "", **given)
    wish = Wish(request=request, journal=journal, inspect=not no_inspect)
    checks = Examination(wish, SystemClock(), say).perform()
    if output == "json":
        click.echo(json.dumps(checkup_json(checks, cluster=request.cluster), indent=2))
    else:
        click.echo(checkup_text(checks, _paint))
    return exit_code_of(checks)


def _paint(level: str, word: str) -> str:
    """Colour a word, on a terminal of somebody who wants colours."""
    plain = not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return word if plain else click.style(word, fg=_COLOURS[level])
