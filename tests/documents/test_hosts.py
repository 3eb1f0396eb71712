"""Hosts that differ: BusyBox instead of GNU, another awk, tools that are missing, odd file modes."""

import shutil
import subprocess
from pathlib import Path

import pytest

from orchestrator.core.documents import Kind
from orchestrator.documents_folder import documents_folder
from tests.documents.support import Bench, needs, result_of

TOOLS = {
    *("awk", "sed", "stat", "mv", "rm", "mkdir", "cat", "readlink", "chmod", "chown", "sync", "tail", "base64", "dd"),
    *("od", "sha256sum", "flock", "timeout", "cp", "sleep", "setsid"),
}


def applets() -> set[str]:
    """Say which of the tools this BusyBox offers; Debian's has no flock."""
    done = subprocess.run(["busybox", "--list"], capture_output=True, text=True, check=True, timeout=20)
    return TOOLS & set(done.stdout.split())


def use(bench: Bench, name: str, target: str) -> None:
    (bench.host.root / "bin" / name).symlink_to(target)


@needs("busybox")
async def test_busybox_is_enough(bench: Bench) -> None:
    """With BusyBox for every tool a whole life of a change works: apply, repeat, restore."""
    busybox = shutil.which("busybox") or ""
    assert len(applets()) >= 15
    for tool in applets():
        use(bench, tool, busybox)
    before = bench.config.read_bytes()
    assert (await bench.inspect())["persistence"] == "persistent"
    assert (await bench.apply())["reason"] == "verified"
    assert (await bench.apply())["reason"] == "already_current"
    assert (await bench.inspect())["agrees"] is True
    assert (await bench.restore())["reason"] == "restored"
    assert bench.config.read_bytes() == before


@pytest.mark.parametrize("awk", [awk for awk in ("mawk", "gawk", "original-awk") if shutil.which(awk)])
async def test_any_awk_will_do(bench: Bench, awk: str) -> None:
    """The scripts mind no difference between the awks."""
    use(bench, "awk", shutil.which(awk) or "")
    assert (await bench.apply())["reason"] == "verified"
    assert (await bench.inspect())["agrees"] is True


async def test_an_upstart_host_is_stopped_and_started(bench: Bench) -> None:
    """Where upstart runs the agent its job is stopped and started, not `restart`ed (F26)."""
    tools = bench.host.root / "bin"
    (tools / "initctl").write_text(
        """#!/bin/sh
        echo "$*" >>"${0%/*}/initctl.log"
        case $1 in
          status) echo "$2 start/running, process 1" ;;
          stop | start) "${0%/*}/systemctl" --no-block "$1" ecs ;;
        esac
        """
    )
    (tools / "initctl").chmod(0o755)

    def without(script: str) -> str:
        return script.replace("if has systemctl", "if false", 1)

    result = result_of(await bench.send(Kind.APPLY, bench.apply_values(), change=without))
    assert (result["outcome"], result["method"]) == ("updated", "upstart")
    assert (tools / "initctl.log").read_text().splitlines() == ["status ecs", "stop ecs", "start --no-wait ecs"]


async def test_a_missing_tool_is_named(bench: Bench) -> None:
    """What is really needed is looked for first and named."""

    def without(script: str) -> str:
        return script.replace("has() {", 'has() { [ "$1" = flock ] && return 1;', 1)

    result = result_of(await bench.send(Kind.APPLY, bench.apply_values(), change=without))
    assert (result["outcome"], result["reason"], result["detail"]) == (
        "refused",
        "tool_missing",
        "flock is not installed",
    )


def old_curl(bench: Bench) -> Path:
    """Give the host a curl before 7.75, which cannot sign; return where its AWS CLI is to be."""
    real = shutil.which("curl")
    (bench.host.root / "bin/curl").write_text(
        f'#!/bin/sh\n[ "$2" != --version ] || {{ echo "curl 7.61.1 (x)"; exit; }}\nexec {real} "$@"\n'
    )
    aws = bench.host.root / "bin/aws"
    for path in (aws, aws.with_name("curl")):
        path.touch()
        path.chmod(0o755)
    return aws


