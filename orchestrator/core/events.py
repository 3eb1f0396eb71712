"""What happens in a run, as frozen values: the journal's content. Intents come before their effects.

Every field is a name, an id, a number or a word of ours; no event can hold a secret.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from orchestrator.core.gates import GateAnswer
from orchestrator.core.lifecycle import Step
from orchestrator.core.model import Facts, Outcome, Planned
from orchestrator.core.orders import PayloadReference
from orchestrator.core.reasons import Reason
from orchestrator.core.result import Report
from orchestrator.core.settings import OptionValue, Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted:
    """The run exists: what it wants, under which rules, for which instances.

    `restores` names the run that this one takes back; empty for a run that applies a credential. `heals`: it takes
    back what dead runs have left half-way. `options`: the flags that it was started with, so that it can be resumed;
    `registries`: the names of those that the credential has logins for.
    """

    run: str
    cluster: str
    region: str
    generation: str
    fence: int
    restores: str = ""
    heals: bool = False
    policy: Policy
    planned: tuple[Planned, ...]
    options: Mapping[str, OptionValue] = field(default_factory=dict)
    registries: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """An owner with a larger fence goes on with the run."""

    fence: int
    holder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """The credential is where instances fetch it."""

    payload: PayloadReference


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveOpened:
    """Instances of this wave may be admitted from now on."""

    wave: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GateAnswered:
    """A gate says something else than before, or still has trouble after `unasked` seconds without a question."""

    answer: GateAnswer
    unasked: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalAwaited:
    """The wave opens when somebody approves it."""

    wave: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Approved:
    """Somebody lets the wave go on."""

    wave: int
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Surveyed:
    """The cluster was listed again: instances that have joined, and laggards as they are now, with their decisions."""

    planned: tuple[Planned, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Draining the instance would leave its tasks without a place; it is considered again at `again_at`."""

    step: ClassVar[Step] = Step.HELD
    key: str
    why: str
    again_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Draining:
    """Intent: mark these as ours, then set them DRAINING; a run that was resumed does it again."""

    step: ClassVar[Step] = Step.DRAINING
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drained:
    """No task runs on the instance any more."""

    step: ClassVar[Step] = Step.DRAINED
    key: str


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
    """SSM did not accept the batch, or a look showed that it never began: its instances are as they were.

    `drained` ones still are.
    """

    batch: str
    keys: tuple[str, ...]
    detail: str
    drained: bool = False

    @property
    def step(self) -> Step:
        """Back to where they came from."""
        return Step.NOT_SENT_DRAINED if self.drained else Step.NOT_SENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """The result line of apply or restore came home."""

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
class Disproven:
    """The instance came back under a new identity that ECS does not bear out: it is to be taken back."""

    step: ClassVar[Step] = Step.DISPROVEN
    key: str
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class TakingBack:
    """Intent: set these DRAINING under their new identity, then one SendCommand of restore."""

    step: ClassVar[Step] = Step.TAKING_BACK
    batch: str
    keys: tuple[str, ...]
    not_after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """How the instance ends is known; intent: give back what the run took from it."""

    step: ClassVar[Step] = Step.SETTLED
    key: str
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Something could not be given back yet; it is tried again at `again_at` (epoch seconds)."""

    step: ClassVar[Step] = Step.KEPT
    key: str
    detail: str
    again_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Deferred:
    """The instance cannot be reached by now: it is tried once more after the last wave, or ends like this."""

    step: ClassVar[Step] = Step.DEFERRED
    key: str
    outcome: Outcome


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Promoting:
    """Intent, once the run has ended: move AWSCURRENT of the secret from version `before` to `version`."""

    secret: str
    version: str
    before: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Promoted:
    """AWSCURRENT of the secret is at this version."""

    secret: str
    version: str


Event = (
    RunStarted
    | Resumed
    | Delivered
    | WaveOpened
    | ApprovalAwaited
    | Approved
    | GateAnswered
    | Surveyed
    | Held
    | Draining
    | Drained
    | Admitted
    | Looking
    | Sent
    | NotSent
    | Reported
    | Lost
    | Looked
    | Disproven
    | TakingBack
    | Settled
    | Kept
    | Deferred
    | Concluded
    | Halted
    | RunEnded
    | Promoting
    | Promoted
)


@dataclass(frozen=True, slots=True)
class Entry:
    """An event and when it was recorded (epoch seconds)."""

    at: float
    event: Event
