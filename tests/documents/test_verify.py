"""prove, run by a real bash on what an agent lets it see from second to second: which reason it ends with, and when."""

import re
import subprocess
from pathlib import Path

import pytest

from orchestrator.core.reasons import Reason
from orchestrator.documents_folder import document_sources

# What stands outside verify.sh is a film of words: `old 3` means that the old agent is seen until second 3.
STAGE = r"""
clock=0 b_id=0123456789abcdef b_started=1 b_arn=arn:x/one b_cluster=demo b_persistence=persistent b_tasks=' arn:x/t1 '
film=("$@")
tick() { :; }
nap() { clock=$((clock + $1 * 10)); }
scene() { # sets word
  local n
  for ((n = 0; n + 1 < ${#film[@]}; n += 2)); do
    word=${film[n]}
    [ "$clock" -ge $((film[n + 1] * 100)) ] || return
  done
}
metadata() {
  local word
  scene
  a_arn= a_cluster=
  case $word in mute | gone | crash | failed | silent) return 1 ;; foreign | jammed) return 2 ;; esac
  a_arn=arn:x/one a_cluster=demo
  case $word in other-arn*) a_arn=arn:x/two ;; other-cluster) a_cluster=prod ;; esac
}
look() {
  local word
  scene
  container=present c_id=fedcba9876543210 c_started=2 c_running=true
  case $word in
    old | mute | jammed) c_id=$b_id c_started=$b_started ;;
    same-again) c_id=$b_id ;;
    gone) container=absent c_id= c_started= c_running=; return 1 ;;
    silent) container=unknown c_id= c_started= c_running=; return 1 ;;
    crash | failed) c_running=false ;;
  esac
}
wanted() { local word; scene; [ "$word" != old-pair ]; }
agent_failed() { local word; scene; [ "$word" = failed ]; }
agent_tasks() { local word; scene; t_known=' arn:x/t1 '; case $word in lacks*) t_known=' ' ;; esac; }
docker_tasks() { d_tasks=' arn:x/t1 '; }
log_judge() { local word; scene; log_says=clean; case $word in *warns) log_says=warned ;; esac; }
prove 60 wanted
printf '%s\n' $? "$prove_reason" $((clock / 100)) "$proof" "$log_says"
"""


def prove(film: str) -> tuple[str, str, int, str, str]:
    script = document_sources()["verify.sh"] + STAGE
    done = subprocess.run(
        ["/bin/bash", "-c", script, "bash", *film.split()], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stderr == ""
    code, reason, seconds, proof, log = done.stdout.split("\n")[:5]
    return code, reason, int(seconds), proof, log


@pytest.mark.parametrize(
    "film",
    [
        "new 90",
        "same-again 90",
        "old 3 gone 4 crash 5 new 90",
        "old 50 new 90",
        "silent 20 new 90",
        "jammed 5 foreign 50 new 90",
        "old-pair 10 gone 12 new 90",
        "lacks 10 new 90",
        "lacks 10 crash 30 lacks 40 new 90",
        "old-pair 10 lacks 20 new 90",
        "failed 2 new 90",
    ],
)
def test_an_early_look_fails_nothing(film: str) -> None:
    """What was wrong for a while and is right in time is right."""
    assert prove(film)[:2] == ("0", "verified")


@pytest.mark.parametrize("late", [0, 1, 4, 20, 55])
@pytest.mark.parametrize(
    ("end", "reason"),
    [
        ("gone", "agent_did_not_return"),
        ("crash", "agent_did_not_return"),
        ("silent", "agent_did_not_return"),
        ("foreign", "metadata_malformed"),
        ("old-pair", "environment_not_new"),
        ("other-cluster", "cluster_changed"),
        ("other-arn", "identity_changed"),
        ("lacks", "tasks_lost"),
        ("warns", "auth_warning"),
        ("old", "container_not_replaced"),
        ("mute", "container_not_replaced"),
        ("jammed", "container_not_replaced"),
    ],
)
def test_the_end_decides(end: str, reason: str, late: int) -> None:
    """However long the old agent is seen before, the same fault gets the same reason."""
    assert prove(f"old {late} {end} 90")[:2] == ("1", reason)


@pytest.mark.parametrize(
    ("film", "reason"),
    [
        ("other-arn-warns 90", "identity_changed"),
        ("lacks-warns 90", "tasks_lost"),
        ("crash 30 mute 90", "container_not"),
    ],
)
def test_of_several_the_first_is_told(film: str, reason: str) -> None:
    """The order in verify.sh is the order that holds."""
    assert prove(film)[1].startswith(reason)


@pytest.mark.parametrize(
    ("film", "seconds"),
    [("crash 90", 60), ("old 90", 60), ("failed 90", 6), ("other-cluster 90", 1), ("warns 90", 1), ("lacks 90", 17)],
)
def test_only_what_cannot_change_ends_the_time_early(film: str, seconds: int) -> None:
    """A unit that was given up, an agent that says who it is, a doubt that lasts; all else waits to the end."""
    assert prove(film)[2] in range(seconds - 2, seconds + 3)


@pytest.mark.parametrize(
    ("film", "proof"),
    [
        ("old 90", "agent container 0123456789ab running, was 0123456789ab; metadata: one of demo"),
        ("crash 90", "agent container fedcba987654 stopped, was 0123456789ab; metadata: no answer"),
        ("gone 90", "agent container absent, was 0123456789ab; metadata: no answer"),
        ("foreign 90", "agent container fedcba987654 running, was 0123456789ab; metadata: not from the agent"),
        ("other-arn 90", "agent container fedcba987654 running, was 0123456789ab; metadata: two of demo"),
        ("lacks 90", "agent container fedcba987654 running, was 0123456789ab; it lacks task t1; metadata: one of demo"),
    ],
)
def test_the_reason_comes_with_what_proves_it(film: str, proof: str) -> None:
    """Container before and after, and the last answer of the endpoint."""
    assert prove(film)[3] == proof


@pytest.mark.parametrize(("film", "log"), [("crash 90", ""), ("new 90", "clean"), ("warns 90", "warned")])
def test_a_log_that_was_not_judged_is_not_called_anything(film: str, log: str) -> None:
    """`clean` is said of the new agent's log alone."""
    assert prove(film)[4] == log


def test_readers_find_the_order_that_holds() -> None:
    """The page about hosts lists the reasons in the order of verify.sh, and each is a reason of the reports."""
    page = (Path(__file__).parents[2] / "docs/hosts.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\d\. `(\w+)`", page, re.MULTILINE)
    explained = document_sources()["verify.sh"].partition("first one of this list is told")[2].partition("prove()")[0]
    assert listed == sorted(listed, key=explained.index)
    assert set(listed) <= set(Reason)
    assert set(re.findall(r"prove_reason=(\w+)", document_sources()["verify.sh"])) == {*listed, "verified"}
