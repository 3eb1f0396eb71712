"""Who holds a cluster, as it stands in the lock: a run, those that it took over, and what is said of it."""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from orchestrator.errors import LockedError

HEARTBEAT_SECONDS = 30.0
ALIVE_SECONDS = 4 * HEARTBEAT_SECONDS
"""A heartbeat younger than this may be that of a living controller."""

_MINUTES_FROM = 600


@dataclass(frozen=True, slots=True)
class Predecessor:
    """A run that was taken over; its commands, sent after `since` (epoch seconds), may still be under way.

    `heartbeat`, `reach`, `delivery`: those of its last owner.
    """

    run: str
    since: float
    heartbeat: float = 0.0
    reach: float = 0.0
    delivery: str = ""

    def until(self, taken: float) -> float:
        """Say when none of its commands can begin any more; it was taken over at `taken`.

        Its owner looks at the lock right before it sends, and not without a heartbeat that is new enough: should it
        have slept since, what it sends when it wakes up has expired.
        """
        return min(self.heartbeat + HEARTBEAT_SECONDS, taken) + self.reach


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Who holds a number. Times in epoch seconds.

    `reach`: for how many seconds after a look at the lock a command of this owner may still begin. `unresolved`: whom
    this owner took over and has not seen the end of. `before`: the owner that was taken over, until our own run begins.
    `delivery`: the depot of what its run delivers, as text; empty for one that delivers nothing, and of older versions.
    `begun`: its run has begun, so its journal knows it; an older version's owner does not say, and may have.
    """

    holder: str
    run: str
    since: float
    heartbeat: float
    released: bool = False
    reach: float = 0.0
    unresolved: tuple[Predecessor, ...] = ()
    before: "Owner | None" = None
    delivery: str = ""
    begun: bool = True

    @property
    def last_begun(self) -> "Owner":
        """The owner whose run is the last one that began: whoever took it over and began nothing only stands for it."""
        return self.before or self

    @property
    def to_resolve(self) -> tuple[Predecessor, ...]:
        """Every run whose commands somebody who takes this owner over must see the end of."""
        own = Predecessor(self.run, self.since, self.heartbeat, self.reach, self.delivery)
        return (*self.unresolved, own)


def text_of(owner: Owner) -> str:
    """Write an owner down as it stands in the lock."""
    return json.dumps(asdict(owner))


def owner_of(text: str) -> Owner:
    """Read what `text_of` wrote, also by an older version. Raises AttributeError, TypeError, ValueError for another."""
    return _of_fields(json.loads(text))


def _of_fields(fields: dict[str, Any]) -> Owner:
    unresolved = tuple(Predecessor(**each) for each in fields.pop("unresolved", ()))
    before = fields.pop("before", None)
    return Owner(**fields, unresolved=unresolved, before=_of_fields(before) if before else None)


def held_by(owner: Owner, now: float) -> LockedError:
    """Say who holds a cluster, whether that one seems to live, and what can be done in either case."""
    silent = max(now - owner.heartbeat, 0.0)
    since = datetime.fromtimestamp(owner.since, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    ago = f"{silent:.0f} s" if silent < _MINUTES_FROM else f"{silent / 60:.0f} min"
    return LockedError(
        f"{owner.holder} holds this cluster since {since} (run {owner.run}, last heartbeat {ago} ago).",
        hint=_living(owner, now) if silent < ALIVE_SECONDS else _dead(owner, now),
    )


def _living(owner: Owner, now: float) -> str:
    last = owner.last_begun
    if owner.before:
        way = "It seems to be alive: wait until its run begins, or it leaves."
    elif owner.begun:
        way = f"It seems to be alive: wait until it has ended, or stop it by `ecs-rollout abort {owner.run}`."
    else:
        way = (
            "It seems to be alive, and has not begun: it looks at the instances, or waits for the answer to its "
            f"question at {owner.holder}. Answer it, or end it there."
        )
    if not last.begun:
        return f"{way} If it is dead for certain, a new run can say --take-over: {_first(owner, now)}."
    return (
        f"{way} If it is dead for certain: `ecs-rollout resume {last.run} --take-over`. A new run can say --take-over, "
        f"too: {_first(owner, now)}."
    )


def _dead(owner: Owner, now: float) -> str:
    last = owner.last_begun
    if not last.begun:
        return (
            "It seems to be dead, and had not begun: there is nothing to resume. A new run can say --take-over: "
            f"{_first(owner, now)}."
        )
    it = "the run that it took over" if owner.before else "it"
    return (
        f"It seems to be dead: `ecs-rollout resume {last.run}` goes on with {it}. For a new run, or where no journal "
        f"knows that one, say --take-over: {_first(owner, now)}."
    )


def _first(owner: Owner, now: float) -> str:
    """Say what a take-over waits for, and how long at least."""
    waits = max(each.until(now) for each in owner.last_begun.to_resolve) - now
    begin = f" or can still begin, {waits:.0f} s at least" if waits > 0 else ""
    return f"it first waits until nothing of the other one is under way{begin}"
