"""Serves what is asked of the lab itself: instances' shims and metadata, and that an instance be mended."""

from collections.abc import Callable

from aiohttp import web

from orchestrator.lab.imds import answer
from orchestrator.lab.instance import Host, HostLostError

Find = Callable[[str], Host | None]


class Control:
    """The handlers of /-/instances/<id>/...; `find` maps an instance id to its host.

    `spare` ends what Systems Manager does to an instance.
    """

    def __init__(self, find: Find, spare: Callable[[str], None]) -> None:
        self._find = find
        self._spare = spare

    def routes(self) -> list[web.RouteDef]:
        """Return the routes, for any aiohttp application."""
        base = "/-/instances/{instance_id}"
        return [
            web.post(base + "/{kind:unit|run|docker}", self._deed),
            web.post(base + "/mend", self._mend),
            web.route("*", base + "/imds{path:/.*}", self._imds),
        ]

    async def _deed(self, request: web.Request) -> web.Response:
        """Answer a shim: the exit code on the first line, what to say on the rest."""
        host = self._host(request)
        body = await request.read()
        fields = body.decode("utf-8", "surrogateescape").split("\0")[:-1]
        match request.match_info["kind"]:
            case "unit":
                code, text = await host.command_unit(fields)
            case "run":
                code, text = await host.run_unit(fields)
            case _:
                code, text = await host.command_docker(fields)
        return web.Response(text=f"{code}\n{text}")

    async def _mend(self, request: web.Request) -> web.Response:
        host = self._host(request)
        try:
            await host.mend()
        except HostLostError as error:
            raise web.HTTPConflict(text=f"{host.instance_id} is gone\n") from error
        self._spare(host.instance_id)
        return web.Response(text=f"{host.instance_id} has no trouble any more\n")

    async def _imds(self, request: web.Request) -> web.Response:
        return await answer(self._host(request).metadata, request, request.match_info["path"])

    def _host(self, request: web.Request) -> Host:
        host = self._find(request.match_info["instance_id"])
        if host is None:
            raise web.HTTPNotFound(text="no such instance\n")
        return host


def control_url(base: str, instance_id: str) -> str:
    """Return the control URL of one instance of the lab that is served at `base`."""
    return f"{base}/-/instances/{instance_id}"
