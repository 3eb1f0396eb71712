"""The cluster's lock: SSM parameters `<prefix>/<cluster>/lock/<n>`, won by creating the next number.

Creating a parameter without overwrite is atomic, so a number has one owner. The largest number is never deleted,
so numbers only grow: the number is the fence that every document carries, and instances refuse a smaller one than
they have seen. Holder, heartbeat and release are written by the owner into its own parameter.
"""

import json
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from orchestrator.aws.session import code_of, translated
from orchestrator.core.settings import typed
from orchestrator.errors import EnvironmentFault, LockedError, RefusedError
from orchestrator.ports import Clock

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

HEARTBEAT_SECONDS = 30.0
ALIVE_SECONDS = 4 * HEARTBEAT_SECONDS
"""A heartbeat younger than this may be that of a living controller."""

_ATTEMPTS = 5
_MINUTES_FROM = 600


@dataclass(frozen=True, slots=True)
class Predecessor:
    """A run that was taken over; its commands, sent after `since` (epoch seconds), may still be under way.

    `heartbeat`, `reach`: those of its last owner.
    """

    run: str
    since: float
    heartbeat: float = 0.0
    reach: float = 0.0

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
    this owner took over and has not seen the end of.
    """

    holder: str
    run: str
    since: float
    heartbeat: float
    released: bool = False
    reach: float = 0.0
    unresolved: tuple[Predecessor, ...] = ()

    @property
    def to_resolve(self) -> tuple[Predecessor, ...]:
        """Every run whose commands somebody who takes this owner over must see the end of."""
        return (*self.unresolved, Predecessor(self.run, self.since, self.heartbeat, self.reach))


class ClusterLock:
    """The lock of one cluster, for one run. Raises LockedError while another run holds it. `reach`: see Owner."""

    def __init__(
        self, *, client: "SSMClient", clock: Clock, path: str, holder: str, run: str, reach: float = 0.0
    ) -> None:
        self._client = client
        self._clock = clock
        self._path = path.rstrip("/") + "/lock"
        self._holder = holder
        self._run = run
        self._reach = reach
        self._owner: Owner | None = None
        self._kept_at = 0.0
        self.fence = 0

    def acquire(self, *, take_over: bool = False, resumes: bool = False) -> Owner | None:
        """Win the next number; return the owner that was taken over, if one was.

        Raises LockedError with who holds the lock since when, unless told to take it over: a stale heartbeat alone
        frees nothing. `resumes`: our run goes on with what it had begun itself, so the last owner must have been of
        this run; RefusedError otherwise, LockedError while its heartbeat is fresh and nobody said to take it over.
        """
        for _ in range(_ATTEMPTS):
            number, owner = self._largest()
            held = owner is not None and not owner.released
            if owner is not None and resumes:
                self._check_resumable(owner, take_over=take_over)
            elif owner is not None and held and not take_over:
                raise held_by(owner, self._clock.now())
            now = self._clock.now()
            mine = Owner(
                holder=self._holder,
                run=self._run,
                since=now,
                heartbeat=now,
                reach=self._reach,
                unresolved=_inherited(owner),
            )
            if owner is not None and resumes:  # our first life's commands count, too, for whoever takes us over
                mine = replace(mine, since=owner.since, unresolved=owner.unresolved)
            if self._create(number + 1, mine):
                self.fence, self._owner, self._kept_at = number + 1, mine, now
                return owner if held else None
        raise EnvironmentFault("The lock could not be won: others keep winning it.", hint="Run again a little later.")

    def owner(self) -> Owner | None:
        """Look who holds the cluster, if anybody does: one call; whoever acts on it acquires, which reads anew."""
        listed = self._listed()
        owner = self._owner_in(max(listed), listed[max(listed)]) if listed else None
        return owner if owner is not None and not owner.released else None

    def _check_resumable(self, owner: Owner, *, take_over: bool) -> None:
        if owner.run != self._run and not owner.released:
            raise held_by(owner, self._clock.now())
        if owner.run != self._run:
            look = typed("heal", "--cluster", self._path.split("/")[-2], "--dry-run")
            raise RefusedError(
                f"The run {owner.run} has been at this cluster since; {self._run} cannot be resumed any more.",
                hint=f"`{look}` shows what it has left. A new run does the rest: who is current is left alone.",
            )
        silent = self._clock.now() - owner.heartbeat
        if not owner.released and silent < ALIVE_SECONDS and not take_over:
            raise LockedError(
                f"{owner.holder} may still be at work on this run: its last heartbeat is {silent:.0f} s old.",
                hint=f"Wait {ALIVE_SECONDS - silent:.0f} s more, or say --take-over if it is dead for certain.",
            )

    def keep(self) -> None:
        """Where the heartbeat is due, confirm the lock and write it."""
        if self._owner is None:
            raise RuntimeError("the lock was never acquired")
        now = self._clock.now()
        if now - self._kept_at < HEARTBEAT_SECONDS:
            return
        self._kept_at = now
        self.confirm()
        self._owner = replace(self._owner, heartbeat=now)
        self._write(self.fence, self._owner)

    def confirm(self) -> None:
        """Raise LockedError when another owner has won a larger number."""
        numbers = self._numbers()
        if numbers and numbers[-1] == self.fence:
            return
        # A larger number, or none of ours any more: somebody won it, or has even swept it after us.
        newer = self._read(numbers[-1]) if numbers else None
        who = f"{newer.holder} took this cluster over (run {newer.run})" if newer else "the cluster's lock was deleted"
        raise LockedError(f"{who}; this run stops here.", hint="The newer run resolves what this one had begun.")

    def release(self) -> None:
        """Let go. Our number stays, so that numbers never repeat."""
        if self._owner is None:
            return
        self._write(self.fence, replace(self._owner, heartbeat=self._clock.now(), released=True))
        self._owner = None

    def resolved(self) -> None:
        """Write down that nothing of those who were taken over is under way any more."""
        if self._owner is None:
            raise RuntimeError("the lock was never acquired")
        self._owner = replace(self._owner, unresolved=())
        self._write(self.fence, self._owner)

    def hand_back(self, predecessor: Owner) -> None:
        """Give the cluster back to the owner that was taken over, whose commands we could not see the end of.

        Our number stays the largest, so the old owner itself cannot go on with it; whoever comes next finds the
        old owner to resolve, not us.
        """
        self._write(self.fence, predecessor)
        self._owner = None

    def sweep(self) -> None:
        """Delete the numbers below ours: only the largest is ever needed."""
        old = [number for number in self._numbers() if number < self.fence]
        for start in range(0, len(old), 10):
            with translated("ssm:DeleteParameters"):
                self._client.delete_parameters(Names=[f"{self._path}/{number}" for number in old[start : start + 10]])

    def _numbers(self) -> list[int]:
        return sorted(self._listed())

    def _listed(self) -> dict[int, str]:
        """List the numbers with what their owners wrote into them."""
        with translated("ssm:GetParametersByPath"):
            pages = self._client.get_paginator("get_parameters_by_path").paginate(Path=self._path)
            found = {each["Name"].rsplit("/", 1)[-1]: each["Value"] for page in pages for each in page["Parameters"]}
        return {int(name): value for name, value in found.items() if name.isdigit()}

    def _largest(self) -> tuple[int, Owner | None]:
        numbers = self._numbers()
        return (numbers[-1], self._read(numbers[-1])) if numbers else (0, None)

    def _read(self, number: int) -> Owner | None:
        with translated("ssm:GetParameter"):
            try:
                value = self._client.get_parameter(Name=f"{self._path}/{number}")["Parameter"]["Value"]
            except ClientError as error:
                if code_of(error) == "ParameterNotFound":
                    return None
                raise
        return self._owner_in(number, value)

    def _owner_in(self, number: int, value: str) -> Owner:
        try:
            fields = json.loads(value)
            before = tuple(Predecessor(**each) for each in fields.pop("unresolved", ()))
            return Owner(**fields, unresolved=before)
        except (AttributeError, TypeError, ValueError) as error:
            raise EnvironmentFault(
                f"The lock {self._path}/{number} holds something that is not a lock.",
                hint="Find out who wrote to it; delete it only when no run is under way.",
            ) from error

    def _create(self, number: int, owner: Owner) -> bool:
        with translated("ssm:PutParameter"):
            try:
                self._client.put_parameter(Name=f"{self._path}/{number}", Value=_text(owner), Type="String")
            except ClientError as error:
                if code_of(error) != "ParameterAlreadyExists":
                    raise
                # Ours after all when only the answer to an earlier attempt was lost on the way.
                return self._read(number) == owner
        return True

    def _write(self, number: int, owner: Owner) -> None:
        with translated("ssm:PutParameter"):
            self._client.put_parameter(Name=f"{self._path}/{number}", Value=_text(owner), Type="String", Overwrite=True)


def _text(owner: Owner) -> str:
    return json.dumps(asdict(owner))


def _inherited(owner: Owner | None) -> tuple[Predecessor, ...]:
    return owner.to_resolve if owner is not None and not owner.released else ()


def held_by(owner: Owner, now: float) -> LockedError:
    """Say who holds a cluster, whether that one seems to live, and what can be done in either case."""
    silent = max(now - owner.heartbeat, 0.0)
    since = datetime.fromtimestamp(owner.since, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    ago = f"{silent:.0f} s" if silent < _MINUTES_FROM else f"{silent / 60:.0f} min"
    waits = max(each.until(now) for each in owner.to_resolve) - now
    first = "it first waits until nothing of the other one is under way"
    if waits > 0:
        first += f" or can still begin, {waits:.0f} s at least"
    resume = f"`ecs-rollout resume {owner.run}"
    if silent < ALIVE_SECONDS:
        hint = (
            f"It seems to be alive: wait until it has ended, or stop it by `ecs-rollout abort {owner.run}`. If it is "
            f"dead for certain: {resume} --take-over`. A new run can say --take-over, too: {first}."
        )
    else:
        hint = (
            f"It seems to be dead: {resume}` goes on with it. For a new run, or where no journal knows that one, since "
            f"it died before it began, say --take-over: {first}."
        )
    return LockedError(
        f"{owner.holder} holds this cluster since {since} (run {owner.run}, last heartbeat {ago} ago).",
        hint=hint,
    )
