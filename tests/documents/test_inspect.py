"""inspect, run for real on simulated hosts."""

import json
import os
from pathlib import Path

from orchestrator.core.documents import Kind
from orchestrator.core.model import Facts
from orchestrator.core.result import parse_facts
from tests.documents.conftest import MakeBench
from tests.documents.support import SECRET, Bench


def snapshot(root: Path) -> dict[str, tuple[int, int, int, int]]:
    """Everything outside the SSM agent's and Docker's own directories: inode, size, mtime and ctime."""
    found = {}
    for folder, names, files in os.walk(root):
        if Path(folder) == root / "var/lib/amazon" or Path(folder) == root / "run":
            names.clear()
            continue
        for name in (".", *files):
            about = os.lstat(Path(folder) / name)
            if folder != str(root):
                found[f"{folder}/{name}"] = (about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns)
    return found


async def test_it_leaves_no_trace(bench: Bench) -> None:
    """Neither content nor times change, on a fresh host and on one that was rolled."""
    for _ in range(2):
        before = snapshot(bench.host.root)
        assert (await bench.inspect())["outcome"] == "inspected"
        assert snapshot(bench.host.root) == before
        await bench.apply()


async def test_the_controller_reads_the_line(bench: Bench) -> None:
    """The controller's own reader understands what inspect prints."""
    facts = parse_facts((await bench.send(Kind.INSPECT, {})).stdout)
    assert isinstance(facts, Facts)
    assert (facts.agent, facts.method, facts.persistence) == ("up", "systemd", "persistent")
    assert (facts.cluster, facts.agent_version, facts.fetch) == ("demo", "1.105.1", "curl")
    assert facts.registries == ("registry.example.com",)


async def test_a_long_list_fits_in_two_lines(make: MakeBench) -> None:
    """With 200 registries and 50 tasks the first line keeps its limit; the second holds them all."""
    names = [f"registry-{number:03}.example.com" for number in range(200)]
    bench = await make(auth_data=json.dumps({name: {"auth": "dTpw"} for name in names}, separators=(",", ":")))
    bench.farm.plain.run_tasks(next(iter(bench.farm.plain.instances)), 50)
    result = await bench.send(Kind.INSPECT, {})
    first, second = (json.loads(line) for line in result.stdout.splitlines())
    assert len(result.stdout.splitlines()[0]) <= 2000
    assert (first["registries_total"], first["tasks"]) == (200, 50)
    assert first["registries"] == names[: len(first["registries"])]
    assert second["registries"] == names


async def test_no_piece_of_a_broken_value_is_a_name(make: MakeBench) -> None:
    """A value that does not parse, or whose keys look like no registry, shows nothing of itself."""
    for data, word in (
        (f'{{"{SECRET}', "auth_data_malformed"),
        (f'{{"{SECRET}.example": {{}}', "auth_data_malformed"),
        (f'{{"{SECRET}":{{"auth":"dTpw"}}}}', "odd_registry"),
        (f'{{"auths":{{"{SECRET}.example":{{}}}}}}', "auths_wrapper"),
        (f'{{"username":"{SECRET}"}}', "odd_registry"),
    ):
        bench = await make(auth_data=data, instance_id=f"i-{abs(hash(data)):017x}"[:19])
        result = await bench.send(Kind.INSPECT, {})
        line = json.loads(result.stdout)
        assert SECRET[:6] not in result.stdout
        assert line["registries"] == []
        assert word in line["warnings"]


async def test_copies_elsewhere_are_warned_of(bench: Bench) -> None:
    """Doubles, commented-out copies and the two other places are reported (F9, F40)."""
    line = "ECS_ENGINE_AUTH_TYPE=docker\n"
    bench.config.write_text(bench.config.read_text() + line + "#" + line)
    (bench.host.root / "var/lib/ecs/ecs.config").write_text(line)
    bench.config.with_name("ecs.config.json").write_text('{"EngineAuthType": "docker"}')
    warnings = (await bench.inspect())["warnings"]
    assert {"init_config_has_auth", "json_config_has_auth", "commented_auth", "duplicate_auth"} <= set(warnings)


async def test_a_silent_docker_is_an_answer(make: MakeBench) -> None:
    """Where Docker does not answer inspect says what it could see."""
    bench = await make(docker_down=True)
    result = await bench.inspect()
    assert (result["agent"], result["persistence"]) == ("down", "unknown")
    assert "docker_silent" in result["warnings"]
