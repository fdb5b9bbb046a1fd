"""Cross-origin requests of browsers: which pages of other sites may ask (https://fetch.spec.whatwg.org/#http-cors-protocol).

Credentials of the browser, such as cookies, are never allowed: who asks sends its key in a header.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from septet.protocols.http.http_messages import HttpRequest
from septet.protocols.http.response_headers import HeaderPairs

_ORIGIN = b"origin"
_METHOD = b"access-control-request-method"
_EXPOSED: Final = (
    b"access-control-expose-headers",
    b", ".join(
        (
            *(b"septet-model", b"septet-model-version", b"septet-model-digest", b"septet-flags"),
            *(b"x-request-id", b"retry-after", b"inference-header-content-length"),
        )
    ),
)
_TAKEN: Final = (
    b"access-control-allow-headers",
    b", ".join(
        (
            *(b"authorization", b"x-api-key", b"content-type", b"content-encoding", b"x-request-id", b"traceparent"),
            *(b"septet-timeout", b"septet-errors", b"inference-header-content-length"),
        )
    ),
)
_PREFLIGHT_SECONDS: Final = 600
_VARY: Final = (b"vary", b"origin")


class CrossOrigin:
    """Answers for pages of these origins; `*` stands for all."""

    def __init__(self, origins: Sequence[str]) -> None:
        self._any = "*" in origins
        self._origins = frozenset(each.encode() for each in origins)

    def headers(self, request: Mapping[bytes, bytes]) -> HeaderPairs:
        """The headers that a reply has besides its own."""
        origin = request.get(_ORIGIN)
        if self._any:
            return () if origin is None else ((b"access-control-allow-origin", b"*"), _EXPOSED)
        if origin is None or origin not in self._origins:
            # A cache must not give this answer to a page that may read it (Fetch, "CORS protocol and HTTP caches").
            return (_VARY,)
        return ((b"access-control-allow-origin", origin), _VARY, _EXPOSED)

    def is_preflight(self, http: HttpRequest) -> bool:
        """Whether the browser of a page that may ask wants to know whether it may ask so."""
        origin = http.headers.get(_ORIGIN)
        allowed = origin is not None and (self._any or origin in self._origins)
        return allowed and http.method == "OPTIONS" and _METHOD in http.headers

    @staticmethod
    def preflight_headers(methods: str) -> HeaderPairs:
        """What the answer to that says, for a path with these methods."""
        return (
            (b"access-control-allow-methods", methods.encode()),
            _TAKEN,
            (b"access-control-max-age", b"%d" % _PREFLIGHT_SECONDS),
        )
