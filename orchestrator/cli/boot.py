"""What new instances boot with: looked at before a run, and given the credential after one that left nobody behind."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from orchestrator.aws.boot_config import BootChange, BootConfigs
from orchestrator.cli.compose import Parts
from orchestrator.core.overlap import everybody_has_it
from orchestrator.core.source import S3Source
from orchestrator.core.state import RunState
from orchestrator.errors import EnvironmentFault, RolloutError
from orchestrator.report.after import BootKept, BootRow

_LEFT = "new instances boot with what stands there already, since this run left instances behind or left some out"


@dataclass(slots=True, kw_only=True)
class Boots:
    """The boot configurations that were named. `rows`, `errors`: what became of them, and what went wrong."""

    parts: Parts
    sources: Sequence[S3Source]
    say: Callable[[str], None]
    rows: list[BootRow] = field(default_factory=list)
    errors: list[RolloutError] = field(default_factory=list)
    due: bool = False
    """Whether one of them lacks the credential, as `announce` has seen."""

    def announce(self) -> None:
        """Say of each whether it would change. Raises RolloutError where one could not be written: nothing is touched.

        A failure at the end of a run would come too late for what can be seen at its beginning.
        """
        for each in self.sources:
            found = self._of(each).plan(self.parts.credential.lines)
            self._warn(found)
            self.due = self.due or found.changed
            self.say(f"{each}: " + ("gets the credential after the run" if found.changed else "holds the credential"))

    def keep(self, state: RunState) -> None:
        """Write them, where the run left nobody behind and its lock is still ours. What fails is kept, not raised."""
        whole = everybody_has_it(state)
        self.rows.extend(self._keep(each, whole=whole) for each in self.sources)

    def _keep(self, source: S3Source, *, whole: bool) -> BootRow:
        place = str(source)
        if not whole:
            return BootRow(place=place, result=BootKept.LEFT, message=_LEFT)
        try:
            self.parts.lock.confirm()
            found = self._of(source).write(self.parts.credential.lines)
        except RolloutError as error:
            message = f"The fleet has the credential, {place} has not: {error.message}"
            self.errors.append(EnvironmentFault(message, hint=error.hint))
            return BootRow(place=place, result=BootKept.FAILED, message=f"{error.message} {error.hint}")
        self._warn(found)
        return BootRow(place=place, result=BootKept.UPDATED if found.changed else BootKept.CURRENT)

    def _of(self, source: S3Source) -> BootConfigs:
        return BootConfigs(client=self.parts.session.s3(), source=source, wait=self.parts.clock.wait)

    def _warn(self, found: BootChange) -> None:
        for warning in found.warnings:
            self.say(f"warning: {warning}")
