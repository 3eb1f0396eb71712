"""The rows of the README's table that a real Docker engine can show, each tried."""

from typing import Any

import pytest

from orchestrator.core.model import OutcomeKind
from tests.docker.engine import IMAGE
from tests.docker.support import OLD_DATA, DockerHost, MakeHost
from tests.docker.test_methods import ARN, run_words, wrap
from tests.documents.support import DATA
from tests.hosts_table import Ground, Row, name_of, rows

# An agent of the tests' image that is given this never answers.
POISON = '{"poison.example":{"auth":"dTpw"}}'


def prepare(host: DockerHost, row: Row) -> None:
    """Start the agent as the row has it, by hand or by a unit, and its tasks."""
    if row.how.startswith("unit"):
        start = run_words(host, f"--env-file={host.config}")
        host.engine.docker(*start.split())
        host.wait_for_agent()
        match row.how:
            case "unit":
                wrap(host, f"rm -f {host.name}", start)
            case "unit of another file":
                wrap(host, f"rm -f {host.name}", start.replace(str(host.config), "/etc/other.config"))
            case _:
                wrap(host, "pull x", f"start -a {host.name}")
    else:
        host.run_plain(*(each.format(root=host.root) for each in row.options))
    for number in range(row.tasks):
        label = f"--label=com.amazonaws.ecs.task-arn={ARN}"
        name = f"{host.name}-task-{number}"
        host.engine.docker("run", "-d", "--name", name, label, "--net=host", "--entrypoint=sleep", IMAGE, "1000")


@pytest.mark.parametrize("row", rows(Ground.ENGINE), ids=name_of)
async def test_a_row_of_the_table(make: MakeHost, row: Row) -> None:
    """The host ends as the README says; where it was not updated, the very container of before runs."""
    host = await make(start=False)
    prepare(host, row)
    before = host.inspect_container()["Id"]
    done: dict[str, Any] = await host.apply(POISON if row.how == "poison" else DATA, **row.values)
    assert (done["outcome"], done["reason"]) == (row.outcome, row.reason), done
    updated = row.outcome is OutcomeKind.UPDATED
    assert host.pair()["ECS_ENGINE_AUTH_DATA"] == (DATA if updated else OLD_DATA)
    assert (host.inspect_container()["Id"] != before) is updated
    assert (OLD_DATA in host.config.read_text()) is not updated
