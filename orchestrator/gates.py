"""Gates on this machine: time windows, and a command of the user's own."""

import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.core.gates import GateAnswer
from orchestrator.core.settings import Word
from orchestrator.core.windows import Deadline, TimeWindow, ask_windows
from orchestrator.errors import EnvironmentFault, UsageError

_GO, _HOLD = 0, 75
_LONGEST = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowGate:
    """Holds while no window is open, or one closes before an instance would be done (`needed` seconds)."""

    windows: tuple[TimeWindow, ...]
    needed: float
    deadline: Deadline | None = None
    name: str = "window"

    def ask(self, now: float) -> GateAnswer:
        """Look at the clock."""
        return ask_windows(self.windows, now, needed=self.needed, deadline=self.deadline)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandGate:
    """Runs a command: exit 0 is go, 75 (EX_TEMPFAIL) hold, everything else stop. Its last line is the reason.

    It has our environment, with the run and the cluster in it.
    """

    command: Sequence[str]
    run: str
    cluster: str
    seconds: float = 30.0
    name: str = "command"

    def require(self) -> None:
        """Raise UsageError where there is no such command; it is not run."""
        if shutil.which(self.command[0]) is None:
            raise UsageError(f"There is no command {self.command[0]} that could be run.", hint="Check --gate-command.")

    def ask(self, now: float) -> GateAnswer:  # noqa: ARG002 - the port's signature
        """Run it. Raises UsageError when it cannot be run, EnvironmentFault when it does not end."""
        hint = "Check --gate-command."
        try:
            # In a session of its own: Ctrl-C is for us, and what it started ends with it.
            process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, "ECS_ROLLOUT_RUN": self.run, "ECS_ROLLOUT_CLUSTER": self.cluster},
                start_new_session=True,
            )
        except OSError as error:
            raise UsageError(f"The gate's command cannot be run: {error.strerror}.", hint=hint) from error
        try:
            out, err = _finish(process, self.seconds)
        except subprocess.TimeoutExpired as error:
            raise EnvironmentFault(f"The gate's command did not end in {self.seconds:.0f} s.", hint=hint) from error
        said = (out.strip() or err.strip()).decode("utf-8", "replace").splitlines()
        word = {_GO: Word.GO, _HOLD: Word.HOLD}.get(process.returncode, Word.STOP)
        reason = said[-1][:_LONGEST] if said else f"the command ended with {process.returncode}"
        return GateAnswer(gate=self.name, word=word, reason=reason)


def _finish(process: subprocess.Popen[bytes], seconds: float) -> tuple[bytes, bytes]:
    with process:
        try:
            return process.communicate(timeout=seconds)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)  # it was not waited for yet, so the id is still its own
            raise
