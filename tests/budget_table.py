"""When a budget halts a run: one list, which a test runs through the engine and the README prints."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from orchestrator.core.amount import Amount
from orchestrator.core.model import Ping
from orchestrator.core.settings import EVERYTHING, Policy
from tests.fake_fleet import Host, World, fleet_of

HEALTHY: Final = "updated"
TROUBLE: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "rolled back": {"behaviour": "rolled_back"},
        "failed": {"behaviour": "failed"},
        "unverified": {"behaviour": "lost"},
        "unreachable": {"ping": Ping.CONNECTION_LOST},
        "refused": {"persistence": "ephemeral"},
    }
)
"""What may become of an instance, and the host to which it happens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A fleet of `count`, how many of it end how, the budgets' flags, and why the run halts; empty: it goes on."""

    count: int
    trouble: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    flags: tuple[tuple[str, str], ...] = ()
    halted: str = ""

    def hosts(self) -> list[Host]:
        """Make the fleet, the troubled ones first."""
        hosts = fleet_of(self.count)
        kinds = [kind for kind, number in self.trouble.items() for _ in range(number)]
        for host, kind in zip(hosts, kinds, strict=False):
            for name, value in TROUBLE[kind].items():
                setattr(host, name, value)
        return hosts

    @staticmethod
    def begin(world: World) -> None:
        """Let nobody look at those whose result will be lost, now that the plan has looked at them."""
        for host in world.hosts.values():
            host.mute = host.behaviour == "lost"

    def policy(self) -> Policy:
        """Give the budgets as the flags say them; all at once, so that nobody is left for another reason."""
        budgets: dict[str, tuple[Amount, ...]] = {}
        for flag, text in self.flags:
            name = flag.removeprefix("--").replace("-", "_")
            budgets[name] = (*budgets.get(name, ()), Amount.parse(text))
        return Policy(waves=(EVERYTHING,), max_unavailable=EVERYTHING, **budgets)  # type: ignore[arg-type]  # by name

    def row(self) -> tuple[str, str, str]:
        """Give the README's row."""
        trouble = ", ".join(f"{number} {kind}" for kind, number in self.trouble.items()) or "none"
        flags = " ".join(f"`{flag} {text}`" for flag, text in self.flags) or "the defaults"
        return f"{self.count}: {trouble}", flags, f"halts: {self.halted}" if self.halted else "goes on"


def _of(count: int, flags: str = "", halted: str = "", **trouble: int) -> Case:
    words = flags.split()
    return Case(
        count=count,
        trouble=MappingProxyType({kind.replace("_", " "): number for kind, number in trouble.items()}),
        flags=tuple(zip(words[::2], words[1::2], strict=True)),
        halted=halted,
    )


CASES = (
    _of(20),
    _of(20, halted="1 failed, --max-failures 0 allows 0 of 20", rolled_back=1),
    _of(20, halted="1 failed, --max-failures 0 allows 0 of 20", failed=1),
    _of(20, halted="1 failed, --max-failures 0 allows 0 of 20", unverified=1),
    _of(20, "--max-failures 1", rolled_back=1),
    _of(20, "--max-failures 1", "2 failed, --max-failures 1 allows 1 of 20", rolled_back=1, failed=1),
    _of(20, "--max-failures 5%", failed=1),
    _of(19, "--max-failures 5%", "1 failed, --max-failures 5% allows 0 of 19", failed=1),
    _of(20, "--max-failures 1 --max-failures 50%", "2 failed, --max-failures 1 allows 1 of 20", failed=2),
    _of(20, "--max-failures 5 --max-failures 5%", "2 failed, --max-failures 5% allows 1 of 20", failed=2),
    _of(20, "--max-failures 100%", failed=20),
    _of(20, unreachable=2),
    _of(19, halted="2 unreachable, --max-unreachable 10% allows 1 of 19", unreachable=2),
    _of(5, halted="1 unreachable, --max-unreachable 10% allows 0 of 5", unreachable=1),
    _of(5, "--max-unreachable 1", unreachable=1),
    _of(20, "--max-failures 2", "3 unreachable, --max-unreachable 10% allows 2 of 20", unreachable=3),
    _of(20, refused=19),
    _of(20, "--max-refused 25%", refused=5),
    _of(20, "--max-refused 4", "5 refused, --max-refused 4 allows 4 of 20", refused=5),
)
