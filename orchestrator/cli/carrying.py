"""What `run`, `restore`, `resume` and `heal` have in common: confirm, roll, report, and take back after a halt."""

import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli import approvals, flags, reporting, requests, speech
from orchestrator.cli.speech import say
from orchestrator.cli.unattended import TELLING, Told
from orchestrator.core.approved import ApprovedPlan
from orchestrator.core.model import Plan
from orchestrator.core.settings import OnHalt, OptionValue, typed
from orchestrator.errors import ExitCode, JournalFault, RefusedError, RolloutError, UnsavedFault, UsageError

if TYPE_CHECKING:
    from orchestrator.cli.boot import Boots
    from orchestrator.cli.compose import Parts, Request
    from orchestrator.cli.rolling import Watch
    from orchestrator.cli.signals import Stop
    from orchestrator.cli.telling import Telling
    from orchestrator.cli.turns import Limit
    from orchestrator.clock import SystemClock
    from orchestrator.core.state import RunState
    from orchestrator.journal.place import JournalPlace
    from orchestrator.journal.store import Store
    from orchestrator.report.after import Holders
    from orchestrator.rotation import Promotion

Roll = Callable[["Parts", "Watch", Callable[[Plan], Plan]], "RunState"]
"""What is done once everything stands: a new run, or one that goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rolls:
    """How a fleet is rolled beside its policy.

    `restores`: the run that is taken back; `heals`: what dead runs left is; `approved`: the saved plan; `options`: the
    flags to be kept for `resume`. `limit`: until when instances are admitted; `promotion`: what follows the run;
    `holders`: who is seen to run what at its end. `stopped`: the run goes on, and was stopped before. `alone`: nobody
    is asked anything, whoever watches.
    """

    report: reporting.Wanted
    told: Told
    journal: "JournalPlace"
    yes: bool
    take_over: bool
    restores: str = ""
    heals: bool = False
    approved: ApprovedPlan | None = None
    options: Mapping[str, OptionValue] = field(default_factory=dict)
    limit: "Limit | None" = None
    promotion: "Promotion | None" = None
    holders: "Callable[[Parts], Holders | None]" = lambda _parts: None
    stopped: bool = False
    alone: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What a run is seen through with: everything stands, and those who want to know listen."""

    parts: "Parts"
    clock: "SystemClock"
    journal: "Store"
    tell: "Telling"


def somebody_to_ask(look: Sequence[str], *, yes: bool) -> None:
    """Raise UsageError where a plan must be confirmed and nobody can be asked. `look`: the command that shows it."""
    if not yes and not sys.stdin.isatty():
        raise _nobody(f"`{shlex.join(look)}` shows it first.")


def _nobody(first: str) -> UsageError:
    """Name the command that asks nobody; `first`: how its plan is seen before."""
    unasked = shlex.join(flags.again(click.get_current_context(), "--yes"))
    message = "There is nobody to confirm the plan: no terminal, and no --yes."
    return UsageError(message, hint=f"`{unasked}` carries it out. {first}")


def told_of(flags: dict[str, Any], *, nobody: bool) -> Told:
    """Take the flags out that say who is told. `nobody` is asked before the run."""
    return Told(**{name: flags.pop(name) for name in TELLING}, attended=not nobody)


def watched(rolls: Rolls, request: "Request") -> AbstractContextManager["Telling"]:
    """Watch the command: whatever ends it, those who want to know are told."""
    about = {name: getattr(request, name) for name in WATCHED}
    return watching(rolls.told, rolls.journal, **about)


WATCHED = ("cluster", "credential", "region", "profile")
"""What must be known of a command to tell of it."""


def watching(
    told: Told, journal: "JournalPlace", *, cluster: str, credential: str, region: str | None, profile: str | None
) -> AbstractContextManager["Telling"]:
    """Watch a command as `watched` does, of which no more is known yet than this."""
    from orchestrator.aws.session import Session
    from orchestrator.cli.telling import telling
    from orchestrator.clock import SystemClock
    from orchestrator.report.notices import Origin, plan_words

    session = Session(region=region, profile=profile)
    origin = Origin(
        cluster=cluster,
        region=session.region,
        store=journal.words,
        again=plan_words(cluster, credential) if credential else (),
    )
    return telling(told, session, origin, SystemClock())


def begin(request: "Request", journal: "Store", rolls: Rolls) -> int:
    """Conduct a new run; give its exit code. After a halt its updates are taken back where that was wanted."""
    from orchestrator.cli import rolling

    def roll(parts: "Parts", watch: "Watch", confirm: Callable[[Plan], Plan]) -> "RunState":
        mission = rolling.Mission(
            take_over=rolls.take_over, restores=rolls.restores, heals=rolls.heals, options=rolls.options
        )
        return rolling.conduct(parts, watch, mission, confirm=confirm)

    return carry_out(request, journal, rolls, roll)


