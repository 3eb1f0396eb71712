"""The parameters of the three documents: names, defaults, patterns, and what each one means.

Names are alphanumeric (F50). Values are text that lands in a script (F51), so every one has an anchored pattern that
RE2 (the SSM agent) and Java (the service) read alike, and none of them is ever a secret (F62).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Kind(StrEnum):
    """Which document."""

    INSPECT = "inspect"
    APPLY = "apply"
    RESTORE = "restore"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter; `default` None means that it must be given."""

    name: str
    description: str
    pattern: str
    default: str | None = None


_ID = "^[A-Za-z0-9][A-Za-z0-9-]{0,63}$"
_NUMBER = "^[0-9]{1,12}$"
_SECONDS = "^[1-9][0-9]{0,4}$"
_PATH = "^/[A-Za-z0-9_./-]{1,200}$"
_LOCAL_URL = "^https?://[A-Za-z0-9._:\\[\\]-]{1,200}(/[A-Za-z0-9._~/-]{1,200})?$"

_COMMON: Final = (
    Parameter("RunId", "The rollout that sends this.", _ID),
    Parameter("Fence", "The number of the run's lock; a number smaller than one seen before is refused.", _NUMBER),
    Parameter("NotAfter", "Seconds since the epoch, after which nothing is begun any more.", _NUMBER),
    Parameter("Cluster", "The name (not the ARN) of the cluster that the agent must serve.", "^[A-Za-z0-9_-]{1,255}$"),
    Parameter("ConfigFile", "The agent's env file.", _PATH, "/etc/ecs/ecs.config"),
    Parameter("InitConfigFile", "The env file that ecs-init reads first.", _PATH, "/var/lib/ecs/ecs.config"),
    Parameter("JsonConfigFile", "The agent's own JSON configuration.", _PATH, "/etc/ecs/ecs.config.json"),
    Parameter("AgentLogFile", "The agent's log.", _PATH, "/var/log/ecs/ecs-agent.log"),
    Parameter("StateDirectory", "Where backups, marker and lock are kept.", _PATH, "/var/lib/ecs-rollout"),
    Parameter("AgentContainer", "The agent's container.", "^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$", "ecs-agent"),
    Parameter("AgentUnit", "The unit or job that runs the agent.", "^[A-Za-z0-9][A-Za-z0-9_.@-]{0,127}$", "ecs"),
    Parameter("IntrospectionUrl", "Where the agent's introspection answers.", _LOCAL_URL, "http://localhost:51678"),
    Parameter(
        "MetadataServiceUrl", "Where the instance metadata service answers.", _LOCAL_URL, "http://169.254.169.254"
    ),
)

_CHANGE: Final = (
    Parameter(
        "OnTasks",
        "While tasks run and the agent does not keep its state: refuse; if-idle (it was drained); force.",
        "^(refuse|if-idle|force)$",
        "refuse",
    ),
    Parameter("VerifySeconds", "How long the agent may take to come back and be proven.", _SECONDS, "180"),
    Parameter("RestoreSeconds", "The same, for the old state after a failure.", _SECONDS, "120"),
    Parameter("WatchdogSeconds", "When the watchdog takes back what nobody finished.", _SECONDS, "420"),
)

_PAYLOAD: Final = (
    Parameter("Generation", "The id of the credential's content.", "^[0-9a-f]{8,64}$"),
    Parameter("Region", "The Region of the payload's store.", "^[a-z]{2,4}(-[a-z]{2,12}){1,4}-[0-9]{1,2}$"),
    Parameter("PayloadStore", "Where the payload is.", "^(ssm|secretsmanager|s3)$"),
    Parameter("PayloadName", "Its name there; never its content.", "^[A-Za-z0-9/_.:+=@-]{1,1024}$"),
    Parameter("PayloadVersion", "Its exact version there; null for none.", "^[A-Za-z0-9._-]{1,1024}$"),
    Parameter(
        "PayloadUrl",
        "The endpoint of its store, or the whole URL of an S3 object.",
        "^https?://[A-Za-z0-9._:\\[\\]-]{1,253}(/[A-Za-z0-9._~%/+=@-]{0,1100})?$",
    ),
    Parameter(
        "CredentialsFile",
        "Where the SSM agent of an ECS Anywhere instance keeps its keys.",
        _PATH,
        "/root/.aws/credentials",
    ),
    Parameter("PayloadDigest", "SHA-256 of the payload, which holds a nonce.", "^[0-9a-f]{64}$"),
    Parameter("VerifyLogin", "Log in to each registry from the instance, too.", "^(no|yes)$", "no"),
)

_RUN_BACK: Final = (
    Parameter("RestoreRun", "The run whose change is taken back.", _ID),
    Parameter("VerifyLogin", "Refuse where a registry refuses the old login.", "^(no|yes)$", "yes"),
)

# F54: outside 5..172800 the agent silently takes 3600.
_STEP_PATTERN = "^[1-9][0-9]{1,4}$"


def _step(default: str) -> Parameter:
    return Parameter("StepSeconds", "The step's time limit; the script ends well before.", _STEP_PATTERN, default)


PARAMETERS: Final[Mapping[Kind, tuple[Parameter, ...]]] = MappingProxyType(
    {
        Kind.INSPECT: (*_COMMON, _step("60")),
        Kind.APPLY: (*_COMMON, *_PAYLOAD, *_CHANGE, _step("600")),
        Kind.RESTORE: (*_COMMON, *_RUN_BACK, *_CHANGE, _step("600")),
    }
)
