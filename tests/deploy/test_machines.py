"""What runs the controller: the image's steps, the units, the crontab line, and the flags that all of them give."""

import re
import shlex
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from click import Option

from orchestrator.cli.main import invoke
from orchestrator.cli.rotating import rotate
from tests.deploy.support import DEPLOY, resources, substituted
from tests.support import tool

ROOT = DEPLOY.parent
PROGRAM = "/opt/ecs-rollout/bin/ecs-rollout"
UNIT = "ecs-rollout@.service"
NAMES = {
    "Cluster": "web", "Secret": "registry", "StateTable": "rollouts", "Topic": "arn:aws:sns:eu-central-1:1:night",
    "Flags": "--max-duration,4h,--wait-for-lock,30m,--jitter,5m", "DeliveryKey": "arn:aws:kms:eu-central-1:1:key/k",
    "BootBucket": "conf", "BootKey": "ecs.config",
}  # fmt: skip
CONDITIONS = {"HasDeliveryKey": "", "HasBootConfig": ""}


def command_of_the_task(**conditions: str) -> list[str]:
    container = resources()["Task"]["Properties"]["ContainerDefinitions"][0]
    words: list[str] = substituted(container["Command"], {**NAMES, **conditions})
    return words


def command_of_the_unit() -> list[str]:
    line = next(each for each in (DEPLOY / UNIT).read_text().splitlines() if each.startswith("ExecStart="))
    return shlex.split(line.removeprefix("ExecStart="))[1:]


def command_of_the_crontab() -> list[str]:
    line = (DEPLOY / "crontab").read_text().splitlines()[-1]
    schedule, user, program, rest = re.fullmatch(r"((?:\S+ ){5})(\S+) (\S+) (.*?) >>.*", line).groups()  # type: ignore[union-attr]
    assert schedule.split() == ["30", "2", "*", "*", "*"]
    assert (user, program) == ("ecs-rollout", PROGRAM)
    return shlex.split(rest)


def test_the_task_is_given_everything() -> None:
    """With and without a key and a boot configuration, no word is empty, and each flag has its value."""
    whole, plain = command_of_the_task(**CONDITIONS), command_of_the_task()
    assert "" not in whole + plain
    assert whole[:3] == ["rotate", "--cluster", "web"]
    assert [word for word in whole if word not in plain] == [
        "--kms-key", NAMES["DeliveryKey"], "--boot-config", "s3://conf/ecs.config",
    ]  # fmt: skip


@pytest.mark.parametrize("words", [command_of_the_task(**CONDITIONS), command_of_the_unit(), command_of_the_crontab()])
def test_every_flag_is_one_that_the_command_has(words: list[str]) -> None:
    """Nobody finds out at night that a flag is misspelt."""
    known = {flag for each in rotate.params if isinstance(each, Option) for flag in each.opts}
    assert {word for word in words if word.startswith("--")} <= known


def test_the_configuration_file_is_valid() -> None:
    """The example of /etc/ecs-rollout/web.toml is one that the tool takes."""
    assert invoke(("config", "show", "--config", str(DEPLOY / "web.toml"))) == 0


def test_systemd_finds_nothing_wrong(tmp_path: Path) -> None:
    """Service and timer pass `systemd-analyze verify`, for the instance `web`."""
    for name in (UNIT, "ecs-rollout@.timer"):
        # verify insists that the program is there.
        (tmp_path / name).write_text((DEPLOY / name).read_text().replace(PROGRAM, "/bin/true"))
    analyze = tool("systemd-analyze", package="systemd")
    units = [tmp_path / "ecs-rollout@web.service", tmp_path / "ecs-rollout@web.timer"]
    for each in units:
        each.symlink_to(tmp_path / each.name.replace("web", ""))
    done = subprocess.run([analyze, "verify", *units], capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stderr.decode()) == (0, "")


def test_the_timer_and_the_stop_give_a_run_its_time() -> None:
    """systemd does not end a run before the run ends itself, and lets one that is stopped see its instances through."""
    text = (DEPLOY / UNIT).read_text()
    assert "--max-duration 4h" in text
    assert "TimeoutStartSec=5h" in text
    assert "TimeoutStopSec=20min" in text


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the Dockerfile's first stage does: a clean venv, and only what COPY brings, installed without extras.

    The dependencies are this environment's: no registry is asked.
    """
    folder = tmp_path_factory.mktemp("image")
    source = folder / "source"
    for line in (DEPLOY / "Dockerfile").read_text().splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            for name in shlex.split(line)[1:-1]:
                source.mkdir(exist_ok=True)
                subprocess.run(["cp", "-r", ROOT / name, source / name], check=True)
    venv.create(folder / "venv", with_pip=False, symlinks=True)
    python = folder / "venv" / "bin" / "python"
    pip: list[str | Path] = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
    ]
    wheel: list[str | Path] = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        folder,
        source,
    ]
    subprocess.run(wheel, check=True, capture_output=True)
    subprocess.run([*pip, *folder.glob("*.whl")], check=True, capture_output=True)
    return folder


def test_the_images_command_runs(installed: Path) -> None:
    """Entry point and default command of the image work from what was copied: nothing of the checkout is missing."""
    text = (DEPLOY / "Dockerfile").read_text()
    assert 'ENTRYPOINT ["ecs-rollout"]' in text
    program = installed / "venv" / "bin" / "ecs-rollout"
    libraries = {"PYTHONPATH": str(dependencies(installed)), "PATH": "/usr/bin:/bin", "HOME": "/tmp"}
    for words in (("--help",), ("documents", "check", "--local"), ("documents", "template")):
        done = subprocess.run([program, *words], capture_output=True, check=False, env=libraries, cwd="/", timeout=120)
        assert done.returncode == 0, done.stderr.decode()


def dependencies(installed: Path) -> Path:
    """This environment's packages without the checkout and without the extras."""
    folder = installed / "dependencies"
    if not folder.exists():
        folder.mkdir()
        site = Path(pytest.__file__).parent.parent
        extras = ("ecs_rollout", "__editable__", "moto", "aiohttp", "pytest", "_pytest", "hypothesis", "cfnlint")
        for each in site.iterdir():
            if not each.name.startswith(extras) and each.suffix != ".pth":
                (folder / each.name).symlink_to(each)
    return folder


def test_the_dockerfile_names_no_registry() -> None:
    """The base is an argument; nothing in the file says where it is pulled from, and nobody is root in the image."""
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    assert [line for line in lines if line.startswith("ARG")] == ["ARG BASE=python:3.12-slim"]
    assert {line.split()[1] for line in lines if line.startswith("FROM")} == {"${BASE}"}
    assert "USER 65534:65534" in lines
    assert not re.search(r"\w+\.\w+/\w", "".join(line for line in lines if line.startswith("FROM")))
