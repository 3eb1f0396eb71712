"""Send a batch: journal the intent, send once, and find out what became of it when the answer does not say."""

import math
from dataclasses import dataclass

from orchestrator.core import judging
from orchestrator.core.events import Admitted, Event, Halted, Looking, Lost, NotSent, Sent, TakingBack
from orchestrator.core.model import Outcome, OutcomeKind, Ping
from orchestrator.core.orders import (
    Context,
    apply_parameters,
    comment_of,
    inspect_parameters,
    restore_parameters,
)
from orchestrator.core.progress import Batch
from orchestrator.core.reasons import Reason
from orchestrator.core.result import Op
from orchestrator.core.settings import OnEphemeral, VerifyLogin
from orchestrator.core.state import RunState
from orchestrator.errors import EnvironmentFault
from orchestrator.ledger import Ledger
from orchestrator.ports import Accepted, Clock, Commands, Doubtful, Lock, Order, Rejected

FIND_SECONDS = 30.0
"""How long a command whose answer was lost is looked for: lists lag by seconds (F73)."""

FIND_EVERY = 2.0


def find_command(commands: Commands, clock: Clock, comment: str, since: float) -> str | None:
    """Look for a command whose answer was lost, for as long as lists may lag (F70, F73); return its id if found."""
    deadline = clock.now() + FIND_SECONDS
    while True:
        found = commands.find(comment, since)
        if found is not None or clock.now() >= deadline:
            return found
        clock.wait(FIND_EVERY)


CONFIRMED_SECONDS = 2.0
"""For so long one reading of the lock serves batches that are sent in a row; their fence protects the instances."""


