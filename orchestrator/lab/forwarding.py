"""Carries connections from a listener in one network namespace to a loopback port of the machine."""

import asyncio
import socket
import struct

# struct linger: on, for no time at all. Closing then resets.
_NO_LINGER = struct.pack("ii", 1, 0)


class Forwarder:
    """Every connection that `listener` accepts is joined to `port` of 127.0.0.1, byte for byte and in both ways."""

    def __init__(self, listener: socket.socket, port: int) -> None:
        self._listener = listener
        self._port = port
        self._server: asyncio.Server | None = None
        self._joined: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Begin to listen."""
        self._server = await asyncio.start_server(self._begin, sock=self._listener)

    async def close(self) -> None:
        """Stop listening and cut what is open."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        for task in tuple(self._joined):
            task.cancel()
        await asyncio.gather(*self._joined, return_exceptions=True)
        await server.wait_closed()

    def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._join(reader, writer))
        self._joined.add(task)
        task.add_done_callback(self._joined.discard)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = [writer]
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)
            ends.append(far_writer)
            async with asyncio.TaskGroup() as both:
                both.create_task(_pump(reader, far_writer))
                both.create_task(_pump(far_reader, writer))
            while ends:
                await _finish(ends.pop())
        except* OSError:
            pass
        finally:
            # After a clean end nothing is left here; after any other, each side is to see a reset.
            for end in ends:
                _reset(end)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    writer.transport.abort()


async def _finish(writer: asyncio.StreamWriter) -> None:
    writer.close()
    await writer.wait_closed()
