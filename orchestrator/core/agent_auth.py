"""What the ECS agent makes of ECS_ENGINE_AUTH_TYPE and ECS_ENGINE_AUTH_DATA, and which login an image gets.

These are the agent's rules, not ours (F2-F8): tests/vectors/auth.jsonl holds what real agents did. Nothing here
is fit to be printed: the agent's warnings quote whatever stands where a registry should.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from orchestrator.core.go_values import (
    JsonValue,
    NotJsonError,
    ObjectValue,
    folded,
    read_base64,
    read_json,
    trim_space,
)

HUB_KEY = "index.docker.io/v1/"
HUB_HOSTS = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})

# Every string field of Docker's AuthConfig: one of another JSON type rejects the whole map (F5).
DOCKER_FIELDS = ("username", "password", "auth", "email", "serveraddress", "identitytoken", "registrytoken")


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A user and a password. Bytes that are no UTF-8 are kept as surrogates (PEP 383).

    `auth` is what an entry of type `docker` held under that name; the agent passes it on and Docker ignores it.
    """

    username: str = field(repr=False)
    password: str = field(repr=False)
    auth: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentView:
    """What one agent does with one pair of values.

    accepted: a type is set, nothing was rejected and something was read; or no type is set, so nothing was asked.
    usable: at least one login has a user. auths: registry without its scheme -> login. contested: registries
    given both with and without a scheme, where chance decides which login wins (F7); `auths` has the last one.
    """

    effective_type: str = field(repr=False)
    accepted: bool
    usable: bool
    warnings: tuple[str, ...] = field(repr=False)
    auths: Mapping[str, Login] = field(repr=False)
    contested: frozenset[str] = field(repr=False)


class _WrongTypeError(ValueError):
    """A JSON value has a type that the agent's structure cannot hold."""


def agent_view(auth_type: str, data: str) -> AgentView:
    """Judge the two values as the agent does at its start; never raises."""
    kind = trim_space(auth_type)
    found: tuple[tuple[str, Login], ...] = ()
    warnings: tuple[str, ...] = ()
    try:
        match kind:
            case "docker":
                found = _docker(data)
            case "dockercfg":
                found, warnings = _dockercfg(data)
            case "":
                pass
            case _:
                warnings = (f"Unknown auth configuration: {kind}",)
    except (NotJsonError, _WrongTypeError):
        warnings = (f"Could not parse '{kind}' type auth config",)
    names = [strip_scheme(key) for key, _ in found]
    auths = MappingProxyType({strip_scheme(key): login for key, login in found})
    return AgentView(
        effective_type=kind,
        accepted=not warnings and (not kind or bool(auths)),
        usable=any(login.username for login in auths.values()),
        warnings=warnings,
        auths=auths,
        contested=frozenset(name for name in names if names.count(name) > 1),
    )


def _docker(data: str) -> tuple[tuple[str, Login], ...]:
    entries = _entries(read_json(data), DOCKER_FIELDS)
    return tuple(
        (key, Login(username=fields["username"], password=fields["password"], auth=fields["auth"]))
        for key, fields in entries.items()
    )


def _dockercfg(data: str) -> tuple[tuple[tuple[str, Login], ...], tuple[str, ...]]:
    logins: list[tuple[str, Login]] = []
    warnings: list[str] = []
    for key, fields in _entries(read_json(data), ("auth",)).items():
        decoded = read_base64(fields["auth"])
        if decoded is None:
            warnings.append(f"Malformed auth data for registry {key}")
            continue
        login = split_user(decoded)
        if login is None:
            warnings.append(f"Malformed auth data for registry {key}; must contain ':'")
            continue
        logins.append((key, login))
    return tuple(logins), tuple(warnings)


def _entries(value: JsonValue, known: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """Decode into Go's map of structures: `null` is an empty one, a repeated key starts afresh."""
    if value is None:
        return {}
    if not isinstance(value, ObjectValue):
        raise _WrongTypeError
    return {key: _fields(entry, known) for key, entry in value.pairs}


def _fields(value: JsonValue, known: tuple[str, ...]) -> dict[str, str]:
    fields = dict.fromkeys(known, "")
    if value is None:
        return fields
    if not isinstance(value, ObjectValue):
        raise _WrongTypeError
    for name, item in value.pairs:
        target = folded(name)
        if target not in fields or item is None:
            continue
        if not isinstance(item, str):
            raise _WrongTypeError
        fields[target] = item
    # Go goes on after a wrong type and reports it at the end, so a wrong type in an entry that a later one
    # replaces still rejects the map: raising at once has the same effect.
    return fields


def split_user(decoded: bytes) -> Login | None:
    """Split `user:password` at the first colon; None without one (F4)."""
    username, colon, password = decoded.partition(b":")
    if not colon:
        return None
    return Login(
        username=username.decode("utf-8", "surrogateescape"),
        password=password.decode("utf-8", "surrogateescape"),
    )


def strip_scheme(key: str) -> str:
    """Take one leading `http://` or `https://` away, as the agent does; nothing else (F7)."""
    for scheme in ("http://", "https://"):
        if key.startswith(scheme):
            return key.removeprefix(scheme)
    return key


def image_host(image: str) -> str:
    """Return the host (and port) whose login the agent looks for; `docker.io` for Docker Hub's short names."""
    repository = image.partition("@")[0]
    name, colon, tag = repository.rpartition(":")
    if colon and "/" not in tag:
        repository = name
    host, slash, _ = repository.partition("/")
    if not slash or not is_host(host):
        return "docker.io"
    return host


def is_host(text: str) -> bool:
    """Say whether the first part of an image's name is a registry and not an account on Docker Hub."""
    return "." in text or ":" in text or text == "localhost"


def keys_for(auths: Mapping[str, Login], image: str) -> tuple[str, ...]:
    """Return every key of `auths` that can win for `image`, sorted; more than one where chance decides.

    The agent walks a Go map, whose order is random. A key for the bare host is where it starts; without one
    it starts with whichever path key comes first, prefix or not, and then only a longer prefix beats it.
    """
    host = image_host(image)
    if host in HUB_HOSTS:
        return (HUB_KEY,) if HUB_KEY in auths else ()
    candidates = [key for key in auths if key.partition("/")[0] == host]
    longest = max((key for key in candidates if image.startswith(key)), key=len, default="")
    if host in auths:
        return (max(longest, host, key=len),)
    # Go measures in bytes; a host that matched an image is followed by a path that may be anything.
    rivals = [key for key in candidates if len(key.encode()) >= len(longest.encode()) and key != longest]
    return tuple(sorted({*rivals, longest} - {""}))


def login_for(auths: Mapping[str, Login], image: str) -> Login | None:
    """Return the login that the agent uses for `image`; None where no key matches or chance decides."""
    logins = {auths[key] for key in keys_for(auths, image)}
    return logins.pop() if len(logins) == 1 else None
