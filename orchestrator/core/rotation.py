"""Which version of a secret a fleet is given, and when AWSCURRENT may follow it. Pure."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from orchestrator.core.amount import Amount
from orchestrator.core.model import Outcome, OutcomeKind
from orchestrator.core.progress import Progress
from orchestrator.core.reasons import Reason
from orchestrator.core.state import RunState
from orchestrator.errors import RefusedError, UsageError

CURRENT, PENDING = "AWSCURRENT", "AWSPENDING"

_HAVE_IT = frozenset({OutcomeKind.UPDATED, OutcomeKind.CURRENT})
_BESIDE = frozenset({Reason.GHOST, Reason.TERMINATED, Reason.EXCLUDED, Reason.NOT_ACTIVE, Reason.DRAINING_ELSEWHERE})
"""Those that a cluster can do without: gone, on their way in or out, or excluded by name and for good.

An instance that was not selected is none of them: narrowing one run must not let AWSCURRENT get ahead of the rest.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions:
    """Where a secret's staging labels are: version ids, empty where a label is nowhere.

    `stale`: the pending version is older than the current one, so somebody has passed it over.
    """

    current: str
    pending: str = ""
    stale: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The version to be rolled. `before`: the version that AWSCURRENT was at. `note`: what is worth knowing."""

    version: str
    before: str
    note: str = ""

    @property
    def promotes(self) -> bool:
        """Whether AWSCURRENT is to follow the fleet."""
        return self.version != self.before

    @property
    def stage(self) -> str:
        """The label that the version was found by."""
        return PENDING if self.promotes else CURRENT


def choose(versions: Versions) -> Target:
    """Take the pending version where there is one to come, else the current one. Raises UsageError without either."""
    current, pending = versions.current, versions.pending
    if pending and pending != current and not versions.stale:
        return Target(version=pending, before=current)
    if not current:
        raise UsageError(
            "The secret has neither a pending nor a current version.",
            hint="Store the credential in it: aws secretsmanager put-secret-value.",
        )
    note = f"{PENDING} ({pending}) is older than {CURRENT} ({current}): it is left alone" if versions.stale else ""
    return Target(version=current, before=current, note=note)


def still_to_move(versions: Versions, target: Target) -> bool:
    """Say whether AWSCURRENT is where it was, so that it can be moved; False where it is at the target already.

    Raises RefusedError where somebody has moved a label meanwhile: then it is not known any more what they want.
    """
    if versions.current == target.version:
        return False
    hint = "The fleet runs the version that was pending. Look at the secret's labels; the next rotation follows them."
    if versions.current != target.before:
        raise RefusedError(f"Somebody moved {CURRENT} to {versions.current} meanwhile: it stays there.", hint=hint)
    if versions.pending != target.version:
        where = f"is at {versions.pending}" if versions.pending else "was taken away"
        raise RefusedError(f"{PENDING} {where} meanwhile: {CURRENT} stays at {versions.current}.", hint=hint)
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Convergence:
    """How far a fleet has got. `lacking`: how many in scope do not run the version, by how they ended."""

    running: int
    lacking: Mapping[tuple[OutcomeKind, Reason], int]

    @property
    def of(self) -> int:
        """How many are in scope: ACTIVE and connected."""
        return self.running + sum(self.lacking.values())

    @property
    def whole(self) -> bool:
        """Whether every instance in scope runs the version, and there is one."""
        return self.running > 0 and not self.lacking

    def reaches(self, share: Amount | None) -> bool:
        """Say whether so many of them do (a percentage)."""
        return share is not None and self.running > 0 and Fraction(self.running, self.of) * 100 >= share.value

    @property
    def words(self) -> str:
        """Say who lacks it."""
        kinds = ", ".join(f"{count} {kind}({reason})" for (kind, reason), count in sorted(self.lacking.items()))
        return f"{self.running} of {self.of} instances run it" + (f"; {kinds}" if kinds else "")


def convergence(state: RunState) -> Convergence:
    """Judge a run by its outcomes (design section 6): refused and unreachable instances are in scope."""
    running, lacking = 0, Counter[tuple[OutcomeKind, Reason]]()
    for progress in state.instances.values():
        outcome = progress.outcome
        if outcome is None:
            lacking[OutcomeKind.UNVERIFIED, Reason.UNDER_WAY] += 1
        elif outcome.kind in _HAVE_IT:
            running += 1
        elif not _beside(progress, outcome):
            lacking[outcome.kind, outcome.reason] += 1
    return Convergence(running=running, lacking=lacking)


def _beside(progress: Progress, outcome: Outcome) -> bool:
    """Say whether convergence does without the instance: by its outcome, or since it is stopped and out of reach."""
    stopped = outcome.kind is OutcomeKind.UNREACHABLE and not progress.planned.instance.agent_connected
    return stopped or outcome.reason in _BESIDE


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """May AWSCURRENT follow? `why`: what speaks against it, or with which reservation it may."""

    go: bool
    why: str = ""


def may_promote(state: RunState, promote_at: Amount | None = None) -> Verdict:
    """Judge a run that has ended. One that was halted promotes nothing, whatever share it has reached."""
    found = convergence(state)
    if state.ended is None or state.halted is not None:
        why = state.halted.why if state.halted else "the run has not ended"
        return Verdict(go=False, why=f"{why} ({found.words})")
    if found.whole:
        return Verdict(go=True)
    if found.reaches(promote_at):
        weaker = f"--promote-at {promote_at} is a weaker promise than the whole fleet: {found.words}"
        return Verdict(go=True, why=weaker)
    return Verdict(go=False, why=found.words)
