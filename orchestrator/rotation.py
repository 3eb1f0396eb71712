"""Rotate: what comes after what in one night, over narrow ports.

The fleet comes first and AWSCURRENT follows it, so that whoever reads the secret never gets a login that the fleet
does not have. Killed between any two steps, the next night finds the same version again and goes on.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from orchestrator.core.amount import Amount
from orchestrator.core.events import Promoted, Promoting
from orchestrator.core.rotation import CURRENT, Target, Versions, choose, may_promote, still_to_move
from orchestrator.core.state import RunState
from orchestrator.errors import ExitCode, RefusedError, RolloutError
from orchestrator.ledger import Ledger
from orchestrator.ports import Lock


class Stages(Protocol):
    """The staging labels of one secret."""

    @property
    def secret(self) -> str:
        """Its name."""
        ...

    def versions(self) -> Versions:
        """Read where the labels are."""
        ...

    def promote(self, version: str, *, before: str) -> None:
        """Move AWSCURRENT. Raises RefusedError when it is not at `before` any more."""
        ...


@dataclass(slots=True, kw_only=True)
class Promotion:
    """AWSCURRENT follows a run that has earned it.

    `wanted`: False for a run of the canary alone. `left`: why the label stays; `trouble`: what went wrong with it.
    """

    stages: Stages
    target: Target
    say: Callable[[str], None]
    wanted: bool = True
    promote_at: Amount | None = None
    left: str = ""
    trouble: RolloutError | None = None

    def follow(self, state: RunState, ledger: Ledger, lock: Lock) -> None:
        """Move the label after a run, while the cluster is ours. What fails is kept, not raised: there is a report.

        The intent is durable before the label moves; the label moves only from where it was when the version was
        chosen, so it moves once however often this is begun.
        """
        if not (self.wanted and self.target.promotes):
            return
        verdict = may_promote(state, self.promote_at)
        if not verdict.go:
            self.left = verdict.why
            return
        try:
            self._move(ledger, lock, verdict.why)
        except RolloutError as error:
            self.trouble, self.left = error, error.message

    def _move(self, ledger: Ledger, lock: Lock, reservation: str) -> None:
        secret, version, before = self.stages.secret, self.target.version, self.target.before
        lock.confirm()
        if still_to_move(self.stages.versions(), self.target):
            if reservation:
                self.say(f"warning: {CURRENT} moves although instances are left: {reservation}")
            ledger.intend(Promoting(secret=secret, version=version, before=before))
            self.stages.promote(version, before=before)
        ledger.observe(Promoted(secret=secret, version=version))

    def complaint(self, state: RunState) -> RolloutError | None:
        """Give the error that somebody must be told: a run that ended otherwise than well is told of by itself."""
        if self.trouble is not None or not self.left or state.ended is None or state.ended.result != "ok":
            return self.trouble
        return RefusedError(
            f"{self.words}.", hint="Rotate without narrowing flags; --exclude names those that never get it."
        )

    @property
    def words(self) -> str:
        """Say why the label stays; empty where it moved, or was never to move."""
        return f"{CURRENT} of {self.stages.secret} stays at {self.target.before}: {self.left}" if self.left else ""


class Crew(Protocol):
    """Who carries a rotation out. Whatever ends it, those who want to know are told."""

    def resume(self) -> ExitCode:
        """Go on with what another controller of this cluster has left; OK where nothing was left, or all went well.

        Raises LockedError while another controller is at work.
        """
        ...

    def telling(self) -> AbstractContextManager[None]:
        """Watch what comes: an error that ends it is told."""
        ...

    def idle(self, target: Target) -> bool:
        """Read, lint and try the version, look at the fleet, and say whether nothing is to be done. Reads only."""
        ...

    def roll(self, promotion: Promotion) -> ExitCode:
        """Roll the version, let AWSCURRENT follow while the cluster is ours, and report."""
        ...

    def take_back(self) -> None:
        """Take back what a halted run had updated, where that was wanted."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How a rotation is wanted. `canary`: one instance tries the version, and AWSCURRENT stays."""

    promote_at: Amount | None = None
    canary: bool = False


def rotate(stages: Stages, crew: Crew, terms: Terms, say: Callable[[str], None]) -> ExitCode:
    """Do one night: finish what was begun, then roll the pending version, or the current one where the fleet lacks it.

    What did not end well is not begun anew at once: the next night does that.
    """
    left = crew.resume()
    if left is not ExitCode.OK:
        return left
    with crew.telling():
        target = choose(stages.versions())
        if target.note:
            say(f"warning: {target.note}")
        say(f"{stages.secret}: {target.stage} is the version {target.version}")
        if crew.idle(target):
            return ExitCode.OK
        promotion = Promotion(
            stages=stages, target=target, say=say, wanted=not terms.canary, promote_at=terms.promote_at
        )
        code = crew.roll(promotion)
    crew.take_back()
    return code
