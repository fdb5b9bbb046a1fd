"""What the connections of a worker share: the application, its limits, the headers of every reply, the sweep."""

import asyncio
from collections.abc import Callable
from typing import Protocol, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE
from uvicorn.server import ServerState

from septet.protocols.api import App
from septet.protocols.asgi import identity_headers
from septet.protocols.http import HttpReply
from septet.server.heads import Heads
from septet.server.phase import BODY, CLOSING, HEAD, IDLE, LINGERING, NEW
from septet.settings import Limits
from septet.types import Identity

# Long enough for a refused client to read why.
LINGER_SECONDS = 2.0
KEEP, CLOSE = b"\r\n", b"connection: close\r\n\r\n"


class Sweepable(Protocol):
    """A connection with limits of time."""

    def swept(self) -> None:
        """Close the connection where its phase has lasted too long."""


class Wire:
    """Made once for a worker. `connected` is told how many connections are open, and whether more are accepted.

    Attributes:
        seconds: counted by the sweep: a clock that costs nothing to read.
        heads: of requests that were parsed before.
        longest: the seconds that a connection may stay in each phase.
    """

    def __init__(self, app: App, limits: Limits, connected: Callable[[int, bool], None] | None = None) -> None:
        self.app = app
        self._connected = connected
        self._listening = False
        self.limits = limits
        self.seconds = 0
        self.heads = Heads()
        self.longest = {
            NEW: limits.header_timeout_seconds,
            IDLE: limits.keep_alive_seconds,
            HEAD: limits.header_timeout_seconds,
            BODY: limits.body_timeout_seconds,
            CLOSING: limits.keep_alive_seconds,
            LINGERING: LINGER_SECONDS,
        }
        self._identity: Identity | None = None
        self._default: list[tuple[bytes, bytes]] | None = None
        self._common = b""

    def listen(self, state: ServerState, *, on: bool) -> None:
        """Note whether connections are accepted."""
        self._listening = on
        self.count(state)

    def count(self, state: ServerState) -> None:
        """Tell how many connections there are."""
        if self._connected is not None:
            self._connected(len(state.connections), self._listening)

    def rendered(self, reply: HttpReply, state: ServerState, *, keep: bool, with_body: bool) -> bytes:
        """A reply as the bytes of an HTTP/1.1 response."""
        # uvicorn makes a new list when the date changes, once a second: the rest is constant.
        if state.default_headers is not self._default or self.app.identity is not self._identity:
            self._default, self._identity = state.default_headers, self.app.identity
            pairs = [*self._default, *identity_headers(self._identity)]
            self._common = b"".join(b"%b: %b\r\n" % pair for pair in pairs)
        return b"%bcontent-type: %b\r\ncontent-length: %d\r\nx-request-id: %b\r\n%b%b%b%b" % (
            STATUS_LINE[reply.status],
            reply.media_type,
            len(reply.body),
            reply.id.encode(),
            self._common,
            b"".join(b"%b: %b\r\n" % pair for pair in reply.headers) if reply.headers else b"",
            KEEP if keep else CLOSE,
            reply.body if with_body else b"",
        )

    async def sweep(self, state: ServerState) -> None:
        """Once a second, close the connections that are too slow. Runs until cancelled."""
        while True:
            await asyncio.sleep(1)
            self.seconds += 1
            for connection in list(state.connections):
                # uvicorn types its own protocols; ours are the only ones in this state.
                cast("Sweepable", connection).swept()
