"""README and the map must not lie."""

from orchestrator.errors import ExitCode
from tests.readme import MAP, README, blocks, map_text, with_blocks


def test_the_readme_holds_what_the_code_says() -> None:
    """Lifecycle, defaults, exit codes and reasons in the README are those of the code."""
    text = README.read_text(encoding="utf-8")
    assert with_blocks(text) == text, "run `make readme`"


def test_every_exit_code_is_explained() -> None:
    """No exit code without its line."""
    assert all(f"| {int(code)} " in blocks()["exit-codes"].replace("  ", " ") for code in ExitCode)


def test_the_map_is_true() -> None:
    """Every module stands in the map of orchestrator/__init__.py, under its own docstring's first words."""
    assert MAP.read_text(encoding="utf-8") == map_text(), "run `make readme`"
    assert all(len(line) <= 120 for line in map_text().splitlines())
