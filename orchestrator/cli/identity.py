"""Who works at this terminal."""

import getpass
import os
import socket


def who() -> str:
    """Say user and host, for whoever meets what we left: a lock, an approval."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = f"uid {os.getuid()}"
    return f"{user}@{socket.gethostname()}"
