"""Do what draining takes, and give back at the end: ECS calls in batches, each checked before and told after.

ECS calls have no fence. Right before each batch the lock is confirmed; what an owner that was taken over may still do
between that line and its call is healed by whoever took over (`judge_draining`, `heal`). Every call may be done twice:
the intent is in the journal, so that a run that died here does it again.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from orchestrator.core import draining
from orchestrator.core.capacity import admissible
from orchestrator.core.draining import GiveBackPlan
from orchestrator.core.events import Concluded, Deferred, Draining, Event, Kept, Settled
from orchestrator.core.lifecycle import Phase
from orchestrator.core.model import Outcome, OutcomeKind, Sighting, Status
from orchestrator.core.reasons import Reason
from orchestrator.core.settings import StandaloneTasks
from orchestrator.core.state import RunState
from orchestrator.errors import EnvironmentFault, LockedError, RefusedError
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
        # To see whether their tasks have a place takes many calls: somebody may have drained one of them meanwhile.
        fitting = self.unhindered(self._fitting(free)) if free else ()
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
        unavailable = frozenset(self._arn(key) for key in self.state.roster.in_flight)
        moving = (self._arn(key) for key in self.state.roster.phases[Phase.DRAINING])
        capacity = self.drains.capacity((*wanted, *moving))
        fit, why = admissible(capacity, tuple(wanted), unavailable=unavailable)
        now = self.clock.now()
        self.ledger.observe(*(draining.judge_room(self.state, wanted[arn], reason, now) for arn, reason in why.items()))
        return (*drained, *(wanted[arn] for arn in fit))

    def _set(self, keys: Sequence[str]) -> None:
        by_arn = {self._arn(key): key for key in keys}
        refused = self._take(tuple(by_arn))
        self._stand_by_it(tuple(arn for arn in by_arn if arn not in refused))
        self.set_by_us.update(key for arn, key in by_arn.items() if arn not in refused)
        self.ledger.observe(
            *(
                Settled(key=by_arn[arn], outcome=Outcome(OutcomeKind.REFUSED, Reason.DRAIN_REFUSED, why))
                for arn, why in refused.items()
            )
        )

    def _take(self, arns: Sequence[str]) -> dict[str, str]:
        """Mark these, then set them DRAINING; say of whom that failed. What has no mark of ours would be another's."""
        refused = dict(self.drains.own(arns, self.state.run.run))
        refused |= self.drains.drain(tuple(arn for arn in arns if arn not in refused))
        return refused

    def _stand_by_it(self, arns: Sequence[str]) -> None:
        """Leave nothing DRAINING without our mark where another owner has won the cluster during the call.

        That owner may have taken the mark off already; with it, `heal` finds what we have done.
        """
        try:
            self.lock.confirm()
        except LockedError:
            seen = self.fleet.describe(arns)
            bare = [arn for arn in arns if seen[arn].status is Status.DRAINING and not seen[arn].mark]
            if bare:
                self.drains.own(bare, self.state.run.run)
            raise

    def watch(self) -> None:
        """Look at the instances that are being drained; a run that was resumed makes its calls again first."""
        keys = list(self.state.roster.phases[Phase.DRAINING])
        if not keys:
            return
        seen = self._look(keys)
        begun = [key for key in keys if key not in self.set_by_us]
        again = [key for key in begun if draining.judge_before(self.state, key, seen[key]) is None]
        if again and self.state.halted is None:
            self.lock.confirm()
            self.ledger.intend(Draining(keys=tuple(again)))
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
        moved = tuple(self.state.instances[key].arn for key in keys if self.state.instances[key].moved)
        seen = self.fleet.describe(moved)
        arns = [arn for arn in moved if seen[arn].status is not Status.DRAINING]
        if arns:
            self._take(arns)

    def give_back(self, keys: Sequence[str]) -> None:
        """Give these back what the run took: attributes and tags, status, mark, ghost, in this order.

        Each step leaves an instance that the next try, a resumed run or `heal` can go on with.
        """
        self.lock.confirm()
        plans = self._plans(keys)
        trouble = {key: plan.waits for key, plan in plans.items() if plan.waits}
        for key, plan in plans.items():
            if plan.inherit and (why := self._carry_over(plan)):
                trouble[key] = why
        trouble |= self._restatus(plans)
        for key, plan in plans.items():
            for ghost in plan.ghosts if key not in trouble else ():
                with suppress(RefusedError):  # its agent is back: it is no ghost any more
                    self.drains.deregister(ghost)
        self.ledger.observe(*(self._end(key, plan, trouble.get(key, "")) for key, plan in plans.items()))

    def _carry_over(self, plan: GiveBackPlan) -> str:
        """Let the living registration inherit; say why it could not: one instance must not keep the others waiting."""
        try:
            self.drains.carry_over(plan.inherit, plan.living)
        except EnvironmentFault as fault:
            return f"it lacks attributes or tags of {plan.inherit}: {fault.message}"
        return ""

    def _restatus(self, plans: Mapping[str, GiveBackPlan]) -> dict[str, str]:
        """Set statuses and marks; say of whom that failed, and what it means."""
        keys = {plan.living: key for key, plan in plans.items()}
        kept = [plan.living for plan in plans.values() if plan.withhold]
        failed: dict[str, str] = {}
        if kept:
            failed |= {arn: f"not set DRAINING: {why}" for arn, why in self._take(kept).items()}
        active = [plan.living for plan in plans.values() if plan.activate]
        if active:
            failed |= {arn: f"left DRAINING: {why}" for arn, why in self.drains.activate(active).items()}
        clean = [plan.living for plan in plans.values() if plan.disown and plan.living not in failed]
        if clean:
            failed |= {arn: f"it keeps our mark: {why}" for arn, why in self.drains.disown(clean).items()}
        return {keys[arn]: why for arn, why in failed.items()}

    def _plans(self, keys: Sequence[str]) -> dict[str, GiveBackPlan]:
        ids = {key: self.state.instances[key].planned.instance.instance_id for key in keys}
        found = self.drains.registrations(tuple(ids.values()))
        return {
            key: draining.plan_give_back(self.state, key, found.get(instance_id, ()))
            for key, instance_id in ids.items()
        }

    def _end(self, key: str, plan: GiveBackPlan, trouble: str) -> Event:
        """End an instance that has everything back, or try again later, or name what is left."""
        progress = self.state.instances[key]
        pending = progress.pending
        if pending is None:
            raise RuntimeError(f"{key} is given back without an outcome")
        if not plan.living:
            return Concluded(key=key, outcome=draining.TERMINATED)
        if trouble and progress.kept < draining.TRIES:
            return Kept(key=key, detail=trouble, again_at=int(self.clock.now()) + draining.AGAIN)
        message = "; ".join(dict.fromkeys(part for part in (pending.message, trouble, plan.note) if part))
        reason = Reason.STRANDED if trouble and pending.as_wanted else pending.reason
        outcome = Outcome(pending.kind, reason, message)
        if outcome.kind is OutcomeKind.UNREACHABLE and progress.deferred is None:
            return Deferred(key=key, outcome=outcome)
        return Concluded(key=key, outcome=outcome)

    def _arn(self, key: str) -> str:
        return self.state.instances[key].planned.instance.arn

    def _describe(self, keys: Iterable[str]) -> dict[str, Sighting]:
        arns = {self._arn(key): key for key in keys}
        return {arns[arn]: sighting for arn, sighting in self.fleet.describe(tuple(arns)).items()}
