"""The leak scan itself: a leak planted in any form and place must be found."""

import base64
import hashlib
import json
import sqlite3
import urllib.parse
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.leaks import Scanner

CANARY = 'c4n4ry/"Quo\\te+äZ9%&end'


@pytest.mark.parametrize(
    ("form", "leak"),
    [
        ("raw", lambda secret: secret),
        ("json", lambda secret: json.dumps({"password": secret})),
        ("json", lambda secret: json.dumps({"password": secret}, ensure_ascii=False)),
        ("json", lambda secret: json.dumps({"stdout": json.dumps({"password": secret})})),
        ("url", lambda secret: "?p=" + urllib.parse.quote(secret, safe="")),
        ("url", lambda secret: urllib.parse.urlencode({"p": secret})),
        ("hex", lambda secret: secret.encode().hex()),
        ("base64", lambda secret: base64.b64encode(secret.encode()).decode()),
        ("base64", lambda secret: base64.b64encode(b"u:" + secret.encode() + b"!").decode()),
        ("base64", lambda secret: base64.b64encode(b"user:" + secret.encode() + b"\n").decode()),
        ("base64", lambda secret: base64.urlsafe_b64encode(b"abc" + secret.encode()).decode()),
        ("sha256", lambda secret: hashlib.sha256(secret.encode()).hexdigest()),
        ("fragment", lambda secret: "registry " + secret[5:13] + " unknown"),
        ("fragment", lambda secret: secret[-8:]),
    ],
)
def test_each_form_of_a_leak_is_found(form: str, leak: Callable[[str], str]) -> None:
    """Raw, escaped, encoded at any alignment, hashed, or eight characters of it: each is found."""
    blob = f"before {leak(CANARY)} after".encode()
    assert form in {found.form for found in Scanner([CANARY]).scan("place", blob)}


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_base64_is_found_whatever_stands_around(before: bytes, after: bytes) -> None:
    """The secret inside a longer text that was encoded as a whole is found, wherever it stands."""
    blob = base64.b64encode(before + CANARY.encode() + after)
    assert "base64" in {found.form for found in Scanner([CANARY]).scan("place", blob)}


@pytest.mark.parametrize("plant", ["file", "name", "database", "folder"])
def test_each_kind_of_place_is_searched(tmp_path: Path, plant: str) -> None:
    """Contents and names of files, at any depth, and database files are looked into."""
    scanner = Scanner([CANARY])
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    assert scanner.scan_files(tmp_path) == []
    if plant == "file":
        (deep / "log").write_text(f"x{CANARY}x")
    elif plant == "name":
        (deep / CANARY[12:20]).touch()
    elif plant == "folder":
        (deep / CANARY[12:20]).mkdir()
    else:
        with sqlite3.connect(deep / "journal.db") as db:
            db.execute("create table t (x text)")
            db.execute("insert into t values (?)", (CANARY,))
        db.close()
    assert scanner.scan_files(tmp_path)


def test_what_is_exempt_is_not_reported(tmp_path: Path) -> None:
    """The env file itself may hold the secret; everything beside it may not."""
    allowed, beside = tmp_path / "ecs.config", tmp_path / "ecs.config.tmp"
    allowed.write_text(CANARY)
    assert Scanner([CANARY]).scan_files(tmp_path, exempt=[allowed]) == []
    beside.write_text(CANARY)
    assert {leak.place for leak in Scanner([CANARY]).scan_files(tmp_path, exempt=[allowed])} == {"ecs.config.tmp"}


@given(st.text(max_size=200))
def test_what_holds_nothing_is_not_accused(text: str) -> None:
    """A text without the secret gives no finding."""
    if not any(CANARY[n : n + 8] in text for n in range(len(CANARY) - 7)):
        assert Scanner([CANARY]).scan("place", text.encode()) == []
