"""The rows of the README's table that simulated hosts can show, each tried."""

import fcntl
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import IO

import pytest

from orchestrator.core.documents import Kind
from orchestrator.core.model import OutcomeKind
from orchestrator.core.reasons import Reason
from orchestrator.lab.imds import credentials_of
from tests.documents.conftest import MakeBench
from tests.documents.support import DATA, Bench, payload_of, result_of
from tests.documents.test_hosts import old_curl
from tests.hosts_table import Ground, Host, Row, name_of, rows

RUN = {"RunId": "run-2", "Fence": "2"}
INITCTL = """#!/bin/sh
case $1 in
  status) echo "$2 start/running, process 1" ;;
  stop | start) "${0%/*}/unit" --no-block "$1" ecs ;;
esac
"""
Extra = Mapping[str, str]
Prepare = Callable[[Bench], Awaitable[Extra]]


async def applied_before(bench: Bench) -> Extra:
    assert (await bench.apply())["outcome"] == "updated"
    return RUN


async def no_file(bench: Bench) -> Extra:
    bench.config.rename(bench.host.root / "var/lib/ecs/ecs.config")
    return {}


async def file_lost(bench: Bench) -> Extra:
    bench.config.unlink()
    return {}


def text_of(text: str) -> Prepare:
    async def write(bench: Bench) -> Extra:
        bench.config.write_text(bench.config.read_text() + text, newline="")
        return {}

    return write


async def odd_lines(bench: Bench) -> Extra:
    text = "\ufeff# mine\r\nECS_CLUSTER=demo\r\nECS_ENGINE_AUTH_TYPE=docker\r\n#ECS_ENGINE_AUTH_DATA={}\r\n"
    bench.config.write_text(text + "ECS_ENGINE_AUTH_TYPE=docker\r\nA=1", newline="")
    return {}


async def directory(bench: Bench) -> Extra:
    bench.config.unlink()
    bench.config.mkdir()
    return {}


async def no_state(bench: Bench) -> Extra:
    (bench.host.root / "var/lib/ecs/data/agent.db").unlink()
    return {}


async def bad_credential(_: Bench) -> Extra:
    return {"payload": payload_of("dockercfg", '{"auths":{"r.example":{"auth":"dTpw"}}}')}


async def no_registry(_: Bench) -> Extra:
    return {"payload": payload_of("docker", '{"127.0.0.1:9":{"username":"u","password":"p"}}')}


async def armed(bench: Bench) -> Extra:
    """Somebody's watchdog holds its lock on a change under way."""
    bench.state("armed").mkdir(parents=True)
    bench.state("armed/meta").write_text("run=other\n")
    held(bench.state("armed/alive"))
    return {}


async def locked(bench: Bench) -> Extra:
    bench.state().mkdir(parents=True)
    held(bench.state("lock"))
    return {}


def held(path: Path) -> None:
    """Lock a file for as long as the test lasts."""
    file = path.open("w")
    fcntl.flock(file, fcntl.LOCK_EX)
    HELD.append(file)


HELD: list[IO[str]] = []


@pytest.fixture(autouse=True)
def let_go() -> Iterator[None]:
    yield
    while HELD:
        HELD.pop().close()


async def newer_run(bench: Bench) -> Extra:
    bench.state().mkdir(parents=True)
    bench.state("fence").write_text("7\n")
    return {}


def store_says(kind: str) -> Prepare:
    async def answer(bench: Bench) -> Extra:
        bench.store.failures.append((400, kind))
        return {}

    return answer


async def with_old_curl(bench: Bench) -> Extra:
    old_curl(bench).write_text(f"#!/bin/sh\necho {payload_of()}\n")
    return {}


async def only_old_curl(bench: Bench) -> Extra:
    old_curl(bench).unlink()
    return {}


async def upstart(bench: Bench) -> Extra:
    tools = bench.host.root / "bin"
    (tools / "systemctl").rename(tools / "unit")
    for name, text in (("systemctl", "#!/bin/sh\nexit 1\n"), ("initctl", INITCTL)):
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    return {}


async def shared_keys(bench: Bench) -> Extra:
    keys = credentials_of(bench.host.instance_id)
    path = bench.host.root / "root/.aws/credentials"
    path.parent.mkdir(parents=True)
    text = f"aws_access_key_id = {keys.access_key_id}\naws_secret_access_key = {keys.secret_access_key}\n"
    path.write_text(f"[default]\n{text}aws_session_token = {keys.token}\n")
    return {}


HOW: Mapping[str, Prepare] = {
    "applied before": applied_before,
    "no file": no_file,
    "file lost": file_lost,
    "odd lines": odd_lines,
    "joined lines": text_of("B=joined\\\nECS_ENGINE_AUTH_TYPE=x\n"),
    "directory": directory,
    "other cluster": text_of("ECS_CLUSTER=other\n"),
    "datadir": text_of("ECS_DATADIR=/elsewhere\n"),
    "no agent.db": no_state,
    "bad credential": bad_credential,
    "no registry": no_registry,
    "armed": armed,
    "locked": locked,
    "newer run": newer_run,
    "denied": store_says("AccessDeniedException"),
    "missing": store_says("ParameterVersionNotFound"),
    "clock": store_says("RequestExpired"),
    "old curl": with_old_curl,
    "only old curl": only_old_curl,
    "upstart": upstart,
    "shared keys": shared_keys,
}


def hidden(script: str) -> str:
    """Hide the machine's own AWS CLI, where it has one."""
    assert "if has aws" in script
    return script.replace("if has aws", "if false")


@pytest.mark.parametrize("row", rows(Ground.SIMULATED), ids=name_of)
async def test_a_row_of_the_table(make: MakeBench, row: Row) -> None:
    """The host ends as the README says; where it was not updated, its file holds the bytes of before."""
    which = {"instance_id": "mi-0123456789abcdef0"} if row.host is Host.ANYWHERE else {}
    bench = await make(**which, **row.changes)
    bench.farm.plain.run_tasks(next(iter(bench.farm.plain.instances)), row.tasks)
    extra = await HOW[row.how](bench) if row.how else {}
    before = bench.config.read_bytes() if bench.config.is_file() else None
    change = hidden if row.how == "only old curl" else str
    done = result_of(await bench.send(Kind.APPLY, bench.apply_values(**{**row.values, **extra}), change=change))
    assert (done["outcome"], done["reason"]) == (row.outcome, row.reason), done
    updated = row.outcome is OutcomeKind.UPDATED
    assert done["changed"] is (updated or row.reason is Reason.RESTORE_FAILED)
    if updated:
        assert DATA in bench.config.read_text()
        assert (await bench.inspect())["agrees"] is True
    else:
        assert (bench.config.read_bytes() if bench.config.is_file() else None) == before
