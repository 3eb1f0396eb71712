"""Kill a controller at one point, let others go on, and say what was lost."""

import random
import re
import signal
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.errors import ExitCode
from tests.crash.controller import Controller, Point
from tests.crash.scenes import CLUSTER, QUICK, SCENES, State
from tests.crash.site import Site, first_words, losses, recover, site, words_of

_READS = re.compile("(Get|List|Describe|Query)")
KILLED = -9


@dataclass(frozen=True, slots=True)
class Kill:
    """One point of one story, with its journal here or shared."""

    scene: str
    state: State
    point: Point

    def __str__(self) -> str:
        return f"{self.scene}, {self.state}, {self.point}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What came of a kill. `reached`: whether the controller came to the point at all; `said`: by everybody."""

    kill: Kill
    reached: bool
    lost: tuple[str, ...]
    said: str


def kills_of(scene: str, state: State) -> list[Kill]:
    """Let the story go to its end, and name every point at which it could have been killed.

    Whatever writes counts on both sides of each call. A read changes nothing, so what is on its two sides is the same
    as beside the writes around it, but for the time: the first of each kind counts.
    """
    with site(SCENES[scene], state) as here:
        controller = here.start(*first_words(here))
        code = controller.wait()
        assert code in {0, 1}, controller.said
        assert not losses(here), (losses(here), controller.said)
        return [Kill(scene, state, point) for point in _points(controller.calls)]


def _points(calls: Iterable[str]) -> list[Point]:
    seen: Counter[str] = Counter()
    points: list[Point] = []
    for call in calls:
        seen[call] += 1
        reads = _READS.match(call) is not None
        if not reads or seen[call] == 1:
            points += [Point(call, seen[call], after) for after in ((False,) if reads else (False, True))]
    return points


def attempt(kill: Kill) -> Verdict:
    """Kill there, recover, look."""
    with site(SCENES[kill.scene], kill.state) as here:
        controller = here.start(*first_words(here), point=kill.point)
        code = controller.wait()
        here.age_lock()
        lives = recover(here) if code == KILLED else []
        lost = list(losses(here))
        if code not in {KILLED, 0, 1}:
            lost.append(f"the controller ended with {code}")
        lost += [f"{life.order.arguments[0]} ended with {life.process.exitcode}" for life in lives if _failed(life)]
        return Verdict(kill=kill, reached=code == KILLED, lost=tuple(lost), said=words_of([controller, *lives]))


def overtake(kill: Kill) -> Verdict:
    """Stop a controller there, let others take over and finish, and wake it: it must not do any more harm.

    What it may still do is the one call that it was about to make; `heal` must find what is left of that. One that had
    not won the cluster yet, or whose run had ended, is no old one: it ends as it would have.
    """
    with site(SCENES[kill.scene], kill.state) as here:
        old = here.start(*first_words(here), point=kill.point, number=signal.SIGSTOP)
        if not old.stops():
            return Verdict(kill=kill, reached=False, lost=(), said=old.said)
        held = here.holds(old)
        lives = recover(here)
        lost = [f"while it was stopped: {each}" for each in losses(here)]
        touched, entries = here.touched(), here.entries()
        old.signal(signal.SIGCONT)
        code = old.wait()
        here.quiet()
        if code != ExitCode.LOCKED and (held or code not in {ExitCode.OK, ExitCode.NOT_ALL_UPDATED, ExitCode.USAGE}):
            lost.append(f"the old controller ended with {code}")
        if held and here.touched() != touched:
            lost.append("the old controller changed an instance")
        if not entries.items() <= here.entries().items():
            lost.append("the old controller wrote to the journal")
        if any(_standing_or_left(here)):
            lives.append(here.start("heal", "--cluster", CLUSTER, "--yes", "--take-over", *QUICK))
            lives[-1].wait()
        lost += _standing_or_left(here)
        return Verdict(kill=kill, reached=True, lost=tuple(lost), said=words_of([old, *lives]))


def outwait(kill: Kill) -> Verdict:
    """Stop a controller there, let a run of another machine take over that knows nothing of it, and wake it.

    The new run waits until what the old one may still send has expired, so the old one changes nobody any more.
    """
    with site(SCENES[kill.scene], kill.state) as here:
        old = here.start(*first_words(here), point=kill.point, number=signal.SIGSTOP)
        if not old.stops():
            return Verdict(kill=kill, reached=False, lost=(), said=old.said)
        here.lose_journal()
        new = here.start(*here.scene.words, "--take-over")
        lost = [] if new.wait() == ExitCode.OK else [f"the new run ended with {new.process.exitcode}"]
        touched = here.touched()
        old.signal(signal.SIGCONT)
        code = old.wait()
        here.quiet()
        if code != ExitCode.LOCKED:
            lost.append(f"the old controller ended with {code}")
        if here.touched() != touched:
            lost.append("the old controller changed an instance")
        lost += _standing_or_left(here)
        return Verdict(kill=kill, reached=True, lost=tuple(lost), said=words_of([old, new]))


def _standing_or_left(here: Site) -> list[str]:
    """Say what is wrong with the cluster itself; of what was sent and begun in vain, reports tell."""
    return [each for each in losses(here) if "apply was sent" not in each and "has not ended" not in each]


def _failed(life: Controller) -> bool:
    """Say whether one that went on ended with anything but a report, where something was left to do."""
    return life.process.exitcode not in {0, 1} and "there is nothing to resume" not in life.said


def sample(kills: list[Kill], count: int, seed: str) -> list[Kill]:
    """Draw some, the same ones for the same seed."""
    return random.Random(seed).sample(kills, min(count, len(kills)))
