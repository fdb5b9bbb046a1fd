"""One connection to the server: a request out, its answer in.

An answer that has no length and ends with its connection cannot be told from a broken one, and counts as such.
"""

import asyncio
import time
from typing import Protocol, cast

import httptools

from septet.bench.load import Payload

FINAL_STATUS = 200  # those below announce another answer


class LoadOwner(Protocol):
    """Who is told what became of a request."""

    def answered(self, connection: "LoadConnection", status: int, body: bytes, now: float) -> None:
        """The answer is complete; the connection may be used again if it is `ready`."""

    def lost(self, connection: "LoadConnection", reason: str) -> None:
        """The connection ended, in the midst of a request or between two."""


class LoadConnection(asyncio.Protocol):
    """A client's end. At most one request is in flight.

    Attributes:
        ready: connected, and no request is in flight.
        payload: of the request in flight, or None.
        due, sent: when it was to be sent and when it was, on the monotonic clock.
    """

    def __init__(self, owner: LoadOwner) -> None:
        self._owner = owner
        self._transport: asyncio.WriteTransport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._body: list[bytes] = []
        self._reason = "the server closed the connection"
        self.ready = False
        self.payload: Payload | None = None
        self.due = self.sent = 0.0

    def send(self, payload: Payload, due: float | None, now: float) -> None:
        """Write a request; it is due now where `due` is None."""
        assert self._transport is not None  # noqa: S101 - it was ready
        self.ready = False
        self.payload = payload
        self.sent = now
        self.due = now if due is None else due
        self._transport.write(payload.data)

    def abort(self, reason: str) -> None:
        """Give the connection up; `lost` follows."""
        self._reason = reason
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be ready."""
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's do not say so
        self.ready = True

    def data_received(self, data: bytes) -> None:
        """Read a part of an answer."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as exc:
            self.abort(f"the answer is not HTTP/1.1: {exc}")

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the owner."""
        self._transport = None
        self.ready = False
        self._owner.lost(self, self._reason if exc is None else f"{self._reason}: {exc}")

    def on_body(self, body: bytes) -> None:
        """Collect a part of the body."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Tell the owner, ready for the next request where the server keeps the connection."""
        now = time.monotonic()
        status = self._parser.get_status_code()
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._body.clear()
        if status < FINAL_STATUS:
            return
        if self.payload is None:
            self.abort("the server answered what nobody asked")
            return
        if self._parser.should_keep_alive():
            self.ready = self._transport is not None
        elif self._transport is not None:
            self._transport.close()
        self._owner.answered(self, status, body, now)
