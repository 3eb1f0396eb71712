"""May the old credential be revoked? Never 'unused' while anything could still use it or bring it back."""

import json
import re
import shlex
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.cli.overlap import command_of
from orchestrator.core.deciding import Look
from orchestrator.core.doubts import BY_A_RUN, MEANINGS, Doubt, Uncertain
from orchestrator.core.model import (
    AgentState,
    Armed,
    Facts,
    Instance,
    Persistence,
    Ping,
    Platform,
    RestartMethod,
    Status,
)
from orchestrator.core.overlap import (
    Boot,
    Overlap,
    Running,
    Surroundings,
    Verdict,
    moment_of,
    oldest_age,
    overlap,
    running_after,
    unused_since,
)
from orchestrator.core.reasons import EXPLANATIONS, Reason
from orchestrator.core.settings import Policy
from orchestrator.core.state import RunState
from orchestrator.report.overlaps import Scene, overlap_json, overlap_text, verdict_line
from tests.fake_fleet import GENERATION, Host, roll

NEW, OLD = "b" * 32, "a" * 32
RUN, EARLIER = "20261124-013006-d617fabc", "20261001-020000-00000000"
MARKED = Facts(
    agent=AgentState.UP, arn="arn", cluster="c", agent_version="1.105.1", method=RestartMethod.SYSTEMD,
    persistence=Persistence.PERSISTENT, why=(), tasks=2, generation=NEW, run=RUN, agrees=True, fence=1, armed=Armed.NO,
    last="", last_run="", registries=("reg.example.com",), registries_total=1, warnings=(), fetch="curl",
)  # fmt: skip
PREVIOUS = replace(MARKED, generation=OLD, run=EARLIER)
ROLL = (
    "ecs-rollout",
    "plan",
    "--cluster",
    "web",
    "--credential",
    "secretsmanager:registry",
    "--region",
    "eu-central-1",
)
SCENE = Scene(cluster="web", at=1_795_000_000.0, command=ROLL)


def instance(number: int, ami: str = "") -> Instance:
    return Instance(
        instance_id=f"i-{number}", arn=f"arn:aws:ecs:us-east-1:1:container-instance/c/{number}", zone="a",
        status=Status.ACTIVE, platform=Platform.LINUX, ping=Ping.ONLINE, agent_connected=True, agent_version="1.105.1",
        running_tasks=2, pending_tasks=0, ami=ami,
    )  # fmt: skip


def seen(*looks: Look, around: Surroundings | None = None, wanted: str = NEW) -> Overlap:
    instances = [instance(number) for number in range(len(looks))]
    by_id = {f"i-{number}": look for number, look in enumerate(looks)}
    return overlap(instances, by_id, around or Surroundings(), wanted=wanted)


def doubts(found: Overlap) -> list[tuple[Doubt, str]]:
    return [(each.doubt, each.what) for each in found.doubts]


def test_everybody_has_the_new_one() -> None:
    """Every instance was seen to run it and nothing else is around: the previous one is out of use."""
    found = seen(MARKED, MARKED)
    assert found.verdict is Verdict.UNUSED
    assert verdict_line(found, SCENE) == (
        "The previous credential is no longer used by any instance, seen at 2026-11-18T11:06:40.000Z."
    )


def test_who_still_has_the_old_one_is_named() -> None:
    """An instance that certainly runs another generation makes it in use, whatever else is not known."""
    found = seen(MARKED, PREVIOUS, Reason.SSM_OFFLINE)
    assert found.verdict is Verdict.IN_USE
    assert verdict_line(found, SCENE) == "The previous credential is still used by i-1."
    assert list(found.generations) == [NEW, OLD]


