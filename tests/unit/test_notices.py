"""What notices say: everything that a person needs at night, in one message; and to whom they may go."""

import shlex
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from orchestrator.cli.main import COMMANDS
from orchestrator.core.amount import Amount
from orchestrator.core.events import ApprovalAwaited, Concluded, Entry, Halted, RunEnded, RunStarted
from orchestrator.core.model import OutcomeKind, Ping
from orchestrator.core.notices import BusTarget, Moment, Notice, TopicTarget, WebhookTarget, parse_target
from orchestrator.core.settings import EVERYTHING, Policy
from orchestrator.core.source import SsmSource
from orchestrator.core.state import RunState
from orchestrator.errors import EnvironmentFault, LockedError, RefusedError, RolloutError, UnsavedFault, UsageError
from orchestrator.report import notices
from orchestrator.report.following import Follower
from orchestrator.report.notices import Origin
from orchestrator.report.notifier import Notifier
from orchestrator.report.times import moment
from tests.fake_fleet import GENERATION, Host, fleet_of, roll

ORIGIN = Origin(
    cluster="web", region="eu-central-1", account="123456789012", store=("--journal", "/var/lib/my journal.db")
)


CANARY = "i-00000000000000000"
"""The first to be admitted."""


class Box:
    """A channel that keeps what it is given."""

    def __init__(self, name: str = "box") -> None:
        self.name = name
        self.got: list[Notice] = []

    def send(self, notice: Notice) -> None:
        self.got.append(notice)


def told(entries: Sequence[Entry], origin: Origin = ORIGIN) -> list[Notice]:
    """The notices that a run's events are worth."""
    box = Box()
    notifier = Notifier([box], origin)
    Follower((notifier,)).saw(entries)
    assert notifier.finish() == ()
    return box.got


def halting() -> list[Entry]:
    hosts = [Host(CANARY, behaviour="rolled_back", zone="a"), *fleet_of(6)[1:]]
    hosts.append(Host("i-0000000000000a002", ping=Ping.CONNECTION_LOST))
    _, _, journal = roll(hosts, Policy(max_unreachable=(EVERYTHING,)))
    return journal.entries


def test_a_run_that_halts_is_told_three_times() -> None:
    """Start, halt and end are each told once, in this order, under the run's own id."""
    found = told(halting())
    assert [each.moment for each in found] == [Moment.STARTED, Moment.HALTED, Moment.ENDED]
    assert {each.run for each in found} == {"run-1"}


def test_the_message_of_a_halt_is_enough_to_act_on() -> None:
    """What, where, how many of each outcome, why, which instance, what its reason means, and the next command."""
    notice = told(halting())[-1]
    text = notice.text
    assert text.startswith("Rollout ended on cluster web (account 123456789012, eu-central-1): HALTED.")
    assert "0 of 7 instances run the credential (1 rolled_back, 1 unreachable, 5 not_attempted)" in text
    assert "Why: 1 failed, --max-failures 0 allows 0 of 7" in text
    assert f"1 rolled_back (agent_did_not_return): {CANARY}" in text
    assert "The agent did not answer in time after the restart." in text
    assert "Do: Look at /var/log/ecs/ecs-agent.log there" in text
    assert text.splitlines()[-1] == "Next: ecs-rollout report run-1 --journal '/var/lib/my journal.db'"
    assert notice.subject == "[ecs-rollout] web: ended HALTED, 1 rolled_back, 1 unreachable, 5 not_attempted"
    assert dict(notice.counts) == {"rolled_back": 1, "unreachable": 1, "not_attempted": 5}


def test_the_message_of_a_wave_that_waits_is_enough_to_answer_it() -> None:
    """Which wave, of how many instances, until when, what was done so far; how to let it go on, and how to stop it."""
    waits = Policy(waves=(Amount(1, percent=False), EVERYTHING), approve=True, approve_timeout=3600)
    state, _, journal = roll(fleet_of(4), waits)
    assert state.halted is not None
    awaited = next(entry for entry in journal.entries if isinstance(entry.event, ApprovalAwaited))
    found = told(journal.entries)
    assert [each.moment for each in found] == [Moment.STARTED, Moment.WAITING, Moment.HALTED, Moment.ENDED]
    notice = found[1]
    assert notice.text.splitlines() == [
        "Rollout WAITS for approval on cluster web (account 123456789012, eu-central-1).",
        f"Wave 2 has 3 instances. Not approved until {moment(awaited.at + 3600)}, it does not open, and the run ends.",
        "So far: 1 updated, 3 without an outcome yet.",
        "To stop here: ecs-rollout abort run-1 --journal '/var/lib/my journal.db'",
        "",
        "Run run-1.",
        "Next: ecs-rollout approve run-1 --wave 2 --journal '/var/lib/my journal.db'",
    ]
    assert notice.at == awaited.at
    assert notice.subject == "[ecs-rollout] web: WAITS for approval of wave 2, 1 updated, 3 without an outcome yet"


