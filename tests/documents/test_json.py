"""The JSON reader of the scripts, against Python's, in every awk that is here."""

import functools
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.documents_folder import documents_folder

VECTORS = Path(__file__).parent.parent / "vectors" / "agent"
AWKS = [awk for awk in ("mawk", "gawk", "busybox awk", "original-awk") if shutil.which(awk.split()[0])]
SCRIPT = documents_folder() / "src" / "json.sh"


def leaves(text: bytes, awk: str, pattern: str = "") -> list[tuple[str, str, str]] | None:
    """Run json_leaves; None for a text that it refuses, and then it must not have printed a byte."""
    shell = f'export LC_ALL=C; . "$0"; awk() {{ {awk} "$@"; }}; json_leaves "$1"'
    done = subprocess.run(
        ["bash", "-c", shell, SCRIPT, pattern], input=text + b"\n", capture_output=True, check=False, timeout=60
    )
    assert done.stderr == b""
    if done.returncode != 0:
        assert done.stdout == b""
        return None
    *lines, dot = done.stdout.decode().split("\n")[:-1]
    assert dot == "."
    return [tuple(line.split("\t")) for line in lines]  # type: ignore[misc]  # three columns each


def shown(text: str) -> str:
    """Write a text as json_leaves does."""
    text = "".join("�" if char == "\0" or 0xD800 <= ord(char) < 0xE000 else char for char in text)
    return "".join(
        "\\\\" if char == "\\" else f"\\x{ord(char):02x}" if ord(char) < 32 or ord(char) == 127 else char
        for char in text
    )


def expected(value: Any, path: str = "") -> list[tuple[str, str, str]]:
    """Flatten a value as Python has read it."""
    match value:
        case dict() if value:
            found = []
            for name, each in value.items():
                found += expected(each, f"{path}/{shown(name).replace('~', '~0').replace('/', '~1')}")
            return found
        case list() if value:
            return [leaf for number, each in enumerate(value) for leaf in expected(each, f"{path}/{number}")]
        case dict():
            return [(path, "{", "")]
        case list():
            return [(path, "[", "")]
        case bool():
            return [(path, "b", str(value).lower())]
        case None:
            return [(path, "z", "null")]
        case str():
            return [(path, "s", shown(value))]
        case _:
            return [(path, "n", json.dumps(value))]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize("awk", AWKS)
@settings(max_examples=25, deadline=None)
@given(
    value=st.lists(VALUES, max_size=3) | st.dictionaries(st.text(max_size=8), VALUES, max_size=4),
    ascii_only=st.booleans(),
)
def test_it_reads_what_python_reads(awk: str, value: Any, *, ascii_only: bool) -> None:
    """Every leaf of every valid text comes out with its path, type and value."""
    text = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    assert leaves(text, awk) == expected(value)


@pytest.mark.parametrize("awk", AWKS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_it_refuses_what_python_refuses(awk: str, data: st.DataObject) -> None:
    """A text that was cut or altered is refused whole, unless it is still JSON."""
    text = bytearray(json.dumps({"reg.io": {"auth": "dTpw", "n": [1, True, None, -0.5e3]}, "\\": {}}).encode())
    where = data.draw(st.integers(0, len(text) - 1))
    text[where : where + data.draw(st.integers(0, 2))] = data.draw(
        st.sampled_from([b"", b'"', b"{", b"}", b"\\", b",", b"0", b"\t"])
    )
    found = leaves(bytes(text), awk)
    try:
        value = json.loads(text, parse_constant=functools.partial(int, base=37), object_pairs_hook=list)
    except ValueError:
        assert found is None
    else:
        assert found is not None or not isinstance(value, list | dict)


@pytest.mark.parametrize("awk", AWKS)
@pytest.mark.parametrize(
    "text",
    rb"""|"x"|1|{"a":"b|{}"|{}{}|{"a":01}|{"a":1.}|[1 2]|[1,]|["\q"]|["\u12"]|{"a" 1}|{1:2}|[nul]|[truefalse]|["\"]|[+1]
|[}|]|{,}|["a""b"]|{"a":1 "b":2}|[[]|{"a":}|[-]|[.5]|[1e]|["]""".split(b"|"),
)
def test_no_word_of_an_invalid_text_comes_out(awk: str, text: bytes) -> None:
    """Half a parse could show a piece of a secret as a name: there is none."""
    assert leaves(text, awk) is None


@pytest.mark.parametrize("awk", AWKS)
@pytest.mark.parametrize("name", ["inspect-ecs-init", "metadata", "tasks", "unknown-path", "inspect-task-container"])
def test_it_reads_what_a_real_agent_printed(awk: str, name: str) -> None:
    """Docker's and the agent's own answers are read to the last leaf."""
    text = (VECTORS / f"{name}.json").read_bytes()
    assert leaves(text, awk) == expected(json.loads(text))
