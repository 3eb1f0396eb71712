"""Look at instances before anything is decided: send inspect, in batches of 50, and read what it saw. Reads only."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from orchestrator.core.deciding import Look
from orchestrator.core.model import Facts, Ping
from orchestrator.core.orders import INSPECT_STEP_SECONDS, Context, comment_of, inspect_parameters
from orchestrator.core.policy import BATCH
from orchestrator.core.reasons import Reason
from orchestrator.core.result import Op, parse_facts
from orchestrator.dispatch import find_command
from orchestrator.errors import EnvironmentFault
from orchestrator.ports import Accepted, Clock, Commands, Doubtful, Invocation, Order, Rejected

EVERY = 1.0


class Inspection:
    """One round of inspections. Its commands change nothing, so a lost one is simply not known.

    `keep`: called all the while, for the heartbeat of whoever holds the cluster.
    """

    def __init__(
        self,
        *,
        commands: Commands,
        clock: Clock,
        context: Context,
        every: float = EVERY,
        keep: Callable[[], None] = lambda: None,
    ) -> None:
        self._commands = commands
        self._clock = clock
        self._context = context
        self._every = every
        self._keep = keep
        self._number = 0

    def look(self, instance_ids: Iterable[str]) -> Mapping[str, Look]:
        """Inspect these; every one gets its facts or the reason why there are none."""
        wanted = list(instance_ids)
        looks: dict[str, Look] = {}
        waiting: dict[str, set[str]] = {}
        for start in range(0, len(wanted), BATCH):
            self._keep()
            self._send(tuple(wanted[start : start + BATCH]), looks, waiting)
        deadline = self._clock.now() + self._context.deadlines.delivery + INSPECT_STEP_SECONDS
        while waiting and self._clock.now() < deadline:
            self._clock.wait(self._every)
            for command_id in tuple(waiting):
                self._keep()
                self._read(command_id, looks, waiting)
        for missing in waiting.values():
            looks.update(dict.fromkeys(missing, Reason.DELIVERY_TIMED_OUT))
        return looks

    def _send(self, chunk: tuple[str, ...], looks: dict[str, Look], waiting: dict[str, set[str]]) -> None:
        self._number += 1
        now = self._clock.now()
        deadlines = self._context.deadlines
        order = Order(
            op=Op.INSPECT,
            instance_ids=chunk,
            parameters=inspect_parameters(self._context, int(now) + deadlines.expiry),
            comment=comment_of(self._context.run, f"plan-{self._number}"),
            delivery_seconds=deadlines.delivery,
        )
        match self._commands.send(order):
            case Accepted(command_id=command_id):
                waiting[command_id] = set(chunk)
            case Rejected(instances=True) if len(chunk) > 1:
                pings = self._commands.ping(chunk)
                gone = {each for each in chunk if pings.get(each, Ping.UNREGISTERED) is Ping.UNREGISTERED}
                looks.update(dict.fromkeys(gone, Reason.SSM_NOT_REGISTERED))
                left = tuple(each for each in chunk if each not in gone)
                if gone and left:
                    self._send(left, looks, waiting)
                else:
                    looks.update(dict.fromkeys(left, Reason.SSM_REFUSED))
            case Rejected(instances=False, detail=detail):
                # No instance's fault: the permission is missing, or the document. Nothing was touched yet.
                raise EnvironmentFault(detail, hint="`ecs-rollout iam controller` prints what a plan needs.")
            case Rejected():
                looks.update(dict.fromkeys(chunk, Reason.SSM_REFUSED))
            case Doubtful():
                found = find_command(self._commands, self._clock, order.comment, now)
                if found is None:
                    looks.update(dict.fromkeys(chunk, Reason.NO_RESULT))
                else:
                    waiting[found] = set(chunk)

    def _read(self, command_id: str, looks: dict[str, Look], waiting: dict[str, set[str]]) -> None:
        for seen in self._commands.poll(command_id):
            if seen.ended and seen.instance_id in waiting[command_id]:
                looks[seen.instance_id] = self._understand(command_id, seen)
                waiting[command_id].discard(seen.instance_id)
        if not waiting[command_id]:
            del waiting[command_id]

    def _understand(self, command_id: str, seen: Invocation) -> Look:
        look = parse_facts(seen.stdout)
        if isinstance(look, Facts) and look.registries_total > len(look.registries):
            # The first line holds what fits; the rest follows on the second (F59).
            look = with_all_registries(look, self._commands.full_output(command_id, seen.instance_id))
        if look is Reason.NO_RESULT and "success" not in seen.status.lower() and "failed" not in seen.status.lower():
            return Reason.DELIVERY_TIMED_OUT
        return look


def with_all_registries(facts: Facts, stdout: str) -> Facts:
    """Complete the list of registries from the second line of inspect's output: a JSON array of strings."""
    lines = stdout.splitlines()
    try:
        names = json.loads(lines[1]) if len(lines) > 1 else []
    except ValueError:
        return facts
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return facts
    return replace(facts, registries=tuple(sorted({*facts.registries, *names})))
