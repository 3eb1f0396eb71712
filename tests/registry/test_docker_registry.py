"""Probes of Debian's docker-registry over TLS: with htpasswd, and with a token service of our own."""

import base64
import hashlib
import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import urllib3
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

from orchestrator.connections import Network
from orchestrator.core.agent_auth import Login
from orchestrator.core.credential import Credential, Entry, normalise
from orchestrator.core.credential_formats import recognise
from orchestrator.registry.client import ProbeOutcome
from orchestrator.registry.probe import Probe, probe
from tests.registry.certificates import Authority
from tests.registry.servers import Asked, Reply, served
from tests.support import tool

USER, PASSWORD = "robot", 'p"ä\\ß $%: x'
# bcrypt of that password, made once: the registry knows no other hash.
HTPASSWD = "robot:$2b$04$M37HqDt4EhBjbJwQgs4Ewe8v7H9Xl8rgkthspO12o4aqDuz6/OUA6\n"
CONFIG_BLOB = b"{}"
MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"


def free_port() -> int:
    with socket.socket() as probe_socket:
        probe_socket.bind(("127.0.0.1", 0))
        return int(probe_socket.getsockname()[1])


@contextmanager
def docker_registry(directory: Path, authority: Authority, auth: str) -> Iterator[str]:
    """Run the real registry on a free port; wait until its log says that it listens."""
    address = f"127.0.0.1:{free_port()}"
    config = directory / "config.yml"
    config.write_text(
        f"""
version: 0.1
log: {{level: info, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {directory / "data"}}}}}
http:
  addr: {address}
  secret: not-secret
  tls: {{certificate: {authority.server.certificate}, key: {authority.server.key}}}
auth:
{auth}
"""
    )
    command = [tool("docker-registry", package="docker-registry"), "serve", str(config)]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={"PATH": os.defpath, "OTEL_TRACES_EXPORTER": "none"},
        )
        assert process.stderr is not None
        with process.stderr:
            try:
                for line in process.stderr:
                    log.write(line)
                    if b"listening on" in line:
                        break
                else:
                    pytest.fail(f"the registry did not start: {(directory / 'log').read_text()}")
                yield address
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(10)


def push(address: str, bundle: Path, headers: dict[str, str]) -> None:
    """Push the smallest image, `team/app:1`, as any client does."""
    with urllib3.PoolManager(ca_certs=str(bundle)) as pool:
        digest = f"sha256:{hashlib.sha256(CONFIG_BLOB).hexdigest()}"
        base = f"https://{address}/v2/team/app"
        started = pool.request("POST", f"{base}/blobs/uploads/", headers=headers)
        target = f"{started.headers['Location']}&digest={digest}"
        sent = pool.request("PUT", target, headers=headers, body=CONFIG_BLOB)
        assert sent.status == 201, sent.data
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": {
                "mediaType": "application/vnd.docker.container.image.v1+json",
                "size": len(CONFIG_BLOB),
                "digest": digest,
            },
            "layers": [],
        }
        kind = headers | {"Content-Type": MANIFEST_TYPE}
        body = json.dumps(manifest).encode()
        tagged = pool.request("PUT", f"{base}/manifests/1", headers=kind, body=body)
        assert tagged.status == 201, tagged.data


def login(address: str, user: str, password: str) -> Credential:
    return Credential(entries=(Entry(key=address, login=Login(username=user, password=password)),))


def outcomes(found: tuple[Probe, ...]) -> list[ProbeOutcome]:
    return [each.outcome for each in found]


ACCEPTED, REFUSED = ProbeOutcome.ACCEPTED, ProbeOutcome.REFUSED


def test_htpasswd_over_tls(tmp_path: Path, authority: Authority) -> None:
    """A real registry takes the right login, with every odd character in it, and refuses every other."""
    (tmp_path / "htpasswd").write_text(HTPASSWD, encoding="utf-8")
    auth = f"  htpasswd: {{realm: here, path: {tmp_path / 'htpasswd'}}}"
    with docker_registry(tmp_path, authority, auth) as address:
        network = Network(ca_bundle=str(authority.bundle))
        good = login(address, USER, PASSWORD)
        pair = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        push(address, authority.bundle, {"Authorization": f"Basic {pair}"})
        images = [f"{address}/team/app:1", f"{address}/team/app:2", f"{address}/none"]
        assert outcomes(probe(good, images, network=network)) == [ACCEPTED, ACCEPTED, REFUSED, REFUSED]
        # What an instance would get is what was tried: through the two lines and back.
        again = recognise(normalise(good).data).credential
        assert outcomes(probe(again, images[:1], network=network)) == [ACCEPTED, ACCEPTED]
        for user, password in ((USER, PASSWORD[:-1]), (USER, ""), ("other", PASSWORD)):
            bad = login(address, user, password)
            assert outcomes(probe(bad, images[:1], network=network)) == [REFUSED, REFUSED]


def unpadded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def token(authority: Authority, access: list[dict[str, object]]) -> str:
    """Sign what Docker's token specification asks for, valid for as long as tests exist."""
    certificate = x509.load_pem_x509_certificate(authority.signer.certificate.read_bytes())
    der = base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode()
    claims = {"iss": "tests", "sub": USER, "aud": "here", "nbf": 0, "iat": 0, "exp": 4_102_444_800, "jti": "1"}
    parts = [{"typ": "JWT", "alg": "RS256", "x5c": [der]}, claims | {"access": access}]
    signed = ".".join(unpadded(json.dumps(part).encode()) for part in parts)
    signature = authority.signer_key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{signed}.{unpadded(signature)}"


def access_of(scope: str, user: str) -> list[dict[str, object]]:
    """Let `robot` do everything and anybody else nothing."""
    if not scope or user != USER:
        return []
    kind, name, actions = scope.split(":")
    return [{"type": kind, "name": name, "actions": actions.split(",")}]


def test_tokens_over_tls(tmp_path: Path, authority: Authority) -> None:
    """A real registry with a token service: a login may be right and still not be allowed to pull."""
    logins = {"Basic " + base64.b64encode(f"{user}:{PASSWORD}".encode()).decode(): user for user in (USER, "guest")}

    def service(asked: Asked) -> Reply:
        user = logins.get(asked.authorization or "")
        if user is None:
            return Reply(401, {}, b'{"details":"incorrect username or password"}')
        scope = parse_qs(urlsplit(asked.path).query).get("scope", [""])[0]
        return Reply(200, {}, json.dumps({"token": token(authority, access_of(scope, user))}).encode())

    with served(service, authority.server.server_context()) as issuer:
        auth = (
            f"  token: {{realm: 'https://{issuer.address}/token', service: here, issuer: tests,"
            f" rootcertbundle: {authority.bundle}}}"
        )
        with docker_registry(tmp_path, authority, auth) as address:
            network = Network(ca_bundle=str(authority.bundle))
            pushing = token(authority, access_of("repository:team/app:pull,push", USER))
            push(address, authority.bundle, {"Authorization": f"Bearer {pushing}"})
            images = [f"{address}/team/app:1"]
            found = [
                outcomes(probe(login(address, user, password), images, network=network))
                for user, password in ((USER, PASSWORD), ("guest", PASSWORD), (USER, "wrong"))
            ]
    assert found == [[ACCEPTED, ACCEPTED], [ACCEPTED, REFUSED], [REFUSED, REFUSED]]
