"""The env file's readers and the edit of our two lines, against models of the three real readers (F40)."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.documents_folder import documents_folder

SOURCES = documents_folder() / "src"
AWKS = [awk for awk in ("mawk", "gawk", "busybox awk") if shutil.which(awk.split()[0])]
CASES = [json.loads(line) for line in (Path(__file__).parent.parent / "vectors" / "env.jsonl").read_text().splitlines()]
TYPE, DATA = "dockercfg", '{"reg.io":{"auth":"dTpw=="}}'
OURS = ("ECS_ENGINE_AUTH_TYPE", "ECS_ENGINE_AUTH_DATA")
GO_SPACE = " \t\n\v\f\r\x85\xa0"


def ecs_init(content: str) -> dict[str, str]:
    """Read as ecs-init does: lines, trimmed, split on the first equals sign, last one wins."""
    pairs = (line.strip(GO_SPACE).partition("=") for line in content.split("\n"))
    return {key: value for key, equals, value in pairs if equals}


def docker_env_file(content: str) -> dict[str, str] | str:
    """Read as `docker run --env-file` does."""
    found = {}
    for line in content.removeprefix("\ufeff").split("\n"):
        text = line.removesuffix("\r").lstrip(" \t\n\v\f\r")
        key, equals, value = text.partition("=")
        if not text or text.startswith("#"):
            continue
        if not key or re.search(r"\s", key):
            return "ERR"
        if equals:
            found[key] = value
    return found


def systemd(content: str) -> dict[str, str]:  # noqa: C901, PLR0912, PLR0915 - a state machine, as in systemd
    """Read as systemd's EnvironmentFile does."""
    found: dict[str, str] = {}
    state, key, value, keep = "start", "", "", 0

    def push(text: str) -> None:
        if re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", key.rstrip(" \t")):
            found[key.rstrip(" \t")] = text

    for char in content:
        newline = char in "\n\r"
        match state:
            case "start":
                if char in "#;":
                    state = "comment"
                elif char not in " \t\n\r":
                    state, key = "key", char
            case "comment":
                state = "comment\\" if char == "\\" else "start" if newline else state
            case "comment\\":
                state = "comment"
            case "key":
                if newline:
                    state = "start"
                elif char == "=":
                    state, value, keep = "before", "", 0
                else:
                    key += char
            case "before" | "value":
                if newline:
                    push(value[:keep])
                    state = "start"
                elif char == "\\":
                    state = "value\\"
                elif state == "before" and char in "'\"":
                    state = "single" if char == "'" else "double"
                elif state == "value" or char not in " \t":
                    state, value = "value", value + char
                    keep = len(value) if char not in " \t" else keep
            case "value\\":
                state, value = "value", value + ("" if newline else char)
                keep = len(value)
            case "single" | "double":
                if char == {"single": "'", "double": '"'}[state]:
                    state, keep = "before", len(value)
                elif state == "double" and char == "\\":
                    state = "double\\"
                else:
                    value += char
            case _:
                value += char if char in '"\\`$' else "" if char == "\n" else f"\\{char}"
                state = "double"
    if state in {"before", "value"}:
        push(value[:keep])
    elif state in {"single", "double", "value\\", "double\\"}:
        push(value)
    return found


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_the_models_read_as_the_real_ones_did(case: dict[str, Any]) -> None:
    """The three models in this file agree with what ecs-init, docker and systemd were seen to do."""
    content = case["content"]
    assert ecs_init(content) == case["ecs_init"]
    seen = case["docker_env_file"]
    assert docker_env_file(content) == (seen if isinstance(seen, dict) else "ERR")
    if "ERR" not in case["systemd"]:
        assert systemd(content) == case["systemd"]


def run(path: Path, awk: str, commands: str) -> tuple[int, bytes]:
    """Run functions of the scripts on an env file."""
    head = 'op=t run_id=r config_file=$1; . "$0/common.sh"; . "$0/envfile.sh"'
    shell = f'{head}; awk() {{ {awk} "$@"; }}; config_read; {commands}'
    done = subprocess.run(["bash", "-c", shell, SOURCES, path], capture_output=True, check=False, timeout=60)
    return done.returncode, done.stdout


def edit(path: Path, content: bytes, awk: str, how: str = f"set {TYPE} '{DATA}'") -> bytes | None:
    """Return the new file, or None where the edit is refused."""
    path.write_bytes(content)
    code, out = run(path, awk, f'config_edit {how} || exit 9; printf %s "$new_text" >&3')
    assert path.read_bytes() == content
    return None if code == 9 else out


def others(found: dict[str, str] | str) -> dict[str, str]:
    """Leave our two and their dead copies out."""
    return (
        {key: value for key, value in found.items() if not any(ours in key for ours in OURS)}
        if isinstance(found, dict)
        else {}
    )


def check(before: bytes, after: bytes) -> None:
    old, new = before.decode(), after.decode()
    assert {key: ecs_init(new).get(key) for key in OURS} == dict(zip(OURS, (TYPE, DATA), strict=True))
    assert others(ecs_init(new)) == others(ecs_init(old))
    read = docker_env_file(new)
    if isinstance(read, dict):
        assert [read[key] for key in OURS] == [TYPE, DATA]
        assert others(read) == others(docker_env_file(old)) or docker_env_file(old) == "ERR"
    else:
        assert docker_env_file(old) == "ERR"
    assert others(systemd(new)) == others(systemd(old))
    assert [line for line in new.split("\n") if line and "ECS_ENGINE_AUTH" not in line] == [
        line for line in old.split("\n") if line and "ECS_ENGINE_AUTH" not in line
    ]


