"""A webhook: Slack's JSON, one more attempt, and a URL that is nowhere but on the wire."""

import json
import os
from collections.abc import Callable, Iterator

import pytest

from orchestrator.core.notices import Moment, Notice, WebhookTarget
from orchestrator.errors import EnvironmentFault, RolloutError, UsageError
from orchestrator.webhook import WebhookChannel, body, checked
from tests.canary import shown_of
from tests.receiver import Received, receiver

TARGET = WebhookTarget(variable="HOOK")
SECRET = "T0/B0/s3cr3tt0k3nOfTheHook"
NOTICE = Notice(
    moment=Moment.HALTED,
    cluster="web",
    account="123456789012",
    region="eu-central-1",
    run="run-1",
    at=1.0,
    subject="[ecs-rollout] web: HALTED",
    text='Why: <!channel> & "quotes"\nNext: ecs-rollout report run-1',
)


@pytest.fixture
def hook() -> Iterator[Received]:
    with receiver(SECRET) as received:
        yield received


def channel(url: str | Callable[[], str]) -> WebhookChannel:
    return WebhookChannel(TARGET, (lambda: url) if isinstance(url, str) else url, environment={})


def test_the_message_is_what_slack_takes(hook: Received) -> None:
    """One JSON object with a text, whose special characters cannot mention anybody."""
    channel(f" {hook.url}\n").send(NOTICE)
    assert json.loads(hook.bodies[0]) == {
        "text": '*[ecs-rollout] web: HALTED*\nWhy: &lt;!channel&gt; &amp; "quotes"\nNext: ecs-rollout report run-1'
    }
    assert hook.paths == [f"/{SECRET}"]


@pytest.mark.parametrize(("answers", "attempts"), [([503, 200], 2), ([429, 204], 2), ([200], 1)])
def test_a_passing_trouble_is_tried_once_more(hook: Received, answers: list[int], attempts: int) -> None:
    """A server that is busy or broken for a moment gets the message with the second attempt."""
    hook.status = answers
    channel(hook.url).send(NOTICE)
    assert len(hook.bodies) == attempts


@pytest.mark.parametrize(
    ("answers", "attempts", "told"),
    [([404], 1, "answered 404"), ([302], 1, "answered 302"), ([500], 2, "answered 500")],
)
def test_a_webhook_that_does_not_take_it_is_an_error(
    hook: Received, answers: list[int], attempts: int, told: str
) -> None:
    """A lasting trouble is told after at most two attempts, without the URL."""
    hook.status = answers
    with pytest.raises(EnvironmentFault, match=told) as caught:
        channel(hook.url).send(NOTICE)
    assert len(hook.bodies) == attempts
    assert SECRET[6:14] not in shown_of(caught.value)


def test_a_webhook_that_is_not_there_is_an_error_without_its_url(hook: Received) -> None:
    """Nobody listens: the error names neither host nor path."""
    address, _, _ = hook.url.removeprefix("http://").partition("/")
    closed = f"http://127.0.0.1:1/{SECRET}"
    for url in (closed, f"http://{address}@[::1]:1/{SECRET}"):
        with pytest.raises(RolloutError) as caught:
            channel(url).send(NOTICE)
        assert SECRET[6:14] not in shown_of(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "", f"http://hooks.example.com/{SECRET}", f"ftp://hooks.example.com/{SECRET}", f"https:///{SECRET}",
        f"https://hooks.example.com/{SECRET}\nX: y", f"https://[hooks/{SECRET}", f'{{"url": "https://x/{SECRET}"}}',
    ],
)  # fmt: skip
def test_what_is_no_url_is_refused_without_repeating_it(url: str) -> None:
    """A URL that would send the message in the clear, or is none, is refused; the error does not hold it."""
    with pytest.raises(UsageError) as caught:
        checked(url)
    assert SECRET[6:14] not in shown_of(caught.value)


def test_the_url_is_fetched_once(hook: Received) -> None:
    """A URL that lies in a store is fetched at the first notice, and not again."""
    fetched: list[str] = []

    def fetch() -> str:
        fetched.append("once")
        return hook.url

    kept = channel(fetch)
    assert fetched == []
    kept.send(NOTICE)
    kept.send(NOTICE)
    assert fetched == ["once"]


def test_the_name_is_no_secret() -> None:
    """What a message calls the channel is where its URL is kept."""
    assert channel("https://x").name == "webhook:env:HOOK"
    assert os.environ.get("HOOK") is None
    assert b"hooks" not in body(NOTICE)