def carry_out(request: "Request", journal: "Store", rolls: Rolls, roll: Roll, *, run: str = "") -> int:
    """Roll, report, tell; give the exit code. `run`: the run that goes on, empty for a new one."""
    from orchestrator.cli import compose
    from orchestrator.clock import SystemClock

    clock = SystemClock()
    with watched(rolls, request) as tell:
        parts = compose.build(request, clock=clock, say=say, run=run)
        scene = Scene(parts=parts, clock=clock, journal=journal, tell=tell)
        state, code = see_through(scene, boots_of(parts), rolls, roll, goes_on=bool(run))
    if owes_take_back(state, journal):
        take_back(request, journal, rolls, state)
    return code


def boots_of(parts: "Parts") -> "Boots":
    """Look at what new instances boot with. Raises RolloutError where that could not be written later."""
    from orchestrator.cli.boot import Boots

    keeper = Boots(parts=parts, sources=parts.request.boot_configs, say=say)
    keeper.announce()
    return keeper


def see_through(
    scene: Scene, keeper: "Boots", rolls: Rolls, roll: Roll, *, goes_on: bool
) -> tuple["RunState", ExitCode]:
    """Roll, do what follows, report, tell. `goes_on`: the run had begun before."""
    from orchestrator.cli import approver
    from orchestrator.cli.rolling import Watch
    from orchestrator.cli.signals import stopping_run
    from orchestrator.report.after import After
    from orchestrator.report.followed import what_followed

    parts, tell = scene.parts, scene.tell
    removed: list[str] = []
    with stopping_run(scene.clock, tell.say, parts.run_id, rolls.journal.words) as stop:

        def confirm(planned: Plan) -> Plan:
            return _confirmed(scene, rolls, stop, planned)

        stop.rolling = goes_on
        asks = approver.made(rolls.journal, parts.run_id, parts.clock) if rolls.told.watched and not rolls.alone else ()
        watch = Watch(
            journal=scene.journal,
            store=rolls.journal.words,
            say=say,
            observers=(*tell.observers, *asks),
            stop_requested=lambda: stop.why or (rolls.limit.why() if rolls.limit else ""),
            swept=removed.extend,
            afterwards=lambda state: _follow(scene, keeper, rolls, state),
            tells=bool(rolls.told.notify),
        )
        try:
            state = roll(parts, watch, confirm)
        except JournalFault as fault:
            raise _broken_off(scene, rolls, fault) from fault
    say("")
    code = _code_of(state, stop, rolls)
    complaint = rolls.promotion.complaint(state) if rolls.promotion else None
    troubles = (*keeper.errors, *([complaint] if complaint else []))
    if troubles:
        code = code or ExitCode.NOT_ALL_UPDATED
    left = rolls.promotion.words if rolls.promotion else ""
    followed = what_followed(state, left, keeper.rows, taken_back=wants_back(state))
    if code is not ExitCode.OK:  # whoever has to act is told before anything else is looked at
        tell.concluded(*followed, well=False)
    for trouble in troubles:
        tell.troubled(trouble)
    # What is seen of a fleet that is taken back next would be wrong by the time that somebody reads it.
    holders = None if wants_back(state) else rolls.holders(parts)
    verdict = (holders.summary,) if holders else ()
    doubted = holders if holders and not holders.safe else None
    tell.concluded(*followed, *verdict, well=doubted is None, look=doubted.look if doubted else ())
    undelivered = tell.ended(state, code)
    if rolls.told.notify and tell.follower.state is not None:  # None: its end was not seen here, nor told
        note_told(scene.journal, state.run.run, scene.clock)
    after = After(
        undelivered=undelivered,
        boots=tuple(keeper.rows),
        left=left,
        holders=holders,
        removed=tuple(removed),
    )
    reporting.conclude(rolls.report, state, code, after)
    return state, code


def _broken_off(scene: Scene, rolls: Rolls, fault: JournalFault) -> JournalFault:
    """Report from memory a run that its journal takes no more of; give the error that says how it goes on.

    Before the run has begun there is nothing to report, and the error is the one that was met.
    """
    from orchestrator.report.after import After

    run, state = scene.parts.run_id, scene.tell.follower.state
    if state is None or state.run.run != run:
        return fault
    reporting.conclude(rolls.report, state, fault.exit_code, After(unsaved=True))
    resume = typed("resume", run, "--take-over", *rolls.journal.words)
    return UnsavedFault(fault.message, hint=f"{fault.hint} Then `{resume}` goes on with the run.")


def note_told(journal: "Store", run: str, clock: "SystemClock") -> None:
    """Write down that those who want to know were told how a run ended. Told twice is better than not at all."""
    from orchestrator.core.events import EndTold, Entry

    try:
        journal.append(run, journal.head(run).fence, (Entry(clock.now(), EndTold()),))
    except RolloutError as error:
        say(f"warning: it is not in the journal that the end was told, which is told again: {error.message}")


