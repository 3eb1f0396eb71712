"""What healing does beside its run: take delivered copies and old locks away."""

from orchestrator.cli import loading
from orchestrator.cli.holding import Hold
from orchestrator.errors import EnvironmentFault


def sweep(hold: Hold) -> None:
    """Remove every delivered copy of a credential: the cluster is ours, so no living run uses one."""
    for depot in loading.depots(hold.parts, hold.others):
        try:
            for name in loading.sweep(hold.parts, depot):
                hold.say(f"removed the delivered copy {name} from {depot.words}")
        except EnvironmentFault as fault:
            hold.say(f"warning: delivered copies in {depot.words} were not removed: {fault.message} {fault.hint}")
