"""What happens in a run, as frozen values: the journal's content. Intents come before their effects.

Every field is a name, an id, a number or a word of ours; no event can hold a secret. They are structs, not dataclasses
as values are elsewhere: a journal of thousands is read, and this module loaded, where somebody waits for `status`.
"""

from collections.abc import Mapping
from typing import ClassVar

from msgspec import Struct, field

from orchestrator.core.gates import GateAnswer
from orchestrator.core.lifecycle import Step
from orchestrator.core.model import Facts, Outcome, Planned
from orchestrator.core.orders import PayloadReference
from orchestrator.core.reasons import Reason
from orchestrator.core.result import Report
from orchestrator.core.settings import OptionValue, Policy


class RunStarted(Struct, frozen=True, kw_only=True):
    """The run exists: what it wants, under which rules, for which instances.

    `restores` names the run that this one takes back; empty for a run that applies a credential. `heals`: it takes
    back what dead runs have left half-way. `options`: the flags that it was started with, so that it can be resumed;
    `registries`: the names of those that the credential has logins for; `tells`: somebody is to be told how it ends;
    `holder`: whose process it is; an earlier version did not say.
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
    tells: bool = False
    holder: str = ""


class Resumed(Struct, frozen=True, kw_only=True):
    """An owner with a larger fence goes on with the run."""

    fence: int
    holder: str


class Delivered(Struct, frozen=True, kw_only=True):
    """The credential is where instances fetch it."""

    payload: PayloadReference


class WaveOpened(Struct, frozen=True, kw_only=True):
    """Instances of this wave may be admitted from now on."""

    wave: int


class GateAnswered(Struct, frozen=True, kw_only=True):
    """A gate says something else than before, or still has trouble after `unasked` seconds without a question."""

    answer: GateAnswer
    unasked: float = 0.0


class ApprovalAwaited(Struct, frozen=True, kw_only=True):
    """The wave opens when somebody approves it."""

    wave: int


class Approved(Struct, frozen=True, kw_only=True):
    """Somebody lets the wave go on."""

    wave: int
    by: str


class Surveyed(Struct, frozen=True, kw_only=True):
    """The cluster was listed again: instances that have joined, and laggards as they are now, with their decisions."""

    planned: tuple[Planned, ...]


class Held(Struct, frozen=True, kw_only=True):
    """Draining the instance would leave its tasks without a place; it is considered again at `again_at`."""

    step: ClassVar[Step] = Step.HELD
    key: str
    why: str
    again_at: int


class Draining(Struct, frozen=True, kw_only=True):
    """Intent: mark these as ours, then set them DRAINING; a run that was resumed does it again."""

    step: ClassVar[Step] = Step.DRAINING
    keys: tuple[str, ...]


class Drained(Struct, frozen=True, kw_only=True):
    """No task runs on the instance any more."""

    step: ClassVar[Step] = Step.DRAINED
    key: str


class Admitted(Struct, frozen=True, kw_only=True):
    """Intent: one SendCommand of apply or restore for these; it expires on them at `not_after` (epoch seconds)."""

    step: ClassVar[Step] = Step.ADMITTED
    batch: str
    keys: tuple[str, ...]
    not_after: int


class Looking(Struct, frozen=True, kw_only=True):
    """Intent: one SendCommand of inspect for instances whose result was lost."""

    step: ClassVar[Step] = Step.LOOKING
    batch: str
    keys: tuple[str, ...]


class Sent(Struct, frozen=True, kw_only=True):
    """SSM accepted the batch under this command id."""

    batch: str
    command_id: str


class NotSent(Struct, frozen=True, kw_only=True):
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


class Reported(Struct, frozen=True, kw_only=True):
    """The result line of apply or restore came home."""

    step: ClassVar[Step] = Step.REPORTED
    key: str
    report: Report


class Lost(Struct, frozen=True, kw_only=True):
    """No result will come: it may or may not have run. Look at `look_at` (epoch seconds), not before."""

    step: ClassVar[Step] = Step.LOST
    keys: tuple[str, ...]
    look_at: int
    detail: str


class Looked(Struct, frozen=True, kw_only=True):
    """The second look at an instance ended: facts, or the reason why there are none."""

    step: ClassVar[Step] = Step.LOOKED
    key: str
    facts: Facts | None
    reason: Reason


class Disproven(Struct, frozen=True, kw_only=True):
    """The instance came back under a new identity that ECS does not bear out: it is to be taken back."""

    step: ClassVar[Step] = Step.DISPROVEN
    key: str
    reason: Reason


class TakingBack(Struct, frozen=True, kw_only=True):
    """Intent: set these DRAINING under their new identity, then one SendCommand of restore."""

    step: ClassVar[Step] = Step.TAKING_BACK
    batch: str
    keys: tuple[str, ...]
    not_after: int


class Settled(Struct, frozen=True, kw_only=True):
    """How the instance ends is known; intent: give back what the run took from it."""

    step: ClassVar[Step] = Step.SETTLED
    key: str
    outcome: Outcome


class Kept(Struct, frozen=True, kw_only=True):
    """Something could not be given back yet; it is tried again at `again_at` (epoch seconds)."""

    step: ClassVar[Step] = Step.KEPT
    key: str
    detail: str
    again_at: int


class Deferred(Struct, frozen=True, kw_only=True):
    """The instance cannot be reached by now: it is tried once more after the last wave, or ends like this."""

    step: ClassVar[Step] = Step.DEFERRED
    key: str
    outcome: Outcome


class Concluded(Struct, frozen=True, kw_only=True):
    """The instance's lifecycle ended."""

    step: ClassVar[Step] = Step.CONCLUDED
    key: str
    outcome: Outcome


class Halted(Struct, frozen=True, kw_only=True):
    """Nothing more is admitted."""

    why: str
    interrupted: bool = False


class RunEnded(Struct, frozen=True, kw_only=True):
    """Every instance has its outcome."""

    result: str


class Promoting(Struct, frozen=True, kw_only=True):
    """Intent, once the run has ended: move AWSCURRENT of the secret from version `before` to `version`."""

    secret: str
    version: str
    before: str


class Promoted(Struct, frozen=True, kw_only=True):
    """AWSCURRENT of the secret is at this version."""

    secret: str
    version: str


class EndTold(Struct, frozen=True, kw_only=True):
    """Those who want to know were told how the run ended: what RunStarted had promised to them (`tells`)."""


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
    | EndTold
)


class Entry(Struct, frozen=True):
    """An event and when it was recorded (epoch seconds)."""

    at: float
    event: Event
