"""The headers that a caller sends with every request, its API key among them."""

import re
from collections.abc import Mapping
from typing import Final

_SECRET: Final = frozenset(("authorization", "proxy-authorization", "x-api-key", "cookie"))
# RFC 9110, 11.2, token68.
_KEY = re.compile(r"[A-Za-z0-9._~+/-]+=*")


class RequestHeaders(dict[str, str]):
    """Headers by name. What they are shown as has no secret."""

    def __repr__(self) -> str:
        """Show the names, and the values that are no secrets."""
        return repr({name: "***" if name.lower() in _SECRET else value for name, value in self.items()})


def request_headers(headers: Mapping[str, str] | None, api_key: str | None) -> RequestHeaders:
    """The headers, with the key as `authorization: Bearer KEY`.

    Raises:
        ValueError: the key cannot be one, or the headers have an authorization of their own. The key is not shown.
    """
    found = RequestHeaders(headers or {})
    if api_key is None:
        return found
    if _KEY.fullmatch(api_key) is None:
        raise ValueError("api_key must be letters, digits and ._~+/- without spaces, perhaps with = at the end")
    if any(name.lower() == "authorization" for name in found):
        raise ValueError("api_key and a header authorization exclude each other")
    found["authorization"] = f"Bearer {api_key}"
    return found
