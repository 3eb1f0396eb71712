"""Every default of a run, read from the flags themselves and from the constants that no flag changes."""

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType

import click

from orchestrator.aws.owner import HEARTBEAT_SECONDS
from orchestrator.cli.rollout import run
from orchestrator.core.settings import Deadlines
from orchestrator.engine import Pace
from orchestrator.gatekeeper import EVERY

SHARES: Mapping[str, str] = MappingProxyType(
    {
        "--limit": "those in scope; down, at least 1",
        "--waves": "those to change; down, at least 1",
        "--max-unavailable": "those in scope; down, at least 1",
        "--max-unavailable-per-zone": "the zone's in scope; down, at least 1",
        "--max-failures": "those in scope; down, at least 0",
        "--max-unreachable": "those in scope; down, at least 0",
        "--max-refused": "those in scope; down, at least 0",
    }
)
"""What a percentage is taken of, and how it is rounded."""

_STATED = re.compile(r" ?\[default: (.*)\]$")


def rows() -> Iterator[tuple[str, str, str, str]]:
    """Give flag, default, what a percentage is of, and what it is about."""
    for option in run.params:
        if isinstance(option, click.Option) and not option.is_flag:
            stated = _STATED.search(option.help or "")
            default = stated[1] if stated else _worded(option.default)
            if default:
                flag = max(option.opts, key=len)
                yield f"`{flag}`", default, SHARES.get(flag, ""), _STATED.sub("", option.help or "")
    deadlines, pace = Deadlines(), Pace()
    for default, text in (
        (f"{deadlines.connect}", "Seconds for ECS to see a proven agent connected."),
        (f"{deadlines.skew}", "Seconds that an instance's clock may be off."),
        (f"{pace.longest / pace.shortest:.0f} x", "Of --poll-seconds: the longest time between two looks."),
        (f"{EVERY:.0f}", "Seconds between two questions to the gates."),
        (f"{HEARTBEAT_SECONDS:.0f}", "Seconds between two heartbeats of the lock."),
    ):
        yield "none", default, "", text


def _worded(default: object) -> str:
    """Word a default; empty where there is none."""
    return str(default) if isinstance(default, str | int | float) else ""
