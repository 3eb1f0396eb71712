"""Send a batch: journal the intent, send once, and find out what became of it when the answer does not say."""

from collections.abc import Callable
from dataclasses import dataclass

from orchestrator.core import judging
from orchestrator.core.events import Admitted, Concluded, Event, Halted, Looking, Lost, NotSent, Sent
from orchestrator.core.model import Outcome, OutcomeKind, Ping
from orchestrator.core.orders import (
    Context,
    PayloadReference,
    apply_parameters,
    comment_of,
    inspect_parameters,
    restore_parameters,
)
from orchestrator.core.reasons import Reason
from orchestrator.core.result import Op
from orchestrator.core.settings import VerifyLogin
from orchestrator.core.state import RunState
from orchestrator.errors import EnvironmentFault
from orchestrator.ports import Accepted, Clock, Commands, Doubtful, Lock, Order, Rejected

FIND_SECONDS = 30.0
"""How long a command whose answer was lost is looked for: lists lag by seconds (F73)."""

FIND_EVERY = 2.0
SEND_ATTEMPTS = 3
"""Times an instance is offered to SSM when its batch was turned down because of another one (F71)."""


def find_command(commands: Commands, clock: Clock, comment: str, since: float) -> str | None:
    """Look for a command whose answer was lost, for as long as lists may lag (F70, F73); return its id if found."""
    deadline = clock.now() + FIND_SECONDS
    while True:
        found = commands.find(comment, since)
        if found is not None or clock.now() >= deadline:
            return found
        clock.wait(FIND_EVERY)


@dataclass(slots=True)
class Dispatch:
    """Sends a run's commands. `record` makes events durable and folds them into `state` before it returns.

    `payload`: where instances fetch the credential; None in a run that applies to nobody.
    """

    commands: Commands
    lock: Lock
    clock: Clock
    context: Context
    state: RunState
    record: Callable[..., None]
    payload: PayloadReference | None = None

    def send(self, op: Op, keys: tuple[str, ...]) -> None:
        """Send one command to at most 50 instances. Raises LockedError when the cluster is not ours any more."""
        self.lock.confirm()  # as late as can be: after this line only the fence protects the instances
        batch = f"{op}-{self.state.batches_made + 1}"
        now = self.clock.now()
        deadlines = self.context.deadlines
        not_after = int(now) + deadlines.delivery + deadlines.skew
        parameters = self._parameters(op, not_after)
        if op is Op.INSPECT:
            self.record(Looking(batch=batch, keys=keys))
        else:
            self.record(Admitted(batch=batch, keys=keys, not_after=not_after))
        order = Order(
            op=op,
            instance_ids=keys,
            parameters=parameters,
            comment=comment_of(self.context.run, batch),
            delivery_seconds=deadlines.delivery,
        )
        self._answered(batch, order, self.commands.send(order), now)

    def _parameters(self, op: Op, not_after: int) -> dict[str, str]:
        match op:
            case Op.INSPECT:
                return inspect_parameters(self.context, not_after)
            case Op.RESTORE:
                return restore_parameters(self.context, not_after, run=self.state.run.restores, on_tasks="refuse")
            case Op.APPLY:
                if self.payload is None:
                    raise RuntimeError("a run that changes instances needs a delivered payload")
                return apply_parameters(
                    self.context,
                    not_after,
                    generation=self.state.run.generation,
                    payload=self.payload,
                    on_tasks="refuse",
                    verify_login=self._verifies_login(),
                )

    def _verifies_login(self) -> bool:
        """Say whether the instances of the open wave try the login themselves; the first wave is the canary."""
        wanted = self.state.run.policy.verify_login
        canary = min(each.wave for each in self.state.run.planned if each.wave)
        return wanted is VerifyLogin.ALWAYS or (wanted is VerifyLogin.CANARY and self.state.wave == canary)

    def _answered(self, batch: str, order: Order, answer: Accepted | Rejected | Doubtful, sent_at: float) -> None:
        match answer:
            case Accepted(command_id=command_id):
                self.record(Sent(batch=batch, command_id=command_id))
            case Rejected():
                self._rejected(batch, order, answer)
            case Doubtful(detail=detail):
                try:
                    found = find_command(self.commands, self.clock, order.comment, sent_at)
                except EnvironmentFault as fault:  # its instances are looked at instead, once their time is over
                    found, detail = None, f"{detail}; {fault.message}"
                if found is not None:
                    self.record(Sent(batch=batch, command_id=found))
                else:
                    self._without_answer(batch, order, detail)

    def _without_answer(self, batch: str, order: Order, detail: str) -> None:
        now = self.clock.now()
        if order.op is Op.INSPECT:
            self.record(*judging.judge_overdue(self.state, self.state.batches[batch], self.clock.now()))
            return
        look_at = judging.look_time(self.state, self.state.batches[batch], now)
        self.record(Lost(keys=order.instance_ids, look_at=look_at, detail=f"no answer to SendCommand: {detail}"))

    def _rejected(self, batch: str, order: Order, answer: Rejected) -> None:
        if order.op is Op.INSPECT:
            self.record(*judging.judge_overdue(self.state, self.state.batches[batch], self.clock.now()))
            return
        self.record(NotSent(batch=batch, keys=order.instance_ids, detail=answer.detail))
        if not answer.instances:
            self.record(Halted(why=f"SendCommand: {answer.detail}"))
            return
        pings = self.commands.ping(order.instance_ids)
        events: list[Event] = []
        for key in order.instance_ids:
            if pings.get(key, Ping.UNREGISTERED) is Ping.UNREGISTERED:
                reason = Reason.SSM_NOT_REGISTERED
            elif self.state.instances[key].attempts >= SEND_ATTEMPTS:
                reason = Reason.SSM_REFUSED
            else:
                continue
            events.append(Concluded(key=key, outcome=Outcome(OutcomeKind.UNREACHABLE, reason, answer.detail)))
        self.record(*events)
