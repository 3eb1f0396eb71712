"""No secret leaves its pipe: argv, environments, files, streams, and what a kill leaves behind."""

import asyncio
import base64
import os
from pathlib import Path

from orchestrator.core.documents import Kind
from orchestrator.lab.imds import credentials_of
from tests.documents.conftest import MakeBench
from tests.documents.support import DATA, SECRET, Bench, payload_of


def needles(bench: Bench) -> list[bytes]:
    """Everything that must not be seen: the password, its base64 at three alignments, the payload, role keys."""
    role = credentials_of(bench.host.instance_id)
    text = f"puller:{SECRET}".encode()
    shapes = [base64.b64encode(b"x" * pad + text)[4:-4] for pad in range(3)]
    keys = [role.secret_access_key.encode(), role.token.encode()]
    old = b"cHVsbGVyOm9sZC1wYXNzd29yZA"
    return [SECRET.encode(), *shapes, payload_of()[100:140].encode(), *keys, old]


def watch(seen: dict[str, bytes]) -> None:
    """Look at argv and environment of every process, once; containers of other tests hold theirs rightly (F10)."""
    own = Path("/proc/self/root").stat()
    for process in Path("/proc").iterdir():
        if not process.name.isdecimal() or int(process.name) == os.getpid():
            continue
        for name in ("cmdline", "environ"):
            try:
                root = (process / "root").stat()
                text = (process / name).read_bytes()
            except OSError:
                continue
            if not os.path.samestat(root, own):
                continue
            seen[f"{process.name}/{name}/{hash(text)}"] = text


async def watched(bench: Bench, kind: Kind, values: dict[str, str]) -> tuple[str, list[bytes]]:
    """Run a document while its processes are looked at again and again."""
    seen: dict[str, bytes] = {}
    running = asyncio.create_task(bench.send(kind, values))
    while not running.done():
        watch(seen)
        await asyncio.sleep(0)
    result = await running
    assert len(seen) > 10
    return result.stdout + result.stderr, list(seen.values())


def files_with(bench: Bench, needle: bytes) -> set[str]:
    """Name the files of the instance that hold a needle."""
    found = set()
    for path in bench.host.root.rglob("*"):
        if path.is_file() and not path.is_symlink() and needle in path.read_bytes():
            found.add(str(path.relative_to(bench.host.root)))
    return found


async def test_nothing_is_seen_while_it_works(bench: Bench) -> None:
    """Through apply, inspect and restore no argv, environment or stream shows a secret."""
    steps = [
        (Kind.APPLY, bench.apply_values()),
        (Kind.INSPECT, {}),
        (Kind.APPLY, bench.apply_values()),
        (Kind.RESTORE, {"RestoreRun": "run-1", "RunId": "run-2", "Fence": "2"}),
    ]
    for kind, values in steps:
        streams, seen = await watched(bench, kind, values)
        for needle in needles(bench):
            assert needle not in streams.encode()
            assert not [text for text in seen if needle in text]


async def test_the_secret_is_in_its_files_only(bench: Bench) -> None:
    """After an apply the new secret is in the env file (and Docker's own), the old one in a backup of mode 0600."""
    await bench.apply()
    mine = {"etc/ecs/ecs.config"}
    for needle in needles(bench)[:-1]:
        assert {name for name in files_with(bench, needle) if not name.startswith("run/lab")} <= mine
    assert DATA.encode() in bench.config.read_bytes()
    backup = bench.state("backup-run-1/old")
    assert "cHVsbGVyOm9sZC1wYXNzd29yZA" in backup.read_text()
    for path in (bench.state(), *bench.state().rglob("*")):
        assert path.stat().st_mode & 0o077 == 0


async def test_a_killed_fetch_leaves_nothing(make: MakeBench) -> None:
    """Killed at any moment, no secret lies in a temporary file once the next document has run."""
    bench = await make()
    values = bench.apply_values()
    step = bench.prepare(Kind.APPLY, values)
    for delay in (0.05, 0.1, 0.15, 0.2):
        running = asyncio.create_task(bench.send(Kind.APPLY, values, limit=delay))
        await running
        assert step.name
        for needle in needles(bench)[:-1]:
            outside = {
                n for n in files_with(bench, needle) if not n.startswith(("run/lab", "etc/ecs/", "var/lib/ecs-r"))
            }
            assert outside == set()
