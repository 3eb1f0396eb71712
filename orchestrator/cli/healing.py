"""What healing does beside its run: take delivered copies and old locks away."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from orchestrator.cli import loading
from orchestrator.cli.holding import Hold
from orchestrator.errors import EnvironmentFault


@contextmanager
def sweeping(hold: Hold, tell: Callable[[Sequence[str]], None]) -> Iterator[None]:
    """Remove every delivered copy of a credential after the run: the cluster is ours, so no living run uses one.

    `tell` is given the names of those that are gone, with the ones of whoever was taken over.
    """
    before = _copies(hold)
    yield
    _sweep(hold)
    left = _copies(hold)
    tell([name for name in before if name not in left])


def _sweep(hold: Hold) -> None:
    for depot in loading.depots(hold.parts, hold.others):
        try:
            for name in loading.sweep(hold.parts, depot):
                hold.say(f"removed the delivered copy {name} from {depot.words}")
        except EnvironmentFault as fault:
            hold.say(f"warning: delivered copies in {depot.words} were not removed: {fault.message} {fault.hint}")


def _copies(hold: Hold) -> tuple[str, ...]:
    """Name what lies in the stores that can be seen."""
    found: list[str] = []
    for depot in loading.depots(hold.parts, hold.others):
        with suppress(EnvironmentFault):  # the sweep tells of it
            found += [copy.name for copy in loading.leftovers(hold.parts, depot)]
    return tuple(found)