@pytest.mark.parametrize(
    ("look", "doubt"),
    [
        (Reason.SSM_OFFLINE, Doubt.NOT_INSPECTED),
        (Reason.SSM_NOT_REGISTERED, Doubt.NOT_INSPECTED),
        (Reason.BOTTLEROCKET, Doubt.NOT_INSPECTED),
        (Reason.NO_RESULT, Doubt.NOT_INSPECTED),
        (replace(MARKED, armed=Armed.LIVING), Doubt.WATCHDOG_ARMED),
        (replace(MARKED, armed=Armed.DEAD), Doubt.WATCHDOG_ARMED),
        (replace(MARKED, agrees=False), Doubt.DISAGREES),
        (replace(MARKED, agrees=False, generation=""), Doubt.NOT_OURS),
        (replace(MARKED, agrees=False, generation="", registries=(), registries_total=0), Doubt.NO_LOGIN_SEEN),
    ],
)
def test_one_that_is_not_certain_makes_it_unknown(look: Look, doubt: Doubt) -> None:
    """Whatever cannot be told of one instance is named with its reason, and the verdict is unknown."""
    found = seen(MARKED, look)
    assert found.verdict is Verdict.UNKNOWN
    assert doubts(found) == [(doubt, "i-1")]
    text = overlap_text(found, SCENE)
    assert f"unknown({doubt}): i-1" in text
    assert "it may come back by i-1." in " ".join(text.split())


@pytest.mark.parametrize(
    ("around", "doubt"),
    [
        (Surroundings(members={"web": frozenset({"i-0", "i-9"})}), (Doubt.NOT_IN_CLUSTER, "i-9")),
        (Surroundings(warm={"web": frozenset({"i-8"})}), (Doubt.WARM_POOL, "i-8")),
        (Surroundings(boots=(Boot(name="t", holds=True, generation=OLD),)), (Doubt.BOOT_CREDENTIAL, "t")),
        (Surroundings(boots=(Boot(name="t", holds=True),)), (Doubt.BOOT_CREDENTIAL, "t")),
        (Surroundings(boots=(Boot(name="t", unread="Not allowed"),)), (Doubt.BOOT_UNREAD, "t")),
        (Surroundings(boots=(Boot(name="t", refers=("s3://b/e.config",)),)), (Doubt.BOOT_UNREAD, "s3://b/e.config")),
        (Surroundings(unread=(Uncertain(Doubt.BOOT_UNREAD, "groups"),)), (Doubt.BOOT_UNREAD, "groups")),
    ],
)
def test_what_can_bring_it_back_makes_it_unknown(around: Surroundings, doubt: tuple[Doubt, str]) -> None:
    """Groups, warm pools, user data and boot configurations that may hold another credential are named."""
    found = seen(MARKED, around=around)
    assert found.verdict is Verdict.UNKNOWN
    assert doubts(found) == [doubt]


@pytest.mark.parametrize(
    "around",
    [
        Surroundings(members={"web": frozenset({"i-0"})}, warm={"web": frozenset({"i-0"})}),
        Surroundings(boots=(Boot(name="t"),)),
        Surroundings(boots=(Boot(name="t", holds=True, generation=NEW),)),
        Surroundings(boots=(Boot(name="t", refers=("s3://b/e.config",)), Boot(name="s3://b/e.config"))),
        Surroundings(boots=(Boot(name="t", refers=("s3://${B}/e.config",)), Boot(name="s3://b/e.config"))),
    ],
)
def test_what_is_as_wanted_is_no_doubt(around: Surroundings) -> None:
    """Registered members, user data without a credential, and places that hold the wanted one raise no doubt."""
    assert seen(MARKED, around=around).verdict is Verdict.UNUSED


def test_one_in_a_warm_pool_is_named_once() -> None:
    """An instance of a warm pool is a member of its group, too; it is one doubt."""
    around = Surroundings(members={"web": frozenset({"i-8"})}, warm={"web": frozenset({"i-8"})})
    assert doubts(seen(MARKED, around=around)) == [(Doubt.WARM_POOL, "i-8")]


def test_without_a_credential_the_newest_is_the_wanted_one() -> None:
    """When no credential is named, the generation of the newest run counts, and all older ones are previous."""
    found = seen(PREVIOUS, MARKED, wanted="")
    assert found.wanted == NEW
    assert [each.instance_id for each in found.users] == ["i-0"]


