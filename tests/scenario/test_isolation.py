"""The lab's two kinds of isolation are one lab: what a rollout reports does not tell them apart."""

import json
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from tests import support

MIXED = """
cluster = "mixed"
[defaults]
restart_seconds = [0.1, 0.2]
[[instances]]
id = "i-0000000000000000a"
zone = "us-east-1a"
[[instances]]
id = "i-0000000000000000b"
name = "keeps no state"
zone = "us-east-1b"
persistent = false
outcome = "refused"
[[instances]]
id = "i-0000000000000000c"
name = "read-only"
zone = "us-east-1c"
disk = "read_only"
outcome = "refused"
[[instances]]
id = "i-0000000000000000d"
name = "full"
zone = "us-east-1a"
disk = "full"
outcome = "refused"
[[instances]]
id = "i-0000000000000000e"
name = "container not replaced"
zone = "us-east-1b"
agent_after_restart = "not_replaced"
outcome = "rolled_back"
"""


def test_both_isolations_report_the_same(tmp_path: Path) -> None:
    """One scenario in directories and in namespaces: the same outcome and reason for every instance."""
    support.namespaces()
    path = tmp_path / "mixed.toml"
    path.write_text(MIXED)
    program = [sys.executable, "-m", "orchestrator.cli.main", "demo", "--output=json", f"--scenario={path}"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with ExitStack() as stack:
        # At the same time, for most of it is waiting.
        running = [
            stack.enter_context(subprocess.Popen([*program, "--isolation", each], **pipes))  # type: ignore[call-overload]  # one dict of mixed values
            for each in ("directory", "namespace")
        ]
        ended = [(process.communicate(), process.returncode) for process in running]
    reports = []
    for (out, err), code in ended:
        assert code == 0, err
        reports.append(
            {each["instance_id"]: (each["outcome"], each["reason"]) for each in json.loads(out)["instances"]}
        )
    in_directories, in_namespaces = reports
    assert in_namespaces == in_directories
    assert sorted(in_namespaces.values()) == [
        ("refused", "config_unwritable"),
        ("refused", "disk_full"),
        ("refused", "ephemeral"),
        ("rolled_back", "container_not_replaced"),
        ("updated", "verified"),
    ]