@dataclass(slots=True)
class Dispatch:
    """Sends a run's commands, each announced in the ledger before it is sent."""

    commands: Commands
    lock: Lock
    clock: Clock
    context: Context
    state: RunState
    ledger: Ledger
    confirmed_at: float = -math.inf

    def send(self, op: Op, keys: tuple[str, ...], *, taking_back: bool = False) -> None:
        """Send one command to at most 50 instances. Raises LockedError when the cluster is not ours any more.

        `taking_back`: this run's own change is taken back, by restore. They are all mended, or none of them is.
        """
        self._confirm()  # as late as can be: after this line only the fence and the expiry protect the instances
        batch = f"{op}-{self.state.batches_made + 1}"
        now = self.clock.now()
        deadlines = self.context.deadlines
        # Counted from that look: if we sleep from here on, the cluster is another's when we wake up, and this expired.
        not_after = int(self.confirmed_at) + deadlines.expiry
        parameters = self._parameters(op, not_after, halfway=taking_back or self.state.instances[keys[0]].mends)
        if op is Op.INSPECT:
            self.ledger.observe(Looking(batch=batch, keys=keys))  # it changes nothing, so it needs no durable intent
        elif taking_back:
            self.ledger.intend(TakingBack(batch=batch, keys=keys, not_after=not_after))
        else:
            self.ledger.intend(Admitted(batch=batch, keys=keys, not_after=not_after))
        order = Order(
            op=op,
            instance_ids=keys,
            parameters=parameters,
            comment=comment_of(self.context.run, batch),
            delivery_seconds=deadlines.delivery,
        )
        self._answered(batch, order, self.commands.send(order), now)

    def _confirm(self) -> None:
        if not 0 <= self.clock.now() - self.confirmed_at < CONFIRMED_SECONDS:  # a clock may be put back
            self.lock.keep()  # whoever takes over reckons from our heartbeat how late a command of ours may begin
            self.confirmed_at = self.clock.now()  # before we look, not after
            self.lock.confirm()

    def adopt(self) -> None:
        """Find what became of the commands that a process which died had announced, by their comments (F70).

        One that is not found may have been sent all the same: its instances are looked at, once their time is over.
        """
        for name, batch in self.state.open_batches():
            if not batch.command_id:
                found = find_command(self.commands, self.clock, comment_of(self.context.run, name), batch.sent_at)
                if found is not None:
                    self.ledger.observe(Sent(batch=name, command_id=found))
                else:
                    self._without_answer(batch, "the controller died while it sent it")

    def _parameters(self, op: Op, not_after: int, *, halfway: bool) -> dict[str, str]:
        run = self.state.run
        match op:
            case Op.INSPECT:
                return inspect_parameters(self.context, not_after)
            case Op.RESTORE:
                # What mends names its own run: the instance has not applied it, so only what is half-way is taken back.
                # What is taken back at once, or was left half-way, goes back whatever its registry says of it.
                back = run.run if halfway else run.restores
                return restore_parameters(
                    self.context,
                    not_after,
                    run=back,
                    on_tasks=self._on_tasks(),
                    verify_login=not halfway and run.policy.verify_login is VerifyLogin.ALWAYS,
                )
            case Op.APPLY:
                if self.state.payload is None:
                    raise RuntimeError("a run that changes instances needs a delivered payload")
                return apply_parameters(
                    self.context,
                    not_after,
                    generation=run.generation,
                    payload=self.state.payload,
                    on_tasks=self._on_tasks(),
                    verify_login=self._verifies_login(),
                )

    def _on_tasks(self) -> str:
        """Say what an instance does when its agent keeps no state and tasks run; one that was drained looks itself."""
        match self.state.run.policy.on_ephemeral:
            case OnEphemeral.REFUSE:
                return "refuse"
            case OnEphemeral.DRAIN:
                return "if-idle"
            case OnEphemeral.FORCE:
                return "force"

    def _verifies_login(self) -> bool:
        """Say whether instances try the login themselves: the first wave does, and who comes while none succeeded."""
        wanted = self.state.run.policy.verify_login
        canary = self.state.wave == 1 or not self.state.succeeded
        return wanted is VerifyLogin.ALWAYS or (wanted is VerifyLogin.CANARY and canary)

    def _answered(self, batch: str, order: Order, answer: Accepted | Rejected | Doubtful, sent_at: float) -> None:
        match answer:
            case Accepted(command_id=command_id):
                self.ledger.observe(Sent(batch=batch, command_id=command_id))
            case Rejected():
                self._rejected(batch, order, answer)
            case Doubtful(detail=detail):
                try:
                    found = find_command(self.commands, self.clock, order.comment, sent_at)
                except EnvironmentFault as fault:  # its instances are looked at instead, once their time is over
                    found, detail = None, f"{detail}; {fault.message}"
                if found is not None:
                    self.ledger.observe(Sent(batch=batch, command_id=found))
                else:
                    self._without_answer(self.state.batches[batch], f"no answer to SendCommand: {detail}")

    def _without_answer(self, batch: Batch, detail: str) -> None:
        now = self.clock.now()
        if batch.op is Op.INSPECT:
            self.ledger.observe(*judging.judge_overdue(self.state, batch, now))
            return
        look_at = judging.look_time(self.state, batch, now)
        self.ledger.observe(Lost(keys=tuple(batch.open), look_at=look_at, detail=detail))

    def _rejected(self, batch: str, order: Order, answer: Rejected) -> None:
        if order.op is Op.INSPECT:
            self.ledger.observe(*judging.judge_overdue(self.state, self.state.batches[batch], self.clock.now()))
            return
        taking_back = [key for key in order.instance_ids if self.state.instances[key].disproven]
        if taking_back:
            self._without_answer(self.state.batches[batch], f"SendCommand: {answer.detail}")
            return
        drained = tuple(key for key in order.instance_ids if self.state.instances[key].drained)
        others = tuple(key for key in order.instance_ids if key not in drained)
        self.ledger.observe(
            *(
                NotSent(batch=batch, keys=keys, detail=answer.detail, drained=keys is drained)
                for keys in (drained, others)
                if keys
            )
        )
        if not answer.instances:
            self.ledger.observe(Halted(why=f"SendCommand: {answer.detail}"))
            return
        pings = self.commands.ping(order.instance_ids)
        events: list[Event] = []
        for key in order.instance_ids:
            progress = self.state.instances[key]
            if pings.get(key, Ping.UNREGISTERED) is Ping.UNREGISTERED:
                reason = Reason.SSM_NOT_REGISTERED
            elif progress.attempts >= judging.SENDS:
                reason = Reason.SSM_REFUSED
            else:
                continue
            events.append(judging.ending(progress, Outcome(OutcomeKind.UNREACHABLE, reason, answer.detail)))
        self.ledger.observe(*events)
