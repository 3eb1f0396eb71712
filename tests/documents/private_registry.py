"""A private registry on loopback, for hosts that try their logins themselves."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from tests.documents.support import on_loopback

PASSWORD = 'p"a\\ss: wörd'


class Registry:
    """A private registry that asks for Basic or for a Bearer token."""

    def __init__(self) -> None:
        self.flow = "basic"
        self.password = PASSWORD
        self.asked: list[str] = []
        self.name = ""

    def _knows(self, request: web.Request) -> bool:
        wanted = base64.b64encode(f"puller:{self.password}".encode()).decode()
        return request.headers.get("Authorization") == f"Basic {wanted}"

    async def v2(self, request: web.Request) -> web.Response:
        self.asked.append("v2")
        if self.flow == "broken":
            return web.Response(status=503)
        if self.flow == "odd":
            return web.Response(status=401, headers={"WWW-Authenticate": "Negotiate"})
        if self.flow == "basic" and self._knows(request):
            return web.Response(text="{}")
        bearer = f'Bearer realm="http://{self.name}/token",service="lab.registry"'
        return web.Response(
            status=401, headers={"WWW-Authenticate": bearer if self.flow == "bearer" else 'Basic realm="lab"'}
        )

    async def token(self, request: web.Request) -> web.Response:
        self.asked.append(request.query["service"])
        return web.json_response({"token": "t"}, status=200 if self._knows(request) else 401)


@asynccontextmanager
async def registry_at_work() -> AsyncIterator[Registry]:
    """Serve one; its name is the host and port that a credential's key has."""
    found = Registry()
    app = web.Application()
    app.router.add_get("/v2/", found.v2)
    app.router.add_get("/token", found.token)
    async with on_loopback(app) as address:
        found.name = address
        yield found
