"""What -v says: which operations AWS is asked for, and how often. Names and counts, never a parameter."""

import logging
import threading
from collections import Counter

from orchestrator.cli import speech

_LOGGER = logging.getLogger("orchestrator.aws")


class Asked(logging.Handler):
    """Counts what is asked of AWS; says each operation when it is asked for the first time."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.calls: Counter[str] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        """Count one call, or one error that AWS answered with."""
        name = record.getMessage()
        self.calls[name] += 1
        # Other threads than the command's do not know who writes to the terminal.
        if self.calls[name] == 1 and threading.current_thread() is threading.main_thread():
            speech.say(f"asking AWS: {name}")


def listen() -> None:
    """Count from now on."""
    if not any(isinstance(each, Asked) for each in _LOGGER.handlers):
        _LOGGER.addHandler(Asked())
        _LOGGER.setLevel(logging.DEBUG)


def conclude() -> None:
    """Say the counts, and count no more."""
    for each in [each for each in _LOGGER.handlers if isinstance(each, Asked)]:
        _LOGGER.removeHandler(each)
        _LOGGER.setLevel(logging.NOTSET)
        lines = [f"  {count:>6}  {name}" for name, count in sorted(each.calls.items())]
        speech.say("\n".join(("asked of AWS:", *lines)) if lines else "asked of AWS: nothing")
