"""README and the map must not lie."""

from pathlib import Path

import orchestrator
from orchestrator.errors import ExitCode
from tests.readme import README, blocks, with_blocks


def test_the_readme_holds_what_the_code_says() -> None:
    """Lifecycle, defaults, exit codes and reasons in the README are those of the code."""
    text = README.read_text(encoding="utf-8")
    assert with_blocks(text) == text, "run `make readme`"


def test_every_exit_code_is_explained() -> None:
    """No exit code without its line."""
    assert all(f"| {int(code)} " in blocks()["exit-codes"].replace("  ", " ") for code in ExitCode)


def test_the_map_is_true() -> None:
    """Every module stands in the map of orchestrator/__init__.py, and the map names none that is not there."""
    root = Path(orchestrator.__file__).parent
    there = {
        path.relative_to(root).with_suffix("").as_posix()
        for path in root.rglob("*.py")
        if path.name != "__init__.py" and "documents" not in path.relative_to(root).parts
    }
    drawn: set[str] = set()
    folder = ""
    for line in (orchestrator.__doc__ or "").splitlines():
        if line.startswith("    ") and line.strip():
            name = line.split()[0]
            indent = len(line) - len(line.lstrip())
            if name.endswith("/"):
                folder = name
            elif indent == 4:
                drawn.add(name)
            else:
                drawn.add(f"{folder}{name}")
    assert drawn == there
