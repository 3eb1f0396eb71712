"""Look for a secret in whatever form it could have leaked: raw, escaped, encoded, hashed, or a piece of it."""

import base64
import hashlib
import json
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

FRAGMENT = 8


@dataclass(frozen=True)
class Leak:
    """Where, and in which form; never the secret itself."""

    place: str
    form: str


def base64_cores(secret: bytes) -> Iterator[bytes]:
    """Base64 of the secret at its three alignments, without the characters that its neighbours decide."""
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + secret)
        start = 0 if shift == 0 else (8 * shift + 5) // 6
        usable = (8 * (shift + len(secret))) // 6
        yield encoded[start:usable]


def forms(secret: str) -> dict[str, set[bytes]]:
    """Every form in which `secret` is looked for, by name."""
    raw = secret.encode()
    cores = list(base64_cores(raw))
    escaped = {json.dumps(secret)[1:-1].encode(), json.dumps(secret, ensure_ascii=False)[1:-1].encode()}
    quoted = {urllib.parse.quote(secret, safe="").encode(), urllib.parse.quote_plus(secret).encode()}
    digest = hashlib.sha256(raw)
    return {
        "raw": {raw},
        "json": escaped | {json.dumps(each.decode())[1:-1].encode() for each in escaped},
        "url": quoted | {each.lower() for each in quoted},
        "hex": {raw.hex().encode(), raw.hex().upper().encode()},
        "base64": {*cores, *(core.replace(b"+", b"-").replace(b"/", b"_") for core in cores)},
        "sha256": {digest.hexdigest().encode(), digest.hexdigest().upper().encode(), base64.b64encode(digest.digest())},
        "fragment": {raw[start : start + FRAGMENT] for start in range(len(raw) - FRAGMENT + 1)},
    }


class Scanner:
    """Looks for several secrets at once."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._forms = [
            (name, needle) for secret in secrets for name, found in forms(secret).items() for needle in found
        ]

    def scan(self, place: str, blob: bytes) -> list[Leak]:
        """Find every form of every secret in one place."""
        return sorted({Leak(place, name) for name, needle in self._forms if needle in blob}, key=lambda leak: leak.form)

    def scan_all(self, places: Mapping[str, bytes]) -> list[Leak]:
        """Scan several places."""
        return [leak for place, blob in places.items() for leak in self.scan(place, blob)]

    def scan_files(self, root: Path, *, exempt: Iterable[Path] = ()) -> list[Leak]:
        """Scan every file below a folder: its name and its content. Sockets and devices have no content."""
        left_out = set(exempt)
        leaks = []
        for path in sorted(root.rglob("*")):
            leaks += self.scan(f"name of {path.relative_to(root)}", str(path.relative_to(root)).encode())
            if path.is_file() and not path.is_symlink() and path not in left_out:
                leaks += self.scan(str(path.relative_to(root)), path.read_bytes())
        return leaks
