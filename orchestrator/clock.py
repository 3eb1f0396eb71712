"""The one place that reads the time and waits."""

import threading
import time


class SystemClock:
    """Real time."""

    def __init__(self) -> None:
        self._interrupted = threading.Event()

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()  # noqa: TID251 - the one place

    def wait(self, seconds: float) -> None:
        """Wait that long, or until `interrupt` is called."""
        if self._interrupted.wait(seconds):
            self._interrupted.clear()

    def interrupt(self) -> None:
        """End the wait that is under way."""
        self._interrupted.set()
