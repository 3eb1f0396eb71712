"""What the policy can want done next, as values; the engine does it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Apply:
    """Send apply, or in a run that takes back restore, to these: at most 50, in one command (F70)."""

    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Drain:
    """Mark these as ours and set them DRAINING, where the cluster has room for their tasks."""

    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Release:
    """Nothing is to be sent to these any more: end them, and give back what was taken. The run may be halted."""

    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GiveBack:
    """Give these back what the run took from them."""

    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TakeBack:
    """The change of these is disproven: set them DRAINING again and send restore, at most 50."""

    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LookAgain:
    """Send inspect to instances whose result was lost: at most 50."""

    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AwaitApproval:
    """Ask somebody to let this wave go on."""

    wave: int


@dataclass(frozen=True, slots=True)
class OpenWave:
    """Let this wave's instances be admitted; decide again at once."""

    wave: int


@dataclass(frozen=True, slots=True)
class Survey:
    """List the cluster again: laggards and instances that have joined."""


@dataclass(frozen=True, slots=True)
class Halt:
    """Admit nothing more, and say why."""

    why: str


@dataclass(frozen=True, slots=True)
class GiveUp:
    """End these, which are not at work: the run is halted, or they stayed unreachable."""

    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class End:
    """Every instance has its outcome."""


Action = (
    Apply | Drain | Release | GiveBack | TakeBack | LookAgain | AwaitApproval | OpenWave | Survey | Halt | GiveUp | End
)
