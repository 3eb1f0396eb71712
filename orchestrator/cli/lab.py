"""`ecs-rollout lab` and `demo`: the only place that starts the lab."""

import json
import os
import shlex
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli import display, speech
from orchestrator.cli.signals import ending
from orchestrator.cli.speech import say
from orchestrator.errors import EnvironmentFault, UsageError, in_words
from orchestrator.report.layout import folded_command

if TYPE_CHECKING:
    from orchestrator.core.state import RunState
    from orchestrator.lab.lab import Lab
    from orchestrator.lab.scenario import Scenario


_SCENARIOS = "docs/lab.md lists the keys; orchestrator/lab/scenarios/demo.toml and plain.toml are scenarios."


def _scenario(path: Path | None, instances: int | None, *, packaged: str) -> "Scenario":
    from orchestrator.lab import scenario_file

    try:
        scenario = scenario_file.load(path) if path else scenario_file.packaged(packaged)
    except (OSError, UnicodeDecodeError) as error:
        why = in_words(error)
        raise UsageError(f"The scenario {path} cannot be read: {why}.", hint="Check --scenario.") from error
    except ValueError as error:
        raise UsageError(f"The scenario {path} cannot be used: {error}.", hint=_SCENARIOS) from error
    return scenario.with_instances(instances) if instances else scenario


@contextmanager
def _silenced() -> Iterator[None]:
    """Point this process at the lab alone: nothing of the user's AWS configuration may be seen or used."""
    before = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    for name in before:
        del os.environ[name]
    os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
    try:
        yield
    finally:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            del os.environ[name]
        os.environ.update(before)


@contextmanager
def _running(scenario: "Scenario", directory: Path, *, isolation: str, port: int = 0) -> "Iterator[Lab]":
    from orchestrator.lab.isolation import Isolation, NoNamespacesError
    from orchestrator.lab.lab import Lab, LabThread

    try:
        with LabThread(Lab(scenario, directory, port=port, isolation=Isolation(isolation))) as running:
            yield running
    except NoNamespacesError as error:
        raise EnvironmentFault(str(error), hint=error.hint) from error


instances_option = click.option("--instances", type=click.IntRange(min=1), help="Size of the fleet.")
scenario_option = click.option(
    "--scenario",
    type=click.Path(path_type=Path, dir_okay=False),
    help="TOML file that describes the fleet and its faults.",
)
isolation_option = click.option(
    "--isolation",
    type=click.Choice(["directory", "namespace"]),
    default="directory",
    show_default=True,
    help="namespace: each instance has its own network and mounts (Linux).",
)


@click.command()
@instances_option
@scenario_option
@click.option("--port", type=click.IntRange(0, 65535), default=4599, show_default=True, help="0: any free one.")
@click.option("--directory", type=click.Path(path_type=Path, file_okay=False), help="Where the instances live.")
@isolation_option
def lab(*, instances: int | None, scenario: Path | None, port: int, directory: Path | None, isolation: str) -> None:
    """Serve an embedded AWS with a fleet of container instances, until Ctrl-C.

    Prints the exports that point AWS tools, and ecs-rollout, at it. It listens on 127.0.0.1 alone.

    \b
      ecs-rollout lab --instances 20
    """
    wanted = _scenario(scenario, instances, packaged="plain")
    stopped = threading.Event()
    for number in ending():
        signal.signal(number, lambda *_: stopped.set())
    with tempfile.TemporaryDirectory(prefix="ecs-rollout-lab-") as fresh, _silenced():
        try:
            with _running(wanted, directory or Path(fresh), isolation=isolation, port=port) as running:
                for name, value in running.exports().items():
                    speech.show(f"export {name}={shlex.quote(value)}")
                _introduce(running)
                stopped.wait()
        except OSError as error:
            why = in_words(error)
            raise EnvironmentFault(f"The lab cannot start: {why}.", hint="Is the port taken? Say --port.") from error


def _introduce(lab: "Lab") -> None:
    """Say what can be done with the lab, by commands that need nothing else; with the exports it is one screen."""
    scenario, registry = lab.scenario, lab.registry_name
    (user, passwords), *_ = scenario.logins.items()
    login = json.dumps({registry: {"username": user, "password": passwords[-1]}})
    about = (
        *("--cluster", scenario.cluster, "--credential", "file:lab.json", "--allow-removal"),
        *("--verify-seconds", "15"),  # its agents return within a second or not at all
    )
    say(f"\n{len(scenario.instances)} container instances in the cluster {scenario.cluster}.")
    say("In another shell, with the exports above, and ecs-rollout in its PATH:")
    say(f"  (umask 077; echo \\\n    {shlex.quote(login)} \\\n    >lab.json)")
    say("  ecs-rollout documents publish")
    say(folded_command(("ecs-rollout", "plan", *about)))
    say(folded_command(("ecs-rollout", "run", *about)))
    say("Each instance's files, etc/ecs/ecs.config among them, are under its id in:")
    say(f"  {lab.directory}")
    if any(each.mended != each for each in scenario.instances):
        say("To mend one: curl -X POST $AWS_ENDPOINT_URL/-/instances/INSTANCE/mend")
    say("Ctrl-C ends it.")


@click.command()
@instances_option
@scenario_option
@isolation_option
@click.option(
    "--journal",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File in which the journal stays, for report, status and why. [default: none]",
)
@click.option("--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def demo(*, instances: int | None, scenario: Path | None, isolation: str, journal: Path | None, output: str) -> int:
    """Roll a fleet with realistic trouble in the lab, and report.

    Ends with 0 when every instance ended as its trouble implies. Nothing outside this machine is touched.

    \b
      ecs-rollout demo
      ecs-rollout demo --instances 60 --journal demo.db
    """
    wanted = _scenario(scenario, instances, packaged="demo")
    from orchestrator.cli.demonstration import Demonstration
    from orchestrator.clock import SystemClock

    with tempfile.TemporaryDirectory(prefix="ecs-rollout-demo-") as fresh, _silenced():
        directory = Path(fresh)
        with _running(wanted, directory / "instances", isolation=isolation) as running:
            os.environ.update(running.exports())
            live = display.make(SystemClock()) if speech.at_terminal() and speech.terminal_is_able() else None
            with display.shown(live):
                kept = journal or directory / "journal.db"
                demonstration = Demonstration(running, kept, show=_shown(output), progress=live)
                state, code = demonstration.perform()
        _say_what_stays(state, journal)
    return code


def _say_what_stays(state: "RunState", journal: Path | None) -> None:
    """Say what can still be asked now that the lab is gone, and where commands that need AWS can be tried."""
    say("\nThe lab has ended, so nothing above can be run any more; `ecs-rollout lab` serves one to try it in.")
    if journal is None:
        say("Its journal is gone, too; `ecs-rollout demo --journal demo.db` keeps it for report, status and why.")
        return
    run, store = state.run.run, ("--journal", str(journal))
    troubled = [key for key, each in state.instances.items() if each.outcome and not each.outcome.as_wanted]
    say("Its journal stays, and tells:")
    say(folded_command(("ecs-rollout", "status", run, *store)))
    say(folded_command(("ecs-rollout", "report", run, "--out", "report.html", *store)))
    for each in troubled[:1]:
        say(folded_command(("ecs-rollout", "why", run, each, *store)))


def _shown(output: str) -> Callable[[str, str], None]:
    def show(table: str, as_json: str) -> None:
        speech.show(as_json if output == "json" else table)

    return show
