"""What `ecs-rollout demo` does in its lab: arrange, plan, roll, report, roll again, and judge itself."""

import json
from collections.abc import Callable
from pathlib import Path

from orchestrator.aws.session import Session
from orchestrator.cli import approvals, compose, requests, rolling, showing, speech
from orchestrator.cli.compose import Request
from orchestrator.cli.rollout import plan
from orchestrator.clock import SystemClock
from orchestrator.core.model import OutcomeKind, Plan
from orchestrator.core.state import RunState
from orchestrator.errors import ExitCode
from orchestrator.journal.sqlite import SqliteJournal
from orchestrator.lab.lab import Lab
from orchestrator.lab.scenario import InstanceSpec
from orchestrator.ports import Observer
from orchestrator.report.following import Follower
from orchestrator.report.layout import folded_command
from orchestrator.report.plans import plan_text
from orchestrator.report.progress import PlainProgress
from orchestrator.report.render import exit_code_of, render_report

SECRET = "demo/registry"  # noqa: S105 - the secret's name

RULES = (
    *("--waves", "1,100%", "--max-unavailable", "34%"),
    # Every kind of trouble is to be seen, whatever the fleet's size: no budget halts it.
    *("--max-failures", "100%", "--max-unreachable", "100%"),
    # The lab's agents restart within a second, and a demo is watched.
    *("--delivery-seconds", "30", "--verify-seconds", "6", "--restore-seconds", "12"),
    *("--watchdog-seconds", "40", "--step-seconds", "60", "--poll-seconds", "0.3"),
)
"""How the demo rolls its fleet, as flags of `run`."""


class Demonstration:
    """One demo in a lab that runs. `show` writes the first rollout's report (table, JSON), `progress` follows it.

    `journal` is the file that is written.
    """

    def __init__(self, lab: Lab, journal: Path, *, show: Callable[[str, str], None], progress: Observer | None) -> None:
        self._lab = lab
        registry = lab.registry_name
        self._words = (
            *("--cluster", lab.scenario.cluster, "--credential", f"secretsmanager:{SECRET}"),
            *("--allow-removal", "--probe-image", f"{registry}/team/app:1"),  # instances start with another login
            *RULES,
        )
        self._journal = journal
        self._clock = SystemClock()
        self._say = speech.say
        self._show = show
        self._progress = progress or Follower((PlainProgress(speech.say),))

    def perform(self) -> tuple[RunState, ExitCode]:
        """Do it all; give the rollout, and 0 when all ended as the trouble implies and a second run changed nothing."""
        self._introduce()
        self._arrange()
        self._say("\nThe rollout stands for this; no budget halts it, so it goes on after trouble:")
        self._say(folded_command(("ecs-rollout", "run", *self._words)))
        self._say("\n--- the rollout ---\n")
        state = self._roll((), quiet=False)
        table, as_json = (render_report(state, form, exit_code_of(state)) for form in ("table", "json"))
        self._say("\n--- the report ---\n")
        self._show(table, as_json)
        unexpected = self._unexpected(state)
        self._say("\n--- the same again, for those that hold it now ---\n")
        done = tuple(key for key, each in state.instances.items() if each.outcome and _holds(each.outcome.kind))
        restarts = self._again(done) if done else 0
        return state, self._close(state, unexpected, restarts)

    def _introduce(self) -> None:
        specs = self._lab.scenario.instances
        zones = sorted({spec.zone for spec in specs})
        self._say(f"A lab: an embedded AWS and {len(specs)} container instances in {len(zones)} zones. Trouble in it:")
        for spec in specs:
            if spec.troubled:
                self._say(f"  {spec.instance_id}  {spec.name or 'trouble'}: should end {_expected(spec)}")

    def _arrange(self) -> None:
        session = Session(region=None, profile=None)
        (user, passwords), *_ = self._lab.scenario.logins.items()
        login = {self._lab.registry_name: {"username": user, "password": passwords[-1]}}
        session.secretsmanager().create_secret(Name=SECRET, SecretString=json.dumps(login))
        compose.documents(region=None, profile=None, prefix="ecs-rollout").publish()
        already = tuple(spec.instance_id for spec in self._lab.scenario.instances if spec.already_current)
        if already:
            self._say(f"An earlier run gave the credential to {', '.join(already)} already.")
            self._roll(already, quiet=True)

    def _roll(self, instances: tuple[str, ...], *, quiet: bool) -> RunState:
        say: Callable[[str], None] = (lambda _: None) if quiet else self._say
        request = self._request(instances)
        parts = compose.build(request, clock=self._clock, say=say)

        def confirm(planned: Plan) -> Plan:
            say(plan_text(planned, showing.wish_of(parts, planned)) + "\n")
            return planned

        journal = SqliteJournal(self._journal)
        try:
            watch = rolling.Watch(journal=journal, say=say, observers=() if quiet else (self._progress,))
            mission = rolling.Mission(
                options={"cluster": request.cluster, "credential": request.credential, "allow_removal": True}
            )
            return rolling.conduct(parts, watch, mission, confirm=confirm)
        finally:
            journal.close()

    def _request(self, instances: tuple[str, ...]) -> Request:
        """Read the words of the command as `plan` reads them."""
        only = [word for each in instances for word in ("--instance", each)]
        given = plan.make_context("plan", [*self._words, *only]).params
        return requests.request_of(**{name: value for name, value in given.items() if name not in approvals.NOT_PART})

    def _unexpected(self, state: RunState) -> list[str]:
        """Compare each instance's outcome with the one that its trouble implies."""
        found = []
        for spec in self._lab.scenario.instances:
            progress = state.instances.get(spec.instance_id)
            outcome = progress.outcome.kind.value if progress and progress.outcome else "missing from the report"
            if outcome != _expected(spec):
                found.append(f"{spec.instance_id} ({spec.name or 'healthy'}): {outcome}, expected {_expected(spec)}")
        return found

    def _again(self, done: tuple[str, ...]) -> int:
        """Roll once more over those that hold the credential; count the agents that were restarted by it."""
        before = {each: self._lab.hosts[each].agent.starts for each in done}
        state = self._roll(done, quiet=True)
        restarts = sum(self._lab.hosts[each].agent.starts - before[each] for each in done)
        current = state.counts[OutcomeKind.CURRENT]
        self._say(f"{current} of {len(done)} instances are current: {restarts} restarts, 0 drains.")
        return restarts + len(done) - current

    def _close(self, state: RunState, unexpected: list[str], changed: int) -> ExitCode:
        code = exit_code_of(state)
        self._say("")
        if unexpected or changed:
            self._say("The demo FAILED:")
            for line in unexpected:
                self._say(f"  {line}")
            if changed:
                self._say(f"  the second run was not quiet: {changed} instances changed or were not current")
            return ExitCode.NOT_ALL_UPDATED
        self._say("Every instance ended as its trouble implies, so the demo ends with 0.")
        if code is not ExitCode.OK:
            self._say(f"The rollout itself would end with {code:d}: not every instance could be updated.")
        return ExitCode.OK


def _expected(spec: InstanceSpec) -> str:
    if spec.outcome:
        return spec.outcome
    return OutcomeKind.CURRENT if spec.already_current else OutcomeKind.UPDATED


def _holds(kind: OutcomeKind) -> bool:
    return kind in {OutcomeKind.UPDATED, OutcomeKind.CURRENT}
