"""Who of a run is where: its instances by phase, wave and zone.

Kept in indexes, so that a tick costs what is in flight, not what is in the fleet.
"""

from collections import Counter
from dataclasses import dataclass, field

from orchestrator.core.lifecycle import AT_WORK, Phase
from orchestrator.core.model import UNSCOPED, Planned


@dataclass(slots=True)
class Roster:
    """The keys of the instances whose lifecycle has not ended. Change it only with `join`, `move` and `replan`.

    `phases` holds who is in each phase, `waiting` who was not begun by wave, `last_wave` the last that ever had one,
    `in_flight` who holds a place of the window and `zones` how many of them are in each zone. Of all that have joined,
    `zone_sizes` counts those in scope by zone, and `in_scope` altogether.
    """

    phases: dict[Phase, dict[str, None]] = field(default_factory=lambda: {phase: {} for phase in Phase})
    waiting: dict[int, dict[str, None]] = field(default_factory=dict)
    last_wave: int = 0
    in_flight: dict[str, None] = field(default_factory=dict)
    zones: Counter[str] = field(default_factory=Counter)
    zone_sizes: Counter[str] = field(default_factory=Counter)
    in_scope: int = 0

    @property
    def queue(self) -> dict[str, None]:
        """Who was not begun."""
        return self.phases[Phase.QUEUED]

    def join(self, planned: Planned) -> None:
        """Take in an instance that nothing is known of yet."""
        if planned.decision.reason not in UNSCOPED:
            self.zone_sizes[planned.instance.zone] += 1
            self.in_scope += 1
        self._wait(planned)

    def move(self, planned: Planned, source: Phase, target: Phase | None) -> None:
        """Let an instance go from one phase to another, or with None to its end."""
        key = planned.key
        del self.phases[source][key]
        if source in AT_WORK:
            del self.in_flight[key]
            self.zones[planned.instance.zone] -= 1
        elif source is Phase.QUEUED:
            del self.waiting[planned.wave][key]
        if target is None:
            return
        if target is Phase.QUEUED:
            self._wait(planned)
            return
        self.phases[target][key] = None
        if target in AT_WORK:
            self.in_flight[key] = None
            self.zones[planned.instance.zone] += 1

    def replan(self, before: Planned, now: Planned) -> None:
        """Let an instance that is not begun wait as another plan says."""
        self.move(before, Phase.QUEUED, None)
        self._wait(now)

    def _wait(self, planned: Planned) -> None:
        self.phases[Phase.QUEUED][planned.key] = None
        self.waiting.setdefault(planned.wave, {})[planned.key] = None
        self.last_wave = max(self.last_wave, planned.wave)
