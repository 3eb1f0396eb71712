"""How the ECS agent reads ECS_ENGINE_AUTH_TYPE and ECS_ENGINE_AUTH_DATA at its start (F2-F8).

The lab's own reading of the facts, kept apart from the controller's lint on purpose: each is tested against
tests/vectors/auth.jsonl, and neither can inherit the other's mistakes.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from orchestrator.lab.envfile import GO_SPACE

HUB = "index.docker.io/v1/"
_HUB_HOSTS = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})
_FIELDS = frozenset({"username", "password", "auth", "email", "serveraddress", "identitytoken", "registrytoken"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """One registry's entry as the agent holds it; `auth` is set only where type `docker` carried it along."""

    username: str = ""
    password: str = ""
    auth: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthReading:
    """What the agent made of its two variables: logins by registry key, and the lines it warns with."""

    effective_type: str
    logins: Mapping[str, Login]
    warnings: tuple[str, ...] = ()

    def login_for(self, image: str) -> Login:
        """Return the login the agent would pull `image` with; an empty one where no key matches (F7)."""
        host, slash, path = image.partition("/")
        if not slash or not ({".", ":"} & set(host) or host == "localhost"):
            host, path = "docker.io", image
        if host in _HUB_HOSTS:
            return self.logins.get(HUB, Login())
        full = f"{host}/{path}"
        keys = [key for key in self.logins if key.partition("/")[0] == host and full.startswith(key)]
        return self.logins[max(keys, key=len)] if keys else Login()


def read_auth(auth_type: str, auth_data: str) -> AuthReading:
    """Read both variables as the agent does; what it is silent about (F8) yields no warning here either."""
    kind = auth_type.strip(GO_SPACE)
    data = auth_data.strip(GO_SPACE)
    match kind:
        case "":
            return AuthReading(effective_type="", logins={})
        case "docker" | "dockercfg":
            try:
                entries = _entries(data)
            except ValueError:
                warning = f"Could not parse '{kind}' type auth config"
                return AuthReading(effective_type=kind, logins={}, warnings=(warning,))
            return _docker(entries) if kind == "docker" else _dockercfg(entries)
        case _:
            return AuthReading(effective_type=kind, logins={}, warnings=(f"Unknown auth configuration: {kind}",))


def _docker(entries: Mapping[str, Mapping[str, str]]) -> AuthReading:
    logins = {
        _key(registry): Login(
            username=fields.get("username", ""),
            password=fields.get("password", ""),
            auth=fields.get("auth", ""),
        )
        for registry, fields in entries.items()
    }
    return AuthReading(effective_type="docker", logins=logins)


def _dockercfg(entries: Mapping[str, Mapping[str, str]]) -> AuthReading:
    logins: dict[str, Login] = {}
    warnings: list[str] = []
    for registry, fields in entries.items():
        try:
            # Go's decoder skips line ends inside base64, and wants the padding (F4).
            text = fields.get("auth", "").replace("\n", "").replace("\r", "")
            decoded = base64.b64decode(text, validate=True).decode("utf-8", "replace")
        except (binascii.Error, ValueError):
            warnings.append(f"Malformed auth data for registry {registry}")
            continue
        username, colon, password = decoded.partition(":")
        if colon:
            logins[_key(registry)] = Login(username=username, password=password)
        else:
            warnings.append(f"Malformed auth data for registry {registry}; must contain ':'")
    return AuthReading(effective_type="dockercfg", logins=logins, warnings=tuple(warnings))


def _key(registry: str) -> str:
    return registry.removeprefix("http://").removeprefix("https://")


def _entries(data: str) -> dict[str, dict[str, str]]:
    """Decode a map of maps of strings as Go does: ValueError where one value has the wrong JSON type (F5)."""
    pairs = json.loads(data, object_pairs_hook=_Pairs, parse_constant=_no_constant)
    if pairs is None:
        return {}
    if not isinstance(pairs, _Pairs):
        raise ValueError("the top is no object")  # noqa: TRY004 - one error for every shape
    merged: dict[str, dict[str, str]] = {}
    for registry, entry in pairs:
        # A repeated key: the last one wins field by field (F8).
        merged.setdefault(registry, {}).update(_fields(entry))
    return merged


class _Pairs(list[tuple[str, object]]):
    """A JSON object with its repeated keys."""


def _fields(entry: object) -> dict[str, str]:
    if entry is None:
        return {}
    if not isinstance(entry, _Pairs):
        raise ValueError("an entry is no object")  # noqa: TRY004 - one error for every shape
    found: dict[str, str] = {}
    for name, value in entry:
        field = name.lower()
        if field not in _FIELDS or value is None:
            continue
        if not isinstance(value, str):
            raise ValueError("a field is no string")  # noqa: TRY004 - one error for every shape
        found[field] = value
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