async def test_the_aws_cli_stands_in_for_an_old_curl(bench: Bench) -> None:
    """A curl before 7.75 cannot sign; the AWS CLI fetches instead (F77), and its errors are told apart."""
    aws = old_curl(bench)
    values = bench.apply_values()
    payload = bench.store.parameters["/p:1"]
    aws.write_text(
        "#!/bin/sh\necho 'An error occurred (AccessDeniedException) when calling GetParameter' >&2\nexit 254\n"
    )
    assert result_of(await bench.send(Kind.APPLY, values))["reason"] == "payload_denied"
    aws.write_text(f'#!/bin/sh\ncase "$*" in *"--name /p:1 --with-decryption"*) echo {payload} ;; *) exit 1 ;; esac\n')
    assert (await bench.inspect())["fetch"] == "aws"
    assert result_of(await bench.send(Kind.APPLY, values))["reason"] == "verified"


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("https://team.s3.us-east-1.amazonaws.com/demo/payload/r", "https://s3.us-east-1.amazonaws.com"),
        ("https://s3.us-east-1.amazonaws.com/team/demo/payload/r", "https://s3.us-east-1.amazonaws.com"),
        ("https://bucket.vpce-1.s3.us-east-1.vpce.amazonaws.com/team/demo/payload/r",) * 2,
    ],
)
async def test_the_aws_cli_is_told_the_objects_endpoint(bench: Bench, url: str, endpoint: str) -> None:
    """Of an object's URL the CLI is given the endpoint, bucket and key: it makes the URL itself, in either style."""
    aws = old_curl(bench)
    values = bench.apply_values(
        PayloadStore="s3", PayloadName="team/demo/payload/r", PayloadVersion="v7", PayloadUrl=url
    )
    payload = bench.store.parameters["/p:1"]
    aws.write_text(f"""#!/bin/sh
        echo "$*" >"${{0%/*}}/asked"
        printf %s {payload} >/dev/fd/5
        echo '{{"ETag": "x"}}'
        """)
    assert result_of(await bench.send(Kind.APPLY, values))["reason"] == "verified"
    wanted = "s3api get-object --bucket team --key demo/payload/r --version-id v7 /dev/fd/5"
    asked = aws.with_name("asked").read_text().strip()
    assert (
        asked
        == f"--region us-east-1 --output text --endpoint-url {endpoint.removesuffix('/team/demo/payload/r')} {wanted}"
    )


def sourced(commands: str, **environment: str) -> str:
    common = documents_folder() / "src" / "common.sh"
    done = subprocess.run(
        ["/bin/bash", "-c", f"op=t run_id=r; . '{common}'; {commands}"],
        env=environment, capture_output=True, text=True, check=True, timeout=20,
    )  # fmt: skip
    return done.stdout


def test_an_empty_path_is_filled_from_behind() -> None:
    """Nothing is put in front of a PATH; the standard folders come behind it, also behind an empty one."""
    assert sourced('printf %s "$PATH" >&3', PATH="").startswith("/usr/local/sbin:")
    assert sourced('printf %s "$PATH" >&3', PATH="/mine").startswith("/mine:/usr/local/sbin:")


def test_waiting_follows_no_wall_clock(tmp_path: Path) -> None:
    """A nap of three tenths takes three tenths by the clock that nobody moves."""
    del tmp_path
    assert 25 <= int(sourced('tick; a=$clock; nap 3; printf %s "$((clock - a))" >&3')) <= 200


@pytest.mark.parametrize("text", ['a"b\\c', "ü\n\t\x01", "x" * 5000])
def test_every_evidence_is_printable(text: str) -> None:
    """Whatever is reported, the line stays one line of ASCII."""
    line = sourced('put key "$TEXT"; printf %s "$fields" >&3', TEXT=text)
    assert line.isascii()
    assert line.isprintable()
    assert len(line) < 700
