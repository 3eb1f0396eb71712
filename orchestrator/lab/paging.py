"""Pages as SSM hands them out."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from orchestrator.lab.wire import page

T = TypeVar("T")
_BAD_TOKEN = "InvalidNextToken"  # noqa: S105 - an error's code


def paged(items: Sequence[T], params: Mapping[str, Any], size: int) -> tuple[list[T], dict[str, str]]:
    """Cut the page that `params` ask for, `size` long unless they say so; return it with its NextToken, if any."""
    chunk, token = page(items, params.get("NextToken"), params.get("MaxResults", size), bad_token=_BAD_TOKEN)
    return chunk, {"NextToken": token} if token else {}
