"""What somebody is told about a run, and whom `--notify` names. No field here holds a secret."""

import re
from dataclasses import dataclass
from enum import StrEnum

from orchestrator.core.model import OutcomeKind
from orchestrator.core.reasons import Reason
from orchestrator.core.source import Source, StdinSource, parse_source
from orchestrator.errors import UsageError

_TOPIC = re.compile(r"arn:[a-z-]+:sns:([a-z0-9-]+):\d{12}:[A-Za-z0-9_-]{1,256}(\.fifo)?")
_BUS = re.compile(r"[A-Za-z0-9._/-]{1,256}")
_BUS_ARN = re.compile(r"arn:[a-z-]+:events:([a-z0-9-]+):\d{12}:event-bus/[A-Za-z0-9._/-]{1,256}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FORMS = "Write sns:TOPIC_ARN, eventbridge:BUS, or webhook:SOURCE."
_WEBHOOK_FORMS = "Write webhook:env:NAME, webhook:file:PATH, webhook:ssm:/NAME or webhook:secretsmanager:NAME."


class Moment(StrEnum):
    """When somebody is told. FAILED: a command ended with an error, before its run or in the middle of it.

    WAITING: a wave waits for somebody's approval.
    """

    STARTED = "started"
    WAITING = "waiting"
    HALTED = "halted"
    ENDED = "ended"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Instances that ended in the same way, which is not the wanted one; `seen`: what was seen on some of them."""

    outcome: OutcomeKind
    reason: Reason
    instances: tuple[str, ...]
    seen: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One message. `subject`: a line of at most 100 ASCII characters. `text`: the same for a person, whole.

    The rest is for machines. `counts`: instances by outcome; `next`: the command to run next, empty for none; `at`:
    epoch seconds. `run` is empty where none had begun, `account` where it is not known.
    """

    moment: Moment
    cluster: str
    account: str
    region: str
    run: str
    at: float
    subject: str
    text: str
    result: str = ""
    why: str = ""
    counts: tuple[tuple[str, int], ...] = ()
    problems: tuple[Problem, ...] = ()
    next: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicTarget:
    """An SNS topic, by its ARN."""

    arn: str

    def __str__(self) -> str:
        return f"sns:{self.arn}"

    @property
    def region(self) -> str:
        """Where the topic is."""
        return self.arn.split(":")[3]


@dataclass(frozen=True, slots=True, kw_only=True)
class BusTarget:
    """An EventBridge bus, by its name or ARN."""

    bus: str

    def __str__(self) -> str:
        return f"eventbridge:{self.bus}"

    @property
    def region(self) -> str | None:
        """Where the bus is; None for the Region of the run."""
        return self.bus.split(":")[3] if self.bus.startswith("arn:") else None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookTarget:
    """A webhook, by where its URL is kept: in an environment `variable`, or in a `source`."""

    variable: str = ""
    source: Source | None = None

    def __str__(self) -> str:
        return f"webhook:{self.source or f'env:{self.variable}'}"


Target = TopicTarget | BusTarget | WebhookTarget


def parse_target(text: str) -> Target:
    """Parse `--notify`. Raises UsageError, which never repeats the text: it may be a webhook's URL."""
    scheme, _, rest = text.partition(":")
    match scheme:
        case "sns" if _TOPIC.fullmatch(rest):
            return TopicTarget(arn=rest)
        case "sns":
            raise UsageError("sns: is not followed by a topic's ARN", hint="Write sns:arn:aws:sns:REGION:ACCOUNT:NAME.")
        case "eventbridge" if _BUS.fullmatch(rest) or _BUS_ARN.fullmatch(rest):
            return BusTarget(bus=rest)
        case "eventbridge":
            raise UsageError("eventbridge: is not followed by a bus", hint="Write eventbridge:default, or a bus's ARN.")
        case "webhook":
            return _webhook(rest)
        case "http" | "https":
            return _webhook(text)
        case _:
            raise UsageError("the target of a notice is not one that ecs-rollout knows", hint=_FORMS)


def _webhook(rest: str) -> WebhookTarget:
    kind, _, name = rest.partition(":")
    if kind in {"http", "https"}:
        # Its URL lets anybody write there, and everybody on this machine can read an argument list.
        raise UsageError(
            "a webhook's URL is a secret, and the command line is no place for one",
            hint=f"Keep it where only you can read it. {_WEBHOOK_FORMS}",
        )
    if kind == "env" and _VARIABLE.fullmatch(name):
        return WebhookTarget(variable=name)
    try:
        source = parse_source(rest)
    except UsageError as error:
        raise UsageError("webhook: is not followed by where its URL is kept", hint=_WEBHOOK_FORMS) from error
    if isinstance(source, StdinSource):
        raise UsageError("a webhook's URL is not read from stdin", hint=_WEBHOOK_FORMS)
    return WebhookTarget(source=source)