def _follow(scene: Scene, keeper: "Boots", rolls: Rolls, state: "RunState") -> None:
    """Do what follows a run while the cluster is ours: first AWSCURRENT, then what new instances boot with."""
    from orchestrator.journal.store import RunJournal
    from orchestrator.ledger import Ledger

    parts = scene.parts
    if rolls.promotion is not None:
        journal = RunJournal(scene.journal, parts.run_id, parts.lock.fence)
        ledger = Ledger(journal=journal, clock=scene.clock, state=state, observers=(scene.tell.follower,))
        rolls.promotion.follow(state, ledger, parts.lock)
    keeper.keep(state)


def _code_of(state: "RunState", stop: "Stop", rolls: Rolls) -> ExitCode:
    """Give the run's exit code: neither time that ran out nor a label that had to stay is a good end.

    That a signal or an `abort` stopped it is told by who was stopped, not by a `resume` that sees it through later.
    """
    from orchestrator.report.render import exit_code_of

    out_of_time = rolls.limit is not None and rolls.limit.reached and not stop
    before = rolls.stopped and not stop
    code = exit_code_of(state, ExitCode.NOT_ALL_UPDATED if out_of_time or before else stop.exit_code)
    return code or (ExitCode.NOT_ALL_UPDATED if rolls.promotion and rolls.promotion.left else ExitCode.OK)


def _confirmed(scene: Scene, rolls: Rolls, stop: "Stop", planned: Plan) -> Plan:
    from orchestrator.cli import showing
    from orchestrator.report.plans import plan_text

    parts = scene.parts
    if rolls.approved is not None:
        planned = approvals.fitted(rolls.approved, parts, planned, say)
    if scene.tell.shows_plans:
        memory = showing.earlier(scene.journal, parts.cluster)
        wish = showing.wish_of(parts, planned, memory, restores=rolls.restores, store=rolls.journal.words)
        speech.tell(plan_text(planned, wish))
    asks = planned.changes and not rolls.yes and rolls.approved is None
    if asks and not sys.stdin.isatty():  # a plan that no other command shows, or a terminal that went away
        raise _nobody("It stands above." if scene.tell.shows_plans else "Without --log-format json it is shown first.")
    if asks and not speech.confirms(_question(parts, planned, rolls)):
        raise RefusedError("Not confirmed.", hint="Nothing was touched.")
    stop.rolling = planned.changes > 0
    return planned


def _question(parts: "Parts", planned: Plan, rolls: Rolls) -> str:
    """Ask, with what a person must not mistake: how many, of which cluster, in which Region and account."""
    from orchestrator.cli import showing

    verb = "Heal" if rolls.heals else "Take back" if rolls.restores else "Roll"
    count = f"{planned.changes} instance" + ("s" if planned.changes > 1 else "")
    return f"\n{verb} {count} of {showing.place_of(parts, planned)}?"


def wants_back(state: "RunState") -> bool:
    """Say whether a halt is to be followed by taking the run back; a person who stopped it decides that alone."""
    halted = state.halted is not None and not state.halted.interrupted
    wanted = halted and state.run.policy.on_halt is OnHalt.RESTORE
    return wanted and not state.run.restores and _changed(state) > 0


def _changed(state: "RunState") -> int:
    return sum(each.holds_change for each in state.instances.values())


def owes_take_back(state: "RunState", journal: "Store") -> bool:
    """Say whether a halted run's updates are to be taken back, and nobody has begun with it."""
    return wants_back(state) and all(head.summary.restores != state.run.run for head in journal.runs())


def options_back(options: Mapping[str, OptionValue]) -> dict[str, OptionValue]:
    """Give those flags of a run that hold for taking it back, too: the taking back may have to be resumed itself."""
    from orchestrator.cli.recovery import restore

    known = {param.name for param in restore.params} - requests.GATES
    return {name: value for name, value in options.items() if name in known}


def take_back(request: "Request", journal: "Store", rolls: Rolls, state: "RunState") -> int:
    """Take back what the halted run has changed, in a run of its own; give that one's exit code.

    What is seen of it goes to stderr: stdout holds the report of the run itself.
    """
    say(f"\n--on-halt restore: taking back what was changed, on {_changed(state)} of {len(state.instances)} instances")
    back = replace(
        rolls,
        report=reporting.beside(rolls.journal),
        yes=True,
        restores=state.run.run,
        approved=None,
        promotion=None,
        holders=lambda _parts: None,
        options=options_back(state.run.options),
    )
    gates = type(request.gates)()  # what made the run halt must not keep it from being taken back
    policy = request.policy.back()
    return begin(replace(request, credential="", boot_configs=(), gates=gates, policy=policy), journal, back)
