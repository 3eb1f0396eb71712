"""What an operator may choose about a run, with defaults that surprise nobody (README, 'Defaults')."""

from dataclasses import dataclass, field

from orchestrator.core.amount import Amount

NONE = Amount(0, percent=False)
TEN_PERCENT = Amount(10, percent=True)

SSM_MIN_DELIVERY = 30
"""SendCommand's smallest delivery timeout in seconds (F70)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """Seconds. The order `verify + restore < watchdog < step` lets each inner one end before its outer one.

    `skew` is what an instance's clock may be behind or before ours: a part of `NotAfter`.
    """

    delivery: int = 60
    verify: int = 180
    restore: int = 120
    watchdog: int = 420
    step: int = 600
    connect: int = 180
    skew: int = 60

    def problem(self) -> str | None:
        """Say what is wrong with these numbers, if anything is."""
        if self.delivery < SSM_MIN_DELIVERY:
            return f"the delivery timeout must be at least {SSM_MIN_DELIVERY} s (SSM's own limit)"
        if not self.verify + self.restore < self.watchdog < self.step:
            return "the timeouts must satisfy verify + restore < watchdog < step"
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How many instances may be out of service at once, and when the run halts."""

    max_unavailable: Amount = TEN_PERCENT
    max_failures: Amount = NONE
    max_unreachable: Amount = TEN_PERCENT
    deadlines: Deadlines = field(default_factory=Deadlines)
