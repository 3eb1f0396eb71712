"""Probes of scripted registries: every way to answer, and none that gives a login to the wrong one."""

import base64
import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.connections import Network, bypassed
from orchestrator.core.agent_auth import Login
from orchestrator.core.credential import Credential, Entry
from orchestrator.errors import UsageError
from orchestrator.registry.client import ProbeOutcome
from orchestrator.registry.probe import Probe, probe
from tests.canary import PASSWORD, USER, leaked, shown_of
from tests.registry.certificates import Authority
from tests.registry.servers import Asked, Reply, proxy, served

BASIC = {"WWW-Authenticate": 'Basic realm="here"'}
GIVEN = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
ACCEPTED, REFUSED = ProbeOutcome.ACCEPTED, ProbeOutcome.REFUSED
UNREACHABLE, UNSUPPORTED = ProbeOutcome.UNREACHABLE, ProbeOutcome.UNSUPPORTED


def credential(name: str, *, user: str = USER) -> Credential:
    return Credential(entries=(Entry(key=name, login=Login(username=user, password=PASSWORD)),))


def network(authority: Authority, **environment: str) -> Network:
    return Network(ca_bundle=str(authority.bundle), environment=environment, connect_seconds=5, read_seconds=5)


def one(name: str, using: Network, *images: str) -> Probe:
    """Probe one registry; the image's probe where one is named. Nothing shown holds the login.

    --no-probe is no way out for a login that was refused.
    """
    found = probe(credential(name), images, network=using)
    assert not any("--no-probe" in each.hint for each in found if each.outcome is REFUSED)
    assert leaked(repr(found)) == []
    assert all(each.hint for each in found if each.outcome is not ACCEPTED)
    return found[-1]


def basic(asked: Asked) -> Reply:
    return Reply(200) if asked.authorization == GIVEN else Reply(401, BASIC)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (basic, ACCEPTED),
        (lambda _: Reply(401, BASIC), REFUSED),
        (lambda asked: Reply(403) if asked.authorization else Reply(401, BASIC), REFUSED),
        (lambda _: Reply(200), UNSUPPORTED),
        (lambda _: Reply(401), UNSUPPORTED),
        (lambda _: Reply(401, {"WWW-Authenticate": "Negotiate"}), UNSUPPORTED),
        (lambda _: Reply(404, {}, b"<html>"), UNSUPPORTED),
        (lambda _: Reply(403), UNSUPPORTED),
        (lambda _: Reply(429), UNREACHABLE),
        (lambda _: Reply(503), UNREACHABLE),
        (lambda asked: Reply(502) if asked.authorization else Reply(401, BASIC), UNREACHABLE),
        (lambda _: Reply(301, {"Location": "/v2/"}), UNSUPPORTED),
        (lambda _: Reply(302, {"Location": "https://elsewhere.example/v2/"}), UNSUPPORTED),
        (lambda _: Reply(302, {"Location": "http://127.0.0.1/"}), UNSUPPORTED),
        (lambda _: Reply(302, {"Location": "https://[broken"}), UNSUPPORTED),
        (lambda asked: basic(asked) if asked.path == "/v2/x" else Reply(307, {"Location": "x"}), ACCEPTED),
    ],
)
def test_a_registry_with_its_own_logins(
    authority: Authority, answer: Callable[[Asked], Reply], outcome: ProbeOutcome
) -> None:
    """Each kind of answer to /v2/ has one outcome, and what is no proof is not called accepted."""
    with served(answer, authority.server.server_context()) as registry:
        assert one(registry.address, network(authority)).outcome is outcome
    assert all(asked.path in ("/v2/", "/v2/x") for asked in registry.asked)


@pytest.mark.parametrize(
    ("token", "outcome"),
    [
        (Reply(200, {}, b'{"token":"tkn"}'), ACCEPTED),
        (Reply(200, {}, b'{"access_token":"tkn","expires_in":60}'), ACCEPTED),
        (Reply(200, {}, b'{"token":"","access_token":"tkn"}'), ACCEPTED),
        (Reply(200, {}, b'{"token":"another"}'), REFUSED),
        (Reply(401, {}, b'{"details":"incorrect username or password"}'), REFUSED),
        (Reply(403), REFUSED),
        (Reply(500), UNREACHABLE),
        (Reply(404), UNSUPPORTED),
        (Reply(200, {}, b"<html>"), UNSUPPORTED),
        (Reply(200, {}, b"[" * 100_000), UNSUPPORTED),
        (Reply(200, {}, b"[]"), UNSUPPORTED),
        (Reply(200, {}, b'{"token":7}'), UNSUPPORTED),
        (Reply(200, {}, b'{"token":"a\\r\\nHost: x"}'), UNSUPPORTED),
        (Reply(302, {"Location": "https://elsewhere.example/token"}), UNSUPPORTED),
    ],
)
def test_a_registry_with_a_token_service(authority: Authority, token: Reply, outcome: ProbeOutcome) -> None:
    """The login goes to the token service alone, in a header; the registry gets the token."""

    def answer(asked: Asked) -> Reply:
        if asked.path.startswith("/token"):
            return token
        ways = f'Bearer realm="https://{registry.address}/token?a=b",service="reg, istry",scope="registry:catalog:*"'
        return Reply(200) if asked.authorization == "Bearer tkn" else Reply(401, {"WWW-Authenticate": ways})

    with served(answer, authority.server.server_context()) as registry:
        assert one(registry.address, network(authority)).outcome is outcome
    to_service = [asked for asked in registry.asked if asked.path.startswith("/token")]
    assert [asked.path for asked in to_service] == ["/token?a=b&service=reg%2C+istry&scope=registry%3Acatalog%3A%2A"]
    assert to_service[0].authorization == GIVEN
    assert all(asked.authorization != GIVEN for asked in registry.asked if asked.path == "/v2/")


