"""The rows of the README's table that only a whole rollout can show, all tried in one."""

from collections.abc import Callable
from dataclasses import replace

from tests.hosts_table import Ground, rows
from tests.scenario.conftest import Workplace, fleet


def test_the_rows_of_the_table(workplace: Callable[..., Workplace]) -> None:
    """Each instance ends as the README says, and none of them was touched."""
    tried = rows(Ground.FLEET)
    base = fleet(len(tried))
    # The lab's own registry is what a healthy instance of this fleet logs in to, and what the new credential holds.
    place = workplace(
        *(replace(spec, **({"auth_data": "{}"} | dict(row.changes))) for spec, row in zip(base, tried, strict=True))
    )
    place.put_secret()
    place.allow_removal = False
    done = place.rollout("run", "--max-failures=50%", "--max-unreachable=100%", "--output", "json")
    wanted = {spec.instance_id: f"{row.outcome}({row.reason})" for spec, row in zip(base, tried, strict=True)}
    assert done.outcomes == wanted, done.err
    assert place.touched() == []
