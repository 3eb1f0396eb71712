"""The errors that a user can see: each a message, a hint and an exit code."""

from enum import IntEnum


class ExitCode(IntEnum):
    """How the process ends (README, 'Exit codes')."""

    OK = 0
    NOT_ALL_UPDATED = 1
    USAGE = 2
    REFUSED = 3
    ENVIRONMENT = 4
    LOCKED = 5
    CHANGES_PENDING = 6
    DEFECT = 70
    HUNG_UP = 129
    INTERRUPTED = 130
    TERMINATED = 143


class RolloutError(Exception):
    """The base of every expected error: one line of what is wrong, one line of what to do.

    Neither line ever holds a secret or a piece of one.
    """

    exit_code: ExitCode = ExitCode.NOT_ALL_UPDATED

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def in_words(error: OSError | UnicodeDecodeError) -> str:
    """Say in the system's words why a file or socket could not be used, without its name and number."""
    return "it is no UTF-8 text" if isinstance(error, UnicodeDecodeError) else error.strerror or type(error).__name__


class UsageError(RolloutError):
    """The command line or the configuration is wrong."""

    exit_code = ExitCode.USAGE


class RefusedError(RolloutError):
    """The tool will not do this; nothing was touched."""

    exit_code = ExitCode.REFUSED


class EnvironmentFault(RolloutError):  # noqa: N818 - EnvironmentError is a builtin
    """AWS, its permissions or the journal do not let us work."""

    exit_code = ExitCode.ENVIRONMENT


class JournalFault(EnvironmentFault):
    """The journal cannot be read, or takes no events; AWS and the instances may be well."""


class UnsavedFault(JournalFault):
    """The journal did not take the end of a run, which is to be resumed."""


class LockedError(RolloutError):
    """Another run holds the cluster's lock."""

    exit_code = ExitCode.LOCKED


class DefectError(RolloutError):
    """Something happened that no code of ours expects. `place`: where, as file, line and function.

    What the exception itself says is left out: it may hold a secret.
    """

    exit_code = ExitCode.DEFECT

    def __init__(self, error: BaseException, place: str) -> None:
        super().__init__(
            f"A defect of ecs-rollout: {type(error).__name__}" + (f" at {place}." if place else "."),
            hint="Report it where you have ecs-rollout from, with what --debug prints: that holds no secret.",
        )
