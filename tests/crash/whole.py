"""`make crash`: kill or stop controllers at every point of every story; say how many were tried and what was lost."""

import argparse
import multiprocessing
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed

from orchestrator.clock import SystemClock
from tests.crash.scenes import SCENES, State
from tests.crash.trying import Kill, Verdict, attempt, kills_of, overtake, sample


def _verdicts(what: Callable[[Kill], Verdict], kills: list[Kill], pool: ProcessPoolExecutor) -> Iterator[Verdict]:
    for done in as_completed([pool.submit(what, kill) for kill in kills]):
        verdict = done.result()
        mark = "LOST" if verdict.lost else "ok" if verdict.reached else "not reached"
        sys.stdout.write(f"{mark}: {verdict.kill}\n")
        if verdict.lost:
            sys.stdout.write("".join(f"    {each}\n" for each in verdict.lost) + verdict.said + "\n")
        sys.stdout.flush()
        yield verdict


def main() -> int:
    """Try them, and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--points", type=int, default=0, help="only so many of each story, drawn with --seed")
    parser.add_argument("--seed", default="")
    parser.add_argument("--stop", action="store_true", help="stop and overtake them instead of killing them")
    parser.add_argument("--scene", choices=sorted(SCENES), action="append")
    parser.add_argument("--state", choices=[state.value for state in State], action="append")
    wanted = parser.parse_args()
    clock = SystemClock()
    began = clock.now()
    stories = [
        (scene, State(state))
        for scene in wanted.scene or SCENES
        for state in wanted.state or State
        if State(state) in SCENES[scene].states
    ]
    with ProcessPoolExecutor(wanted.workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        found = list(pool.map(kills_of, *zip(*stories, strict=True)))
        kills = [
            kill for each in found for kill in (sample(each, wanted.points, wanted.seed) if wanted.points else each)
        ]
        verdicts = list(_verdicts(overtake if wanted.stop else attempt, kills, pool))
    reached = [each for each in verdicts if each.reached]
    lost = [each for each in verdicts if each.lost]
    stories_tried = Counter(f"{each.kill.scene} ({each.kill.state})" for each in reached)
    for story, count in sorted(stories_tried.items()):
        sys.stdout.write(f"{count:5} {story}\n")
    done = "stopped, overtaken and woken" if wanted.stop else "killed"
    sys.stdout.write(
        f"{len(reached)} points tried, controllers {done}, in {clock.now() - began:.0f} s "
        f"({len(verdicts) - len(reached)} more were not reached): "
        + (f"something was lost at {len(lost)}\n" if lost else "nothing was lost\n")
    )
    return 1 if lost or not reached else 0


if __name__ == "__main__":
    sys.exit(main())
