"""The one HTTP endpoint: routes by X-Amz-Target, speaks AWS's JSON protocol, records everything."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from orchestrator.lab.access import Access
from orchestrator.lab.faults import Cut, Faults
from orchestrator.lab.messages import (
    PlainRequest,
    PlainResponse,
    error_response,
    json_params,
    json_response,
    plain_request,
    web_response,
)
from orchestrator.lab.moto_front import MotoFront
from orchestrator.lab.recorder import Exchange, Recorder
from orchestrator.lab.shapes import shapes_of
from orchestrator.lab.signatures import access_key_of, check_region
from orchestrator.lab.wire import AwsError, Clock, Engine

_MAX_BODY = 256 * 1024 * 1024
_CUT = web.RequestKey("cut", Cut)
_ACCEPTED = 0.01
"""Seconds in which whoever was accepted last becomes known: who is unknown would be left open."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One service of our own: its target prefix, its model's name, its engine; what `owns` denies is moto's."""

    prefix: str
    service: str
    engine: Engine
    owns: Callable[[str, Mapping[str, Any]], bool] = lambda _operation, _params: True


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
        access: Access,
        faults: Faults,
        clock: Clock,
    ) -> None:
        self._access = access
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
        if self._runner is None:
            return
        for site in tuple(self._runner.sites):
            await site.stop()
        await asyncio.sleep(_ACCEPTED)
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        plain = await plain_request(request)
        verdict = self._faults.verdict(plain.operation)
        if verdict.delay:
            await self._clock.sleep(verdict.delay)
        if verdict.cut is not None:
            request[_CUT] = verdict.cut
        if verdict.cut is Cut.BEFORE:
            return web.Response(status=503)
        return web_response(await self._dispatch(plain, verdict.error))

    async def _dispatch(self, plain: PlainRequest, error: AwsError | None) -> PlainResponse:
        prefix, _, operation = plain.header("X-Amz-Target").partition(".")
        route = self._routes.get(prefix)
        service = route.service if route is not None else ""
        try:
            self._admit(plain, route, error)
            if route is None:
                return await self._moto.handle(plain)
            return await self._engine_reply(route, operation, plain)
        except AwsError as answer:
            return error_response(plain, answer, service)
        except Exception as fault:  # noqa: BLE001 - a fault of the lab must reach its caller as one, by name
            text = f"{operation}: {fault!r}"
            self.slips.append(text)
            return error_response(plain, AwsError("LabFault", text), service)

    def _admit(self, plain: PlainRequest, route: Route | None, error: AwsError | None) -> None:
        """Raise the planned error, or the one that a request deserves: unsigned, malformed, badly signed, unallowed."""
        if error is not None:
            raise error
        if route is not None and not plain.header("Authorization"):
            raise AwsError("MissingAuthenticationTokenException", "Missing Authentication Token", status=403)
        if route is not None:
            shapes = shapes_of(route.service)
            operation = plain.header("X-Amz-Target").partition(".")[2]
            if not shapes.knows(operation):
                raise AwsError("UnknownOperationException")
            shapes.check_input(operation, json_params(plain.body))
        check_region(plain)
        self._access.check(plain)

    async def _engine_reply(self, route: Route, operation: str, plain: PlainRequest) -> PlainResponse:
        shapes = shapes_of(route.service)
        params = json_params(plain.body)
        if not route.owns(operation, params):
            return await self._moto.handle(plain)
        reply = await route.engine.handle(operation, params)
        shapes.check_output(operation, reply)
        return json_response(200, reply)

    async def _record(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Keep the exchange; break the connection where the verdict says so: the peer sees a reset."""
        plain = await plain_request(request)
        try:
            response = await handler(request)
        except web.HTTPException as answer:
            response = answer
        payload = response.body if isinstance(response, web.Response) else b""
        self.recorder.add(
            Exchange(
                at=self._clock.now(),
                caller=access_key_of(plain),
                operation=plain.operation,
                method=plain.method,
                path=plain.raw_path,
                headers=dict(plain.headers),
                body=plain.body,
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
