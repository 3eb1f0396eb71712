"""What the ECS agent writes to its log: the lines of a start, and the few that a rollout looks for (F19)."""

from collections.abc import Callable
from datetime import UTC, datetime

_LEVELS = ("debug", "info", "warn", "error", "crit", "none")

# A healthy start warns a dozen times about things nobody needs to mend; whoever counts warnings is misled (F19).
_START = (
    ("info", "Loading configuration", ""),
    ("warn", "Unable to fetch user data: http response error StatusCode: 404", "config.go"),
    ("warn", "No mac is provided to determine IP compatibility", ""),
    ("info", "Registered transformation function with threshold 1.0.0.", ""),
    ("info", "Event stream ContainerChange start listening...", "eventstream.go"),
    ("warn", "Unable to read cloud-init result file, skipping cloud-init check", "cloudinit_check_linux.go"),
    ("error", "Failed to load pause container: container load: failed to read container image", "agent.go"),
    ("warn", "Pause container is not loaded, did not append PID and IPC capabilities", "agent_capability_unix.go"),
    ("warn", "daemonDefinitions is empty/nil after import", ""),
    ("warn", "Fault injection capability not enabled: tools are missing", "agent_capability.go"),
)

Sink = Callable[[str], None]


class AgentLog:
    """Formats lines and hands them to two sinks, stdout and the log file, each with its own level."""

    def __init__(self, now: Callable[[], float], stdout: Sink, file: Sink) -> None:
        self._now = now
        self._sinks = {stdout: "info", file: "info"}
        self._stdout = stdout
        self._file = file

    def set_levels(self, environment: dict[str, str]) -> None:
        """Take ECS_LOGLEVEL, and ECS_LOGLEVEL_ON_INSTANCE for the file, from the agent's environment."""
        level = environment.get("ECS_LOGLEVEL", "info")
        self._sinks = {self._stdout: level, self._file: environment.get("ECS_LOGLEVEL_ON_INSTANCE", level)}

    def line(self, level: str, message: str, *, module: str = "", extra: str = "") -> None:
        """Write one line."""
        at = datetime.fromtimestamp(self._now(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        escaped = message.replace("\\", "\\\\").replace('"', '\\"')
        text = f'level={level} time={at} msg="{escaped}"'
        text += f" {extra}" if extra else ""
        text += f" module={module}" if module else ""
        for sink, least in self._sinks.items():
            if _rank(level) >= _rank(least):
                sink(text)

    def start(self, version: str) -> None:
        """Write what every start writes."""
        self.line("info", "Starting Amazon ECS Agent", extra=f'version="{version}" commit="a8b3e7d3"')
        for level, message, module in _START:
            self.line(level, message, module=module)

    def auth_warning(self, message: str) -> None:
        """Write the one sign of a bad credential (F2)."""
        self.line("warn", message, module="dockerauth.go")


def _rank(level: str) -> int:
    return _LEVELS.index(level) if level in _LEVELS else 1
