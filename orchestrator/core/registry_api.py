"""Names and challenges of the Registry v2 API, as values: where an image lives, how a registry asks for a login."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.core.agent_auth import HUB_HOSTS, HUB_KEY, image_host

HUB_API_HOST = "registry-1.docker.io"
# One piece of a WWW-Authenticate value: `name=value`, or a scheme's name, or a comma.
_PIECE = re.compile(
    r"""\s*(?: (?P<name>[\w!#$%&'*+.^`|~-]+)\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^\s,"]+))
           | (?P<scheme>[\w!#$%&'*+.^`|~-]+) | , )""",
    re.VERBOSE,
)
_REPOSITORY = re.compile(r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"[\w][\w.-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"[a-z0-9]+(?:[+._-][a-z0-9]+)*:[0-9a-fA-F]{32,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageAddress:
    """Where an image's manifest is asked for."""

    host: str
    repository: str
    reference: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BasicChallenge:
    """The registry wants the user and password itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BearerChallenge:
    """The registry wants a token that a service at `realm` gives for a user and password."""

    realm: str
    service: str
    scope: str


Challenge = BasicChallenge | BearerChallenge


def api_host(name: str) -> str:
    """Return the host that serves the API for a registry key without scheme (Docker Hub has its own)."""
    host = name.partition("/")[0]
    return HUB_API_HOST if name == HUB_KEY or host in HUB_HOSTS else host


def is_loopback(host: str) -> bool:
    """Say whether a host, with or without port, is this very machine: the only one that Docker asks without TLS."""
    name = host.rpartition(":")[0] or host
    return name == "localhost" or re.fullmatch(r"127(\.[0-9]{1,3}){3}", name) is not None


def image_address(image: str) -> ImageAddress | None:
    """Take an image's name apart as Docker does; None where it is no such name."""
    named, at, digest = image.partition("@")
    host = image_host(image)
    on_hub = host in HUB_HOSTS
    path = named.removeprefix(f"{host}/")
    repository, colon, tag = path.rpartition(":")
    if not colon:
        repository, tag = path, "latest"
    if on_hub and "/" not in repository:
        repository = f"library/{repository}"
    if not _REPOSITORY.fullmatch(repository) or not _TAG.fullmatch(tag) or (at and not _DIGEST.fullmatch(digest)):
        return None
    return ImageAddress(host=HUB_API_HOST if on_hub else host, repository=repository, reference=digest or tag)


def challenge_of(headers: Iterable[str]) -> Challenge | None:
    """Choose among a registry's WWW-Authenticate headers as Docker does: Bearer first, else Basic, else None."""
    found = [challenge for header in headers for challenge in _challenges(header)]
    for scheme, parameters in found:
        if scheme == "bearer" and "realm" in parameters:
            return BearerChallenge(
                realm=parameters["realm"],
                service=parameters.get("service", ""),
                scope=parameters.get("scope", ""),
            )
    return BasicChallenge() if any(scheme == "basic" for scheme, _ in found) else None


def _challenges(header: str) -> list[tuple[str, dict[str, str]]]:
    found: list[tuple[str, dict[str, str]]] = []
    at = 0
    while match := _PIECE.match(header, at):
        at = match.end()
        if match["scheme"]:
            found.append((match["scheme"].lower(), {}))
        elif match["name"] and found:
            quoted = match["quoted"]
            value = match["plain"] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            found[-1][1].setdefault(match["name"].lower(), value)
    return found