def test_what_followed_a_run_is_told_with_its_end() -> None:
    """What came of AWSCURRENT stands in the message of the end, also of a run that had nothing to change itself."""
    stays = "AWSCURRENT of registry stays at v1: 2 of 3 instances run it."
    box = Box()
    notifier = Notifier([box], ORIGIN)
    follower = Follower((notifier,))
    follower.saw(roll(fleet_of(3))[2].entries)
    notifier.concluded(stays, well=False)
    follower.saw(roll(fleet_of(3, generation=GENERATION))[2].entries)
    notifier.concluded("AWSCURRENT of registry was moved to v2.")
    assert notifier.finish() == ()
    _, left, moved = box.got
    assert f"\n{stays}\n" in left.text
    assert "Nothing to do." not in left.text
    assert left.next == "ecs-rollout report run-1 --journal '/var/lib/my journal.db'"
    assert moved.moment is Moment.ENDED
    assert "\nAWSCURRENT of registry was moved to v2.\nNothing to do.\n" in moved.text


def test_what_was_seen_is_told_once() -> None:
    """The few words that an instance's outcome carries stand under its reason, once, on one line."""
    entries = halting()
    for index, entry in enumerate(entries):
        if isinstance(entry.event, Concluded) and entry.event.outcome.kind is OutcomeKind.ROLLED_BACK:
            outcome = replace(entry.event.outcome, message="the unit is\nfailed")
            entries[index] = Entry(entry.at, structs.replace(entry.event, outcome=outcome))
    assert told(entries)[-1].text.count("\n  Seen: the unit is failed\n") == 1


def test_the_message_at_the_start_says_what_will_happen() -> None:
    """How many instances, in how many waves, how many at a time; a plan's refusals are in it."""
    notice = told(halting())[0]
    assert "6 of 7 instances to change, in 3 waves, at most 1 at a time." in notice.text
    assert notice.counts == ()
    assert notice.next == "ecs-rollout status run-1 --journal '/var/lib/my journal.db'"


def test_the_message_of_a_halt_tells_who_is_still_at_work() -> None:
    """At a halt, those in flight are counted, and a further message is promised."""
    hosts = [Host(CANARY, behaviour="rolled_back", apply_seconds=5), *fleet_of(9)[1:]]
    policy = Policy(waves=(EVERYTHING,), max_unavailable=Amount.parse("3"))
    _, _, journal = roll(hosts, policy)
    text = told(journal.entries)[1].text
    assert "the 2 instances at work are seen through. A message follows at the end." in text
    assert "So far: 1 rolled_back, 8 without an outcome yet." in text


def test_a_good_end_needs_nobody() -> None:
    """After a run that went well there is nothing to do, and no command is named."""
    _, _, journal = roll(fleet_of(3))
    notice = told(journal.entries)[-1]
    assert "3 of 3 instances run the credential (3 updated)" in notice.text
    assert "Nothing to do." in notice.text
    assert notice.next == ""
    assert "Next:" not in notice.text


def test_a_run_with_nothing_to_do_is_silent() -> None:
    """Nobody is told every night that all is as it was; one that could not be reached is told all the same."""
    current = [Host(f"i-{number:017x}", generation=GENERATION) for number in range(3)]
    assert told(roll(current)[2].entries) == []
    lost = [*current, Host("i-0000000000000a002", ping=Ping.CONNECTION_LOST)]
    assert [each.moment for each in told(roll(lost, Policy(max_unreachable=(EVERYTHING,)))[2].entries)] == [
        Moment.ENDED
    ]


def test_a_run_that_takes_another_back_is_told_as_such() -> None:
    """A second run under the same observer begins anew; its messages say that something is taken back."""
    first = halting()
    started = next(each.event for each in first if isinstance(each.event, RunStarted))
    again = [
        Entry(2_000_000.0, structs.replace(started, run="run-1-back", restores="run-1")),
        Entry(2_000_100.0, Halted(why="because")),
        Entry(2_000_200.0, RunEnded(result="halted")),
    ]
    found = told([*first, *again])
    assert [each.run for each in found] == ["run-1"] * 3 + ["run-1-back"] * 3
    assert found[3].text.startswith("Taking back the run run-1 started on cluster web")
    assert found[-1].next.startswith("ecs-rollout report run-1 ")


def test_nothing_is_told_of_a_run_whose_beginning_was_not_seen() -> None:
    """Entries without their run are left out; remembered ones are told by nobody, and what follows is."""
    entries = halting()
    assert told(entries[1:]) == []
    box = Box()
    notifier = Notifier([box], ORIGIN)
    follower = Follower((notifier,))
    follower.remember(entries[:-1])
    follower.saw(entries[-1:])
    notifier.finish()
    assert [each.moment for each in box.got] == [Moment.ENDED]


def broken(error: RolloutError, state: RunState | None) -> Notice:
    origin = Origin(cluster="web", region="eu-central-1", again=("ecs-rollout", "plan", "--cluster", "web"))
    return notices.failed(error, state, origin, at=5.0)