@pytest.mark.parametrize("realm", ["http://127.0.0.1:1/token", "https://u@127.0.0.1/token", "/token", "https://[x", ""])
def test_a_login_is_never_sent_in_clear_or_to_a_strange_address(authority: Authority, realm: str) -> None:
    """A token service without https is not asked."""
    challenge = {"WWW-Authenticate": f'Bearer realm="{realm}"'}
    with served(lambda _: Reply(401, challenge), authority.server.server_context()) as registry:
        assert one(registry.address, network(authority)).outcome is UNSUPPORTED
    assert [asked.authorization for asked in registry.asked] == [None]


@pytest.mark.parametrize(
    ("status", "outcome"), [(200, ACCEPTED), (401, REFUSED), (403, REFUSED), (404, REFUSED), (500, UNREACHABLE)]
)
def test_an_image_proves_the_right_to_pull(authority: Authority, status: int, outcome: ProbeOutcome) -> None:
    """A login may be right and still not be allowed the image: its manifest is asked for, by HEAD."""

    def answer(asked: Asked) -> Reply:
        return Reply(status) if "manifests" in asked.path and asked.authorization else basic(asked)

    with served(answer, authority.server.server_context()) as registry:
        found = one(registry.address, network(authority), f"{registry.address}/team/app:1.2")
    assert found.outcome is outcome
    assert [asked.method for asked in registry.asked if asked.path == "/v2/team/app/manifests/1.2"] == ["HEAD"]


def test_an_image_asks_for_its_own_scope(authority: Authority) -> None:
    """The token is asked for pulling that repository, whatever scope the challenge names."""

    def answer(asked: Asked) -> Reply:
        if asked.path.startswith("/token"):
            return Reply(200, {}, json.dumps({"token": "tkn"}).encode())
        ways = f'Bearer realm="https://{registry.address}/token",service="s"'
        return Reply(200) if asked.authorization == "Bearer tkn" else Reply(401, {"WWW-Authenticate": ways})

    with served(answer, authority.server.server_context()) as registry:
        assert (
            one(registry.address, network(authority), f"{registry.address}/a/b@sha256:{'0' * 64}").outcome is ACCEPTED
        )
    assert "/token?service=s&scope=repository%3Aa%2Fb%3Apull" in [asked.path for asked in registry.asked]


@pytest.mark.parametrize(("image", "outcome"), [("other.example/x", REFUSED), ("{}/UPPER", UNSUPPORTED)])
def test_an_image_that_no_login_fits_is_not_asked_for(authority: Authority, image: str, outcome: ProbeOutcome) -> None:
    """No key, or no image's name: said without asking."""
    with served(basic, authority.server.server_context()) as registry:
        assert one(registry.address, network(authority), image.format(registry.address)).outcome is outcome
    assert {asked.path for asked in registry.asked} == {"/v2/"}


@pytest.mark.parametrize(("status", "outcome"), [(200, ACCEPTED), (404, REFUSED), (401, REFUSED)])
def test_an_open_registry_is_asked_for_its_image(authority: Authority, status: int, outcome: ProbeOutcome) -> None:
    """Where /v2/ asks for no login the image decides."""
    with served(
        lambda asked: Reply(status, BASIC) if "manifests" in asked.path else Reply(200),
        authority.server.server_context(),
    ) as registry:
        assert one(registry.address, network(authority), f"{registry.address}/x").outcome is outcome


def test_a_certificate_of_nobody_is_not_trusted(authority: Authority) -> None:
    """Without the right CA no request is made, and the hint names --ca-bundle."""
    with served(basic, authority.server.server_context()) as registry:
        found = one(registry.address, Network())
    assert found.outcome is UNREACHABLE
    assert "--ca-bundle" in found.hint
    assert registry.asked == []


