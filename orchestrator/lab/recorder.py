"""Keeps every request and response of the endpoint, so that a test can search them all for a secret."""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_DEFAULT_BUDGET = 128 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request and what was answered. A cut connection has status 0 and the answer that nobody received."""

    at: float
    caller: str
    operation: str
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    status: int
    response_headers: Mapping[str, str]
    response_body: bytes

    @property
    def size(self) -> int:
        """Bytes held, near enough to bound the whole."""
        return len(self.body) + len(self.response_body) + 1024


class Recorder:
    """A bounded record, oldest dropped first; `dropped` says how many, so that a scan can insist on none.

    `budget` is in bytes and may be changed at any time; 0 keeps nothing.
    """

    def __init__(self, *, budget: int = _DEFAULT_BUDGET) -> None:
        self._exchanges: deque[Exchange] = deque()
        self.budget = budget
        self._held = 0
        self.dropped = 0

    def add(self, exchange: Exchange) -> None:
        """Keep `exchange`; forget the oldest ones beyond the budget of bytes."""
        self._exchanges.append(exchange)
        self._held += exchange.size
        while self._held > self.budget:
            self._held -= self._exchanges.popleft().size
            self.dropped += 1

    @property
    def exchanges(self) -> tuple[Exchange, ...]:
        """Everything held, oldest first."""
        return tuple(self._exchanges)

    def of(self, operation: str) -> tuple[Exchange, ...]:
        """Everything held about one operation, oldest first."""
        return tuple(exchange for exchange in self.exchanges if exchange.operation == operation)

    def chunks(self) -> Iterator[tuple[str, bytes]]:
        """Yield every text that crossed the wire, each with where it was: what a leak scan searches."""
        for number, exchange in enumerate(self.exchanges):
            where = f"{number} {exchange.operation}"
            headers = "\n".join(f"{name}: {value}" for name, value in exchange.headers.items())
            answered = "\n".join(f"{name}: {value}" for name, value in exchange.response_headers.items())
            yield f"{where} request line", f"{exchange.method} {exchange.path}".encode()
            yield f"{where} request headers", headers.encode()
            yield f"{where} request body", exchange.body
            yield f"{where} response headers", answered.encode()
            yield f"{where} response body", exchange.response_body

    def clear(self) -> None:
        """Forget everything."""
        self._exchanges.clear()
        self._held = 0
        self.dropped = 0