def test_before_the_first_run_nothing_is_claimed() -> None:
    """Where ecs-rollout installed nothing, there is no previous one, and the verdict says so."""
    found = seen(replace(MARKED, agrees=False, generation=""), wanted="")
    assert found.verdict is Verdict.UNKNOWN
    assert verdict_line(found, SCENE) == "Unknown: ecs-rollout has not installed a credential here yet."


def test_after_a_restore_nobody_is_told_that_there_was_no_credential_yet() -> None:
    """There was one, and it was taken back: that is said, and the table names no credential where none is known."""
    found = seen(replace(MARKED, agrees=False, generation=""), wanted="")
    last = "The last run here, b, took the run a back."
    gone = "Unknown: no instance is seen to run a credential that ecs-rollout installed."
    assert verdict_line(found, replace(SCENE, known=True, last=last)) == f"{gone} {last}"
    assert verdict_line(found, replace(SCENE, known=True)) == gone
    assert "CREDENTIAL" not in overlap_text(seen(MARKED), SCENE)


LOOKS = st.sampled_from([MARKED, PREVIOUS, replace(MARKED, agrees=False), Reason.NO_RESULT, replace(PREVIOUS, run=RUN)])


@given(st.lists(LOOKS, min_size=1, max_size=6))
def test_unused_is_never_said_lightly(looks: list[Look]) -> None:
    """The law: 'unused' is said only when every instance was seen to run the wanted generation, and nothing else."""
    found = seen(*looks)
    everybody = all(isinstance(look, Facts) and look.agrees and look.generation == NEW for look in looks)
    assert (found.verdict is Verdict.UNUSED) == everybody
    assert len(found.running) + len(found.doubts) == len(looks)


def run_of(*hosts: Host, run: str = "run-1") -> RunState:
    return roll(hosts, run=run)[0]


def marked_by(*states: RunState) -> list[Running]:
    return [Running(instance_id="i-0", generation=GENERATION, run=state.run.run) for state in states]


def test_since_is_the_end_of_the_first_run_that_left_nobody() -> None:
    """'Since' is when the first complete run ended; a later complete run does not move it."""
    first, second = run_of(Host("i-0"), Host("i-1")), run_of(Host("i-0", generation=GENERATION), run="run-2")
    assert unused_since([second, first], GENERATION, marked_by(first)) == first.ended_at


def test_since_is_unknown_where_the_journal_does_not_tell() -> None:
    """A run that left somebody behind, an unknown run, another generation, no run at all: no time is claimed."""
    good, bad = run_of(Host("i-0")), run_of(Host("i-0", behaviour="failed"), run="run-2")
    elsewhere = [Running(instance_id="i-0", generation=GENERATION, run="20270101-000000-cccccccc")]
    assert unused_since([bad, good], GENERATION, marked_by(good)) is None
    assert unused_since([good], GENERATION, elsewhere) is None
    assert unused_since([good], NEW, []) is None
    assert unused_since([], GENERATION, []) is None


def test_no_more_runs_are_read_than_tell_since_when() -> None:
    """Each run may have to be read from a table: what came before another credential's run is left unread."""
    first, failed = run_of(Host("i-0"), run="run-1"), run_of(Host("i-0", behaviour="failed"), run="run-2")
    latest = run_of(Host("i-0", generation=GENERATION), run="run-3")
    for by, needed in ((latest, [latest, failed]), (first, [latest, failed, first])):
        runs = iter((latest, failed, first))
        assert unused_since(runs, GENERATION, marked_by(by)) == latest.ended_at
        assert list(runs) == [each for each in (latest, failed, first) if each not in needed]


def test_ages_are_read_from_the_runs_that_installed_them() -> None:
    """A generation is as old as the first run known to have installed it; the oldest one counts."""
    began = moment_of(EARLIER)
    assert began is not None
    running = [
        Running(instance_id="i-0", generation=NEW, run=RUN),
        Running(instance_id="i-1", generation=OLD, run=EARLIER),
    ]
    assert oldest_age(running, began + 100) == 100
    assert oldest_age([], 5.0) is None
    assert moment_of("not-a-run") is None


