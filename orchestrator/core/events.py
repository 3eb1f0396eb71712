"""What happens in a run, as frozen values: the journal's content. Intents come before their effects.

Every field is a name, an id, a number or a word of ours; no event can hold a secret.
"""

from dataclasses import dataclass
from typing import ClassVar

from orchestrator.core.gates import GateAnswer
from orchestrator.core.lifecycle import Step
from orchestrator.core.model import Facts, Outcome, Planned
from orchestrator.core.reasons import Reason
from orchestrator.core.result import Report
from orchestrator.core.settings import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted:
    """The run exists: what it wants, under which rules, for which instances.

    `restores` names the run that this one takes back; empty for a run that applies a credential.
    """

    run: str
    cluster: str
    region: str
    generation: str
    fence: int
    restores: str = ""
    policy: Policy
    planned: tuple[Planned, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveOpened:
    """Instances of this wave may be admitted from now on."""

    wave: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GateAnswered:
    """A gate says something else than before."""

    answer: GateAnswer


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """Intent: one SendCommand of apply or restore for these; it expires on them at `not_after` (epoch seconds)."""

    step: ClassVar[Step] = Step.ADMITTED
    batch: str
    keys: tuple[str, ...]
    not_after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Looking:
    """Intent: one SendCommand of inspect for instances whose result was lost."""

    step: ClassVar[Step] = Step.LOOKING
    batch: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """SSM accepted the batch under this command id."""

    batch: str
    command_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotSent:
    """SSM surely did not accept the batch: its instances are as they were."""

    step: ClassVar[Step] = Step.NOT_SENT
    batch: str
    keys: tuple[str, ...]
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """An apply's result line came home."""

    step: ClassVar[Step] = Step.REPORTED
    key: str
    report: Report


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """No result will come: it may or may not have run. Look at `look_at` (epoch seconds), not before."""

    step: ClassVar[Step] = Step.LOST
    keys: tuple[str, ...]
    look_at: int
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """The second look at an instance ended: facts, or the reason why there are none."""

    step: ClassVar[Step] = Step.LOOKED
    key: str
    facts: Facts | None
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Concluded:
    """The instance's lifecycle ended."""

    step: ClassVar[Step] = Step.CONCLUDED
    key: str
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Halted:
    """Nothing more is admitted."""

    why: str
    interrupted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnded:
    """Every instance has its outcome."""

    result: str


Event = (
    RunStarted
    | WaveOpened
    | GateAnswered
    | Admitted
    | Looking
    | Sent
    | NotSent
    | Reported
    | Lost
    | Looked
    | Concluded
    | Halted
    | RunEnded
)


@dataclass(frozen=True, slots=True)
class Entry:
    """An event and when it was recorded (epoch seconds)."""

    at: float
    event: Event
