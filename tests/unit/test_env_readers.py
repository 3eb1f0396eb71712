"""Our models of the three env-file readers read every vector as the real ones did."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.env_readers import docker_env_file, ecs_init, systemd

VECTORS = Path(__file__).parents[1] / "vectors" / "env.jsonl"
LINES: list[dict[str, Any]] = [json.loads(line) for line in VECTORS.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("line", LINES, ids=lambda line: line["id"])
@pytest.mark.parametrize(
    ("name", "reader"), [("ecs_init", ecs_init), ("docker_env_file", docker_env_file), ("systemd", systemd)]
)
def test_the_models_read_every_vector(
    line: dict[str, Any], name: str, reader: Callable[[str], dict[str, str] | None]
) -> None:
    """A recorded error is None; else every variable is the recorded one."""
    recorded = line[name]
    expected = None if isinstance(recorded, str) or "ERR" in recorded else recorded
    assert reader(line["content"]) == expected