def test_a_command_that_never_ran_is_told() -> None:
    """A refused credential: why, what to do, that nothing was changed, and what shows how things are."""
    text = broken(RefusedError("registry: the login was refused.", hint="Check the password."), None).text
    assert text.splitlines() == [
        "Rollout DID NOT RUN on cluster web (eu-central-1) (exit code 3). No instance was changed.",
        "Why: registry: the login was refused.",
        "Do: Check the password.",
        "Next: ecs-rollout plan --cluster web",
    ]


def test_a_run_that_breaks_off_is_told_with_what_was_done() -> None:
    """In the middle of a run nobody claims that nothing was changed; the command that goes on with it is named."""
    entries = halting()
    state = RunState()
    for entry in entries[: len(entries) // 2]:
        state.fold(entry)
    notice = broken(EnvironmentFault("AWS does not answer.", hint="Check the network."), state)
    assert "Rollout BROKE OFF on cluster web" in notice.text
    assert "No instance was changed" not in notice.text
    assert "without an outcome yet" in notice.text
    assert notice.next == "ecs-rollout resume run-1 --take-over"
    for entry in entries[len(entries) // 2 :]:
        state.fold(entry)
    after = broken(EnvironmentFault("The bucket is gone.", hint="Look for it."), state)
    assert "FAILED AFTER ITS RUN" in after.subject
    assert after.next == "ecs-rollout report run-1"
    unsaved = broken(UnsavedFault("The journal is full.", hint="Make room."), state)
    assert "BROKE OFF" in unsaved.subject  # its end is in memory alone
    assert unsaved.next == "ecs-rollout resume run-1 --take-over"


def test_a_shared_journal_is_named_with_its_region() -> None:
    """Whoever is woken may sit at another machine: the next command finds the journal from there."""
    shared = replace(ORIGIN, store=("--state", "dynamodb:rollouts"))
    assert (
        told(halting(), shared)[-1].next == "ecs-rollout report run-1 --state dynamodb:rollouts --region eu-central-1"
    )


@given(st.text(), st.text())
def test_a_subject_is_always_one_short_line_of_ascii(cluster: str, message: str) -> None:
    """Whatever words come in, SNS takes the subject, and no line of the text is torn."""
    error = LockedError(message, hint="wait")
    notice = notices.failed(error, None, Origin(cluster=cluster, region="r"), at=0.0)
    assert notice.subject.isascii()
    assert notice.subject.isprintable()
    assert 0 < len(notice.subject) <= 100
    assert len(notice.why.splitlines()) <= 1


def test_every_command_that_is_named_exists() -> None:
    """Whatever a notice says to run next is a command of this tool."""
    found = [*told(halting()), broken(RefusedError("x", hint="y"), None)]
    for notice in found:
        if notice.next:
            words = shlex.split(notice.next)
            assert words[0] == "ecs-rollout"
            assert words[1] in COMMANDS
            assert notice.text.endswith(f"Next: {notice.next}")


TOPIC = "arn:aws:sns:eu-central-1:123456789012:night"


@pytest.mark.parametrize(
    ("text", "target"),
    [
        (f"sns:{TOPIC}", TopicTarget(arn=TOPIC)),
        (f"sns:{TOPIC}.fifo", TopicTarget(arn=f"{TOPIC}.fifo")),
        ("eventbridge:default", BusTarget(bus="default")),
        (
            "eventbridge:arn:aws:events:us-east-1:123456789012:event-bus/ops",
            BusTarget(bus="arn:aws:events:us-east-1:123456789012:event-bus/ops"),
        ),
        ("webhook:env:HOOK", WebhookTarget(variable="HOOK")),
        ("webhook:ssm:/team/hook", WebhookTarget(source=SsmSource(name="/team/hook"))),
    ],
)
def test_targets_are_read_and_written_alike(text: str, target: object) -> None:
    """Every form of a target becomes its value, and its value says the same again."""
    assert parse_target(text) == target
    assert str(parse_target(text)) == text


def test_a_target_in_another_region_is_asked_there() -> None:
    """The Region of a topic and of a bus with an ARN is the ARN's."""
    assert TopicTarget(arn=TOPIC).region == "eu-central-1"
    assert BusTarget(bus="arn:aws:events:us-east-1:123456789012:event-bus/ops").region == "us-east-1"
    assert BusTarget(bus="ops").region is None


SECRET_URL = "https://hooks.example.com/services/T0/B0/s3cr3tt0k3n"


@pytest.mark.parametrize(
    "text",
    [
        f"webhook:{SECRET_URL}", SECRET_URL, f"webhook:url:{SECRET_URL}", f"webhook:env:{SECRET_URL}",
        f"sns:{SECRET_URL}", f"eventbridge:{SECRET_URL}?", f"slack:{SECRET_URL}", "webhook:-", "webhook:", "sns:night",
    ],
)  # fmt: skip
def test_what_is_no_target_is_refused_without_repeating_it(text: str) -> None:
    """A webhook's URL on the command line is refused like any other nonsense, and appears in no error."""
    with pytest.raises(UsageError) as caught:
        parse_target(text)
    shown = caught.value.message + caught.value.hint + str(caught.value.__cause__)
    assert "hooks.example.com" not in shown
    assert "s3cr3t" not in shown
