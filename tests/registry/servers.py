"""Small servers on the loopback address: scripted registries, a token service, a proxy."""

import select
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request as a server got it."""

    method: str
    path: str
    authorization: str | None


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server answers."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A server that runs: its address and every request that it has seen."""

    address: str
    asked: list[Asked]


@contextmanager
def running(server: ThreadingHTTPServer) -> Iterator[str]:
    """Serve in a thread, give the address, and leave nothing behind."""
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def served(answer: Callable[[Asked], Reply], context: ssl.SSLContext | None) -> Iterator[Served]:
    """Serve HTTP, or HTTPS with a context; `answer` decides each reply."""
    seen: list[Asked] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = Asked(method=self.command, path=self.path, authorization=self.headers.get("Authorization"))
            seen.append(asked)
            reply = answer(asked)
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(reply.body)

        do_HEAD = do_GET  # noqa: N815 - http.server's name

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """A client that hangs up, or that does not trust us, is what the test is about."""

        def get_request(self) -> tuple[socket.socket, object]:
            connection, address = super().get_request()
            if context is not None:
                connection = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
            return connection, address

    with running(Server(("127.0.0.1", 0), Handler)) as address:
        yield Served(address=address, asked=seen)


@contextmanager
def proxy(*, allowed: str | None = None) -> Iterator[Served]:
    """Serve a proxy that knows CONNECT; with `allowed`, only for that Proxy-Authorization."""
    seen: list[Asked] = []

    class Handler(BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            given = self.headers.get("Proxy-Authorization")
            seen.append(Asked(method="CONNECT", path=self.path, authorization=given))
            if allowed is not None and given != allowed:
                self.send_error(407)
                return
            host, _, port = self.path.rpartition(":")
            with socket.create_connection((host, int(port))) as upstream:
                self.send_response(200)
                self.end_headers()
                pump(self.connection, upstream)
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """A client that hangs up is no concern of the test."""

    with running(Server(("127.0.0.1", 0), Handler)) as address:
        yield Served(address=address, asked=seen)


def pump(one: socket.socket, other: socket.socket) -> None:
    """Carry bytes both ways until either side ends."""
    while True:
        for ready in select.select([one, other], [], [])[0]:
            data = ready.recv(65536)
            if not data:
                return
            (other if ready is one else one).sendall(data)
