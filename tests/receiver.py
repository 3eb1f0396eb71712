"""A webhook's other end on the loopback address: keeps what is posted, answers as it is told."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread


@dataclass
class Received:
    """What came in. `status`: what is answered next, the last one for ever; `late`: it is held back until set."""

    url: str
    status: list[int] = field(default_factory=lambda: [200])
    bodies: list[bytes] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    late: Event | None = None

    @property
    def texts(self) -> list[str]:
        """The messages, as Slack would show them."""
        return [json.loads(body)["text"] for body in self.bodies]


@contextmanager
def receiver(secret: str = "hook", port: int = 0) -> Iterator[Received]:
    """Serve on 127.0.0.1; `secret` is the path that makes the URL one."""
    received = Received(url="")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            received.paths.append(self.path)
            if received.late is not None:
                received.late.wait(30)
            status = received.status[0] if len(received.status) == 1 else received.status.pop(0)
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A client that has given up is what the test is about."""

    server = Server(("127.0.0.1", port), Handler)
    received.url = f"http://127.0.0.1:{server.server_address[1]}/{secret}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield received
    finally:
        if received.late is not None:
            received.late.set()
        server.shutdown()
        thread.join()
        server.server_close()
