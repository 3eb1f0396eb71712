"""Keep what is typed off a terminal that is drawn on: an echoed Enter would move the lines under the drawing hand."""

import contextlib
import os
import termios
from typing import TextIO

_LOCAL_MODES = 3


class Hush:
    """The echo of `stream`'s terminal, if it is one. What is typed is still read, and Ctrl-C is still a signal."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._echoing = False

    def begin(self) -> None:
        """Switch the echo off, where it is on."""
        with contextlib.suppress(OSError, termios.error):
            self._echoing = self._set(echo=False)

    def end(self) -> None:
        """Switch it on again, if `begin` has switched it off."""
        if self._echoing:
            self._echoing = False
            with contextlib.suppress(OSError, termios.error):
                self._set(echo=True)

    def _set(self, *, echo: bool) -> bool:
        """Set the echo; say whether that changed anything."""
        number = self._stream.fileno()
        if not os.isatty(number) or os.tcgetpgrp(number) != os.getpgrp():
            return False  # a job in the background that touches the terminal would be stopped
        modes = termios.tcgetattr(number)
        was = bool(modes[_LOCAL_MODES] & termios.ECHO)
        if was is echo:
            return False
        modes[_LOCAL_MODES] ^= termios.ECHO
        termios.tcsetattr(number, termios.TCSADRAIN, modes)
        return True
