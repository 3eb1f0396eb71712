"""Connection pools that honour the proxy variables as other tools do, and a CA bundle."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from urllib.parse import urlsplit

import urllib3

from orchestrator.core.registry_api import is_loopback
from orchestrator.errors import UsageError

_HTTPS_PORT = 443


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """How to reach others. `environment` is read for HTTPS_PROXY, ALL_PROXY and NO_PROXY; seconds are each."""

    ca_bundle: str | None = None
    environment: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    connect_seconds: float = 5.0
    read_seconds: float = 15.0


class Pools:
    """The pools of one network: through the proxy that it names, or past it. Safe to use from several threads.

    Nothing is retried and no redirect is followed. Raises UsageError where the CA bundle or the proxy cannot be used.
    """

    def __init__(self, network: Network) -> None:
        try:
            context = ssl.create_default_context(cafile=network.ca_bundle)
        except (OSError, ssl.SSLError) as error:
            raise UsageError(
                "The CA bundle cannot be read, or holds no certificate.", hint="Give --ca-bundle a PEM file."
            ) from error
        timeout = urllib3.Timeout(connect=network.connect_seconds, read=network.read_seconds)
        self._direct = urllib3.PoolManager(ssl_context=context, timeout=timeout, retries=False)
        self._proxied = self._direct
        self._no_proxy = _setting(network.environment, "no_proxy")
        proxy = _setting(network.environment, "https_proxy") or _setting(network.environment, "all_proxy")
        if proxy:
            address, headers = _proxy(proxy)
            self._proxied = urllib3.ProxyManager(
                address, proxy_headers=headers, ssl_context=context, timeout=timeout, retries=False
            )

    def of(self, url: str) -> urllib3.PoolManager:
        """Give the pool to ask `url` with. Raises ValueError for what is no URL."""
        near = is_loopback(urlsplit(url).netloc) and not url.startswith("https:")
        return self._direct if near or bypassed(url, self._no_proxy) else self._proxied

    def clear(self) -> None:
        """Close every connection."""
        self._direct.clear()
        self._proxied.clear()


def _setting(environment: Mapping[str, str], name: str) -> str:
    """Read a proxy variable as other tools do: the name in small letters wins."""
    return environment.get(name) or environment.get(name.upper(), "")


def _proxy(text: str) -> tuple[str, Mapping[str, str] | None]:
    """Take the login out of a proxy's address. Raises UsageError, which does not repeat it."""
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError("HTTPS_PROXY is no address of an HTTP proxy.", hint="Write http://HOST:PORT.")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    login = f"{parts.username}:{parts.password or ''}" if parts.username else None
    headers = urllib3.make_headers(proxy_basic_auth=login) if login else None
    return f"{parts.scheme}://{host}" + (f":{port}" if port else ""), headers


def bypassed(url: str, no_proxy: str) -> bool:
    """Say whether NO_PROXY excepts a URL: `*`, or a name with or without its port that is the host's end."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    for item in no_proxy.lower().replace(",", " ").split():
        name, colon, port = item.rpartition(":")
        if not colon or not port.isdecimal():
            name, port = item, ""
        name = name.removeprefix("*").removeprefix(".").strip("[]")
        if port and int(port) != (parts.port or _HTTPS_PORT):
            continue
        if item == "*" or (name and (host == name or host.endswith(f".{name}"))):
            return True
    return False
