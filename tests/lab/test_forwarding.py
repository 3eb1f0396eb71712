"""What crosses from an instance's network to the machine's arrives as it was sent, and ends as it ended."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from orchestrator.lab.forwarding import Forwarder

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def bound() -> socket.socket:
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.setblocking(False)
    return sock


@asynccontextmanager
async def forwarded(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection through a forwarder to `port`."""
    listener = bound()
    near = listener.getsockname()[1]
    forwarder = Forwarder(listener, port)
    await forwarder.open()
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", near)
        yield reader, writer
        writer.transport.abort()
    finally:
        await forwarder.close()


@asynccontextmanager
async def serving(serve: Serve) -> AsyncIterator[int]:
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_every_byte_crosses_in_both_ways() -> None:
    """A megabyte there and back, and the end of each direction by itself."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"got " + await reader.read())
        writer.close()
        await writer.wait_closed()

    sent = bytes(range(256)) * 4096
    async with serving(echo) as port, forwarded(port) as (reader, writer):
        writer.write(sent)
        writer.write_eof()
        assert await reader.read() == b"got " + sent


async def test_a_cut_connection_is_cut_on_both_sides() -> None:
    """A peer that resets is seen as one that resets: the lab's faults keep their shape."""

    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(1)
        connection = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async with serving(cut) as port, forwarded(port) as (reader, writer):
        writer.write(b"x")
        with pytest.raises(ConnectionResetError):
            await reader.read()


async def test_where_nobody_listens_the_connection_ends() -> None:
    """A port that is closed outside is no hang inside."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        async with forwarded(closed.getsockname()[1]) as (reader, _):
            with pytest.raises(ConnectionResetError):
                await reader.read()


async def test_closing_ends_what_is_open() -> None:
    """A connection that nobody ends does not outlive the forwarder."""

    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(1))
        with contextlib.suppress(ConnectionResetError):
            await reader.read()
        writer.close()

    listener = bound()
    async with serving(wait) as port:
        forwarder = Forwarder(listener, port)
        near = listener.getsockname()[1]
        await forwarder.open()
        reader, writer = await asyncio.open_connection("127.0.0.1", near)
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"
        await forwarder.close()
        with pytest.raises(ConnectionResetError):
            await reader.readexactly(1)
        writer.close()
