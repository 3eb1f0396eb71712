"""What the page is made of: the timeline's geometry, links to the console, what to do next, escaping."""

import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.core.lifecycle import AT_WORK, Phase
from orchestrator.core.model import OutcomeKind
from orchestrator.core.reasons import Reason
from orchestrator.core.state import RunState
from orchestrator.report import html, timeline
from orchestrator.report.advice import advise
from orchestrator.report.after import After
from orchestrator.report.console import command_url, partition_of
from orchestrator.report.junit import as_junit
from orchestrator.report.render import exit_code_of, render_report
from orchestrator.report.rows import RunReport, build
from tests.report.reports import SCRIPT, STATES, large

CSS = Path(html.__file__).with_name("page") / "report.css"
BAR = re.compile(r"M(\S+) (\S+)h(\S+)v(\S+)h-(\S+)z")


def report_of(state: RunState) -> RunReport:
    return build(state, exit_code=exit_code_of(state))


@pytest.mark.parametrize("count", [12, 40, 400, 5000])
def test_every_instance_is_in_the_picture(count: int) -> None:
    """Each stay in a phase has its bar inside the picture, whether instances have rows of their own or share one."""
    report = report_of(large(count) if count > 40 else STATES["troubled"]())
    picture = timeline.draw(report)
    changed = [row for row in report.rows if row.wave]
    assert sum(lane.size for lane in picture.lanes) + picture.left_out == len(report.rows)
    assert [lane.wave for lane in picture.lanes] == sorted({row.wave for row in changed})
    named = all(lane.lines for lane in picture.lanes)
    assert named == (len(changed) <= 40)
    for lane in picture.lanes:
        members = [row for row in changed if row.wave == lane.wave]
        for phase in Phase:
            stays = sum(span.phase is phase for row in members for span in row.phases)
            bars = [BAR.findall(path) for each, path in lane.areas if each is phase]
            if phase in AT_WORK or named:
                assert sum(map(len, bars)) == stays
            for left, top, width, height, back in (bar for found in bars for bar in found):
                assert width == back
                assert 0 <= float(left) <= timeline.WIDTH
                assert -2 <= float(top) <= float(top) + float(height) <= lane.height + 2
    assert sum(lane.height for lane in picture.lanes) < 1000


def test_a_bar_is_as_long_as_its_time() -> None:
    """An instance's bars begin and end where its phases did, on the scale of the whole run."""
    report = report_of(STATES["fine"]())
    assert report.ended_at is not None
    whole = report.ended_at - report.started_at
    lane = timeline.draw(report).lanes[0]
    (row,) = (row for row in report.rows if row.wave == 1)
    for (phase, path), span in zip(lane.areas, row.phases, strict=True):
        ((left, _, width, _, _),) = BAR.findall(path)
        assert (phase, span.ended_at is not None) == (span.phase, True)
        assert float(left) == pytest.approx((span.started_at - report.started_at) / whole * timeline.WIDTH, abs=0.1)
        if span.ended_at:
            length = (span.ended_at - span.started_at) / whole * timeline.WIDTH
            assert float(width) == pytest.approx(max(length, 2), abs=0.1)


def test_what_ended_badly_is_marked() -> None:
    """Each changed instance that did not end as wanted has its mark; one whose run broke off has a bar to the end."""
    report = report_of(STATES["troubled"]())
    bad = sum(bool(row.wave) and not row.as_wanted for row in report.rows)
    assert sum(len(lane.marks) for lane in timeline.draw(report).lanes) == bad == 4
    assert timeline.draw(report_of(STATES["broken_off"]())).lanes[0].areas


def test_waiting_is_no_work() -> None:
    """What was drained counts as at work; what lags behind unreachable does not: it has no seconds and no mark."""
    report = report_of(STATES["drained"]())
    rows = {row.instance_id: row for row in report.rows}
    assert [span.phase for span in rows["i-0000000000000e001"].phases][1:] == [
        Phase.DRAINING, Phase.APPLYING, Phase.SETTLING, Phase.ACTIVATING,
    ]  # fmt: skip
    assert rows["i-0000000000000e001"].drained
    assert rows["i-0000000000000e001"].duration_s > 60
    offline = rows["i-0000000000000e003"]
    assert Phase.LAGGING in {span.phase for span in offline.phases}
    assert offline.duration_s == 0
    assert sum(len(lane.marks) for lane in timeline.draw(report).lanes) == 1


def test_the_axis_has_few_words() -> None:
    """At most five marks of time, evenly spaced, within the picture."""
    for state in (STATES["fine"](), STATES["troubled"](), large(300)):
        ticks = timeline.draw(report_of(state)).ticks
        assert 1 <= len(ticks) <= 5
        assert all(0 < at <= 100 for at, _ in ticks)


def test_every_phase_and_outcome_can_be_drawn() -> None:
    """Style and signs know every member of the enums: a new phase or outcome without them fails here."""
    style = CSS.read_text()
    for number, _ in enumerate(Phase):
        assert f".p{number} {{" in style
        assert style.count(f"--p{number}: #") == 2  # light and dark
    assert set(html.SIGNS) == set(OutcomeKind)
    assert len(set(html.SIGNS.values())) == len(html.SIGNS)
    assert all(f".{kind}" in style for kind in OutcomeKind)


