"""The env file's edit in the controller does what the instances' script does, byte for byte."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.core.credential import AuthType, EnvLines
from orchestrator.core.env_file import edited, others
from orchestrator.documents_folder import documents_folder
from tests import env_readers

SOURCES = documents_folder() / "src"
CASES = [json.loads(line) for line in (Path(__file__).parent.parent / "vectors" / "env.jsonl").read_text().splitlines()]
LINES = EnvLines(auth_type=AuthType.DOCKERCFG, data='{"reg.io":{"auth":"dTpw=="}}')
PAIR = f"ECS_ENGINE_AUTH_TYPE={LINES.auth_type}\nECS_ENGINE_AUTH_DATA={LINES.data}\n"
OURS = ("ECS_ENGINE_AUTH_TYPE", "ECS_ENGINE_AUTH_DATA")


def scripted(path: Path, text: str) -> str | None:
    """Edit with the documents' own shell functions; None where they refuse."""
    path.write_text(text, encoding="utf-8", newline="")
    head = 'op=t run_id=r config_file=$1; . "$0/common.sh"; . "$0/envfile.sh"; config_read'
    command = f"{head}; config_edit set {LINES.auth_type} '{LINES.data}' || exit 9; printf %s \"$new_text\" >&3"
    done = subprocess.run(["bash", "-c", command, SOURCES, path], capture_output=True, check=False, timeout=60)
    assert done.returncode in {0, 9}, done.stderr
    return None if done.returncode else done.stdout.decode()


TOUGH = st.sampled_from(
    r"""A=1|B=x y  |# note||  |C='q|D="q|q'|q"|E=1\|; c\|# c \|export F=1|G = 1|H|I="a" b|J=a\ b|ECS_CLUSTER=demo|=x|~
ECS_ENGINE_AUTH_TYPE=docker|ECS_ENGINE_AUTH_DATA={"x":{}}|#ECS_ENGINE_AUTH_DATA={}|  ; ECS_ENGINE_AUTH_TYPE=a|~
export ECS_ENGINE_AUTH_TYPE=z|ECS_ENGINE_AUTH_DATA = 1|ECS_ENGINE_AUTH_DATA='{|K="a\qb\\\"c"  d  |K=\  \ |~
  L='a' "b" c|M=a'b'"c|é=ü|N=ü\|O=1""".replace("~\n", "").split("|")
)


@pytest.mark.skipif(shutil.which("awk") is None, reason="no awk")
@settings(max_examples=60, deadline=None)
@given(lines=st.lists(TOUGH, max_size=8), end=st.sampled_from(["\n", "\r\n"]), final=st.booleans(), bom=st.booleans())
def test_controller_and_instance_edit_alike(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], end: str, *, final: bool, bom: bool
) -> None:
    """Whatever the file: the same bytes, or both refuse."""
    text = ("\ufeff" if bom else "") + end.join(lines) + (end if final else "")
    assert edited(text, LINES) == scripted(tmp_path_factory.getbasetemp() / "edited", text)


@given(st.lists(TOUGH, max_size=8), st.sampled_from(["\n", "\r\n"]))
def test_every_other_variable_stays(lines: list[str], end: str) -> None:
    """ecs-init finds exactly the new pair and everything else as before; a second edit changes nothing."""
    text = end.join(lines)
    new = edited(text, LINES)
    if new is None:
        assert any(char in text for char in "\\'\"")
        return
    read, before = env_readers.ecs_init(new), env_readers.ecs_init(text)
    assert read is not None
    assert before is not None
    assert {name: read[name] for name in OURS} == {OURS[0]: str(LINES.auth_type), OURS[1]: LINES.data}
    assert {name: value for name, value in read.items() if not any(ours in name for ours in OURS)} == {
        name: value for name, value in before.items() if not any(ours in name for ours in OURS)
    }
    assert edited(new, LINES) == new


READ = [each for each in CASES if "ERR" not in each["systemd"] and "\0" not in each["content"]]


@pytest.mark.parametrize("case", READ, ids=[str(each["id"]) for each in READ])
def test_systemd_is_read_as_it_was_observed(case: dict[str, Any]) -> None:
    """The model of systemd's reader agrees with what systemd 252, which joins comments, was seen to do."""
    assert dict(others(case["content"], joined=True)) == case["systemd"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "{}"),
        ("A=1", "A=1\n{}"),
        ("A=1\r\nB=2\r\n", "A=1\r\nB=2\r\n{}"),
        ("\ufeffA=1\n", "\ufeffA=1\n{}"),
        ("ECS_ENGINE_AUTH_DATA=x\nA=1\nECS_ENGINE_AUTH_TYPE=y\n", "{}A=1\n"),
        ("A=1\n# ECS_ENGINE_AUTH_DATA=x\nECS_ENGINE_AUTH_TYPE=y\nECS_ENGINE_AUTH_TYPE=z", "A=1\n{}"),
        ('A="open\n', '{}A="open\n'),
        ("A=joined\\\nECS_ENGINE_AUTH_DATA=x\nB=2\n", None),
    ],
)
def test_where_the_pair_stands(before: str, after: str | None) -> None:
    """In the old place, else at the end, else at the start where the end would be swallowed; else nowhere."""
    assert edited(before, LINES) == (None if after is None else after.replace("{}", PAIR, 1))
