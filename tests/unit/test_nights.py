"""A year of nights, and rotations that are killed at random and started again: on a virtual clock."""

import random
from collections import Counter
from dataclasses import dataclass, field

import pytest

from orchestrator.core.amount import Amount
from orchestrator.core.events import Promoted, Promoting
from orchestrator.core.model import Ping, Status
from orchestrator.core.overlap import Overlap, Verdict
from orchestrator.core.settings import Policy
from orchestrator.core.windows import TimeWindow
from orchestrator.errors import ExitCode
from orchestrator.gates import WindowGate
from tests.fake_fleet import Host, VirtualClock, World
from tests.rotations import Book, KilledError, Life, NightCrew, Secret, a_night

DAY = 86_400
NEW_YEAR = 1_767_225_600.0
"""A midnight, so that windows mean the same every night."""
POLICY = Policy(max_unavailable=Amount(25, percent=True), max_unreachable=(Amount(50, percent=True),))
CROWDED = 20
"""Instances above which more leave than come: a year must not cost what a growing fleet costs."""
CALM = 360
"""The night from which on nothing more goes wrong, so that everybody can have caught up by the end."""
TROUBLES = ("failed", "rolled_back", "lost", "lost_restored", "undelivered", "garbage", "refused", "lost_updated")


@dataclass
class Registry:
    """Accepts the logins that were made and not revoked; revokes older ones only once we said that nobody uses them."""

    made: list[str]
    revoked: set[str] = field(default_factory=set)

    def hear(self, found: Overlap) -> None:
        if found.verdict is Verdict.UNUSED:
            self.revoked |= set(self.made[: self.made.index(found.wanted)])


@dataclass
class Year:
    """A cluster whose credential is renewed now and then, whose instances come and go, and whose nights go wrong."""

    chance: random.Random
    world: World
    secret: Secret
    book: Book
    registry: Registry
    seen: Counter[str] = field(default_factory=Counter)

    @property
    def living(self) -> list[Host]:
        return [host for host in self.world.hosts.values() if host.status is not None]

    def hear(self, found: Overlap) -> None:
        """Let the registry act on our word at once, and see that nobody is hurt."""
        self.seen[found.verdict] += 1
        self.registry.hear(found)
        self.check()

    def check(self) -> None:
        """Whoever is there, or on the way, holds a login that the registry accepts."""
        for host in self.living:
            assert host.generation not in self.registry.revoked, (self.world.clock.now(), host)

    def moved(self, version: str) -> None:
        """See that AWSCURRENT is not ahead: whoever is ACTIVE, connected and was there before runs the version."""
        now = self.world.clock.now()
        for host in self.living:
            if host.status is Status.ACTIVE and host.connected and host.joins_at <= now - 60:
                assert host.generation == version, (now, host)

    def day(self, night: int) -> None:
        """By day instances leave and are launched, what was wrong is mended; every third day there is a new login."""
        for host in self.living:
            host.behaviour, host.ping, host.connected = "updated", Ping.ONLINE, True
        leaving = min(self.chance.choice((0, 0, 1, 2)) + (len(self.living) > CROWDED), len(self.living) - 8)
        for host in self.chance.sample(self.living, k=max(leaving, 0)):
            host.status = None
        for _ in range(self.chance.choice((0, 0, 1, 2))):
            self.launch(self.world.clock.now())
        if night % 3 == 0:
            version = f"{night:032x}"
            self.secret.put(version, current=self.chance.random() < 0.2)

    def launch(self, at: float) -> None:
        """Start an instance: it reads what it boots with now, and joins the cluster some time later."""
        name = f"i-{self.seen['launched'] + 1000:017x}"
        self.seen["launched"] += 1
        joins_at = at + self.chance.choice((0, 60, 600))
        host = Host(name, zone=self.chance.choice("abc"), generation=self.book.boot, run="boot", joins_at=joins_at)
        self.world.hosts[name] = host

    def trouble(self) -> None:
        """On some nights something is wrong with some instances, or with AWS."""
        if self.chance.random() < 0.25:
            for host in self.chance.sample(self.living, k=self.chance.randint(1, 3)):
                host.behaviour = self.chance.choice(TROUBLES)
        if self.chance.random() < 0.2:
            host = self.chance.choice(self.living)
            host.ping, host.connected = Ping.CONNECTION_LOST, self.chance.random() < 0.5
        if self.chance.random() < 0.2:
            self.launch(self.world.clock.now() + self.chance.choice((30, 120)))
        if self.chance.random() < 0.05:
            self.world.deaf_until = self.world.clock.now() + 300

    def night(self, night: int) -> ExitCode | None:
        """Start what the schedule starts; None where it was killed."""
        clock = self.world.clock
        life = Life(self.chance.randint(0, 150), after=self.chance.random() < 0.5) if night % 7 == 3 else Life()
        window = WindowGate(windows=(TimeWindow.parse("Mon-Sun 02:00-05:00 UTC"),), needed=60.0)
        ends = clock.now() + 3 * 3600
        crew = NightCrew(
            world=self.world,
            book=self.book,
            policy=POLICY,
            night=night,
            gates=(window,),
            members=lambda: frozenset(host.instance_id for host in self.living),
            wrap=life.wrap,
            stop_requested=lambda: "out of time" if clock.now() > ends else "",
        )
        try:
            code = a_night(self.secret, crew)
        except KilledError:
            self.seen["killed"] += 1
            return None
        self.seen[f"exit {code}"] += 1
        return code