@pytest.mark.parametrize(
    ("arn", "region", "console"),
    [
        ("arn:aws:ecs:eu-central-1:1:x", "eu-central-1", "https://eu-central-1.console.aws.amazon.com/"),
        ("arn:aws-cn:ecs:cn-north-1:1:x", "cn-north-1", "https://cn-north-1.console.amazonaws.cn/"),
        ("", "cn-northwest-1", "https://cn-northwest-1.console.amazonaws.cn/"),
        (
            "arn:aws-us-gov:ecs:us-gov-west-1:1:x",
            "us-gov-west-1",
            "https://us-gov-west-1.console.amazonaws-us-gov.com/",
        ),
        ("", "us-gov-east-1", "https://us-gov-east-1.console.amazonaws-us-gov.com/"),
        ("", "eu-west-1", "https://eu-west-1.console.aws.amazon.com/"),
        ("arn:aws-iso:ecs:us-iso-east-1:1:x", "us-iso-east-1", None),
        ("", "evil.example/?", None),
        ("", "", None),
    ],
)
def test_links_lead_to_the_partitions_console(arn: str, region: str, console: str | None) -> None:
    """A command is linked where its Region's console is known and public, and nowhere else."""
    url = command_url(region, partition_of(arn, region), "2f9a/../0b11")
    path = f"systems-manager/run-command/2f9a%2F..%2F0b11?region={region}"
    assert url == (f"{console}{path}" if console else None)


def test_the_next_command_fits_what_happened() -> None:
    """Nothing after success; a fresh plan after trouble; resume where a run broke off; restore for a restore."""
    told = {name: advise(report_of(state())) for name, state in STATES.items()}
    assert told["fine"].command == told["taken_back"].command == ()
    plan = "ecs-rollout plan --cluster c --region us-east-1 --credential SOURCE"
    assert {shlex.join(told[name].command) for name in ("troubled", "halted", "interrupted")} == {plan}
    assert shlex.join(told["broken_off"].command) == "ecs-rollout resume run-1"
    assert "--max-failures" in told["halted"].result
    assert told["troubled"].headline == "6 of 14 instances run the credential"
    assert told["taken_back"].headline == "The run run-1 is taken back on 2 of 2 instances"


def test_the_next_command_is_the_run_again_as_it_was_meant() -> None:
    """Its flags are those that the run was started with, and the journal's place is named where one must name it."""
    report = report_of(STATES["troubled"]())
    report = replace(
        report,
        flags={
            "cluster": "c",
            "credential": "ssm:/a b",
            "zone": ["a", "b"],
            "allow_removal": True,
            "approve": False,
        },
        store=("--journal", "/tmp/j"),
    )
    again = "--cluster c --credential 'ssm:/a b' --zone a --zone b --allow-removal --journal /tmp/j"
    assert shlex.join(advise(report).command) == f"ecs-rollout plan {again}"
    page = html.as_html(report)  # where nothing comes between a flag and its value, that would be copied
    assert all(f"<span>{each}</span>" in page for each in ("--zone a", "--credential &#39;ssm:/a b&#39;"))
    night = replace(report, after=After(left="the fleet has not converged"))
    assert shlex.join(advise(night).command) == f"ecs-rollout rotate {again}"
    healing = replace(report, heals=True, flags={})
    assert shlex.join(advise(healing).command) == "ecs-rollout heal --cluster c --region us-east-1 --journal /tmp/j"


def test_a_restore_is_repeated_as_it_was_meant() -> None:
    """Its flags are written again; where nobody's old state can ever be had back, no command promises it."""
    done = report_of(STATES["taken_back"]())
    first, second = done.rows
    failed = replace(first, outcome=OutcomeKind.FAILED, reason=Reason.RESTORE_FAILED)
    report = replace(done, result="incomplete", store=("--journal", "/tmp/j"), rows=(failed, second))
    report = replace(report, flags={"on_ephemeral": "drain", "no_probe_old": True, "step_seconds": 900})
    told = advise(report)
    again = "--on-ephemeral drain --no-probe-old --step-seconds 900 --journal /tmp/j"
    assert shlex.join(told.command) == f"ecs-rollout restore run-1 {again}"
    assert advise(replace(report, result="interrupted")).words == "Go on with what is left:"
    gone = replace(failed, reason=Reason.NO_BACKUP)
    told = advise(replace(report, rows=(gone, second)))
    assert told.command == ()
    assert "would change nothing" in told.words
    assert advise(replace(report, rows=(gone, failed))).command[:2] == ("ecs-rollout", "restore")


def test_a_run_that_its_journal_took_not_all_of_is_resumed() -> None:
    """However it ended in memory, resume is what comes next, and a pipeline sees an error."""
    for name in ("fine", "troubled"):
        report = replace(report_of(STATES[name]()), after=After(unsaved=True), store=("--journal", "/tmp/j"))
        assert shlex.join(advise(report).command) == "ecs-rollout resume run-1 --take-over --journal /tmp/j"
        assert 'type="unsaved"' in as_junit(report)


def test_others_words_stay_words() -> None:
    """Not one tag, attribute or link of the page comes from an instance's name, message, log, warning or ARN."""
    page = render_report(STATES["hostile"](), "html", exit_code_of(STATES["hostile"]()))
    assert SCRIPT not in page
    assert page.count("<script") == 1
    assert not re.findall(r"<img|\son\w+=\"", page)
    assert all(url.startswith("#") for url in re.findall(r'href="([^"]*)"', page))


def test_the_page_names_no_other_place() -> None:
    """Beside links to the console there is no address in the page, neither in style nor in script."""
    page = render_report(STATES["troubled"](), "html", exit_code_of(STATES["troubled"]()))
    addresses = re.findall(r"(?:https?:)?//[a-z][\w.-]*", re.sub(r"(?m)^\s*//.*$", "", page))
    assert set(addresses) == {"https://us-east-1.console.aws.amazon.com"}
    assert "url(" not in re.sub(r"url\(#\w+\)", "", page)
    assert "@import" not in page
