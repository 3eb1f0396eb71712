"""What an operator may choose about a run, with defaults that surprise nobody (README, 'Defaults')."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from orchestrator.core.amount import Amount

NONE = Amount(0, percent=False)
TEN_PERCENT = Amount(10, percent=True)
EVERYTHING = Amount(100, percent=True)

OptionValue = str | int | float | bool | list[str]
"""One flag's value as it was written; a list for a flag that may be repeated."""


def spelled(options: Mapping[str, OptionValue | None]) -> tuple[str, ...]:
    """Write flags by their names as words of a command line; None, and a switch that is off, are left out."""
    found: list[str] = []
    for name, value in options.items():
        flag = f"--{name.replace('_', '-')}"
        if value is None or isinstance(value, bool):
            found += [flag] if value else []
        else:
            found += [word for each in (value if isinstance(value, list) else [value]) for word in (flag, str(each))]
    return tuple(found)


def typed(*words: str) -> str:
    """Write a command of ours, given word by word without its first, as it can be typed."""
    return shlex.join(("ecs-rollout", *words))


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

    @property
    def expiry(self) -> int:
        """For how long after its controller's last look at the lock a command may begin, by our clock: `NotAfter`."""
        return self.delivery + self.skew

    @property
    def reach(self) -> int:
        """The same by the clock of an instance that is behind."""
        return self.expiry + self.skew

    def problem(self) -> str | None:
        """Say what is wrong with these numbers, if anything is."""
        if self.delivery < SSM_MIN_DELIVERY:
            return f"the delivery timeout must be at least {SSM_MIN_DELIVERY} s (SSM's own limit)"
        if not self.verify + self.restore < self.watchdog < self.step:
            return "the timeouts must satisfy verify + restore < watchdog < step"
        return None


class VerifyLogin(StrEnum):
    """Which instances try the login that they get themselves: the new one, or the old one that a restore brings."""

    NEVER = "never"
    CANARY = "canary"
    ALWAYS = "always"


class ZoneOrder(StrEnum):
    """How the order of admission treats availability zones."""

    SPREAD = "spread"
    ONE_BY_ONE = "one-by-one"


class OnEphemeral(StrEnum):
    """What to do with an instance whose agent keeps no state: leave it, drain it first, or change it all the same."""

    REFUSE = "refuse"
    DRAIN = "drain"
    FORCE = "force"


class StandaloneTasks(StrEnum):
    """What to do with tasks that draining does not move, since they belong to no service (F81)."""

    WAIT = "wait"
    STOP = "stop"
    SKIP = "skip"


class OnHalt(StrEnum):
    """What becomes of the instances that a halted run had updated."""

    KEEP = "keep"
    RESTORE = "restore"


class Word(StrEnum):
    """What a gate says."""

    GO = "go"
    HOLD = "hold"
    STOP = "stop"


Budget = tuple[Amount, ...]
"""How many may be: each amount alone halts the run when it is exceeded; none at all means no limit."""


def allowed(budget: Budget, in_scope: int) -> int | None:
    """Say how many a budget allows of so many; None for no limit."""
    return min((amount.of(in_scope, at_least=0) for amount in budget), default=None)


WAVES = (Amount(1, percent=False), TEN_PERCENT, Amount(50, percent=True), EVERYTHING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How many instances may be out of service at once, in which waves, and when the run halts.

    `waves`: cumulative, of the instances to change; the last is always everything. `bake`: seconds between waves.
    `gate_timeout`: seconds for which a gate may fail to answer. `limit`: how many are changed at most, of those in
    scope; None for all. `seed`: of the order among equals; empty for the cluster's name. `approve`: every wave after
    the canary is approved by a person, within `approve_timeout` seconds. `drain_timeout`: seconds until an instance
    must be without tasks.
    """

    waves: tuple[Amount, ...] = WAVES
    bake: int = 0
    zones: ZoneOrder = ZoneOrder.SPREAD
    limit: Amount | None = None
    seed: str = ""
    max_unavailable: Amount = TEN_PERCENT
    max_unavailable_per_zone: Amount | None = None
    max_failures: Budget = (NONE,)
    max_unreachable: Budget = (TEN_PERCENT,)
    max_refused: Budget = ()
    gate_timeout: int = 1800
    approve: bool = False
    approve_timeout: int = 24 * 3600
    on_ephemeral: OnEphemeral = OnEphemeral.REFUSE
    standalone_tasks: StandaloneTasks = StandaloneTasks.WAIT
    drain_timeout: int = 1800
    on_halt: OnHalt = OnHalt.KEEP
    verify_login: VerifyLogin = VerifyLogin.NEVER
    deadlines: Deadlines = field(default_factory=Deadlines)

    def back(self) -> "Policy":
        """Give the policy under which a halted run is taken back: what made it halt does not keep that from happening.

        Who was unreachable or refused still is, and would halt it before anybody had the old state back; a restore
        that fails does halt it. No gate is asked and nobody approves, so bake time would be heeded by nobody.
        """
        return replace(
            self,
            approve=False,
            bake=0,
            limit=None,
            max_unreachable=(),
            max_refused=(),
            on_halt=OnHalt.KEEP,
            verify_login=VerifyLogin.ALWAYS,
        )
