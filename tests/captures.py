"""Take the captures of a terminal that docs/screens/ shows: `python -m tests.captures`. Look at them afterwards."""

import json
import re
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.readme import README
from tests.terminal import Terminal, terminal

SCREENS = README.parent / "docs" / "screens"
_OURS = (sys.executable, "-m", "orchestrator.cli.main")
_SIZES = ((80, 24), (200, 50))
_QUICK = "--poll-seconds 0.3 --verify-seconds 6 --restore-seconds 12 --watchdog-seconds 40 --step-seconds 60"

# Whichever instance is the canary, it fails.
_INSTANCE = """
[[instances]]
id = "i-0b00000000000000{0}"
zone = "us-east-1{1}"
agent_after_restart = "stays_down"
"""


@dataclass(frozen=True)
class Capture:
    """One screen to keep: its name, and when it is the one that is meant."""

    name: str
    when: Callable[[str], object]


_DEMO = (
    Capture("demo-live", lambda screen: re.search(r"[3-8] of 9 .*\n.*in flight [2-9]", screen)),
    Capture("demo-end", lambda screen: "[ended with" in screen),
)


_AFTERWARDS = (
    ("runs", "runs"),
    ("status", "status"),
    ("why", "why i-0b000000000000008 | head -n {rows}"),
    ("doctor", "doctor --cluster web --credential file:login.json --allow-removal"),
)


def _keep(seen: Terminal, capture: Capture, columns: int) -> None:
    screen = seen.wait(capture.when, seconds=300)
    path = SCREENS / f"{capture.name}-{columns}.txt"
    path.write_text("\n".join(line.rstrip() for line in screen.splitlines()) + "\n", encoding="utf-8")


def _demo(folder: Path) -> None:
    for columns, lines in _SIZES:
        with terminal(folder, *_OURS, "demo", columns=columns, lines=lines) as seen:
            for each in _DEMO:
                _keep(seen, each, columns)


def _failing_canary(folder: Path) -> None:
    """A lab whose canary fails, rolled from a shell beside it: plan, question, live part, report."""
    scenario = folder / "web.toml"
    instances = "".join(_INSTANCE.format(number, "abc"[number % 3]) for number in range(10))
    scenario.write_text(f'cluster = "web"\n{instances}')
    with terminal(folder, *_OURS, "lab", "--scenario", str(scenario), "--port", "0", columns=200, lines=50) as served:
        served.wait(lambda screen: "Ctrl-C ends it" in screen)
        exports = dict(re.findall(r"^export (\w+)='?([^'\n]*)'?$", served.everything(), re.MULTILINE))
        login = json.loads(re.findall(r"'(\{.*\})'", served.everything())[0])
        environment = {**exports, "XDG_STATE_HOME": "state", "PS1": "$ ", "HOME": str(folder)}
        program = folder / "bin" / "ecs-rollout"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m orchestrator.cli.main "$@"\n')
        program.chmod(0o755)
        secret = folder / "login.json"
        secret.write_text(json.dumps(login))
        secret.chmod(0o600)
        for columns, lines in _SIZES:
            with terminal(folder, "bash", "--norc", columns=columns, lines=lines, environment=environment) as seen:
                seen.type(f"PATH={program.parent}:$PATH; cd {folder}; ecs-rollout documents publish >/dev/null; clear")
                flags = f"--cluster web --credential file:{secret.name} --allow-removal {_QUICK}"
                seen.wait(lambda screen: screen == "$")
                seen.type(f"ecs-rollout plan {flags}")
                _keep(seen, Capture("plan", lambda screen: screen.endswith("\n$")), columns)
                seen.type("clear")
                seen.type(f"ecs-rollout run {flags}")
                _keep(seen, Capture("run-question", lambda screen: "? [y/N]" in screen), columns)
                seen.type("y")
                _keep(seen, Capture("run-canary", lambda screen: re.search("in flight [1-9]", screen)), columns)
                _keep(seen, Capture("run-end", lambda screen: "(exit code 1)" in screen), columns)
                for name, command in _AFTERWARDS:
                    seen.type(f"clear; ecs-rollout {command.format(rows=lines - 4)}")
                    _keep(seen, Capture(name, lambda screen: screen.endswith("\n$")), columns)


if __name__ == "__main__":
    SCREENS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as made:
        _failing_canary(Path(made))
        _demo(Path(made))