def test_every_doubt_says_what_it_means_and_what_to_do() -> None:
    """No doubt is left unexplained, and JSON carries the same words."""
    assert set(MEANINGS) == set(Doubt)
    found = seen(MARKED, Reason.SSM_OFFLINE)
    assert '"verdict": "unknown"' in overlap_json(found, SCENE)
    assert EXPLANATIONS[Reason.SSM_OFFLINE].meaning in overlap_json(found, SCENE)


def test_what_a_run_would_end_names_its_command() -> None:
    """Where rolling is what to do, the whole command stands there, to be copied, in table and JSON."""
    ours_not = replace(MARKED, agrees=False, generation="")
    found = seen(MARKED, ours_not)
    text = overlap_text(found, SCENE)
    assert "    do: Roll it. This shows how:\n" in text
    folded = text.partition("do: Roll it. This shows how:\n")[2].partition("\n\n")[0].replace("\\\n", " ")
    assert tuple(shlex.split(folded)) == ROLL
    assert max(map(len, text.splitlines())) <= 80
    (doubt,) = json.loads(overlap_json(found, SCENE))["doubts"]
    assert doubt["remedy"] == f"Roll it. This shows how: `{shlex.join(ROLL)}`."
    assert {doubt for doubt, (_, remedy) in MEANINGS.items() if remedy.endswith(":")} == BY_A_RUN


def test_that_command_is_of_the_newest_run_that_tells_its_credential() -> None:
    """Without --credential it is taken from the journal: an older run's credential would bring the old one back."""
    request = SimpleNamespace(credential="", registry=None, allow_readable_file=False, region=None, profile=None)
    newest_first = [
        SimpleNamespace(run=SimpleNamespace(options=options))
        for options in (
            {},
            {"credential": "ssm:/new", "allow_readable_file": True, "allow_removal": True},
            {"credential": "ssm:/old"},
        )
    ]
    parts = SimpleNamespace(request=request, cluster="web")
    words = command_of(parts, newest_first)  # type: ignore[arg-type]  # what it reads of them
    flags = ("--allow-readable-file", "--allow-removal")
    assert words == ("ecs-rollout", "plan", "--cluster", "web", "--credential", "ssm:/new", *flags)
    assert "SOURCE" in command_of(parts, ())  # type: ignore[arg-type]  # what it reads of them


def test_an_image_that_hands_a_credential_out_is_named() -> None:
    """An instance with a credential of its own names the image it came from."""
    found = overlap([instance(0, "ami-1")], {"i-0": replace(MARKED, agrees=False, generation="")}, Surroundings())
    assert "from the image ami-1" in [each.seen for each in found.doubts][1]


def test_the_table_fits_a_terminal() -> None:
    """No line is longer than 80 columns."""
    found = seen(*[MARKED] * 20, PREVIOUS, Reason.SSM_OFFLINE)
    names = {NEW: "as given, AWSCURRENT", OLD: "AWSPREVIOUS"}
    text = overlap_text(found, replace(SCENE, names=names))
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "as given, AWSCURRENT" in text


def test_what_is_to_come_is_not_called_previous() -> None:
    """Half-way through a rotation those that run the pending version are told apart from who runs an old one."""
    found = seen(PREVIOUS, MARKED, replace(PREVIOUS, generation="c" * 32), wanted=OLD)
    text = " ".join(overlap_text(found, replace(SCENE, names={OLD: "AWSCURRENT", NEW: "AWSPENDING"})).split())
    assert re.search(rf"{NEW[:12]} .{{0,40}}pending AWSPENDING", text)
    assert f"The previous credential is still used by {found.running[2].instance_id}. " in text
    assert "AWSPENDING is run by 1 of 3 instances, and AWSCURRENT has not moved" in text


def test_a_run_tells_what_its_instances_hold() -> None:
    """Updated ones hold the run's credential, others what was seen on them, and of those nobody saw nothing is said."""
    hosts = (Host("i-0"), Host("i-1", generation=GENERATION, run=EARLIER), Host("i-2", ping=Ping.CONNECTION_LOST))
    state = roll(hosts, Policy(max_unreachable=()), run=RUN)[0]
    held = {each.instance_id: each.run for each in running_after(state)}
    assert held == {"i-0": RUN, "i-1": EARLIER}
