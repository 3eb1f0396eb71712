"""-q and -v on real runs, shells that complete, and streams that go away while instances are at work."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.lab.scenario import AfterRestart
from tests.scenario.conftest import QUICK, Workplace, fleet
from tests.support import tool
from tests.terminal import terminal


def failing(workplace: Callable[..., Workplace]) -> Workplace:
    """A fleet whose canary fails."""
    place = workplace(*fleet(3, after_restart=AfterRestart.STAYS_DOWN))
    place.put_secret()
    return place


def test_verbose_names_and_counts_what_is_asked_of_aws(workplace: Callable[..., Workplace]) -> None:
    """-v says each operation once when it is first asked, and all of them with their counts at the end; no content."""
    place = workplace(*fleet(2))
    place.put_secret()
    answer = place.rollout("plan", "-v")
    assert answer.code == 0
    lines = re.findall(r"^ +(\d+)  (\S+)$", answer.err.partition("asked of AWS:\n")[2], re.MULTILINE)
    operations = {name: int(count) for count, name in lines}
    assert operations["ssm:SendCommand"] == place.calls("SendCommand")
    assert operations["secretsmanager:GetSecretValue"] == 1
    assert answer.err.count("asking AWS: ssm:SendCommand") == 1
    for secret in ("new-password", "SecretString", "AWS_SECRET"):
        assert secret not in answer.err
    assert "asked of AWS" not in place.rollout("plan").err


def test_quiet_says_problems_and_the_result(workplace: Callable[..., Workplace]) -> None:
    """-q leaves of stderr what went wrong, with what to do; stdout is as ever."""
    place = failing(workplace)
    answer = place.rollout("run", "-q")
    assert answer.code == 1
    lines = [line for line in answer.err.splitlines() if not line.startswith(("warning: ", "  "))]
    assert re.fullmatch(r"\d\d:\d\d  rolled_back\(agent_did_not_return\): i-\w+", lines[0])
    assert re.fullmatch(r"\d\d:\d\d  HALTED: 1 failed, --max-failures 0 allows 0 of 3", lines[1])
    assert len(lines) == 2
    assert "       do: Look at /var/log/ecs/ecs-agent.log there before you try again.\n" in answer.err
    assert "rolled_back(agent_did_not_return)" in answer.out


def test_quiet_json_lines_are_problems(workplace: Callable[..., Workplace]) -> None:
    """-q with --log-format json leaves the lines of level warning and error."""
    place = failing(workplace)
    answer = place.rollout("run", "-q", "--log-format", "json")
    assert answer.code == 1
    assert answer.err
    assert all('"level": "info"' not in line for line in answer.err.splitlines())


@pytest.mark.parametrize("streams", ["2>&1 | head -n 1", "2>&-"])
def test_a_run_outlives_its_readers(streams: str, workplace: Callable[..., Workplace]) -> None:
    """When nobody reads any more, or stderr is closed, the run goes on to its end and keeps its exit code."""
    place = workplace(*fleet(3))
    place.put_secret()
    words = ("run", "--cluster", place.lab.scenario.cluster, "--credential", "secretsmanager:registry", "--yes")
    command = shlex.join([sys.executable, "-m", "orchestrator.cli.main", *words, "--allow-removal", *QUICK])
    line = f'{command} {streams}; echo "code ${{PIPESTATUS[0]}}"'
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("code 0\n"), done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert len(place.touched()) == 3


SHELLS = {
    "bash": (("bash", "--norc", "--noprofile", "-i"), "source <(ecs-rollout completion bash)"),
    "zsh": (("zsh", "-f", "-i"), "autoload -U compinit; compinit -u -D; source <(ecs-rollout completion zsh)"),
    "fish": (("fish", "--no-config"), "ecs-rollout completion fish | source"),
}


@pytest.mark.parametrize("name", SHELLS)
def test_a_real_shell_completes(name: str, tmp_path: Path) -> None:
    """In an interactive shell Tab completes a command, a flag and the value of one."""
    tool("tmux", package="tmux")
    tool(name, package=name)
    program = tmp_path / "bin" / "ecs-rollout"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m orchestrator.cli.main "$@"\n')
    program.chmod(0o755)
    environment = {"PATH": f"{program.parent}:{os.environ['PATH']}", "HOME": str(tmp_path), "PS1": "> "}
    command, setup = SHELLS[name]
    with terminal(tmp_path, *command, columns=100, lines=30, environment=environment) as seen:
        seen.type(f"{setup}; echo ready-$((40+2))" if name != "fish" else f"{setup}; echo ready-(math 40+2)")
        seen.wait(lambda screen: "ready-42" in screen)
        for typed, completed in (
            ("ecs-rollout resto", "ecs-rollout restore "),
            ("ecs-rollout run --max-fai", "ecs-rollout run --max-failures"),
            ("ecs-rollout report --output mark", "ecs-rollout report --output markdown"),
        ):
            seen.tmux("send-keys", "-l", typed)
            seen.wait(lambda screen, typed=typed: typed in screen)  # type: ignore[misc]  # bound early
            seen.keys("Tab")
            seen.wait(lambda screen, completed=completed: completed in f"{screen} ")  # type: ignore[misc]  # bound early
            seen.keys("C-u")  # a key among keys; a signal may be lost while the shell completes
