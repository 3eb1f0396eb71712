"""What the API does to its callers: throttles, lags, loses and cuts, seeded and therefore repeatable.

Every chance is drawn from the seed and from what it is about (an instance, its n-th command), never from a shared
stream: the order in which concurrent calls arrive changes nothing.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from orchestrator.lab.wire import AwsError, Clock

Range = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A token bucket: `rate` calls per second in the long run, `burst` at once."""

    rate: float
    burst: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiFaults:
    """How the control plane behaves in a scenario; the defaults are a perfect one.

    Ranges are seconds to draw from, shares are 0..1. `list_lag`: how long lists do not know a new command (F73).
    `cut_connections`: the share of SendCommand calls that are carried out but never answered (F70).
    `lost_results`: the share of scripts of whose end nobody hears (F61); `late_results` come `late_by` later.
    `time_scale` shortens the service's own timeouts: at 0.1 a delivery timeout of 30 s passes in 3 s.
    """

    seed: int = 0
    throttle: Mapping[str, Rate] = field(default_factory=dict)
    latency: Range = (0.0, 0.0)
    list_lag: Range = (0.0, 0.0)
    delivery_delay: Range = (0.0, 0.0)
    result_delay: Range = (0.0, 0.0)
    lost_results: float = 0.0
    late_results: float = 0.0
    late_by: Range = (5.0, 30.0)
    cut_connections: float = 0.0
    lost_results_of: frozenset[str] = frozenset()
    undeliverable: frozenset[str] = frozenset()
    spaced_details: bool = False
    time_scale: float = 1.0


class Cut(StrEnum):
    """Where a connection breaks: before the request is carried out, or after (the answer is lost)."""

    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What happens to one call: an error instead of an answer, a broken connection, a delay, or nothing special."""

    error: AwsError | None = None
    cut: Cut | None = None
    delay: float = 0.0


class _Bucket:
    """The tokens left of one rate."""

    def __init__(self, rate: Rate, clock: Clock) -> None:
        self._rate = rate
        self._clock = clock
        self._tokens = rate.burst
        self._at = clock.now()

    def take(self) -> bool:
        """Take a token if there is one."""
        now = self._clock.now()
        refilled = self._tokens + (now - self._at) * self._rate.rate
        self._tokens = min(self._rate.burst, refilled)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Faults:
    """Decides what happens to each call and to each result.

    `undeliverable` and `lost` name instances whose commands never arrive, or whose results never come back;
    `spaced_details` chooses between the two spellings of StatusDetails (F74). A test may change them at any time.
    """

    def __init__(self, plan: ApiFaults, clock: Clock) -> None:
        self.plan = plan
        self.calls: Counter[str] = Counter()
        self.undeliverable = set(plan.undeliverable)
        self.lost = set(plan.lost_results_of)
        self.spaced_details = plan.spaced_details
        self._buckets = {operation: _Bucket(rate, clock) for operation, rate in plan.throttle.items()}
        self._planned: defaultdict[str, dict[int, Verdict]] = defaultdict(dict)

    def fail(self, operation: str, error: AwsError, *, call: int = 1, times: int = 1) -> None:
        """Answer the `call`-th call of `operation` from now (and `times - 1` after it) with `error`."""
        self._plan(operation, Verdict(error=error), call, times)

    def cut(self, operation: str, *, call: int = 1, times: int = 1, where: Cut = Cut.AFTER) -> None:
        """Break the connection of the `call`-th call from now; by default the request was carried out."""
        self._plan(operation, Verdict(cut=where), call, times)

    def hold(self, operation: str, seconds: float, *, call: int = 1, times: int = 1) -> None:
        """Make the `call`-th call from now wait `seconds` before it is carried out."""
        self._plan(operation, Verdict(delay=seconds), call, times)

    def verdict(self, operation: str) -> Verdict:
        """Count one call of `operation` and decide about it."""
        self.calls[operation] += 1
        number = self.calls[operation]
        planned = self._planned[operation].pop(number, None)
        if planned is not None:
            return planned
        bucket = self._buckets.get(operation)
        if bucket is not None and not bucket.take():
            return Verdict(error=AwsError("ThrottlingException", "Rate exceeded"))
        lost = operation == "SendCommand" and self._happens(self.plan.cut_connections, "cut", number)
        delay = self._draw(self.plan.latency, "latency", operation, number)
        return Verdict(cut=Cut.AFTER if lost else None, delay=delay)

    def list_lag(self, command: int) -> float:
        """Seconds for which the lists do not know the `command`-th command yet (F73)."""
        return self._draw(self.plan.list_lag, "list-lag", command)

    def delivery_delay(self, instance_id: str, ordinal: int) -> float:
        """Seconds until the instance's SSM agent hears of its `ordinal`-th command."""
        return self._draw(self.plan.delivery_delay, "delivery", instance_id, ordinal)

    def result_delay(self, instance_id: str, ordinal: int) -> float:
        """Seconds between the script's end and the service knowing of it (F61)."""
        usual = self._draw(self.plan.result_delay, "result", instance_id, ordinal)
        if self._happens(self.plan.late_results, "late", instance_id, ordinal):
            return usual + self._draw(self.plan.late_by, "late-by", instance_id, ordinal)
        return usual

    def loses_result(self, instance_id: str, ordinal: int) -> bool:
        """Say whether the document worker dies with the result: the script ran, nobody ever says so (F61)."""
        return instance_id in self.lost or self._happens(self.plan.lost_results, "lost", instance_id, ordinal)

    def spare(self, instance_id: str) -> None:
        """Let commands reach an instance from now on, and their results come back."""
        self.undeliverable.discard(instance_id)
        self.lost.discard(instance_id)

    def _plan(self, operation: str, verdict: Verdict, call: int, times: int) -> None:
        first = self.calls[operation] + call
        for number in range(first, first + times):
            self._planned[operation][number] = verdict

    def _happens(self, share: float, *about: object) -> bool:
        return share > 0 and self._chance(*about) < share

    def _draw(self, span: tuple[float, float], *about: object) -> float:
        low, high = span
        return low if low == high else low + (high - low) * self._chance(*about)

    def _chance(self, *about: object) -> float:
        return random.Random(repr((self.plan.seed, *about))).random()
