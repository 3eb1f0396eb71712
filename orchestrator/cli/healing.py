"""What healing does beside its run: take delivered copies and old locks away."""

from collections.abc import Callable

from orchestrator.cli import loading
from orchestrator.cli.compose import Parts
from orchestrator.errors import EnvironmentFault


def sweep(parts: Parts, say: Callable[[str], None]) -> None:
    """Remove every delivered copy of a credential: the cluster is ours, so no living run uses one."""
    try:
        for copy in loading.leftovers(parts):
            loading.take_away(parts, copy)
            say(f"removed the delivered copy {copy.name}")
    except EnvironmentFault as fault:
        say(f"warning: delivered copies were not removed: {fault.message} {fault.hint}")
