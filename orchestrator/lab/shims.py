"""Installs the instance's own docker, systemctl and systemd-run: small shell scripts from host_bin/."""

import stat
from importlib import resources
from pathlib import Path

NAMES = ("docker", "systemctl", "systemd-run")
_EXECUTABLE = stat.S_IRWXU | stat.S_IRGRP | stat.S_IXGRP | stat.S_IROTH | stat.S_IXOTH


def install_shims(root: Path, control_url: str) -> None:
    """Write the shims into `root`/bin and tell them where the lab listens.

    A shim finds its instance by its own path, `root`/bin/NAME, so a script needs no variable for it.
    """
    directory = root / "bin"
    directory.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        source = resources.files("orchestrator.lab").joinpath("host_bin", f"{name}.sh")
        path = directory / name
        path.write_bytes(source.read_bytes())
        path.chmod(_EXECUTABLE)
    state = root / "run/lab"
    state.mkdir(parents=True, exist_ok=True)
    (state / "control").write_text(control_url, encoding="utf-8")


def install_wrappers(directory: Path, seen_root: str) -> None:
    """Write a command per shim that calls it by the path at which the instance sees its own root.

    For places outside the root: there a shim could not find its instance by its own path.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        path = directory / name
        path.write_text(f'#!/bin/sh\nexec {seen_root}/bin/{name} "$@"\n', encoding="utf-8")
        path.chmod(_EXECUTABLE)
