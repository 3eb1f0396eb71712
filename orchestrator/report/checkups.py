"""What `doctor` found, for a person and as JSON."""

import textwrap
from collections.abc import Callable, Sequence

from orchestrator.core.checkup import Check, Level, counts_of, exit_code_of
from orchestrator.core.counting import counted
from orchestrator.errors import ExitCode
from orchestrator.report.layout import WIDTH, names, wrap
from orchestrator.report.visible import visible

Paint = Callable[[Level, str], str]
"""Colours a level's word; what it says is in the word itself."""

_NAMED = 8
_VERDICTS = {
    ExitCode.OK: "A run can begin",
    ExitCode.LOCKED: "A run cannot begin now",
    ExitCode.NOT_ALL_UPDATED: "A run would leave instances out",
}
_ORDER = (Level.FAIL, Level.WARN, Level.SKIP, Level.OK)


def checkup_text(checks: Sequence[Check], paint: Paint = lambda _, word: word) -> str:
    """Give the checks, the gravest first, so that they stand on the first screen, and a line that sums them up."""
    wide = max(len(each.name) for each in checks) + 2
    ordered = sorted(checks, key=lambda each: _ORDER.index(each.level))
    return "\n".join([*(_lines(each, wide, paint) for each in ordered), "", _closing(checks)])


def _lines(check: Check, wide: int, paint: Paint) -> str:
    indent = " " * (len("level ") + wide)
    head = f"{check.level:<6}{check.name:<{wide}}"
    sentences = [visible(check.seen)]
    if check.instances:
        sentences.append(f"{counted(len(check.instances), 'instance')}: {names(check.instances, _NAMED)}")
    if check.todo:
        sentences.append(f"do: {visible(check.todo)}")
    text = "\n".join(_folded(each, indent) for each in sentences)
    return paint(check.level, head[:6].rstrip()) + head[len(check.level) :] + text[len(indent) :]


def _folded(text: str, indent: str) -> str:
    """Fold between words alone: a name that is longer than the line stays whole, so that it can be copied."""
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=indent,
        break_on_hyphens=False,
        break_long_words=False,
    )


def _closing(checks: Sequence[Check]) -> str:
    counts = counts_of(checks)
    words = ", ".join(f"{counts[level]} {level}{_which(checks, level)}" for level in Level if counts[level])
    code = exit_code_of(checks)
    verdict = _VERDICTS.get(code, "Mend what failed first")
    return wrap(f"{words}. {verdict} (exit code {code:d}).")


def _which(checks: Sequence[Check], level: Level) -> str:
    """Name the grave ones again: a terminal shows the end of what is longer than itself."""
    names = dict.fromkeys(each.name for each in checks if each.level is level)
    return f" ({', '.join(names)})" if level in {Level.FAIL, Level.WARN} else ""


def checkup_json(checks: Sequence[Check], *, cluster: str) -> dict[str, object]:
    """Give the checks in the order in which they were made, as a JSON object."""
    return {
        "schema": 1,
        "cluster": cluster,
        "exit_code": int(exit_code_of(checks)),
        "summary": {level.value: count for level, count in counts_of(checks).items()},
        "checks": [
            {
                "name": each.name,
                "level": each.level.value,
                "seen": each.seen,
                "todo": each.todo,
                "instances": list(each.instances),
            }
            for each in checks
        ],
    }
