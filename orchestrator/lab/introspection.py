"""The agent's introspection port: closed until the agent opens it, and never given to anybody else meanwhile."""

import asyncio
import contextlib
import json
import socket
from collections.abc import Callable, Mapping
from typing import Any

Answer = Callable[[str], Mapping[str, Any]]
Bind = Callable[[int], socket.socket]


class IntrospectionPort:
    """A loopback port that refuses connections (F12) until `open`, and again after `close`.

    A bound socket that never listens keeps the number ours while it is closed. So nobody can take it, and a poller
    cannot connect to itself (F16). `bind` makes a socket that may share its number; number 0 is any.
    """

    def __init__(self, bind: Bind, number: int = 0) -> None:
        self._bind = bind
        self._keeper = bind(number)
        self.number: int = self._keeper.getsockname()[1]
        self._server: asyncio.Server | None = None
        self._at_work: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def open(self, answer: Answer) -> None:
        """Serve `answer(path)` as JSON with status 200, whatever the path (F13)."""

        def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.create_task(_respond(reader, writer, answer))
            self._at_work[task] = writer
            task.add_done_callback(end)

        def end(task: asyncio.Task[None]) -> None:  # no `finally`: a task that is cancelled at once never gets there
            self._at_work.pop(task).close()

        await self.close()
        # Listening is the second step, so that a call that is cancelled in it leaves a server that close() knows.
        self._server = await asyncio.start_server(begin, sock=self._bind(self.number), start_serving=False)
        await self._server.start_serving()

    async def close(self) -> None:
        """Refuse connections from now on, and drop those that are open."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        for writer in self._at_work.values():
            writer.transport.abort()
        await server.wait_closed()

    async def release(self) -> None:
        """Close for good and give the number back."""
        await self.close()
        self._keeper.close()


async def _respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Answer) -> None:
    with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        head = await reader.readuntil(b"\r\n\r\n")
        request = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        path = request[1] if len(request) > 1 else "/"
        body = json.dumps(answer(path), separators=(",", ":")).encode()
        lines = (
            "HTTP/1.1 200 OK",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
            "Connection: close",
        )
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        await writer.drain()
