"""Why it is not certain that nobody will use the previous credential any more: each doubt, and what to do."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Doubt(StrEnum):
    """Why it is not certain that the previous credential is out of use for good."""

    NOT_INSPECTED = "not_inspected"
    NOT_OURS = "not_ours"
    NO_LOGIN_SEEN = "no_login_seen"
    DISAGREES = "disagrees"
    WATCHDOG_ARMED = "watchdog_armed"
    NOT_IN_CLUSTER = "not_in_cluster"
    WARM_POOL = "warm_pool"
    BOOT_CREDENTIAL = "boot_credential"
    BOOT_UNREAD = "boot_unread"
    NO_GENERATION = "no_generation"


MEANINGS: Mapping[Doubt, tuple[str, str]] = MappingProxyType(
    {
        Doubt.NOT_INSPECTED: (
            "It could not be asked, so it may still run the previous credential, or start with it again.",
            "Bring it back to Systems Manager and look again; change by hand, or terminate, what cannot be rolled.",
        ),
        Doubt.NOT_OURS: (
            "It runs a credential that ecs-rollout did not install; it may be the previous one.",
            "Roll it. This shows how:",
        ),
        Doubt.NO_LOGIN_SEEN: (
            "Its agent holds no login and ecs-rollout installed none; what its file holds is not known.",
            "Roll it. This shows how:",
        ),
        Doubt.DISAGREES: (
            "Its marker, its env file and its running agent do not hold the same credential.",
            "Roll it again. This shows how:",
        ),
        Doubt.WATCHDOG_ARMED: (
            "A change is under way there, or broke off: its old state can still come back.",
            "Wait for the watchdog's time, then look again.",
        ),
        Doubt.NOT_IN_CLUSTER: (
            "It belongs to an Auto Scaling group of the cluster and is not registered: it has what it booted with.",
            "Wait until it has joined and roll it, or terminate it.",
        ),
        Doubt.WARM_POOL: (
            "It waits in a warm pool and starts with the credential that it was stopped with.",
            "Empty the warm pool (aws autoscaling delete-warm-pool) and let it fill again.",
        ),
        Doubt.BOOT_CREDENTIAL: (
            "New instances boot with another credential from there.",
            "Put the credential there (`--boot-config` does that for S3), or take it out.",
        ),
        Doubt.BOOT_UNREAD: (
            "New instances boot from there, and it could not be read.",
            "Name it with --boot-config, allow it to be read, or look at it yourself.",
        ),
        Doubt.NO_GENERATION: (
            "No instance runs a credential that ecs-rollout installed, so none can be called the previous one.",
            "Roll the cluster. This shows how:",
        ),
    }
)
"""What each doubt means, and what to do."""

BY_A_RUN = frozenset({Doubt.NOT_OURS, Doubt.NO_LOGIN_SEEN, Doubt.DISAGREES, Doubt.NO_GENERATION})
"""Those that a run of the cluster ends: the command of its plan follows on the words of what to do."""


@dataclass(frozen=True, slots=True)
class Uncertain:
    """One doubt, about an instance or a place (`what`), and in a few words what was seen; never a secret."""

    doubt: Doubt
    what: str
    seen: str = ""
