"""What the connections of a worker share: the application, its limits, the headers of every reply, the sweep."""

import asyncio
import time
from collections.abc import Callable
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Final, Protocol

from septet.protocols.http.app import App
from septet.protocols.http.http_messages import HttpReply
from septet.protocols.http.response_headers import flags_header, identity_headers
from septet.server.connection_phase import BODY, CLOSING, HEAD, IDLE, LINGERING, NEW
from septet.server.request_head_cache import RequestHeadCache
from septet.settings import Limits
from septet.types import Identity

# Long enough for a refused client to read why.
LINGER_SECONDS = 2.0
KEEP, CLOSE = b"\r\n", b"connection: close\r\n\r\n"
#: By status; those without a name have none.
STATUS_LINES: Final = {status: b"HTTP/1.1 %d \r\n" % status for status in range(100, 600)} | {
    each.value: f"HTTP/1.1 {each.value} {each.phrase}\r\n".encode() for each in HTTPStatus
}


@lru_cache
def _lines(headers: tuple[tuple[bytes, bytes], ...]) -> bytes:
    """Headers as they are sent; the same come again and again."""
    return b"".join(b"%b: %b\r\n" % pair for pair in headers)


class Connection(Protocol):
    """A connection as those see it who look after all of them."""

    def check_timeouts(self) -> None:
        """Close the connection where its phase has lasted too long."""

    def shutdown(self) -> None:
        """Drain: close a connection that stays idle, any other after its last answer."""


class HttpServerState:
    """Made once for a worker. `connected` is told how many connections are open, and whether more are accepted.

    Attributes:
        connections: that are open.
        idle: set while none is.
        answered: requests.
        seconds: counted by the sweep: a clock that costs nothing to read.
        heads: of requests that were parsed before.
        longest: the seconds that a connection may stay in each phase.
    """

    def __init__(
        self,
        app: App,
        limits: Limits,
        connected: Callable[[int, bool], None] | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.app = app
        self._clock = clock
        self._connected = connected
        self._listening = False
        self.limits = limits
        self.connections: set[Connection] = set()
        self.idle = asyncio.Event()
        self.idle.set()
        self.answered = 0
        self.seconds = 0
        self.heads = RequestHeadCache()
        self.longest = {
            NEW: limits.header_timeout_seconds,
            IDLE: limits.keep_alive_seconds,
            HEAD: limits.header_timeout_seconds,
            BODY: limits.body_timeout_seconds,
            CLOSING: limits.keep_alive_seconds,
            LINGERING: LINGER_SECONDS,
        }
        # The model that replies named last, and the headers that all of its replies have.
        self._identity: Identity | None = None
        self._common = b""
        self._commons: dict[Identity | None, bytes] = {}
        self._renew()

    def _renew(self) -> None:
        """Write the headers that all replies have, with the date of now (RFC 9110, 6.6.1)."""
        self._date = formatdate(self._clock(), usegmt=True).encode()
        self._commons.clear()
        self._name(self._identity)

    def _name(self, identity: Identity | None) -> None:
        """Write the headers that all replies of a model have."""
        common = self._commons.get(identity)
        if common is None:
            common = self._commons[identity] = _lines(((b"date", self._date), *identity_headers(identity)))
        self._identity, self._common = identity, common

    def listen(self, *, on: bool) -> None:
        """Note whether connections are accepted."""
        self._listening = on
        self.count()

    def count(self) -> None:
        """Tell how many connections there are now."""
        if self.connections:
            self.idle.clear()
        else:
            self.idle.set()
        if self._connected is not None:
            self._connected(len(self.connections), self._listening)

    def rendered(self, reply: HttpReply, *, keep: bool, with_body: bool) -> bytes:
        """A reply as the bytes of an HTTP/1.1 response."""
        identity = reply.model or self.app.identity
        if identity is not self._identity:
            self._name(identity)
        return b"%bcontent-type: %b\r\ncontent-length: %d\r\nx-request-id: %b\r\n%b%b%b%b" % (
            STATUS_LINES[reply.status],
            reply.media_type,
            len(reply.body),
            reply.id.encode(),
            self._common,
            _lines((*flags_header(reply.flags), *reply.headers)) if reply.headers or reply.flags else b"",
            KEEP if keep else CLOSE,
            reply.body if with_body else b"",
        )

    async def sweep(self) -> None:
        """Once a second, close the connections that are too slow. Runs until cancelled."""
        while True:
            await asyncio.sleep(1)
            self.second_passed()

    def second_passed(self) -> None:
        """Sweep once."""
        self.seconds += 1
        self._renew()
        for connection in list(self.connections):
            connection.check_timeouts()
