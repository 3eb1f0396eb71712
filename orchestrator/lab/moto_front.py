"""Everything that is not an engine of our own: moto's WSGI application, in-process (F90-F92)."""

import asyncio
import io
import logging
import threading
import urllib.parse
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, cast

from orchestrator.lab.messages import PlainRequest, PlainResponse
from orchestrator.lab.moto_repairs import repair

_ACCOUNT_HEADER = "HTTP_X_MOTO_ACCOUNT_ID"
_HOP_BY_HOP = frozenset({"connection", "transfer-encoding", "keep-alive", "server", "date"})


class _Wsgi(Protocol):
    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]: ...


class _Moto:
    """moto, of which a process has one: its state is global. One thread serves it, so each call is atomic."""

    def __init__(self) -> None:
        self._users = 0
        self._lock = threading.Lock()
        self._threads: ThreadPoolExecutor | None = None
        self._application: _Wsgi | None = None

    def enter(self) -> None:
        """Count one more lab; the first of them finds an empty AWS."""
        with self._lock:
            self._users += 1
            if self._threads is None:
                self._threads = ThreadPoolExecutor(1, thread_name_prefix="moto")
            if self._users == 1:
                self._threads.submit(self._reset)

    def leave(self) -> None:
        """Count one lab less."""
        with self._lock:
            self._users -= 1
            threads = self._threads if self._users == 0 else None
            if threads is not None:
                self._threads = None
        if threads is not None:
            threads.shutdown(wait=True, cancel_futures=True)

    async def call(self, environ: dict[str, Any], account: str) -> PlainResponse:
        """Answer one request, in `account` unless moto knows the caller's own."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._call, environ, account)

    def _load(self) -> _Wsgi:
        if self._application is None:
            # A second or so of imports, paid by the first lab and not by `ecs-rollout --help`.
            from moto.moto_server.werkzeug_app import (  # noqa: PLC0415
                DomainDispatcherApplication,
                create_backend_app,
            )

            repair()
            logging.getLogger("werkzeug").setLevel(logging.ERROR)
            self._application = cast("_Wsgi", DomainDispatcherApplication(create_backend_app))
        return self._application

    def _reset(self) -> None:
        self._load()
        from moto.moto_api._internal.models import moto_api_backend  # noqa: PLC0415

        moto_api_backend.reset()

    def _call(self, environ: dict[str, Any], account: str) -> PlainResponse:
        application = self._load()
        caller = environ.get("HTTP_AUTHORIZATION", "").partition("Credential=")[2].partition("/")[0]
        if not _issued_by_moto(caller):
            environ[_ACCOUNT_HEADER] = account
        answered: list[tuple[int, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], _error: object = None) -> None:
            answered.append((int(status.split(" ", 1)[0]), headers))

        chunks = application(environ, start_response)
        try:
            body = b"".join(chunks)
        finally:
            close = getattr(chunks, "close", None)
            if close is not None:
                close()
        status, headers = answered[-1]
        kept = tuple((name, value) for name, value in headers if name.lower() not in _HOP_BY_HOP)
        return PlainResponse(status=status, headers=kept, body=body)


_MOTO = _Moto()


class MotoFront:
    """One lab's door to moto: callers whose key moto did not issue itself act in the lab's account."""

    def __init__(self, *, account: str) -> None:
        self._account = account

    def start(self) -> None:
        """Open the door."""
        _MOTO.enter()

    def stop(self) -> None:
        """Close the door; waits for a call under way."""
        _MOTO.leave()

    async def handle(self, request: PlainRequest) -> PlainResponse:
        """Let moto answer."""
        return await _MOTO.call(_environ(request), self._account)


def _issued_by_moto(access_key: str) -> bool:
    """Say whether the key came from moto's STS or IAM, which then know its account."""
    from moto.iam.models import iam_backends  # noqa: PLC0415

    accounts = tuple(iam_backends.values())
    return any(access_key in backend.access_keys for account in accounts for backend in account.values())


def _environ(request: PlainRequest) -> dict[str, Any]:
    path, _, query = request.raw_path.partition("?")
    host, _, port = (request.header("Host") or "127.0.0.1").partition(":")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": urllib.parse.unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "RAW_URI": request.raw_path,
        "REQUEST_URI": request.raw_path,
        "SERVER_NAME": host,
        "SERVER_PORT": port or "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(request.body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "CONTENT_LENGTH": str(len(request.body)),
    }
    environ.update(_header_entries(request.headers))
    return environ


def _header_entries(headers: Iterable[tuple[str, str]]) -> Mapping[str, str]:
    entries: dict[str, str] = {}
    for name, value in headers:
        upper = name.upper().replace("-", "_")
        if upper in {"CONTENT_LENGTH", "TRANSFER_ENCODING"}:
            continue
        key = upper if upper == "CONTENT_TYPE" else f"HTTP_{upper}"
        entries[key] = f"{entries[key]},{value}" if key in entries else value
    return entries
