"""The cluster's lock: SSM parameters `<prefix>/<cluster>/lock/<n>`, won by creating the next number.

Creating a parameter without overwrite is atomic, so a number has one owner. The largest number is never deleted,
so numbers only grow: the number is the fence that every document carries, and instances refuse a smaller one than
they have seen. Holder, heartbeat and release are written by the owner into its own parameter.

Whoever takes another owner over holds the cluster in its stead until its own run has begun: should it leave or die
before that, it is as if it had never come, but for the number.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from orchestrator.aws.owner import ALIVE_SECONDS, HEARTBEAT_SECONDS, Owner, held_by, owner_of, text_of
from orchestrator.aws.session import code_of, translated
from orchestrator.core.settings import typed
from orchestrator.errors import EnvironmentFault, LockedError, RefusedError
from orchestrator.ports import Clock

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

_ATTEMPTS = 5


class ClusterLock:
    """The lock of one cluster, for one run. Raises LockedError while another run holds it.

    `reach` and `delivery`: see Owner.
    """

    def __init__(  # noqa: PLR0913 - what an owner says of itself, each by name
        self,
        *,
        client: "SSMClient",
        clock: Clock,
        path: str,
        holder: str,
        run: str,
        reach: float = 0.0,
        delivery: str = "",
    ) -> None:
        self._client = client
        self._clock = clock
        self._path = path.rstrip("/") + "/lock"
        self._holder = holder
        self._run = run
        self._reach = reach
        self._delivery = delivery
        self._owner: Owner | None = None
        self._kept_at = 0.0
        self.fence = 0

    def acquire(self, *, take_over: bool = False, resumes: bool = False) -> Owner | None:
        """Win the next number; return the owner in whose stead we hold it until `begin`, if anybody held it.

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
            before = owner.last_begun if owner is not None and held else None
            now = self._clock.now()
            mine = Owner(
                holder=self._holder,
                run=self._run,
                since=now,
                heartbeat=now,
                reach=self._reach,
                unresolved=before.to_resolve if before else (),
                before=before,
                delivery=self._delivery,
                begun=resumes and before is None,
            )
            if owner is not None and resumes:  # what our first life sent and delivered counts for whoever takes us over
                first = owner if owner.run == self._run else owner.last_begun
                mine = replace(mine, since=first.since, unresolved=first.unresolved, delivery=first.delivery)
            if not self._create(number + 1, mine):
                continue
            if owner is not None and owner.before is not None and (latest := self._read(number)) and not latest.before:
                self._write(number + 1, latest)  # it began, or gave back, before it could see us: look again
                continue
            self.fence, self._owner, self._kept_at = number + 1, mine, now
            return before
        raise EnvironmentFault("The lock could not be won: others keep winning it.", hint="Run again a little later.")

    def owner(self) -> Owner | None:
        """Look who holds the cluster, if anybody does: one call; whoever acts on it acquires, which reads anew."""
        listed = self._listed()
        owner = self._owner_in(max(listed), listed[max(listed)]) if listed else None
        return owner if owner is not None and not owner.released else None

    def _check_resumable(self, owner: Owner, *, take_over: bool) -> None:
        ours = self._run in {owner.run, owner.last_begun.run}
        if not ours and not owner.released:
            raise held_by(owner, self._clock.now())
        if not ours:
            look = typed("heal", "--cluster", self._path.split("/")[-2], "--dry-run")
            raise RefusedError(
                f"The run {owner.run} has been at this cluster since; {self._run} cannot be resumed any more.",
                hint=f"`{look}` shows what it has left. A new run does the rest: who is current is left alone.",
            )
        silent = self._clock.now() - owner.heartbeat
        at_work = "at work on this run" if owner.run == self._run else f"there for the run {owner.run}, which took over"
        if not owner.released and silent < ALIVE_SECONDS and not take_over:
            raise LockedError(
                f"{owner.holder} may still be {at_work}: its last heartbeat is {silent:.0f} s old.",
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
        if newer and (newer.run, newer.holder) == (self._run, self._holder):
            again = "Nothing was begun: a new run can say --take-over."
            raise LockedError(
                "Somebody took this cluster over and gave it back; this run stops here.",
                hint=f"`ecs-rollout resume {self._run}` goes on with it." if newer.begun else again,
            )
        who = f"{newer.holder} took this cluster over (run {newer.run})" if newer else "the cluster's lock was deleted"
        raise LockedError(f"{who}; this run stops here.", hint="The newer run resolves what this one had begun.")

    def begin(self) -> None:
        """Write down that our own run has begun: from now on it is ours that others find, not the one taken over.

        Where we stand for another owner it raises LockedError when somebody took us over before that: looked for after
        it is written, so that whoever wins the next number meanwhile either reads it or is seen.
        """
        if self._owner is None:
            raise RuntimeError("the lock was never acquired")
        if self._owner.begun:
            return
        stood_for = self._owner.before
        self._owner = replace(self._owner, before=None, begun=True)
        self._write(self.fence, self._owner)
        if stood_for is not None:
            self.confirm()

    def release(self) -> None:
        """Let go. Our number stays, so that numbers never repeat."""
        if self._owner is None:
            return
        self._write(self.fence, replace(self._owner, heartbeat=self._clock.now(), released=True, before=None))
        self._owner = None

    def resolved(self) -> None:
        """Write down that nothing of those who were taken over is under way any more."""
        if self._owner is None:
            raise RuntimeError("the lock was never acquired")
        self._owner = replace(self._owner, unresolved=())
        self._write(self.fence, self._owner)

    def hand_back(self, predecessor: Owner) -> None:
        """Give the cluster back to the owner that was taken over: we have begun nothing.

        Our number stays the largest, so the old owner itself cannot go on with it; whoever comes next finds the
        old owner to resume or to resolve, not us.
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
            return owner_of(value)
        except (AttributeError, TypeError, ValueError) as error:
            raise EnvironmentFault(
                f"The lock {self._path}/{number} holds something that is not a lock.",
                hint="Find out who wrote to it; delete it only when no run is under way.",
            ) from error

    def _create(self, number: int, owner: Owner) -> bool:
        with translated("ssm:PutParameter"):
            try:
                self._client.put_parameter(Name=f"{self._path}/{number}", Value=text_of(owner), Type="String")
            except ClientError as error:
                if code_of(error) != "ParameterAlreadyExists":
                    raise
                # Ours after all when only the answer to an earlier attempt was lost on the way.
                return self._read(number) == owner
        return True

    def _write(self, number: int, owner: Owner) -> None:
        with translated("ssm:PutParameter"):
            self._client.put_parameter(
                Name=f"{self._path}/{number}", Value=text_of(owner), Type="String", Overwrite=True
            )
