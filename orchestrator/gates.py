"""Gates on this machine: time windows, and a command of the user's own."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.core.gates import GateAnswer, TimeWindow, Word, ask_windows
from orchestrator.errors import EnvironmentFault

_GO, _HOLD = 0, 75
_LONGEST = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowGate:
    """Holds while no window is open, or one closes before an instance would be done (`needed` seconds)."""

    windows: tuple[TimeWindow, ...]
    needed: float
    deadline: float | None = None
    name: str = "window"

    def ask(self, now: float) -> GateAnswer:
        """Look at the clock."""
        return ask_windows(self.windows, now, needed=self.needed, deadline=self.deadline)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandGate:
    """Runs a command: exit 0 is go, 75 (EX_TEMPFAIL) hold, everything else stop. Its last line is the reason."""

    command: Sequence[str]
    seconds: float = 30.0
    name: str = "command"

    def ask(self, now: float) -> GateAnswer:  # noqa: ARG002 - the port's signature
        """Run it. Raises EnvironmentFault when it cannot be run or does not end."""
        hint = "Check --gate-command."
        try:
            done = subprocess.run(
                self.command, stdin=subprocess.DEVNULL, capture_output=True, timeout=self.seconds, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise EnvironmentFault(f"the command did not end within {self.seconds:.0f} s", hint=hint) from error
        except OSError as error:
            raise EnvironmentFault(f"the command cannot be run: {error.strerror}", hint=hint) from error
        said = (done.stdout.strip() or done.stderr.strip()).decode("utf-8", "replace").splitlines()
        word = {_GO: Word.GO, _HOLD: Word.HOLD}.get(done.returncode, Word.STOP)
        reason = said[-1][:_LONGEST] if said else f"the command ended with {done.returncode}"
        return GateAnswer(gate=self.name, word=word, reason=reason)
