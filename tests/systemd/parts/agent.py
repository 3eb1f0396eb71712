"""ecs-init and the agent in one process, as far as a unit's life shows them (F1, F12, F18, F20, F40).

Runs inside a test's machine, with the standard library alone: agent.py PORT
"""

import http.server
import json
import secrets
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

CONTAINER = Path("/run/docker/ecs-agent.json")
MODEL = Path("/opt/lab/container.json")
TROUBLE = Path("/opt/lab/trouble")
STATE = Path("/var/lib/ecs/data/agent.db")
LOG = Path("/var/log/ecs/ecs-agent.log")
FILES = (Path("/var/lib/ecs/ecs.config"), Path("/etc/ecs/ecs.config"))
OURS = ("ECS_ENGINE_AUTH_TYPE=", "ECS_ENGINE_AUTH_DATA=", "ECS_CLUSTER=")
EXIT_TERMINAL = 5


def variables() -> dict[str, str]:
    """Read the env files as ecs-init does; the later file overrides the earlier (F9, F40)."""
    found = {}
    for path in FILES:
        if path.exists():
            for line in path.read_text().split("\n"):
                key, equals, value = line.strip().partition("=")
                if equals:
                    found[key] = value
    return found


def moment() -> str:
    """Return the time as Docker writes it."""
    now = time.time_ns()
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(now // 10**9))}.{now % 10**9:09}Z"


def create(given: dict[str, str]) -> dict[str, Any]:
    """Make the container's description out of a real one, with a new identity."""
    container: dict[str, Any] = json.loads(MODEL.read_text())[0]
    kept = [each for each in container["Config"]["Env"] if not each.startswith(OURS)]
    container["Config"]["Env"] = [*kept, *(f"{key}={value}" for key, value in given.items())]
    container["Id"] = secrets.token_hex(32)
    container["State"] |= {"StartedAt": moment(), "Running": True, "Status": "running"}
    return container


def save(container: dict[str, Any]) -> None:
    """Let `docker inspect` see it, whole at every moment."""
    CONTAINER.parent.mkdir(exist_ok=True)
    fresh = CONTAINER.with_suffix(".new")
    fresh.write_text(json.dumps([container]))
    fresh.rename(CONTAINER)


def identity(cluster: str) -> str:
    """Return the ARN that the saved state holds, or a new one."""
    if not STATE.exists():
        STATE.write_text(f"arn:aws:ecs:us-east-1:123456789012:container-instance/{cluster}/{secrets.token_hex(16)}")
    return STATE.read_text()


def serve(port: int, cluster: str, arn: str) -> NoReturn:
    """Answer introspection for ever; unknown paths answer 200 as well (F13)."""
    answers: dict[str, object] = {
        "/v1/metadata": {
            "Cluster": cluster,
            "ContainerInstanceArn": arn,
            "Version": "Amazon ECS Agent - v1.105.1 (*a8b3e7d3)",
        },
        "/v1/tasks": {"Tasks": []},
    }

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(answers.get(self.path, {"AvailableCommands": sorted(answers)})).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
    raise AssertionError("it served for ever")


def main() -> None:
    """Be created, register, answer, until the unit is stopped."""
    given = variables()
    container = create(given)
    save(container)

    def stop(_number: int, _frame: FrameType | None) -> NoReturn:
        container["State"] |= {"Running": False, "Status": "exited"}
        save(container)
        sys.exit(0)

    signal.signal(signal.SIGTERM, stop)
    with LOG.open("a") as log:
        log.write(f'level=info time={moment()[:19]}Z msg="Starting Amazon ECS Agent" version="1.105.1"\n')
    # WORD WHAT: the trouble that an agent with WORD in its credential has.
    word, what = TROUBLE.read_text().split() if TROUBLE.exists() else ("", "")
    troubled = bool(word) and word in given.get("ECS_ENGINE_AUTH_DATA", "")
    if troubled and what == "exit5":
        container["State"] |= {"Running": False, "Status": "exited", "ExitCode": EXIT_TERMINAL}
        save(container)
        sys.exit(EXIT_TERMINAL)
    if troubled and what == "silent":
        signal.pause()
    cluster = given.get("ECS_CLUSTER", "default")
    serve(int(sys.argv[1]), cluster, identity(cluster))


if __name__ == "__main__":
    main()
