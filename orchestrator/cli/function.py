"""Secrets Manager's four steps of a rotation, as one function; what is configured stands in the environment.

Secrets Manager begins the whole rotation anew after a step that failed, with the same token. So each step looks at
what is there first, and a rollout that does not fit into one call goes on in the next: the fleet and the journal in
DynamoDB know how far it is.
"""

import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from orchestrator.aws.owner import ALIVE_SECONDS
from orchestrator.aws.session import Session, translated
from orchestrator.aws.sources import read_source
from orchestrator.aws.stages import SecretStages
from orchestrator.cli.main import invoke
from orchestrator.core.rotation import CURRENT, PENDING
from orchestrator.core.source import SecretsManagerSource
from orchestrator.errors import EnvironmentFault, ExitCode, RefusedError, RolloutError, UsageError

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

CLUSTER, STATE, FLAGS = "ECS_ROLLOUT_CLUSTER", "ECS_ROLLOUT_STATE", "ECS_ROLLOUT_FLAGS"
CREATE, SET = "ECS_ROLLOUT_CREATE_COMMAND", "ECS_ROLLOUT_SET_COMMAND"
MARGIN = 20
"""Seconds of the function's time that a report takes at its end."""

_TURN = int(ALIVE_SECONDS) + 30
"""Seconds to wait for a cluster: those of a controller that died with the call before, until it counts as dead."""


class Remaining(Protocol):
    """What is used of Lambda's context."""

    def get_remaining_time_in_millis(self) -> int:
        """Say how much time is left."""
        ...


class StepFailedError(RolloutError):
    """A step did not come to its end; Secrets Manager starts anew."""

    def __init__(self, step: str, code: int) -> None:
        super().__init__(
            f"{step} ended with the exit code {code}.", hint="The lines before it say why; the next try goes on."
        )
        self.exit_code = ExitCode(code)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One call: what Secrets Manager asks for, and the environment it is configured by."""

    name: str
    secret: str
    token: str
    client: "SecretsManagerClient"
    session: Session
    environment: Mapping[str, str]
    remaining: Callable[[], int]

    def create(self) -> None:
        """Make the pending version, where it has no value yet, from the user's command."""
        if self._value() is not None:
            return
        command = self.environment.get(CREATE)
        if not command:
            raise RefusedError(
                f"The pending version of {self.secret} has no value, and nobody is named who makes one.",
                hint=f"Set {CREATE} to a command that prints the new credential; or store each new one as {PENDING}"
                " yourself and let `ecs-rollout rotate` run on a schedule, without a rotation function.",
            )
        text = self._run(command, "")
        if not text.strip():
            raise RefusedError(f"The command of {CREATE} printed nothing.", hint="It prints the new credential.")
        with translated("secretsmanager:PutSecretValue"):
            self.client.put_secret_value(
                SecretId=self.secret, ClientRequestToken=self.token, SecretString=text, VersionStages=[PENDING]
            )

    def set(self) -> None:
        """Give the credential to the user's command on stdin, where one is named: a registry may have to learn it."""
        command = self.environment.get(SET)
        if command:
            value = self._value()
            if value is None:
                raise RefusedError(
                    f"The pending version of {self.secret} has no value yet.",
                    hint="`createSecret` comes before `setSecret`.",
                )
            self._run(command, value)

    def rotate(self, *more: str) -> None:
        """Roll as `ecs-rollout rotate` does, within the time that is left."""
        seconds = self.remaining() - MARGIN
        words = (
            *("rotate", "--credential", f"secretsmanager:{self.secret}", "--yes", "--log-format", "json"),
            *("--cluster", self._required(CLUSTER), "--state", self._required(STATE)),
            *("--max-duration", f"{max(seconds, 0)}s", "--wait-for-lock", f"{min(_TURN, max(seconds, 0))}s"),
            *shlex.split(self.environment.get(FLAGS, "")),
        )
        code = invoke((*words, *more))
        if code:
            raise StepFailedError(self.name, code)

    def finish(self) -> None:
        """Roll until the fleet has converged and AWSCURRENT has moved."""
        self.rotate()
        if SecretStages(self.client, self.secret).versions().current != self.token:
            raise StepFailedError(self.name, ExitCode.NOT_ALL_UPDATED)

    def _value(self) -> str | None:
        source = SecretsManagerSource(name=self.secret, stage="", version=self.token)
        try:
            return read_source(source, self.session, stdin=sys.stdin.buffer).text
        except (UsageError, RefusedError):
            return None  # there is such a version, but nothing in it yet

    def _run(self, command: str, given: str) -> str:
        """Run a command of the user's without a shell. Its stderr goes to the log, its stdout may be a secret."""
        own = {"ECS_ROLLOUT_SECRET": self.secret, "ECS_ROLLOUT_VERSION": self.token}
        hint = "Look at what it wrote to the log."
        try:
            done = subprocess.run(
                shlex.split(command),
                input=given.encode(),
                stdout=subprocess.PIPE,
                env={**self.environment, **own},
                timeout=max(self.remaining() - MARGIN, 1),
                check=False,
            )
            text = done.stdout.decode()
        except (OSError, ValueError, subprocess.TimeoutExpired) as error:
            # The error may carry what was printed, so it must not stay chained to ours.
            raise EnvironmentFault(f"{self.name}: its command failed: {type(error).__name__}.", hint=hint) from None
        if done.returncode:
            raise EnvironmentFault(f"{self.name}: its command ended with {done.returncode}.", hint=hint)
        return text

    def _required(self, name: str) -> str:
        value = self.environment.get(name)
        if not value:
            raise UsageError(
                f"The function's environment has no {name}.", hint="See deploy/README.md, 'As a rotation function'."
            )
        return value


def handler(event: Mapping[str, Any], context: Remaining) -> None:
    """Do one step of a rotation; whatever keeps it from its end is raised, and Secrets Manager tries again.

    Idempotent by ClientRequestToken: a version that is current already needs no step.
    """
    session = Session(region=None, profile=None)
    step = Step(
        name=str(event["Step"]),
        secret=str(event["SecretId"]),
        token=str(event["ClientRequestToken"]),
        client=session.secretsmanager(),
        session=session,
        environment=os.environ,
        remaining=lambda: context.get_remaining_time_in_millis() // 1000,
    )
    versions = SecretStages(step.client, step.secret).versions()
    if versions.current == step.token:
        return
    if versions.pending != step.token:
        raise RefusedError(
            f"{step.token} is neither the pending nor the current version of {step.secret}.",
            hint=f"Another rotation has begun since, or {PENDING} was taken away; {CURRENT} stays.",
        )
    match step.name:
        case "createSecret":
            step.create()
        case "setSecret":
            step.set()
        case "testSecret":
            step.rotate("--canary")
        case "finishSecret":
            step.finish()
        case other:
            raise UsageError(f"{other!r} is no step of a rotation.", hint="Only Secrets Manager calls this function.")
