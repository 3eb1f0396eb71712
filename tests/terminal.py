"""A real terminal for tests and for docs/screens: tmux, on a socket of its own."""

import itertools
import os
import shlex
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_NUMBERS = itertools.count()
_EVERY = 0.1


@dataclass(frozen=True)
class Terminal:
    """One window of a tmux server that nobody else uses."""

    program: tuple[str, ...]

    def tmux(self, *arguments: str) -> str:
        """Ask the server."""
        return subprocess.run([*self.program, *arguments], check=True, capture_output=True, text=True).stdout

    def screen(self) -> str:
        """What stands on the screen now."""
        return self.tmux("capture-pane", "-p").rstrip("\n")

    def everything(self) -> str:
        """The screen and what was scrolled away."""
        return self.tmux("capture-pane", "-p", "-J", "-S", "-").rstrip("\n")

    def keys(self, *keys: str) -> None:
        """Type, in tmux's words for keys."""
        self.tmux("send-keys", *keys)

    def type(self, line: str) -> None:
        """Type a line of text, and Enter."""
        self.tmux("send-keys", "-l", line)
        self.keys("Enter")

    def resize(self, columns: int, lines: int) -> None:
        """Change the terminal's size, as dragging its corner does."""
        self.tmux("resize-window", "-x", str(columns), "-y", str(lines))

    def wait(self, condition: Callable[[str], object], *, seconds: float = 120) -> str:
        """Give the first screen for which that is true; an AssertionError shows what stood there instead."""
        for _ in range(int(seconds / _EVERY)):
            seen = self.screen()
            if condition(seen):
                return seen
            threading.Event().wait(_EVERY)
        raise AssertionError(f"after {seconds} s the screen was still:\n{self.everything()}")


@contextmanager
def terminal(
    directory: Path, *command: str, columns: int, lines: int, environment: Mapping[str, str] | None = None
) -> Iterator[Terminal]:
    """Run a command in a terminal of this size; the screen stays after its end, until it is left."""
    socket = directory / f"tmux-{os.getpid()}-{next(_NUMBERS)}"
    program = ("tmux", "-S", str(socket), "-f", os.devnull)
    env = {name: value for name, value in os.environ.items() if name not in {"CI", "NO_COLOR", "TMUX"}}
    env |= {"TERM": "screen-256color", "LC_ALL": "C.UTF-8", **(environment or {})}
    line = f'trap : INT; {shlex.join(command)}; echo "[ended with $?]"; exec cat'
    options = ("set", "-g", "history-limit", "5000", ";", "new-session", "-d")
    size = ("-x", str(columns), "-y", str(lines))
    subprocess.run([*program, *options, *size, "sh", "-c", line], check=True, env=env)
    made = Terminal(program)
    try:
        made.tmux("set", "-g", "window-size", "manual")
        yield made
    finally:
        subprocess.run([*program, "kill-server"], check=False, capture_output=True)