LINES = st.sampled_from(
    r"""A=1|B=x y  |# note||  |C='q|D="q|q'|q"|E=1\|; c\|# c \|export F=1|G = 1|H|I="a" b|J=a\ b|ECS_CLUSTER=demo|\
ECS_ENGINE_AUTH_TYPE=docker|ECS_ENGINE_AUTH_DATA={"x":{}}|#ECS_ENGINE_AUTH_DATA={}|  ; ECS_ENGINE_AUTH_TYPE=a|\
export ECS_ENGINE_AUTH_TYPE=z|ECS_ENGINE_AUTH_DATA = 1|ECS_ENGINE_AUTH_DATA='{""".replace("\\\n", "").split("|")
)


@pytest.mark.parametrize("awk", AWKS)
@settings(max_examples=20, deadline=None)
@given(lines=st.lists(LINES, max_size=8), end=st.sampled_from(["\n", "\r\n"]), final=st.booleans(), bom=st.booleans())
def test_only_our_two_lines_change(
    tmp_path_factory: pytest.TempPathFactory, awk: str, lines: list[str], end: str, *, final: bool, bom: bool
) -> None:
    """Whatever the file: the edit is right for all three readers, or it is refused."""
    path = tmp_path_factory.getbasetemp() / f"edited-{awk.replace(' ', '-')}"
    content = (("\ufeff" if bom else "") + end.join(lines) + (end if final else "")).encode()
    after = edit(path, content, awk)
    if after is not None:
        check(content, after)
    else:
        assert re.search(rb"[\\'\"]", content), "refused without a cause"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"", b"{}"),
        (b"A=1\n", b"A=1\n{}"),
        (b"A=1", b"A=1\n{}"),
        (b"A=1\r\nB=2\r\n", b"A=1\r\nB=2\r\n{}"),
        (b"\xef\xbb\xbfA=1\n", b"\xef\xbb\xbfA=1\n{}"),
        (b"ECS_ENGINE_AUTH_DATA=x\nA=1\nECS_ENGINE_AUTH_TYPE=y\n", b"{}A=1\n"),
        (b"A=1\n# ECS_ENGINE_AUTH_DATA=x\nECS_ENGINE_AUTH_TYPE=y\nECS_ENGINE_AUTH_TYPE=z", b"A=1\n{}"),
        (b'A="open\n', b'{}A="open\n'),
        (b"A=joined\\\n", b"{}A=joined\\\n"),
        (b"A=joined\\\nECS_ENGINE_AUTH_DATA=x\nB=2\n", None),
    ],
)
def test_where_the_pair_stands(tmp_path: Path, before: bytes, after: bytes | None) -> None:
    """In the old place, else at the end, else at the start where the end would be swallowed; else nowhere."""
    pair = f"ECS_ENGINE_AUTH_TYPE={TYPE}\nECS_ENGINE_AUTH_DATA={DATA}\n".encode()
    assert edit(tmp_path / "f", before, AWKS[0]) == (None if after is None else after.replace(b"{}", pair, 1))


@pytest.mark.parametrize("before", [b"", b"A=1", b"\xef\xbb\xbfA=1\r\n", b"A=1\nB='\n'\n"])
def test_taking_the_pair_out_again_gives_the_old_bytes(tmp_path: Path, before: bytes) -> None:
    """remove undoes set, but for the new line at the end that set had to add."""
    after = edit(tmp_path / "f", before, AWKS[0])
    assert after is not None
    assert edit(tmp_path / "f", after, AWKS[0], "remove") in {before, before + b"\n"}


@pytest.mark.parametrize(
    ("content", "odd"), [(b"A=1\0\n", "holds NUL bytes"), (b"A" * (1 << 20) + b"=\n", "over 1 MB"), (b"A=1\n", "")]
)
def test_odd_files_are_named(tmp_path: Path, content: bytes, odd: str) -> None:
    """What is no env file is refused with its reason."""
    path = tmp_path / "f"
    path.write_bytes(content)
    assert run(path, AWKS[0], 'printf %s "$config_odd" >&3') == (0, odd.encode())


@pytest.mark.parametrize(
    "case", [case for case in CASES if "\0" not in case["content"]], ids=lambda case: str(case["id"])
)
def test_the_scripts_read_as_ecs_init_does(tmp_path: Path, case: dict[str, Any]) -> None:
    """The reader in the scripts takes the same values for our keys as ecs-init, in each of its odd cases."""
    path = tmp_path / "f"
    content = re.sub(r"\bA\b", "ECS_ENGINE_AUTH_TYPE", case["content"]).replace("B", "ECS_CLUSTER")
    path.write_text(content, encoding="utf-8", newline="")
    _, out = run(path, AWKS[0], 'printf "%s|%s" "$file_type" "$file_cluster" >&3')
    wanted = ecs_init(content)
    assert out.decode() == f"{wanted.get('ECS_ENGINE_AUTH_TYPE', '')}|{wanted.get('ECS_CLUSTER', '')}"
