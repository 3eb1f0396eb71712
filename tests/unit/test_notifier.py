"""A notice that cannot be sent never fails or delays a run, and is told."""

import threading
from dataclasses import dataclass, field

import pytest

from orchestrator.core.events import Entry
from orchestrator.core.notices import Notice
from orchestrator.errors import EnvironmentFault, RefusedError
from orchestrator.report import notifier as module
from orchestrator.report.following import Follower
from orchestrator.report.notices import Origin
from orchestrator.report.notifier import Notifier
from tests.fake_fleet import fleet_of, roll

ORIGIN = Origin(cluster="web", region="eu-central-1", account="123456789012")


def good_run() -> list[Entry]:
    return roll(fleet_of(2))[2].entries


@dataclass
class Box:
    """A channel that fails as it is told, or is stuck until it is let go."""

    name: str
    error: Exception | None = None
    stuck: threading.Event | None = None
    got: list[str] = field(default_factory=list)

    def send(self, notice: Notice) -> None:
        if self.stuck is not None:
            self.stuck.wait(30)
        if self.error is not None:
            raise self.error
        self.got.append(notice.moment)


def test_each_channel_gets_everything_in_order() -> None:
    """Several channels are all told, each in the order of the events."""
    boxes = [Box("one"), Box("two")]
    notifier = Notifier(boxes, ORIGIN)
    Follower((notifier,)).saw(good_run())
    assert notifier.finish() == ()
    assert [box.got for box in boxes] == [["started", "ended"]] * 2


def test_a_failing_channel_is_told_and_hurts_nobody() -> None:
    """What one channel raises reaches neither the run nor the other channels; it is named with its reason."""
    good = Box("good")
    refused = Box("sns:night", error=EnvironmentFault("Not allowed: sns:Publish.", hint="Allow it."))
    odd = Box("webhook:env:HOOK", error=ValueError("https://hooks.example.com/s3cr3t"))
    notifier = Notifier([refused, odd, good], ORIGIN)
    Follower((notifier,)).saw(good_run())
    troubles = notifier.finish()
    assert good.got == ["started", "ended"]
    assert troubles == (
        "the notice 'started' did not reach sns:night: Not allowed: sns:Publish. Allow it.",
        "the notice 'started' did not reach webhook:env:HOOK: unexpected: ValueError",
        "the notice 'ended' did not reach sns:night: Not allowed: sns:Publish. Allow it.",
        "the notice 'ended' did not reach webhook:env:HOOK: unexpected: ValueError",
    )


def test_a_channel_that_hangs_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """While one channel does not answer, the run's events pass and the other channel is told; the end gives up."""
    monkeypatch.setattr(module, "PATIENCE", 0.2)
    hanging, good = Box("hanging", stuck=threading.Event()), Box("good")
    notifier = Notifier([hanging, good], ORIGIN)
    Follower((notifier,)).saw(good_run())
    troubles = notifier.finish()
    assert good.got == ["started", "ended"]
    assert [each.partition(" did")[0] for each in troubles] == ["the notice 'started'", "the notice 'ended'"]
    assert all("hanging: no answer within" in each for each in troubles)
    assert hanging.stuck is not None
    hanging.stuck.set()


def test_an_account_that_cannot_be_asked_costs_no_notice() -> None:
    """An error is told also where nobody can say in which account."""
    texts: list[str] = []

    class Keeping(Box):
        def send(self, notice: Notice) -> None:
            texts.append(notice.text)

    def account() -> str:
        raise EnvironmentFault("No AWS credentials were found.", hint="Log in.")

    notifier = Notifier([Keeping("box")], Origin(cluster="web", region="eu-central-1"))
    notifier.failed(RefusedError("bad login", hint="mend it"), None, at=1.0, account=account)
    notifier.finish()
    assert texts[0].startswith("Rollout DID NOT RUN on cluster web (eu-central-1)")
