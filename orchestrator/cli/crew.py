"""Who carries a rotation out with real AWS: the port `Crew` over the parts that `run` and `resume` use."""

import secrets as randomness
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from orchestrator.aws.ecs import Cluster
from orchestrator.aws.owner import Owner
from orchestrator.aws.session import Session
from orchestrator.aws.sources import NoValueError
from orchestrator.aws.stages import SecretStages
from orchestrator.cli import carrying, compose, holders, loading, planning, recovery, reporting, rolling, speech, turns
from orchestrator.cli.boot import Boots
from orchestrator.cli.compose import Parts, Request
from orchestrator.cli.rolling import Watch
from orchestrator.cli.signals import stopping_run
from orchestrator.cli.speech import say
from orchestrator.cli.telling import Telling
from orchestrator.clock import SystemClock
from orchestrator.core.amount import Amount
from orchestrator.core.deciding import outcome_of
from orchestrator.core.model import Plan
from orchestrator.core.overlap import oldest_age
from orchestrator.core.reasons import Reason
from orchestrator.core.rotation import Target
from orchestrator.core.source import SecretsManagerSource
from orchestrator.core.state import RunState, replay
from orchestrator.errors import ExitCode, RefusedError, UsageError
from orchestrator.journal.head import Head
from orchestrator.journal.store import Store
from orchestrator.report.followed import what_followed
from orchestrator.report.notices import plan_words
from orchestrator.rotation import Promotion

_ONE = Amount(1, percent=False)

TELLING_SECONDS = 900.0
"""A controller that lives has told how its run ended by then: after its last look at the fleet."""


def stages_of(request: Request, secret: str) -> SecretStages:
    """Give the labels of a secret."""
    session = Session(region=request.region, profile=request.profile)
    return SecretStages(session.secretsmanager(), secret)


def _empty(secret: str, target: Target) -> RefusedError:
    """Say that a version which has a label has no value."""
    version = f"The version {target.version} of {secret} is {target.stage}"
    if not target.promotes:
        return RefusedError(f"{version} and has no value.", hint="Put the credential there as a new version.")
    return RefusedError(
        f"{version} and has no value yet: createSecret, a rotation's first step, has not put it there.",
        hint="See why that step of the secret's rotation function fails, or give the rotation up: "
        f"`aws secretsmanager cancel-rotate-secret --secret-id {secret}`.",
    )


def _chance(most: float) -> float:
    return randomness.randbelow(round(most * 1000) + 1) / 1000


