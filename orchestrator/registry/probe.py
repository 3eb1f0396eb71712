"""Try the logins of a credential at their registries, and ask for images with them."""

import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import assert_never
from urllib.parse import urlencode, urlsplit

import urllib3

from orchestrator.connections import Network
from orchestrator.core.agent_auth import Login, keys_for
from orchestrator.core.credential import Credential
from orchestrator.core.registry_api import (
    BasicChallenge,
    BearerChallenge,
    Challenge,
    ImageAddress,
    api_host,
    image_address,
    is_loopback,
)
from orchestrator.registry.client import Answer, Client, Failure, ProbeOutcome

_AT_ONCE = 8
_OK, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _TOO_MANY, _SERVER_ERROR = 200, 401, 403, 404, 429, 500
_NO_PROBE = "use --no-probe if the registry is right as it is"


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What a registry said to a login. `target` is a registry's key or an image; no field holds a secret."""

    target: str
    outcome: ProbeOutcome
    message: str
    hint: str = ""


def probe(credential: Credential, images: Iterable[str] = (), *, network: Network) -> tuple[Probe, ...]:
    """Log in to every registry of a credential that the lint has passed, and ask for the manifest of each image.

    Each image is asked for with the login that the agent would use for it (F7). Raises UsageError where the CA
    bundle or the proxy cannot be used; everything else is an outcome.
    """
    auths = {entry.name: entry.login for entry in credential.entries}
    with Client(network) as client, ThreadPoolExecutor(_AT_ONCE) as pool:
        logins = pool.map(lambda item: _probe_login(client, *item), auths.items())
        pulls = pool.map(lambda image: _probe_image(client, auths, image), images)
        return (*logins, *pulls)


def _probe_login(client: Client, name: str, login: Login) -> Probe:
    origin, answer = _asked(client, api_host(name))
    url = f"{origin}/v2/"
    if isinstance(answer, Answer) and answer.status == _OK:
        hint = "name an image that needs the login with --probe-image, or use --no-probe"
        answer = Failure(ProbeOutcome.UNSUPPORTED, "the registry asks for no login, so none can be tried", hint)
    elif isinstance(answer, Answer):
        answer = _with_login(client, url, answer.challenge, login, scope="")
    return _told(name, answer, "the registry accepts the login")


def _probe_image(client: Client, auths: Mapping[str, Login], image: str) -> Probe:
    address = image_address(image)
    logins = {auths[key] for key in keys_for(auths, image)}
    if address is None:
        hint = "write it as in a task definition: registry.example.com/team/app:1"
        return _told(image, Failure(ProbeOutcome.UNSUPPORTED, "this is no image's name", hint), "")
    if len(logins) != 1:
        hint = "run `ecs-rollout credential lint SOURCE --image REF` to see which key matches"
        return _told(image, Failure(ProbeOutcome.REFUSED, "the agent has no certain login for this image", hint), "")
    return _told(image, _manifest(client, address, logins.pop()), "the login may pull this image")


def _manifest(client: Client, address: ImageAddress, login: Login) -> Answer | Failure:
    """Ask as Docker does: first how the registry wants to be asked, then for the manifest with a login."""
    scope = f"repository:{address.repository}:pull"
    origin, asked = _asked(client, address.host)
    url = f"{origin}/v2/{address.repository}/manifests/{address.reference}"
    if isinstance(asked, Failure):
        return asked
    if asked.status == _OK:
        open_to_all = client.get(url, method="HEAD")
        if isinstance(open_to_all, Failure) or open_to_all.status == _OK:
            return open_to_all
        if open_to_all.status != _UNAUTHORIZED:
            return _meaning(open_to_all.status)
        asked = open_to_all
    return _with_login(client, url, asked.challenge, login, scope=scope)


def _asked(client: Client, host: str) -> tuple[str, Answer | Failure]:
    """Ask /v2/ without a login, and say at which origin.

    The answer is 200 or 401, or this is no registry that we can talk to. As Docker does, a loopback registry that
    does not speak TLS is asked without.
    """
    origin = f"https://{host}"
    answer = client.get(f"{origin}/v2/")
    if isinstance(answer, Failure) and answer.without_tls and is_loopback(host):
        origin = f"http://{host}"
        answer = client.get(f"{origin}/v2/")
    if isinstance(answer, Failure) or answer.status in (_OK, _UNAUTHORIZED):
        return origin, answer
    if answer.status == _TOO_MANY or answer.status >= _SERVER_ERROR:
        return origin, _meaning(answer.status)
    message = f"the answer is not one of the Registry v2 API (HTTP {answer.status})"
    return origin, Failure(ProbeOutcome.UNSUPPORTED, message, f"is this a registry's host? {_NO_PROBE}")


