"""Registry keys as the agent matches them: which one can match, how to mend it, what of it may be shown."""

import re

from orchestrator.core.agent_auth import HUB_HOSTS, HUB_KEY, is_host, strip_scheme

HUB_WRITTEN = f"https://{HUB_KEY}"
# Names that people write for Docker Hub and that the agent never looks for (F7).
_HUB_ALIASES = HUB_HOSTS | {"hub.docker.com", "registry.hub.docker.com", "auth.docker.io", "www.docker.com"}
_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*"
_HOST_PORT = re.compile(rf"(?:{_HOST}|\[[0-9a-fA-F:]+\])(?::[0-9]{{1,5}})?")
_PATH = re.compile(r"(?:/[A-Za-z0-9._-]*)*")
_API_ROOT = re.compile(r"/v[12]/?")
_ECR = re.compile(r"[0-9]{12}\.dkr[.-]ecr(?:-fips)?\.[a-z0-9.-]+\.(?:amazonaws\.com(?:\.cn)?|on\.aws)")
LONGEST_NAME = 255


def shown(key: str, position: int) -> str:
    """Return the key where it can be a registry's name, else its place in the map, counted from 1.

    Whatever stands where a registry should may be a piece of a secret: a user and password in a URL, a map
    turned inside out. So only what an image could name is ever shown.
    """
    return key if is_registry(key) else f"entry {position}"


def is_registry(key: str) -> bool:
    """Say whether some image's name could start with this key, scheme aside."""
    name = strip_scheme(key)
    host, path = split_host(name)
    return (
        len(name) <= LONGEST_NAME and is_host(host) and bool(_HOST_PORT.fullmatch(host)) and bool(_PATH.fullmatch(path))
    )


def split_host(name: str) -> tuple[str, str]:
    """Split a key without scheme into host (with port) and path (with its slash, or empty)."""
    host, slash, rest = name.partition("/")
    return host, slash + rest


def is_hub(key: str) -> bool:
    """Say whether the key names Docker Hub, rightly or wrongly."""
    return split_host(strip_scheme(key))[0].lower() in _HUB_ALIASES


def is_ecr(key: str) -> bool:
    """Say whether the key names a private Amazon ECR registry."""
    return bool(_ECR.fullmatch(split_host(strip_scheme(key))[0]))


def is_api_root(key: str) -> bool:
    """Say whether the key ends in the registry API's own path, which is no part of an image's name."""
    return bool(_API_ROOT.fullmatch(split_host(strip_scheme(key))[1]))


def mended(key: str) -> str:
    """Return the key that was meant, where there is no doubt; else the key as it is.

    Takes blanks around it and a scheme in capitals away, lowers the host's case, and puts the one key that the
    agent looks for in the place of every name of Docker Hub.
    """
    bare = key.strip()
    scheme, colon, rest = bare.partition("://")
    if colon and scheme.lower() in ("http", "https"):
        bare = rest
    if is_hub(bare):
        return HUB_KEY
    host, path = split_host(bare)
    if _API_ROOT.fullmatch(path):
        path = ""
    return host.lower() + path
