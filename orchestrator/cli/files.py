"""Files that commands write: whole or not at all, and readable by their owner alone."""

import contextlib
import os
from pathlib import Path

from orchestrator.errors import EnvironmentFault, UsageError


def check_place(path: Path, what: str) -> None:
    """Raise UsageError where no `what` can be saved: said before anything is done, not after."""
    if path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise UsageError(f"No {what} can be saved as {path}.", hint="Name a file in a directory that you can write to.")


def save(path: Path, content: bytes, what: str) -> None:
    """Write `content` with mode 0600; a file that is there is replaced whole. Raises EnvironmentFault."""
    import tempfile

    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:  # mode 0600
            try:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
                Path(file.name).replace(path)
            except BaseException:
                with contextlib.suppress(OSError):
                    Path(file.name).unlink()
                raise
    except OSError as error:
        message = f"The {what} cannot be saved as {path}: {error.strerror}."
        raise EnvironmentFault(message, hint="Check --out.") from error