def _with_login(client: Client, url: str, challenge: Challenge | None, login: Login, *, scope: str) -> Answer | Failure:
    """Answer the challenge and ask again: HEAD for a manifest, which counts against no pull limit."""
    match challenge:
        case None:
            message = "the registry asks for a login in a way that Docker does not know"
            return Failure(ProbeOutcome.UNSUPPORTED, message, f"only Basic and Bearer can be tried; {_NO_PROBE}")
        case BasicChallenge():
            authorization = _basic(login)
        case BearerChallenge():
            token = _token(client, challenge, login, scope=scope or challenge.scope)
            if isinstance(token, Failure):
                return token
            authorization = f"Bearer {token}"
        case _:
            assert_never(challenge)
    answer = client.get(url, method="HEAD" if scope else "GET", authorization=authorization)
    if isinstance(answer, Failure) or answer.status == _OK:
        return answer
    return _meaning(answer.status)


def _token(client: Client, challenge: BearerChallenge, login: Login, *, scope: str) -> str | Failure:
    """Ask the token service, with the login in a header: in a URL it would stand in logs."""
    unusable = Failure(
        ProbeOutcome.UNSUPPORTED,
        "the registry's token service is not one that https reaches, or does not answer as one",
        f"a password is sent over https only; {_NO_PROBE}",
    )
    try:
        realm = urlsplit(challenge.realm)
    except ValueError:
        return unusable
    if realm.scheme != "https" or not realm.hostname or realm.username:
        return unusable
    query = urlencode({name: value for name, value in (("service", challenge.service), ("scope", scope)) if value})
    url = realm._replace(query="&".join(part for part in (realm.query, query) if part), fragment="").geturl()
    answer = client.get(url, authorization=_basic(login))
    if isinstance(answer, Failure):
        return answer
    if answer.status != _OK:
        return unusable if answer.status == _NOT_FOUND else _meaning(answer.status)
    return _token_in(answer.body) or unusable


def _token_in(body: bytes) -> str:
    """Find the token under either of its names; nothing where there is none that fits into a header."""
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    found = (fields.get("token") or fields.get("access_token")) if isinstance(fields, dict) else None
    return found if isinstance(found, str) and found.isascii() and found.isprintable() else ""


def _meaning(status: int) -> Failure:
    if status in (_UNAUTHORIZED, _FORBIDDEN):
        hint = "check user and password, whether the token has expired, and that it may pull"
        return Failure(ProbeOutcome.REFUSED, f"the registry refuses the login (HTTP {status})", hint)
    if status == _NOT_FOUND:
        hint = "check the image's name; registries also hide what a login may not see"
        return Failure(ProbeOutcome.REFUSED, "the registry does not find the image (HTTP 404)", hint)
    if status == _TOO_MANY:
        return Failure(ProbeOutcome.UNREACHABLE, "the registry asks to wait (HTTP 429)", "try again later")
    if status >= _SERVER_ERROR:
        hint = "try again later, or use --no-probe"
        return Failure(ProbeOutcome.UNREACHABLE, f"the registry is in trouble (HTTP {status})", hint)
    message = f"the answer is not one of the Registry v2 API (HTTP {status})"
    return Failure(ProbeOutcome.UNSUPPORTED, message, _NO_PROBE)


def _told(target: str, answer: Answer | Failure, accepted: str) -> Probe:
    match answer:
        case Answer():
            return Probe(target=target, outcome=ProbeOutcome.ACCEPTED, message=accepted)
        case Failure(outcome=outcome, message=message, hint=hint):
            return Probe(target=target, outcome=outcome, message=message, hint=hint)


def _basic(login: Login) -> str:
    # urllib3's helper encodes as Latin-1, registries read UTF-8.
    pair = f"{login.username}:{login.password}".encode("utf-8", "surrogateescape")
    return urllib3.make_headers(basic_auth=pair.decode("latin-1"))["authorization"]
