"""A private registry at the lab's own address: a Basic login and manifests, so that a probe has a registry to ask."""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping

from aiohttp import web

_CHALLENGE = {
    "WWW-Authenticate": 'Basic realm="the lab\'s registry"',
    "Docker-Distribution-Api-Version": "registry/2.0",
}
_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


class Registry:
    """Serves `/v2/` and every image's manifest to who logs in. `logins` may be changed while it serves.

    A user may have several passwords, as while one is rotated. Docker talks to 127.0.0.1 without TLS, and so does
    whoever asks here.
    """

    def __init__(self, logins: Mapping[str, tuple[str, ...]]) -> None:
        self.logins: dict[str, tuple[str, ...]] = dict(logins)

    def routes(self) -> list[web.RouteDef]:
        """Return the routes, for any aiohttp application."""
        return [
            web.get("/v2/", self._root),
            web.route("*", "/v2/{repository:.+}/manifests/{reference}", self._manifest),
        ]

    async def _root(self, request: web.Request) -> web.Response:
        if not self._admits(request.headers.get("Authorization", "")):
            return self._refusal()
        return web.json_response({}, headers={"Docker-Distribution-Api-Version": "registry/2.0"})

    async def _manifest(self, request: web.Request) -> web.Response:
        if not self._admits(request.headers.get("Authorization", "")):
            return self._refusal()
        body = json.dumps({"schemaVersion": 2, "mediaType": _MANIFEST, "layers": []}).encode()
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
        return web.Response(body=body, content_type=_MANIFEST, headers={"Docker-Content-Digest": digest})

    def _admits(self, authorization: str) -> bool:
        scheme, _, encoded = authorization.partition(" ")
        if scheme.lower() != "basic":
            return False
        try:
            user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return False
        return any(hmac.compare_digest(password.encode(), known.encode()) for known in self.logins.get(user, ()))

    @staticmethod
    def _refusal() -> web.Response:
        errors = {"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]}
        return web.json_response(errors, status=401, headers=_CHALLENGE)
