"""Do what draining takes, and give back at the end: ECS calls in batches, each checked before and told after.

ECS calls have no fence. Right before each batch the lock is confirmed; what an owner that was taken over may still do
between that line and its call is healed by whoever took over (`judge_draining`, `heal`). Every call may be done twice:
the intent is in the journal, so that a run that died here does it again.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from orchestrator.core import draining
from orchestrator.core.capacity import admissible
from orchestrator.core.draining import GiveBackPlan
from orchestrator.core.events import Concluded, Draining, Event, Kept, Settled
from orchestrator.core.lifecycle import Phase
from orchestrator.core.model import Outcome, OutcomeKind, Sighting, Status
from orchestrator.core.reasons import Reason
from orchestrator.core.settings import StandaloneTasks
from orchestrator.core.state import RunState
from orchestrator.errors import RefusedError
from orchestrator.ledger import Ledger
from orchestrator.ports import Clock, Drains, Fleet, Lock


@dataclass(slots=True)
class Drainage:
    """Draining for one run. `set_by_us`: keys whose calls this process has made; `before`: ARNs of before the run."""

    drains: Drains
    fleet: Fleet
    lock: Lock
    clock: Clock
    state: RunState
    ledger: Ledger
    set_by_us: set[str] = field(default_factory=set)
    strange: Counter[str] = field(default_factory=Counter)
    tasks_asked_at: float | None = None

    def unhindered(self, keys: Sequence[str]) -> tuple[str, ...]:
        """Read instances right before they are changed; end those that are gone or drained by somebody else."""
        seen = self._describe(keys)
        stopped = {key: draining.judge_before(self.state, key, seen[key]) for key in keys}
        self.ledger.observe(*(event for event in stopped.values() if event is not None))
        return tuple(key for key in keys if stopped[key] is None)

    def begin(self, keys: Sequence[str]) -> None:
        """Set these DRAINING, where the rest of the cluster has room for their tasks."""
        free = self.unhindered(keys)
        fitting = self._fitting(free) if free else ()
        if fitting:
            self.lock.confirm()
            self.ledger.intend(Draining(keys=tuple(fitting)))
            self._set(fitting)

    def _fitting(self, keys: Sequence[str]) -> tuple[str, ...]:
        """Choose those whose tasks find a place elsewhere; hold the others and say why."""
        drained = [key for key in keys if self.state.instances[key].planned.instance.status is Status.DRAINING]
        wanted = {self._arn(key): key for key in keys if key not in drained}
        if not wanted:
            return tuple(drained)
        unavailable = frozenset(self._arn(key) for key in self.state.in_flight)
        moving = (self._arn(key) for key in self.state.phases[Phase.DRAINING])
        capacity = self.drains.capacity((*wanted, *moving))
        fit, why = admissible(capacity, tuple(wanted), unavailable=unavailable)
        now = self.clock.now()
        self.ledger.observe(*(draining.judge_room(self.state, wanted[arn], reason, now) for arn, reason in why.items()))
        return (*drained, *(wanted[arn] for arn in fit))

    def _set(self, keys: Sequence[str]) -> None:
        by_arn = {self._arn(key): key for key in keys}
        refused = dict(self.drains.own(tuple(by_arn), self.state.run.run))
        refused |= self.drains.drain(tuple(arn for arn in by_arn if arn not in refused))
        self.set_by_us.update(key for arn, key in by_arn.items() if arn not in refused)
        self.ledger.observe(
            *(
                Settled(key=by_arn[arn], outcome=Outcome(OutcomeKind.REFUSED, Reason.DRAIN_REFUSED, why))
                for arn, why in refused.items()
            )
        )

    def watch(self) -> None:
        """Look at the instances that are being drained; a run that was resumed makes its calls again first."""
        keys = [key for key in self.state.phases[Phase.DRAINING] if not self.state.instances[key].idle]
        if not keys:
            return
        again = [key for key in keys if key not in self.set_by_us]
        if again and self.state.halted is None:
            self.lock.confirm()
            self._set(again)
        seen = self._look(keys)
        standalone = self._standalone([key for key in keys if seen[key].running_tasks])
        now = self.clock.now()
        events: list[Event] = []
        for key in keys:
            if self.state.instances[key].phase is not Phase.DRAINING:
                continue
            self.strange[key] = self.strange[key] + 1 if draining.is_strange(self.state, key, seen[key]) else 0
            events += draining.judge_draining(
                self.state, key, seen[key], standalone=standalone[key], strange=self.strange[key], now=now
            )
        self.ledger.observe(*events)

    def _look(self, keys: Sequence[str]) -> dict[str, Sighting]:
        """Read these; tasks that are being stopped run, too: ECS no longer counts them, but they still serve (F81)."""
        seen = self._describe(keys)
        uncounted = {
            self._arn(key): key
            for key, each in seen.items()
            if each.status is Status.DRAINING and not each.running_tasks + each.pending_tasks
        }
        left = self.drains.tasks(tuple(uncounted)) if uncounted else {}
        still = {key: replace(seen[key], running_tasks=len(left.get(arn, ()))) for arn, key in uncounted.items()}
        return seen | still

    def _standalone(self, keys: Sequence[str]) -> Counter[str]:
        """Count tasks that draining does not move (F81), at a bounded rate; stop them where that was wanted."""
        policy, now = self.state.run.policy.standalone_tasks, self.clock.now()
        found: Counter[str] = Counter()
        due = self.tasks_asked_at is None or now - self.tasks_asked_at >= draining.AGAIN
        if policy is StandaloneTasks.WAIT or not keys or not due:
            return found
        self.tasks_asked_at = now
        by_arn = {self._arn(key): key for key in keys}
        alone = {
            by_arn[arn]: [each.arn for each in tasks if not each.service]
            for arn, tasks in self.drains.tasks(tuple(by_arn)).items()
        }
        if policy is StandaloneTasks.STOP and any(alone.values()):
            self.lock.confirm()
            stopped = [task for tasks in alone.values() for task in tasks]
            self.drains.stop(stopped, f"ecs-rollout {self.state.run.run} drains its instance")
        found.update({key: len(tasks) for key, tasks in alone.items()})
        return found

    def withhold(self, keys: Sequence[str]) -> None:
        """Set the new registrations of these DRAINING, since their change is disproven."""
        self.lock.confirm()
        arns = tuple(self.state.instances[key].arn for key in keys)
        self.drains.own(arns, self.state.run.run)
        self.drains.drain(arns)

    def give_back(self, keys: Sequence[str]) -> None:
        """Give these back what the run took: attributes and tags, status, mark, ghost, in this order.

        Each step leaves an instance that the next try, a resumed run or `heal` can go on with.
        """
        self.lock.confirm()
        plans = self._plans(keys)
        for plan in plans.values():
            if plan.inherit:
                self.drains.carry_over(plan.inherit, plan.living)
        kept = [plan.living for plan in plans.values() if plan.withhold]
        refused: dict[str, str] = {}
        if kept:
            refused |= self.drains.own(kept, self.state.run.run)
            refused |= self.drains.drain(kept)
        active = [plan.living for plan in plans.values() if plan.activate]
        refused |= self.drains.activate(active) if active else {}
        clean = [plan.living for plan in plans.values() if plan.disown and plan.living not in refused]
        refused |= self.drains.disown(clean) if clean else {}
        for ghost in (ghost for plan in plans.values() for ghost in plan.ghosts):
            with suppress(RefusedError):  # its agent is back: it is no ghost any more
                self.drains.deregister(ghost)
        self.ledger.observe(*(self._end(key, plan, refused.get(plan.living, "")) for key, plan in plans.items()))

    def _plans(self, keys: Sequence[str]) -> dict[str, GiveBackPlan]:
        before = frozenset(each.instance.arn for each in self.state.run.planned)
        ids = {key: self.state.instances[key].planned.instance.instance_id for key in keys}
        found = self.drains.registrations(tuple(ids.values()))
        return {
            key: draining.plan_give_back(self.state, key, found.get(instance_id, ()), before)
            for key, instance_id in ids.items()
        }

    def _end(self, key: str, plan: GiveBackPlan, refused: str) -> Event:
        progress = self.state.instances[key]
        pending = progress.pending
        if pending is None:
            raise RuntimeError(f"{key} is given back without an outcome")
        if not plan.living:
            return Concluded(key=key, outcome=Outcome(OutcomeKind.SKIPPED, Reason.TERMINATED))
        if refused and progress.kept < draining.TRIES:
            return Kept(key=key, detail=refused, again_at=int(self.clock.now()) + draining.AGAIN)
        note = f"left DRAINING: {refused}" if refused else plan.note
        message = "; ".join(part for part in (pending.message, note) if part)
        return Concluded(key=key, outcome=Outcome(pending.kind, pending.reason, message))

    def _arn(self, key: str) -> str:
        return self.state.instances[key].planned.instance.arn

    def _describe(self, keys: Iterable[str]) -> dict[str, Sighting]:
        arns = {self._arn(key): key for key in keys}
        return {arns[arn]: sighting for arn, sighting in self.fleet.describe(tuple(arns)).items()}
