"""The words that the lab's engines share: AWS errors, a clock, paging."""

import asyncio
import base64
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
Notice = Callable[[str, str], None]
"""Hears of an occasion: its name and the instance. What a scenario lets happen waits for occasions."""


def unnoticed(_occasion: str, _instance_id: str) -> None:
    """Let an occasion pass."""


class AwsError(Exception):
    """An error that the endpoint answers with, under the code that real AWS uses."""

    def __init__(self, code: str, message: str = "", *, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


class Clock(Protocol):
    """The lab's time: seconds since the epoch, and a way to wait."""

    def now(self) -> float:
        """Seconds since the epoch."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class SystemClock:
    """Real time."""

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()  # noqa: TID251 - this is the lab's one place that reads the clock

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


class Engine(Protocol):
    """One simulated service: `operation` is the API's name of it, `params` botocore's input shape."""

    async def handle(self, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        """Answer in botocore's output shape (datetimes as epoch seconds) or raise AwsError."""
        ...


def page(items: Sequence[T], token: str | None, size: int, *, bad_token: str) -> tuple[list[T], str | None]:
    """Cut one page out of `items`; return it with the token of the next one.

    Raises AwsError with the code `bad_token` for a token that was not ours.
    """
    start = 0
    if token:
        try:
            start = int(base64.urlsafe_b64decode(token.encode()).decode())
        except ValueError as error:
            raise AwsError(bad_token, "The specified token is not valid.") from error
    chunk = list(items[start : start + size])
    end = start + len(chunk)
    follow = base64.urlsafe_b64encode(str(end).encode()).decode() if end < len(items) else None
    return chunk, follow