def test_a_year_of_nights() -> None:
    """365 nights with renewals, faults, deaths, windows, one missed: nobody is stranded, the label never leads.

    The registry revokes an old login at the moment of our own word; each failure is followed by a notice.
    """
    first = "f" * 32
    world = World(
        [Host(f"i-{number:017x}", zone="abc"[number % 3], generation=first, run="boot") for number in range(12)],
        VirtualClock(NEW_YEAR),
    )
    secret, book = Secret(first, made=[first]), Book(boot=first)
    year = Year(random.Random(7), world, secret, book, Registry(secret.made))
    book.hear, secret.moved = year.hear, year.moved
    for night in range(1, 366):
        year.day(night)
        world.clock.wait(NEW_YEAR + night * DAY + year.chance.choice((1.5, 2.5)) * 3600 - world.clock.now())
        if night < CALM:
            year.trouble()
        if night == 100:
            continue  # the schedule was missed
        code = year.night(night)
        year.check()
        if code not in {None, ExitCode.OK}:
            assert any(notice.startswith(f"{night}: ") for notice in book.notices), (night, code)
    assert secret.current == book.boot == secret.made[-1], "by the end everybody has caught up"
    assert {host.generation for host in year.living} <= {secret.current}
    assert len(secret.moves) == len(set(secret.moves)) > 60, "no version is promoted twice"
    assert len(year.registry.revoked) > 90
    assert year.seen["killed"] > 20
    assert min(year.seen["exit 0"], year.seen["exit 1"]) > 20, year.seen
    assert min(year.seen[verdict] for verdict in Verdict) > 5, year.seen


@pytest.mark.parametrize("seed", range(100))
def test_killed_anywhere_and_started_again(seed: int) -> None:
    """Killed at a random call and started again until it is through: everybody has it, and it is promoted once."""
    chance = random.Random(seed)
    hosts = [Host(f"i-{number:017x}", zone="abc"[number % 3], generation="old", run="boot") for number in range(6)]
    world = World(hosts, VirtualClock())
    secret, book = Secret("old", "new", made=["old", "new"]), Book(boot="old")
    deaths = 0
    for night in range(12):
        # One that lives on takes about 230 calls, so the first night never does.
        life = Life(chance.randint(0, 120), after=chance.random() < 0.5) if night < 8 else Life()
        crew = NightCrew(world=world, book=book, policy=POLICY, night=night, wrap=life.wrap)
        try:
            if a_night(secret, crew) is ExitCode.OK and book.boot == "new":
                break
        except KilledError:
            deaths += 1
            world.clock.wait(chance.choice((5, 600, DAY)))
    assert deaths
    assert {host.generation for host in hosts} == {"new"}
    assert all(host.applies == 1 for host in hosts)
    assert secret.moves == [("old", "new")]
    assert book.boot == "new"
    entries = [entry.event for journal in book.runs.values() for entry in journal.entries]
    assert sum(isinstance(event, Promoted) for event in entries) <= 1 <= sum(isinstance(e, Promoting) for e in entries)
