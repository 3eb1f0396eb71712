"""Every error is said in the same style."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator import errors
from orchestrator.errors import RolloutError

PACKAGE = Path(errors.__file__).parent
KINDS = {"UnreachableFault", "CredentialsFault"} | {
    name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, RolloutError)
}
CARRIED_ON = {PACKAGE / "core" / "notices.py", PACKAGE / "core" / "metrics.py"}
"""Their messages stand behind `--notify: ` and `--metrics: `, which end them, too."""


def texts(path: Path) -> Iterator[tuple[int, ast.expr]]:
    """Find the messages and hints that a module writes: each with its line."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in KINDS:
            hints = [each.value for each in node.keywords if each.arg == "hint"]
            yield from ((node.lineno, each) for each in (*node.args[:1], *hints))


def written(text: ast.expr) -> str | None:
    """Give a literal text, with the code of what is filled in in braces; None for one that is made elsewhere."""
    if isinstance(text, ast.JoinedStr):
        return ast.unparse(text)[2:-1]
    return text.value if isinstance(text, ast.Constant) and isinstance(text.value, str) else None


@pytest.mark.parametrize("path", sorted(set(PACKAGE.rglob("*.py")) - CARRIED_ON), ids=lambda path: path.stem)
def test_an_error_is_a_sentence(path: Path) -> None:
    """What is wrong and what to do begin like a sentence, or with a name, and end as one does."""
    for line, text in texts(path):
        said = written(text)
        if said:
            assert not said[0].islower() or ":" in said.split()[0], f"{path}:{line}: {said}"
            assert said.endswith((".", "?", "`", "}")), f"{path}:{line}: {said}"
