"""The one HTTP endpoint: routes by X-Amz-Target, speaks AWS's JSON protocol, records everything."""

import json
import re
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from multidict import CIMultiDict

from orchestrator.lab.faults import Cut, Faults
from orchestrator.lab.moto_front import MotoFront, PlainRequest, PlainResponse
from orchestrator.lab.recorder import Exchange, Recorder
from orchestrator.lab.shapes import shapes_of
from orchestrator.lab.wire import AwsError, Clock, Engine

_MAX_BODY = 256 * 1024 * 1024
_JSON = "application/x-amz-json-1.1"
_ACTION = re.compile(rb"(?:^|&)Action=(\w+)")
_CREDENTIAL = re.compile(r"Credential=([^/,\s]+)")
_CUT = web.RequestKey("cut", Cut)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One service of our own: its target prefix, its model's name, and which operations the engine answers."""

    prefix: str
    service: str
    engine: Engine
    operations: frozenset[str] | None = None

    def owns(self, operation: str) -> bool:
        """Say whether the engine answers; what it does not own goes to moto."""
        return self.operations is None or operation in self.operations


class Server:
    """The endpoint on 127.0.0.1. `control` are the routes of the instances' own requests: shims and metadata.

    A reply that breaks botocore's output shape, or an engine that raises anything but AwsError, is a fault of the
    lab: the caller gets the error `LabFault`, which no retry handles, and `slips` keeps the text.
    """

    def __init__(
        self,
        *,
        routes: tuple[Route, ...],
        moto: MotoFront,
        control: Iterable[web.RouteDef],
        faults: Faults,
        clock: Clock,
    ) -> None:
        self._routes = {route.prefix: route for route in routes}
        self._moto = moto
        self._control = tuple(control)
        self._faults = faults
        self._clock = clock
        self._runner: web.AppRunner | None = None
        self.recorder = Recorder()
        self.slips: list[str] = []
        self.port = 0

    async def start(self, port: int) -> None:
        """Listen on 127.0.0.1; 0 is any free port. Raises OSError when the port is taken."""

        @web.middleware
        async def recorded(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._record(request, handler)

        application = web.Application(client_max_size=_MAX_BODY, middlewares=[recorded])
        application.add_routes(self._control)
        application.router.add_route("*", "/{rest:.*}", self._answer)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        self.port = int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Close the listener and every connection."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        plain = PlainRequest(
            method=request.method,
            raw_path=request.raw_path,
            headers=tuple(request.headers.items()),
            body=await request.read(),
            host=request.headers.get("Host", "127.0.0.1"),
        )
        verdict = self._faults.verdict(_operation(request, plain.body))
        if verdict.delay:
            await self._clock.sleep(verdict.delay)
        if verdict.cut is not None:
            request[_CUT] = verdict.cut
        if verdict.cut is Cut.BEFORE:
            return web.Response(status=503)
        return _web_response(await self._dispatch(request, plain, verdict.error))

    async def _dispatch(self, request: web.Request, plain: PlainRequest, error: AwsError | None) -> PlainResponse:
        prefix, _, operation = request.headers.get("X-Amz-Target", "").partition(".")
        route = self._routes.get(prefix)
        if route is None:
            return await self._moto.handle(plain) if error is None else _plain_error(error, "message")
        if error is None and "Authorization" not in request.headers:
            message = "Missing Authentication Token"
            error = AwsError("MissingAuthenticationTokenException", message, status=403)
        if error is not None:
            return _plain_error(error, shapes_of(route.service).error_message_key(error.code))
        try:
            return await self._engine_reply(route, operation, plain)
        except AwsError as answer:
            return _plain_error(answer, shapes_of(route.service).error_message_key(answer.code))
        except Exception as fault:  # noqa: BLE001 - a fault of the lab must reach its caller as one, by name
            text = f"{operation}: {fault!r}"
            self.slips.append(text)
            return _plain_error(AwsError("LabFault", text), "message")

    async def _engine_reply(self, route: Route, operation: str, plain: PlainRequest) -> PlainResponse:
        shapes = shapes_of(route.service)
        if not shapes.knows(operation):
            raise AwsError("UnknownOperationException")
        params = _params(plain.body)
        shapes.check_input(operation, params)
        if not route.owns(operation):
            return await self._moto.handle(plain)
        reply = await route.engine.handle(operation, params)
        shapes.check_output(operation, reply)
        return _json_response(200, reply)

    async def _record(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Keep the exchange; break the connection where the verdict says so: the peer sees a reset."""
        body = await request.read()
        try:
            response = await handler(request)
        except web.HTTPException as answer:
            response = answer
        caller = _CREDENTIAL.search(request.headers.get("Authorization", "") or request.path_qs)
        payload = response.body if isinstance(response, web.Response) else b""
        self.recorder.add(
            Exchange(
                at=self._clock.now(),
                caller=caller[1] if caller else "",
                operation=_operation(request, body),
                method=request.method,
                path=request.raw_path,
                headers=dict(request.headers),
                body=body,
                status=0 if _CUT in request else response.status,
                response_headers=dict(response.headers),
                response_body=payload if isinstance(payload, bytes) else b"",
            )
        )
        if _CUT in request and request.transport is not None:
            request.transport.abort()
        if isinstance(response, web.HTTPException):
            raise response
        return response


def _operation(request: web.Request, body: bytes) -> str:
    """Name the operation: the target's, a query protocol's Action, else method and path."""
    target = request.headers.get("X-Amz-Target", "")
    if target:
        return target.rpartition(".")[2]
    action = _ACTION.search(body)
    return action[1].decode() if action else f"{request.method} {request.path}"


def _params(body: bytes) -> dict[str, Any]:
    try:
        params = json.loads(body or b"{}")
    except ValueError as error:
        raise AwsError("SerializationException") from error
    if not isinstance(params, dict):
        raise AwsError("SerializationException")
    # A null member is one that was left out.
    return {key: value for key, value in params.items() if value is not None}


def _json_response(status: int, body: Mapping[str, Any]) -> PlainResponse:
    headers = (("Content-Type", _JSON), ("x-amzn-RequestId", str(uuid.uuid4())))
    return PlainResponse(status=status, headers=headers, body=json.dumps(body).encode())


def _plain_error(error: AwsError, message_key: str) -> PlainResponse:
    body = {"__type": error.code}
    if error.message:
        body[message_key] = error.message
    return _json_response(error.status, body)


def _web_response(plain: PlainResponse) -> web.Response:
    return web.Response(status=plain.status, body=plain.body, headers=CIMultiDict(plain.headers))
