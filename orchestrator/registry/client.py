"""Ask a registry or its token service over https, on loopback also without; every way to get no answer is a value.

No error of urllib3 is passed on: its messages hold URLs and addresses of proxies, which may hold logins.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import Self
from urllib.parse import urljoin, urlsplit

from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
)

from orchestrator.connections import Network, Pools
from orchestrator.core.registry_api import Challenge, challenge_of

_MANIFEST_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_LONGEST_ANSWER = 256 * 1024
_REDIRECTS = 3
_MOVED = frozenset({301, 302, 303, 307, 308})


class ProbeOutcome(StrEnum):
    """How a probe ended."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    UNSUPPORTED = "unsupported"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why no answer could be had, or what an answer means."""

    outcome: ProbeOutcome
    message: str
    hint: str
    without_tls: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, the login that was asked for with it, and at most 256 KiB of the body, which may hold a token."""

    status: int
    challenge: Challenge | None
    body: bytes = field(repr=False)


class Client:
    """GET and HEAD, through the proxy that the environment names, following a host's own redirects.

    Raises UsageError where the CA bundle or the proxy cannot be used. Safe to use from several threads.
    """

    def __init__(self, network: Network) -> None:
        self._pools = Pools(network)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pools.clear()

    def get(self, url: str, *, method: str = "GET", authorization: str | None = None) -> Answer | Failure:
        """Ask once. A login goes to the host that it was meant for and to no other."""
        origin = urlsplit(url)[:2]
        for _ in range(_REDIRECTS + 1):
            answer = self._ask(url, method, authorization)
            if isinstance(answer, Failure | Answer):
                return answer
            try:
                url = urljoin(url, answer)
                elsewhere = urlsplit(url)[:2] != origin
            except ValueError:
                elsewhere = True
            if elsewhere:
                break
        hint = "name the host that it leads to, or use --no-probe"
        return Failure(ProbeOutcome.UNSUPPORTED, "the registry leads elsewhere, and a login is not carried on", hint)

    def _ask(self, url: str, method: str, authorization: str | None) -> Answer | Failure | str:
        """Return an answer, why there is none, or where to ask instead."""
        headers = {"User-Agent": "ecs-rollout"}
        headers["Accept"] = ", ".join(_MANIFEST_TYPES) if method == "HEAD" else "application/json"
        if authorization:
            headers["Authorization"] = authorization
        try:
            answer = self._pools.of(url).request(method, url, headers=headers, redirect=False, preload_content=False)
            try:
                body = answer.read(_LONGEST_ANSWER)
            finally:
                answer.close()
        except (HTTPError, OSError, ValueError) as error:
            return _no_answer(error)
        location = answer.headers.get("Location")
        if answer.status in _MOVED and location:
            return location
        return Answer(answer.status, challenge_of(answer.headers.getlist("WWW-Authenticate")), body)


def _no_answer(error: Exception) -> Failure:
    unreachable = ProbeOutcome.UNREACHABLE
    match error:
        case SSLError() if "WRONG_VERSION_NUMBER" in str(error) or "RECORD_LAYER" in str(error):
            hint = "a password is sent over https only: use --no-probe for a registry without TLS"
            return Failure(ProbeOutcome.UNSUPPORTED, "the registry does not speak TLS", hint, without_tls=True)
        case SSLError():
            hint = "give --ca-bundle the registry's CA, and check that the certificate is for this name"
            return Failure(unreachable, "the registry's certificate cannot be verified", hint)
        case ProxyError():
            return Failure(
                unreachable, "the proxy does not let us through", "check HTTPS_PROXY and NO_PROXY, or use --no-probe"
            )
        case NameResolutionError():
            return Failure(
                unreachable, "the registry's name is not found", "check the name, and DNS, or use --no-probe"
            )
        case ConnectTimeoutError() | ReadTimeoutError():
            return Failure(unreachable, "the registry does not answer in time", "try again, or use --no-probe")
        case _:
            hint = "check the host, the port and the network, or use --no-probe"
            return Failure(unreachable, "no connection to the registry", hint)
