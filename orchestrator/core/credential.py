"""The set of registry logins to install: its value, its stable content and the two lines that it becomes."""

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from orchestrator.core.agent_auth import HUB_KEY, Login, strip_scheme
from orchestrator.core.registry_names import HUB_WRITTEN
from orchestrator.errors import RefusedError

TYPE_VARIABLE = "ECS_ENGINE_AUTH_TYPE"
DATA_VARIABLE = "ECS_ENGINE_AUTH_DATA"
# MAX_ARG_STRLEN of Linux, the closing NUL included: with a longer string no process starts (F40).
LONGEST_VARIABLE = 128 * 1024


class AuthType(StrEnum):
    """The two forms that the agent reads (F3)."""

    DOCKER = "docker"
    DOCKERCFG = "dockercfg"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One registry key, as it was written, and its login."""

    key: str = field(repr=False)
    login: Login = field(repr=False)

    @property
    def name(self) -> str:
        """The key as the agent holds it: without its scheme."""
        return strip_scheme(self.key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """The logins in the order of their source."""

    entries: tuple[Entry, ...] = field(repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        """The registries, sorted, each once. Show them only after the lint has passed them."""
        return tuple(sorted({entry.name for entry in self.entries}))


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvLines:
    """The values of the two variables; `data` is one line of raw JSON."""

    auth_type: AuthType
    data: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryChanges:
    """How the registries of an instance and of a new credential differ.

    Whether a kept one's login changes cannot be told: instances report names and nothing else.
    """

    added: tuple[str, ...]
    kept: tuple[str, ...]
    removed: tuple[str, ...]


def compare(old_names: Iterable[str], new: Credential) -> RegistryChanges:
    """Tell what the new credential adds, keeps and removes; names are compared without their scheme (F7)."""
    old = {strip_scheme(name) for name in old_names}
    wanted = set(new.names)
    return RegistryChanges(
        added=tuple(sorted(wanted - old)),
        kept=tuple(sorted(wanted & old)),
        removed=tuple(sorted(old - wanted)),
    )


def canonical(credential: Credential) -> bytes:
    """Return the content alone: equal for equal logins, whatever format, order or scheme they came in."""
    rows = sorted({(entry.name, entry.login.username, entry.login.password) for entry in credential.entries})
    # ASCII escapes keep even what is no UTF-8 apart and encodable.
    return json.dumps(["ecs-rollout-credential", 1, rows], separators=(",", ":")).encode("ascii")


def normalise(credential: Credential, prefer: AuthType = AuthType.DOCKERCFG) -> EnvLines:
    """Write the two lines in the form that ecs-init, docker --env-file and systemd read alike (F40, F41).

    `docker` needs every value free of JSON escapes; where one is not, and wherever `dockercfg` is preferred,
    the base64 of `dockercfg` is written. Raises RefusedError when a user holds a ':' and another value needs
    `dockercfg` (F4), when a value is no Unicode text, and when the line would be too long.
    """
    if any(not is_unicode(value) for entry in credential.entries for value in _values(entry)):
        raise RefusedError(
            "A user, password or registry is not valid UTF-8.",
            hint="Docker sends logins as JSON, which holds Unicode only: set a password that is text.",
        )
    if len({entry.name for entry in credential.entries}) != len(credential.entries) or any(
        needs_escape(entry.key) for entry in credential.entries
    ):
        raise RefusedError(
            "A registry stands twice in the credential, or its name holds characters that no image can name (F7).",
            hint="Run `ecs-rollout credential lint` on the source: it says which, and how to mend it.",
        )
    auth_type = form_for(credential, prefer)
    if auth_type is None:
        raise RefusedError(
            "A user holds a ':' and another value needs the dockercfg form, which cannot hold such a user (F4).",
            hint="Use a user without ':', or passwords without quotes, backslashes and control characters.",
        )
    lines = EnvLines(auth_type=auth_type, data=_data(credential, auth_type))
    if (excess := variable_bytes(lines) - LONGEST_VARIABLE) > 0:
        raise RefusedError(
            f"The credential is {excess} bytes too long: Linux starts no agent with a longer variable (F40).",
            hint="Leave out registries that no image needs any more, or use shorter tokens.",
        )
    return lines


def form_for(credential: Credential, prefer: AuthType) -> AuthType | None:
    """Choose the form that can hold every value: `prefer` if it can, else the other; None where neither can."""
    plain = not any(needs_escape(value) for entry in credential.entries for value in _values(entry))
    colon = any(":" in entry.login.username for entry in credential.entries)
    if colon:
        return AuthType.DOCKER if plain else None
    return prefer if plain else AuthType.DOCKERCFG


def variable_bytes(lines: EnvLines) -> int:
    """Count the bytes of the data variable as the kernel does: name, '=', value and a NUL."""
    return len(DATA_VARIABLE) + 1 + len(lines.data.encode()) + 1


def is_unicode(value: str) -> bool:
    """Say whether the text holds no unpaired surrogate, which stands for a byte that was no UTF-8."""
    return not any("\ud800" <= char <= "\udfff" for char in value)


def needs_escape(value: str) -> bool:
    r"""Say whether JSON or one of the env file's readers would change the value if it stood there raw.

    Quotes and backslashes need JSON escapes, which systemd reads as its own (F40). The rest breaks lines or
    is dropped somewhere: controls, DEL, C1 with NEL, the Unicode line separators, the byte order mark.
    """
    return any(char < " " or char in '"\\\u2028\u2029\ufeff' or "\x7f" <= char <= "\x9f" for char in value)


def _values(entry: Entry) -> tuple[str, str, str]:
    return entry.key, entry.login.username, entry.login.password


def _data(credential: Credential, auth_type: AuthType) -> str:
    data: dict[str, dict[str, str]] = {}
    for entry in sorted(credential.entries, key=lambda entry: entry.name):
        # Docker Hub's key is written as every example writes it; the agent takes the scheme away (F7).
        key = HUB_WRITTEN if entry.name == HUB_KEY else entry.name
        login = entry.login
        if auth_type is AuthType.DOCKER:
            data[key] = {"username": login.username, "password": login.password}
        else:
            pair = f"{login.username}:{login.password}".encode()
            data[key] = {"auth": base64.b64encode(pair).decode("ascii")}
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))
