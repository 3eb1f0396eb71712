"""A configuration file for several clusters, on whole commands."""

from collections.abc import Callable

from tests.scenario.conftest import Workplace, fleet

FILE = """
credential = "secretsmanager:registry"
allow-removal = true
max-unavailable = "50%"
poll-seconds = 0.2
delivery-seconds = 30
verify-seconds = 6
restore-seconds = 12
watchdog-seconds = 40
step-seconds = 60

[use.demo]
cluster = "demo"
probe-image = []

[use.other]
cluster = "other"
"""


def test_a_plan_and_a_run_by_the_file(workplace: Callable[..., Workplace]) -> None:
    """The table that is chosen says which cluster; the next command names it again; a saved plan needs no file."""
    place = workplace(*fleet(2))
    place.put_secret()
    path = place.directory / "rollout.toml"
    path.write_text(FILE)
    other = place.cli("plan", "--config", str(path), "--use", "other")
    assert (other.code, other.out) == (3, "")
    assert "no active cluster 'other'" in other.err
    saved = str(place.directory / "demo.plan")
    planned = place.cli("plan", "--config", str(path), "--use", "demo", "--out", saved)
    assert planned.code == 0, planned.err
    chosen = place.cli("plan", "--config", str(path), "--use=demo", "--max-unavailable", "1")
    words = " ".join(chosen.out.split()).replace(" \\ ", " ")
    assert f"--config {path} --use demo --max-unavailable 1" in words
    path.unlink()
    done = place.cli("run", "--plan", saved, "--output", "json")
    assert done.code == 0, done.err
    assert done.report["run"]["options"]["max_unavailable"] == "50%"
    assert set(done.outcomes.values()) == {"updated(verified)"}
