"""Send notices to a webhook that takes Slack's JSON. Its URL is a secret: it is in no message and no error."""

import json
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from urllib3.exceptions import HTTPError

from orchestrator.connections import Network, Pools
from orchestrator.core.notices import Notice, WebhookTarget
from orchestrator.core.registry_api import is_loopback
from orchestrator.errors import EnvironmentFault, UsageError

_CONNECT_SECONDS = 2.0
_READ_SECONDS = 3.0
_ATTEMPTS = 2
_GOOD = range(200, 300)
_BUSY = 429
_BROKEN = 500


class WebhookChannel:
    """One webhook. `url` is asked for once, at the first notice: it may have to be fetched.

    `environment` is read for HTTPS_PROXY, ALL_PROXY and NO_PROXY.
    """

    def __init__(self, target: WebhookTarget, url: Callable[[], str], *, environment: Mapping[str, str]) -> None:
        self.name = str(target)
        self._fetch = url
        self._network = Network(environment=environment, connect_seconds=_CONNECT_SECONDS, read_seconds=_READ_SECONDS)
        self._url = ""

    def send(self, notice: Notice) -> None:
        """Post it, once more where the first attempt came to nothing. Raises EnvironmentFault, UsageError."""
        if not self._url:
            self._url = checked(self._fetch())
        pools = Pools(self._network)
        try:
            problem = ""
            for _ in range(_ATTEMPTS):
                problem, again = _post(pools, self._url, body(notice))
                if not again:
                    break
        finally:
            pools.clear()
        if problem:
            raise EnvironmentFault(problem, hint="Check the webhook, its URL and the way to it.")


def checked(url: str) -> str:
    """Give a webhook's URL back without the blanks around it. Raises UsageError, which does not repeat it."""
    url = url.strip()
    try:
        parts = urlsplit(url)
        good = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.netloc))
    except ValueError:
        parts, good = urlsplit(""), False
    if not good or not parts.hostname or any(char <= " " or char > "~" for char in url):
        raise UsageError("What is kept there is no webhook's URL.", hint="It begins with https:// and is one line.")
    return url


def body(notice: Notice) -> bytes:
    """Write Slack's JSON; in its texts `&`, `<` and `>` stand for links and mentions unless they are escaped."""
    text = f"*{notice.subject}*\n{notice.text}"
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return json.dumps({"text": escaped}).encode()


def _post(pools: Pools, url: str, content: bytes) -> tuple[str, bool]:
    """Post once; return what went wrong, and whether another attempt may help."""
    headers = {"Content-Type": "application/json", "User-Agent": "ecs-rollout"}
    try:
        answer = pools.of(url).request(
            "POST", url, body=content, headers=headers, redirect=False, preload_content=False
        )
        answer.close()  # whatever else it says is not waited for
    except (HTTPError, OSError, ValueError) as error:
        # Their texts hold the URL.
        return f"no answer from the webhook ({type(error).__name__})", True
    if answer.status in _GOOD:
        return "", False
    return f"the webhook answered {answer.status}", answer.status >= _BROKEN or answer.status == _BUSY
