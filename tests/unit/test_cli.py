"""The command line's manners: errors, hints, exit codes, quick help."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.cli.main import COMMANDS, invoke
from orchestrator.cli.signals import BrokenOffError, LeftError, StoppedError, stopping
from orchestrator.clock import SystemClock


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No AWS configuration of the machine may be seen."""
    for name in ("AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def two_lines(text: str) -> tuple[str, str]:
    """The error and the hint, which must be all there is on stderr."""
    lines = text.splitlines()
    assert len(lines) == 2, text
    assert lines[0].startswith("error: ")
    assert lines[1].startswith("hint: ")
    return lines[0], lines[1]


PLAN = ("plan", "--cluster", "c", "--credential", "secretsmanager:x")


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (("nonsense",), 2, "nonsense"),
        (("plan",), 2, "--cluster"),
        ((*PLAN, "--max-unavailable", "lots"), 2, "lots"),
        ((*PLAN, "--max-failures", "120%"), 2, "more than everything"),
        ((*PLAN, "--output", "yaml"), 2, "yaml"),
        ((*PLAN, "--verify-seconds", "500"), 2, "verify + restore < watchdog < step"),
        ((*PLAN, "--delivery-seconds", "5"), 2, "30 s"),
        ((*PLAN, "--config", "/nowhere/at/all.toml"), 2, "all.toml cannot be read: No such file or directory."),
        (("plan", "--cluster", "c", "--credential", "secretsmanager:"), 2, "not followed by a secret's name or ARN."),
        (("credential", "lint", "login.json"), 2, "The credential's source is not one that ecs-rollout knows."),
        (PLAN, 2, "Region"),
        ((*PLAN, "--profile", "nobody", "--region", "us-east-1"), 2, "nobody"),
        ((*PLAN, "--region", "us-east-1"), 4, "No AWS credentials"),
        (("run", *PLAN[1:], "--region", "us-east-1"), 2, "nobody to confirm"),
        (("report", "no-such-run"), 2, "knows no run"),
        (("demo", "--scenario", "/nowhere/at/all.toml"), 2, "all.toml cannot be read: No such file or directory."),
        (("demo", "--instances", "0"), 2, "--instances"),
    ],
)
def test_bad_input_is_one_error_and_one_hint(
    arguments: tuple[str, ...], code: int, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever is wrong with the call is said in one line, with one line of what to do, and its exit code."""
    assert invoke(arguments) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert expected in two_lines(captured.err)[0]


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (
            ("run", *PLAN[1:], "--tag", "a=b c", "--journal", "j.db"),
            (
                "`ecs-rollout run --cluster c --credential secretsmanager:x --tag 'a=b c' --journal j.db --yes` "
                "carries it out. `ecs-rollout plan --cluster c --credential secretsmanager:x --tag 'a=b c'` shows it"
            ),
        ),
        (
            ("heal", "--cluster", "c", "--take-over"),
            "`ecs-rollout heal --cluster c --take-over --yes` carries it out. `ecs-rollout heal --cluster c --dry-run`",
        ),
        (("plan", "--tag"), "`ecs-rollout plan --help`"),
        (("run", "--plan"), "`ecs-rollout run --help`"),
        (("paln",), "Did you mean `ecs-rollout plan`?"),
        (("documents", "publsh"), "Did you mean `ecs-rollout documents publish`?"),
        (("schema", "nonsense"), "`ecs-rollout schema --help` lists the commands."),
        (("-q", "--region", "us-east-1", "plan"), "`ecs-rollout COMMAND --region ...`"),
        (("--nonsense",), "`ecs-rollout --help`"),
        (("plan", "--clster", "c"), "Did you mean one of: '--cluster', "),
    ],
)
def test_a_hint_can_be_run_as_it_is_printed(
    arguments: tuple[str, ...], hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a hint names is a whole command, with the flags that were given, or the help of the one that was meant."""
    assert invoke(arguments) == 2
    assert hint in two_lines(capsys.readouterr().err)[1]


def test_a_suggestion_stands_in_the_hint_and_the_error_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    """Click writes both into one text, in brackets."""
    assert invoke(("plan", "--clster", "c")) == 2
    assert two_lines(capsys.readouterr().err)[0] == "error: No such option '--clster'."


def test_a_flag_that_only_a_table_gives_names_the_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file whose tables hold the cluster, and none of them chosen."""
    file = tmp_path / "f.toml"
    file.write_text('[use.web]\ncluster = "web"\n[use.api]\ncluster = "api"\n', encoding="utf-8")
    assert invoke(("plan", "--config", str(file))) == 2
    error, hint = two_lines(capsys.readouterr().err)
    assert error == "error: Missing option '--cluster'."
    assert hint.startswith(f"hint: {file} has tables: say --use web or --use api. `ecs-rollout plan --help`")
    assert invoke(("plan", "--config", str(file), "--use", "web")) == 2
    assert "tables" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("max-unavailable = ", "is not TOML"),
        ('nonsense = "x"', "no setting 'nonsense'"),
        ("cluster = [1]", "cluster must be"),
        ('max-unavailable = "many"', "many"),
    ],
)
def test_a_bad_configuration_is_named(
    text: str, expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unknown key, a wrong value or broken TOML is one error that names it."""
    path = tmp_path / "rollout.toml"
    path.write_text(text)
    assert invoke([*PLAN, "--config", str(path)]) == 2
    assert expected in two_lines(capsys.readouterr().err)[0]


@pytest.mark.parametrize("waves", ["50%,10%", "10,10", "100%,1", "5,1,100%"])
def test_waves_that_do_not_grow_are_refused(waves: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A slip of order would take the canary away: waves are cumulative, and each adds somebody."""
    assert invoke([*PLAN, "--waves", waves]) == 2
    assert "adds nobody: waves are cumulative" in two_lines(capsys.readouterr().err)[0]


@pytest.mark.parametrize("arguments", [("--help",), ("plan", "--help"), ("run", "--help"), ("--version",), ("runs",)])
def test_help_and_history_need_no_boto3(arguments: tuple[str, ...]) -> None:
    """--help, --version and what reads the journal alone import neither boto3 nor the lab."""
    program = (
        "import sys; from orchestrator.cli.main import invoke\n"
        f"assert invoke({list(arguments)!r}) == 0\n"
        "slow = sorted({name.partition('.')[0] for name in sys.modules} & {'boto3', 'botocore', 'moto', 'aiohttp'})\n"
        "sys.exit(f'imported {slow}' if slow else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_has_its_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each command of the list exists and explains itself."""
    assert invoke([name, "--help"]) == 0
    assert f"Usage: ecs-rollout {name}" in capsys.readouterr().out


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Without the lab's extra, its commands say what to install instead of showing a traceback."""

    def missing(name: str) -> object:
        raise ModuleNotFoundError(f"No module named 'aiohttp' for {name}", name="aiohttp")

    monkeypatch.setattr("orchestrator.cli.main.importlib.import_module", missing)
    assert invoke(["demo"]) == 2
    error, hint = two_lines(capsys.readouterr().err)
    assert "aiohttp" in error
    assert "ecs-rollout[lab]" in hint


@pytest.fixture
def hearing() -> Iterator[None]:
    """A command that hears a terminal close, also where the tests themselves run under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("hearing")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_before_anything_is_rolled_one_signal_is_enough(number: signal.Signals, code: int) -> None:
    """At the prompt or while instances are inspected a signal ends the command at once, with its own exit code."""
    with stopping(SystemClock(), lambda _: None) as stop, pytest.raises(LeftError):
        signal.raise_signal(number)
    assert stop.exit_code == code
    assert StoppedError(stop.exit_code).exit_code == code


@pytest.mark.usefixtures("hearing")
def test_a_terminal_that_closes_is_never_the_second_signal() -> None:
    """Its shell and the kernel both tell of it: it stops safely, and does not cut short what a first signal began."""
    with stopping(SystemClock(), lambda _: None) as stop:
        stop.rolling = True
        signal.raise_signal(signal.SIGHUP)
        assert (stop.why, stop.exit_code) == ("the terminal was closed (SIGHUP)", 129)
        signal.raise_signal(signal.SIGHUP)
        with pytest.raises(LeftError):
            signal.raise_signal(signal.SIGTERM)
    with stopping(SystemClock(), lambda _: None) as stop:
        with pytest.raises(LeftError):
            signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGHUP)  # while the lock is let go of
    assert stop.exit_code == 143


def test_under_nohup_a_closed_terminal_is_not_heard() -> None:
    """SIGHUP that was ignored when the command began stays ignored."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stopping(SystemClock(), lambda _: None) as stop:
            signal.raise_signal(signal.SIGHUP)
        assert not stop
    finally:
        signal.signal(signal.SIGHUP, before)


def test_while_a_fleet_is_rolled_the_second_signal_leaves() -> None:
    """The first signal asks the run to stop and says so; the second leaves; afterwards the old handlers are back."""
    before = signal.getsignal(signal.SIGINT)
    said: list[str] = []
    with stopping(SystemClock(), said.append) as stop:
        stop.rolling = True
        signal.raise_signal(signal.SIGTERM)
        assert stop
        assert "again: leave at once" in said[0]
        with pytest.raises(LeftError):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
    error = BrokenOffError("run-7", stop.exit_code, ("--state", "dynamodb:runs"))
    assert "run-7" in error.message
    assert "`ecs-rollout resume run-7 --take-over --state dynamodb:runs`" in error.hint
