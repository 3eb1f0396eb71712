"""Controllers that die, or sleep, at the k-th call of anything: a process that is killed, without a process."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


class Died(BaseException):
    """The controller is gone: nothing of it runs any more, not even what handles errors."""


@dataclass
class Fate:
    """Strikes at call number `at`, counted from one, before the call or after it. At 0: never."""

    at: int = 0
    after: bool = False
    strike: Callable[[], None] | None = None
    calls: int = 0
    names: list[str] = field(default_factory=list)

    def wrap(self, port: Any) -> Any:
        """Put this fate before each method of a port."""
        return _Mortal(port, self)

    def _met(self) -> None:
        if self.strike is None:
            raise Died
        self.strike()

    def call(self, name: str, method: Callable[..., object], *arguments: object) -> object:
        """Make one call, or meet one's fate before or after it."""
        self.calls += 1
        self.names.append(name)
        now = self.calls == self.at
        if now and not self.after:
            self._met()
        result = method(*arguments)
        if now and self.after:
            self._met()
        return result


class _Mortal:
    """A port whose every call is counted."""

    def __init__(self, port: Any, fate: Fate) -> None:
        self._port = port
        self._fate = fate

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)
        return lambda *arguments: self._fate.call(name, method, *arguments)
