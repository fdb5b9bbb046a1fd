"""What the HTTP/1.1 connections of a worker share: the application, its limits, and what is written of every reply."""

import time
from collections.abc import Callable
from functools import lru_cache
from http import HTTPStatus
from typing import Final

from septet.protocols.http.app import App
from septet.protocols.http.http_date import http_date
from septet.protocols.http.http_messages import JSON, HttpReply
from septet.protocols.http.response_headers import flags_header, identity_headers
from septet.server.connection_phase import BODY, CLOSING, HEAD, IDLE, LINGERING, NEW
from septet.server.connection_registry import ConnectionRegistry, ManagedConnection
from septet.server.freed_memory import AbandonedMemory
from septet.server.request_head_cache import RequestHeadCache
from septet.settings import Limits
from septet.types import Identity

# Behind the last answer: silence after which the connection is closed, long enough for a client to read why it was
# refused; and how long, and how many bytes, a client may send on meanwhile.
LINGER_SECONDS = 2.0
MAX_LINGER_SECONDS = 10
MAX_LINGER_BYTES = 64 << 20
KEEP, CLOSE = b"\r\n", b"connection: close\r\n\r\n"
#: By status; those without a name have none.
STATUS_LINES: Final = {status: b"HTTP/1.1 %d \r\n" % status for status in range(100, 600)} | {
    each.value: f"HTTP/1.1 {each.value} {each.phrase}\r\n".encode() for each in HTTPStatus
}
# A reply in three pieces that come again and again, and two of its own: to put five pieces together takes half as long
# as to fill in eight.
_MOST_KNOWN_LENGTHS: Final = 1024
_LENGTHS: Final = [b"content-length: %d\r\nx-request-id: " % size for size in range(_MOST_KNOWN_LENGTHS)]


def _head(status: int, media_type: bytes) -> bytes:
    return b"%bcontent-type: %b\r\n" % (STATUS_LINES[status], media_type)


_JSON_HEADS: Final = {status: _head(status, JSON) for status in STATUS_LINES}


@lru_cache
def _lines(headers: tuple[tuple[bytes, bytes], ...]) -> bytes:
    """Headers as they are sent; the same come again and again."""
    return b"".join(b"%b: %b\r\n" % pair for pair in headers)


class HttpServerState:
    """Made once for a worker.

    `on_connections` is called with how many connections are open; `clock` gives seconds since 1970, for the header
    `date`.

    Attributes:
        registry: the open connections.
        answered: how many requests were answered.
        heads: of requests that were parsed before.
        abandoned: what clients have given up.
        phase_seconds: how long a connection may stay in each phase; a phase without a limit is missing.
    """

    def __init__(
        self,
        app: App,
        limits: Limits,
        on_connections: Callable[[int], None],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.app = app
        self.limits = limits
        self.registry = ConnectionRegistry[ManagedConnection](on_connections, self._second_passed)
        self.answered = 0
        self.heads = RequestHeadCache()
        self.phase_seconds = {
            NEW: limits.header_timeout_seconds,
            IDLE: limits.keep_alive_seconds,
            HEAD: limits.header_timeout_seconds,
            BODY: limits.body_timeout_seconds,
            CLOSING: limits.keep_alive_seconds,
            LINGERING: LINGER_SECONDS,
        }
        self._clock = clock
        # The model that the last reply named, and the headers that all of its replies have.
        self._identity: Identity | None = None
        self._common = b""
        # Behind the id of a reply that has no other headers.
        self._end = b""
        # These headers for each model that replies have named in this second.
        self._common_of: dict[Identity | None, bytes] = {}
        self.abandoned = AbandonedMemory()
        self._renew_date()

    def rendered(self, reply: HttpReply, *, keep: bool, with_body: bool) -> bytes:
        """A reply as the bytes of an HTTP/1.1 response."""
        identity = reply.model or self.app.identity
        if identity is not self._identity:
            self._name(identity)
        body, size = reply.body, len(reply.body)
        if keep and not reply.flags and not reply.headers:
            end = self._end
        else:
            more = (*flags_header(reply.flags), *reply.headers) if reply.flags else reply.headers
            end = b"\r\n%b%b%b" % (self._common, _lines(more), KEEP if keep else CLOSE)
        pieces = (
            _JSON_HEADS[reply.status] if reply.media_type is JSON else _head(reply.status, reply.media_type),
            _LENGTHS[size] if size < _MOST_KNOWN_LENGTHS else b"content-length: %d\r\nx-request-id: " % size,
            reply.id.encode(),
            end,
            body if with_body else b"",
        )
        return b"".join(pieces)

    def rendered_head(self, reply: HttpReply, *, keep: bool, chunked: bool) -> bytes:
        """The head of an HTTP/1.1 response whose pieces follow: as chunks, or until the connection ends."""
        coding = ((b"transfer-encoding", b"chunked"),) if chunked else ()
        identity = identity_headers(reply.model or self.app.identity)
        own = ((b"x-request-id", reply.id.encode()), (b"date", self._date))
        lines = _lines((*own, *identity, *flags_header(reply.flags), *reply.headers, *coding))
        return b"%b%b%b" % (_head(reply.status, reply.media_type), lines, KEEP if keep else CLOSE)

    def _second_passed(self) -> None:
        self._renew_date()
        self.abandoned.second_passed()

    def _renew_date(self) -> None:
        """Write the headers that all replies have with the date of now (RFC 9110, 6.6.1)."""
        self._date = http_date(self._clock()).encode()
        self._common_of.clear()
        self._name(self._identity)

    def _name(self, identity: Identity | None) -> None:
        """Write the headers that all replies of a model have."""
        common = self._common_of.get(identity)
        if common is None:
            common = self._common_of[identity] = _lines(((b"date", self._date), *identity_headers(identity)))
        self._identity, self._common = identity, common
        self._end = b"\r\n%b%b" % (common, KEEP)