def test_a_loopback_registry_needs_no_tls(authority: Authority) -> None:
    """As Docker does, a registry on this very machine is asked without TLS where it speaks none."""
    with served(basic, None) as registry:
        assert one(registry.address, network(authority)).outcome is ACCEPTED
        assert one(registry.address, network(authority), f"{registry.address}/x").outcome is ACCEPTED


def test_a_registry_without_tls_gets_no_login(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain HTTP is named as such, and no login is sent, unless the registry is on this very machine."""
    monkeypatch.setattr("orchestrator.registry.probe.is_loopback", lambda _host: False)
    with served(basic, None) as registry:
        found = one(registry.address, network(authority))
    assert (found.outcome, found.message) == (UNSUPPORTED, "the registry does not speak TLS")
    assert registry.asked == []


def test_nobody_at_the_port_is_unreachable(authority: Authority) -> None:
    """A refused connection is no refused login."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        found = one(f"127.0.0.1:{held.getsockname()[1]}", network(authority))
    assert found.outcome is UNREACHABLE
    assert "--no-probe" in found.hint


def test_a_name_that_is_not_found_names_the_way_out(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry that only the instances can resolve is not tried from here where --no-probe is said."""

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    found = one("registry.invalid", network(authority))
    assert (found.outcome, found.message) == (UNREACHABLE, "the registry's name is not found")
    assert "--no-probe" in found.hint


def test_silence_ends_at_the_timeout(authority: Authority) -> None:
    """A registry that does not answer is given up."""
    release = threading.Event()

    def silent(_: Asked) -> Reply:
        release.wait(30)
        return Reply(200)

    patience = Network(ca_bundle=str(authority.bundle), read_seconds=0.2)
    with served(silent, authority.server.server_context()) as registry:
        found = one(registry.address, patience)
        release.set()
    assert (found.outcome, found.message) == (UNREACHABLE, "the registry does not answer in time")
    assert "--no-probe" in found.hint


def test_the_proxy_of_the_environment_is_used_with_its_login(authority: Authority) -> None:
    """HTTPS_PROXY carries every request, with the login that stands in its address."""
    login = "Basic " + base64.b64encode(b"me:word").decode()
    with served(basic, authority.server.server_context()) as registry, proxy(allowed=login) as between:
        using = network(authority, HTTPS_PROXY=f"http://me:word@{between.address}")
        assert one(registry.address, using).outcome is ACCEPTED
        assert {asked.path for asked in between.asked} == {registry.address}
        refused = one(registry.address, network(authority, ALL_PROXY=f"http://{USER}:{PASSWORD}@{between.address}"))
    assert (refused.outcome, refused.message) == (UNREACHABLE, "the proxy does not let us through")
    assert "--no-probe" in refused.hint


def test_no_proxy_goes_straight(authority: Authority) -> None:
    """What NO_PROXY names is not given to the proxy."""
    with served(basic, authority.server.server_context()) as registry, proxy() as between:
        using = network(authority, https_proxy=f"http://{between.address}", no_proxy="example.com, 127.0.0.1")
        assert one(registry.address, using).outcome is ACCEPTED
    assert between.asked == []


@pytest.mark.parametrize(
    ("no_proxy", "expected"),
    [
        ("", False),
        ("*", True),
        ("reg.example.com", True),
        (".example.com", True),
        ("example.com", True),
        ("*.example.com", True),
        ("ample.com", False),
        ("reg.example.com:443", True),
        ("example.com:8443", False),
        ("a.io b.io,Example.COM", True),
        (",,", False),
    ],
)
def test_no_proxy_names_hosts_domains_and_ports(no_proxy: str, expected: bool) -> None:  # noqa: FBT001 - a table's column
    """The forms that curl and others take."""
    assert bypassed("https://reg.example.com/v2/", no_proxy) == expected


@pytest.mark.parametrize("address", ["socks5://h:1", "http://", f"http://{USER}:{PASSWORD}@h:port"])
def test_a_proxy_that_is_none_is_a_usage_error(address: str) -> None:
    """The error does not repeat an address that may hold a login."""
    with pytest.raises(UsageError) as caught:
        probe(credential("reg.io"), network=Network(environment={"HTTPS_PROXY": address}))
    assert leaked(shown_of(caught.value)) == []


@pytest.mark.parametrize("text", [None, "no certificate"])
def test_a_ca_bundle_that_is_none_is_a_usage_error(tmp_path: Path, text: str | None) -> None:
    """A missing or empty bundle stops before anything is asked."""
    bundle = tmp_path / "ca.pem"
    if text is not None:
        bundle.write_text(text)
    with pytest.raises(UsageError):
        probe(credential("reg.io"), network=Network(ca_bundle=str(bundle)))
