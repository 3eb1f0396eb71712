"""Two controllers at the same moment: exactly one acts, and the journal tells of that one alone."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest

from orchestrator.aws.lock import ClusterLock
from orchestrator.aws.owner import ALIVE_SECONDS
from orchestrator.clock import SystemClock
from orchestrator.core.events import Entry, Event, Resumed, RunEnded, RunStarted
from orchestrator.core.settings import Policy
from orchestrator.errors import LockedError
from orchestrator.journal.sqlite import SqliteJournal
from orchestrator.journal.store import RunJournal
from orchestrator.lab.access import ACCESS_KEY, SECRET_KEY
from orchestrator.lab.lab import Lab, LabThread
from orchestrator.lab.scenario import Scenario

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

ROUNDS = 100


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple["SSMClient", "SSMClient"]]:
    """Two clients, each with connections of its own; making one costs more than a round."""
    with LabThread(Lab(Scenario(), tmp_path_factory.mktemp("lab"))) as lab:
        found = [
            boto3.session.Session().client(
                "ssm",
                endpoint_url=lab.url,
                region_name="us-east-1",
                aws_access_key_id=ACCESS_KEY,
                aws_secret_access_key=SECRET_KEY,
            )
            for _ in range(2)
        ]
        yield found[0], found[1]


class Controller:
    """What a controller does first, with its real lock and its real journal: win, announce, confirm, act, let go."""

    def __init__(self, client: "SSMClient", path: str, run: str, file: Path, clock: SystemClock | None = None) -> None:
        self.run, self._file, self._clock = run, file, clock or SystemClock()
        self.lock = ClusterLock(client=client, clock=self._clock, path=path, holder=f"me ({run})", run=run)
        self.acted = False
        self.refusal = ""

    def begin(self, barrier: threading.Barrier, *, resumes: bool) -> None:
        """Start when all others do."""
        barrier.wait()
        try:
            self.lock.acquire(resumes=resumes)
            store = SqliteJournal(self._file)
            try:
                self._act(store, resumes=resumes)
            finally:
                store.close()
        except LockedError as error:
            self.refusal = error.message

    def _act(self, store: SqliteJournal, *, resumes: bool) -> None:
        if resumes:
            store.claim(self.run, self.lock.fence)
        journal = RunJournal(store, self.run, self.lock.fence)
        first: Event = Resumed(fence=self.lock.fence, holder="me") if resumes else started(self.run, self.lock.fence)
        journal.append([Entry(self._clock.now(), first)])
        self.lock.confirm()
        self.acted = True
        journal.append([Entry(self._clock.now(), RunEnded(result="ok"))])


def started(run: str, fence: int) -> RunStarted:
    return RunStarted(run=run, cluster="c", region="us-east-1", generation="", fence=fence, policy=Policy(), planned=())


def race(first: Controller, second: Controller, *, resumes: bool) -> list[Controller]:
    """Let both begin at once; give those that acted."""
    barrier = threading.Barrier(2)
    threads = [
        threading.Thread(target=each.begin, args=(barrier,), kwargs={"resumes": resumes}) for each in (first, second)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return [each for each in (first, second) if each.acted]


def kinds(file: Path, run: str) -> list[str]:
    store = SqliteJournal(file, read_only=True)
    try:
        return [type(each.event).__name__ for each in store.entries(run)]
    finally:
        store.close()


def runs(file: Path) -> list[str]:
    store = SqliteJournal(file, read_only=True)
    try:
        return [each.run for each in store.runs()]
    finally:
        store.close()


def test_of_two_new_runs_one_acts(clients: tuple["SSMClient", "SSMClient"], tmp_path: Path) -> None:
    """Each time exactly one wins; the other is told who holds the cluster, and has written nothing."""
    for number in range(ROUNDS):
        path, file = f"/ecs-rollout/new-{number}", tmp_path / "journal.db"
        pair = Controller(clients[0], path, f"a-{number}", file), Controller(clients[1], path, f"b-{number}", file)
        (winner,) = race(*pair, resumes=False)
        (loser,) = (each for each in pair if each is not winner)
        assert "holds this cluster since" in loser.refusal
        assert winner.run in loser.refusal
        assert [each for each in runs(file) if each in {pair[0].run, pair[1].run}] == [winner.run]
        assert kinds(file, winner.run) == ["RunStarted", "RunEnded"]


def test_of_two_that_resume_one_run_one_acts(clients: tuple["SSMClient", "SSMClient"], tmp_path: Path) -> None:
    """The same where both resume a run whose controller is long dead: the run has one new owner."""
    for number in range(ROUNDS):
        path, run, file = f"/ecs-rollout/again-{number}", f"run-{number}", tmp_path / "journal.db"
        dead = Controller(clients[0], path, run, file, clock=_Past())
        dead.lock.acquire()
        store = SqliteJournal(file)
        RunJournal(store, run, dead.lock.fence).append([Entry(1.0, started(run, dead.lock.fence))])
        store.close()
        pair = Controller(clients[0], path, run, file), Controller(clients[1], path, run, file)
        (winner,) = race(*pair, resumes=True)
        (loser,) = (each for each in pair if each is not winner)
        assert "may still be at work on this run" in loser.refusal
        assert kinds(file, run) == ["RunStarted", "Resumed", "RunEnded"]
        with pytest.raises(LockedError):
            dead.lock.confirm()


class _Past(SystemClock):
    """A clock of whoever died before."""

    def now(self) -> float:
        return super().now() - 2 * ALIVE_SECONDS
