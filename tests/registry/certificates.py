"""A certificate authority for one test, and server certificates for the loopback address."""

import ipaddress
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

# Certificates need dates, tests need none: always valid.
_FROM, _UNTIL = datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A certificate and its key, as PEM files."""

    certificate: Path
    key: Path

    def server_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A CA whose certificate a client may be told to trust."""

    bundle: Path
    server: Pair
    signer: Pair
    signer_key: rsa.RSAPrivateKey


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _write(path: Path, *blocks: bytes) -> Path:
    path.write_bytes(b"".join(blocks))
    return path


def _key_pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def make_authority(directory: Path) -> Authority:
    """Make a CA, a server pair for 127.0.0.1 and localhost, and an RSA pair to sign tokens with."""
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca_name = _name("ecs-rollout test CA")

    def certificate(
        subject: x509.Name, public: ec.EllipticCurvePublicKey | rsa.RSAPublicKey, *, ca: bool
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(ca_name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(_FROM)
            .not_valid_after(_UNTIL)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if not ca:
            names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(ca_key, hashes.SHA256())

    def pem(made: x509.Certificate) -> bytes:
        return made.public_bytes(serialization.Encoding.PEM)

    bundle = _write(directory / "ca.pem", pem(certificate(ca_name, ca_key.public_key(), ca=True)))
    server_key = ec.generate_private_key(ec.SECP256R1())
    signer_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    server = certificate(_name("127.0.0.1"), server_key.public_key(), ca=False)
    signer = certificate(_name("signer"), signer_key.public_key(), ca=False)
    return Authority(
        bundle=bundle,
        server=Pair(
            certificate=_write(directory / "server.pem", pem(server)),
            key=_write(directory / "server.key", _key_pem(server_key)),
        ),
        signer=Pair(
            certificate=_write(directory / "signer.pem", pem(signer)),
            key=_write(directory / "signer.key", _key_pem(signer_key)),
        ),
        signer_key=signer_key,
    )