@dataclass(slots=True, kw_only=True)
class FleetCrew:
    """One night's crew. `scene`, `keeper`, `state` and `seen` are there from the moment that they are known."""

    request: Request
    secret: str
    journal: Store
    rolls: carrying.Rolls
    patience: turns.Patience
    clock: SystemClock
    canary: bool = False
    _tell: Telling | None = field(default=None, init=False)
    _scene: carrying.Scene | None = field(default=None, init=False)
    _keeper: Boots | None = field(default=None, init=False)
    _state: RunState | None = field(default=None, init=False)
    _seen: Cluster | None = field(default=None, init=False)

    def resume(self) -> ExitCode:
        """Start late, take the turn, and finish what a dead controller has left, where our journal knows it."""
        with self.telling(), stopping_run(self.clock, say, ""):
            turns.start_late(self.patience, self.clock, _chance, say)
            holder = turns.await_turn(self._owner, self.patience, self.clock, _chance, say)
            owner = holder.last_begun if holder is not None else None
            last = self._last_ended()
            self._tell_late(last, owner)
        if owner is None:
            return self._finish(self._owed(last))
        left = self._run_of(owner)
        if left is None:
            say(f"the run {owner.run} of {owner.holder} cannot be resumed from here: its cluster is taken over")
            self.rolls = replace(self.rolls, take_over=True)
            return ExitCode.OK
        return self._finish(left)

    def _owner(self) -> Owner | None:
        self._seen, lock = compose.cluster_lock(self.request, self.clock)
        owner = lock.owner()
        # Whoever says --take-over knows that the owner is dead, however young its heartbeat is.
        return replace(owner, heartbeat=0.0) if owner is not None and self.rolls.take_over else owner

    def _run_of(self, owner: Owner) -> RunState | None:
        """Find the run that a dead owner has left, ended or not; None where our journal does not know it."""
        known = [head for head in self.journal.runs() if head.run == owner.run]
        return replay(self.journal.entries(owner.run)) if known else None

    def _owed(self, last: Head | None) -> RunState | None:
        """Give the cluster's last run where it was halted and its updates are still to be taken back."""
        if last is None or not last.summary.halted:
            return None
        state = replay(self.journal.entries(last.run))
        return state if carrying.owes_take_back(state, self.journal) else None

    def _tell_late(self, last: Head | None, owner: Owner | None) -> None:
        """Tell how the cluster's last run ended, where its controller, perhaps a dead `owner`, could not any more."""
        if last is None or not (last.summary.untold and self.rolls.told.notify):
            return
        dead = owner is not None and owner.run == last.run
        if not dead and self.clock.now() - last.summary.last_at < TELLING_SECONDS:
            return  # it has let go of the cluster, and may be about to tell
        state = replay(self.journal.entries(last.run))
        well = last.summary.result == "ok"
        followed = what_followed(state, "", (), taken_back=carrying.owes_take_back(state, self.journal))
        with carrying.watched(self.rolls, self.request) as tell:
            look = holders.look_words(self.rolls.options, state.run.region) if well else ()
            tell.late(state, *followed, look=look)
        carrying.note_told(self.journal, last.run, self.clock)

    def _last_ended(self) -> Head | None:
        """Find the cluster's last run, if it has ended."""
        last = next(iter(self._heads()), None)
        return last if last is not None and last.summary.result else None

    def _heads(self) -> list[Head]:
        """List the cluster's runs, newest first."""
        seen = self._scene.parts.seen if self._scene else self._seen
        return [head for head in self.journal.runs() if seen is not None and head.summary.cluster == seen.name]

    def _finish(self, left: RunState | None) -> ExitCode:
        if left is None:
            return ExitCode.OK
        say(f"first the run {left.run.run} is finished, which was interrupted")
        self._seen = None  # that may take hours
        # stdout holds the report of the rotation alone.
        rolls = replace(self.rolls, report=reporting.beside(self.rolls.journal), restores=left.run.restores)
        where = {"region": self.request.region, "profile": self.request.profile}
        try:
            return ExitCode(recovery.go_on(self.journal, left, rolls, **where))
        except (RefusedError, UsageError) as error:
            say(f"warning: it cannot be resumed, so its cluster is taken over: {error.message}")
            self.rolls = replace(self.rolls, take_over=True)
            return ExitCode.OK

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Watch what comes: an error that ends it is told."""
        with carrying.watched(self.rolls, self.request) as tell:
            self._tell = tell
            yield

    def idle(self, target: Target) -> bool:
        """Read, lint and try the version, plan without the lock, and say where nothing is to be done."""
        label = SecretsManagerSource(name=self.secret, stage=target.stage)
        self._telling.about(plan_words(self.request.cluster, str(label)))
        pinned = str(SecretsManagerSource(name=self.secret, stage="", version=target.version))
        policy = replace(self.request.policy, limit=_ONE) if self.canary else self.request.policy
        request = replace(self.request, credential=pinned, policy=policy)
        if self.canary:
            request = replace(request, boot_configs=())
        try:
            parts = compose.build(request, clock=self.clock, say=say, seen=self._seen)
        except NoValueError as error:
            raise _empty(self.secret, target) from error
        self._keeper = carrying.boots_of(parts)
        self._scene = carrying.Scene(parts=parts, clock=self.clock, journal=self.journal, tell=self._telling)
        key = loading.existing_key(parts)
        planned = planning.plan(parts, planning.apply_goal(parts, key), fence=0, say=say)
        reasons = [each.decision.reason for each in planned.planned]
        if self.canary:
            done = Reason.ALREADY_CURRENT in reasons
        else:
            outcomes = [outcome_of(each) for each in planned.planned]
            at_rest = all(each is not None and each.as_wanted for each in outcomes)
            done = at_rest and not target.promotes and not self._keeper.due and Reason.ALREADY_CURRENT in reasons
        if done:
            self._rest(parts, planned, key, target)
        return done

    def _rest(self, parts: Parts, planned: Plan, key: bytes | None, target: Target) -> None:
        """Say that nothing is to be done, on the strength of the plan; no run is begun, and none journaled."""
        found = holders.of_plan(parts, planned, key, self._journal_runs())
        stage = f"{target.stage} of {self.secret} ({target.version})"
        words = f"Nothing to do: {stage} runs on {len(found.running)} of {len(planned.planned)} instances."
        speech.show(holders.shown(parts, found, key, words, self.rolls.report.form))
        self._telling.ended(None, ExitCode.OK, oldest_age=oldest_age(found.running, self.clock.now()))

    def roll(self, promotion: Promotion) -> ExitCode:
        """Roll the version as `run` would, with AWSCURRENT behind it, and look at who runs what in the end."""
        if self._scene is None or self._keeper is None:
            raise RuntimeError("the version was not looked at")
        parts = self._scene.parts
        # As `run` would be told, so that `resume` needs to know nothing of rotations.
        limit = {"limit": str(_ONE)} if self.canary else {}
        chosen = {**self.rolls.options, **limit, "credential": parts.request.credential}
        look = holders.look_words(self.rolls.options, parts.session.region)
        rolls = replace(
            self.rolls,
            options=chosen,
            promotion=promotion,
            holders=lambda _: holders.seen(parts, self._journal_runs(), look),
        )

        def roll(parts: Parts, watch: Watch, confirm: Callable[[Plan], Plan]) -> RunState:
            mission = rolling.Mission(take_over=rolls.take_over, options=rolls.options, looked=True)
            return rolling.conduct(parts, watch, mission, confirm=confirm)

        self._state, code = carrying.see_through(self._scene, self._keeper, rolls, roll, goes_on=False)
        return code

    def take_back(self) -> None:
        """Take back what a halted run had updated, where that was wanted."""
        if self._state is not None and carrying.wants_back(self._state):
            carrying.take_back(self.request, self.journal, self.rolls, self._state)

    def _journal_runs(self) -> Iterator[RunState]:
        """Read the cluster's runs, newest first, each as it is wanted."""
        return (replay(self.journal.entries(head.run)) for head in self._heads()[: holders.RUNS])

    @property
    def _telling(self) -> Telling:
        if self._tell is None:
            raise RuntimeError("nobody is told anything yet")
        return self._tell
