"""HTTP/1.1 for our own runner: requests answered straight from the parser.

Theory of operation. httptools parses what uvloop's transports bring. An ASGI request would cost a scope, two closures,
an event and a task, together more than a small model; here a complete request goes to the application as one record,
driven without a task, and the reply is written as one piece. A head of the very bytes of an earlier one is not parsed
again (`Heads`). Codecs, predictor and answers are those of the ASGI application: only the transport is shorter.

Limits stand here too: bytes and number of headers, bytes of a body, number of connections, and the time that a
connection may stay in a phase, checked by one sweep a second instead of timers for every request. Requests that are
pipelined behind an unfinished one wait in order, and so does the refusal of what follows them. A client that does not
read its answers is neither read nor answered any further. A refused connection is drained for a moment before it is
closed: closing with unread bytes would reset it, and the client might never see why.
"""

import asyncio
from collections import deque

import httptools
import msgspec

from septet.errors import SeptetError, TimedOut, Unavailable
from septet.protocols.http.http_messages import HttpReply, HttpRequest
from septet.protocols.http.limits import check_length
from septet.server.head import check, path_and_query, reason, size, too_large
from septet.server.heads import Head
from septet.server.phase import ANSWERING, BODY, CLOSING, HEAD, IDLE, LINGERING, NEW, PARTING_SECONDS
from septet.server.wire import Wire
from septet.types import Pending

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
# Pipelined requests that may wait before reading from their connection pauses.
MOST_QUEUED = 16


class Exchange(msgspec.Struct, frozen=True, gc=False):
    """A complete request, and whether its connection may be used again after the answer."""

    http: HttpRequest
    keep_alive: bool


class HttpConnection(asyncio.Protocol):
    """One connection."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._app = wire.app
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport
        # The request that is being answered.
        self._pending: Pending | None = None
        self._current: HttpRequest | None = None
        self._keep_alive = False
        self._queue: deque[Exchange] = deque()
        # The last request that was complete in the chunk that is parsed.
        self._latest: Exchange | None = None
        # The known head of the last request.
        self._head: Head | None = None
        self._unqueuing = False
        self._refusal: SeptetError | None = None
        self._jammed_since: int | None = None
        self._phase = NEW
        self._since = wire.seconds
        self._closing = False
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._parts: list[bytes] = []
        self._body_bytes = 0
        # Whole chunks since the request began, or its body last grew; negative within that very chunk.
        self._fruitless_bytes = 0
        self._chunk_bytes = 0

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, or refuse at once where there are too many connections."""
        self._transport = transport  # type: ignore[assignment]
        self._wire.connections.add(self)
        self._wire.count()
        if len(self._wire.connections) > self._wire.limits.max_connections:
            self._refuse(Unavailable("There are too many connections. Try again in a moment."))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Cancel what nobody waits for any more (SY-9)."""
        self._wire.connections.discard(self)
        self._wire.count()
        self._queue.clear()
        if self._pending is not None:
            self._pending.cancel()

    def eof_received(self) -> bool:
        """The caller sends no more but may still read: answer what it asked, then close."""
        self._closing = True
        pending = self._current is not None or bool(self._queue)
        return pending and self._transport.get_extra_info("sslcontext") is None

    def data_received(self, data: bytes) -> None:
        """Parse what came; anything that is not HTTP is answered 400 and ends the connection."""
        if self._refusal is not None or self._phase >= CLOSING:
            return
        between = self._phase <= IDLE
        if between:
            head = self._head
            # Mostly the same as before, which is told sooner than it is looked up.
            if head is None or len(data) != head.size or not data.startswith(head.lines):
                head = self._head = self._wire.heads.of(data)
            if head is not None:
                self._phase = ANSWERING
                self._since = self._wire.seconds
                if self._jammed_since is None:
                    self._answer(head.request(data), keep_alive=True)
                else:
                    self._take(Exchange(head.request(data), keep_alive=True))
                return
        self._parse(data, between=between)

    def _parse(self, data: bytes, *, between: bool) -> None:
        """Parse a chunk, and keep its head where it was one whole request between two others."""
        self._chunk_bytes = len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            self._decline(offer, memoryview(data))
        except httptools.HttpParserError as error:
            self._refuse(reason(error))
        latest, self._latest = self._latest, None
        if between and latest is not None and latest.keep_alive:
            self._wire.heads.keep(data, latest.http)
        if self._phase in (HEAD, BODY):
            self._fruitless_bytes += len(data)
            if self._fruitless_bytes > self._wire.limits.max_header_bytes:
                self._refuse(too_large(self._wire.limits))

    def pause_writing(self) -> None:
        """Take nothing further from a client that does not read its answers."""
        self._jammed_since = self._wire.seconds
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Go on."""
        self._jammed_since = None
        if not self._transport.is_closing():
            self._unqueue()

    # What the server and the sweep call.

    def shutdown(self) -> None:
        """Drain: close a connection that stays idle, any other after its last answer."""
        self._closing = True
        if self._phase in PARTING_SECONDS:
            asyncio.get_running_loop().call_later(PARTING_SECONDS[self._phase], self._part)

    def swept(self) -> None:
        """Close the connection where its phase has lasted too long."""
        wire = self._wire
        if self._jammed_since is not None and wire.seconds - self._jammed_since > wire.longest[CLOSING]:
            self._transport.abort()
            return
        longest = wire.longest.get(self._phase)
        if longest is None or wire.seconds - self._since <= longest:
            return
        if self._phase >= CLOSING:
            self._transport.abort()
        elif self._phase in PARTING_SECONDS:
            self._close()
        else:
            self._refuse(TimedOut(f"The request was not complete within {longest:g} s."))

    # What the parser calls. An error raised here reaches `data_received` as the callback error's context.

    def on_message_begin(self) -> None:
        """Begin a request; behind the last answer there is none."""
        if self._phase >= CLOSING:
            raise Unavailable("The connection is closing.")
        self._enter(HEAD)
        self._url = b""
        self._headers = []
        self._parts = []
        self._body_bytes = 0
        self._fruitless_bytes = -self._chunk_bytes

    def on_url(self, url: bytes) -> None:
        """Keep a piece of the URL."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header, up to the limit of their number; one behind the body (a trailer) means nothing here."""
        if self._phase == BODY:
            return
        self._headers.append((name.lower(), value))
        if len(self._headers) > self._wire.limits.max_headers:
            raise too_large(self._wire.limits)

    def on_headers_complete(self) -> None:
        """Refuse a head that is too large, and a body that is announced too large before it is sent."""
        limit = self._wire.limits.max_header_bytes
        if (self._fruitless_bytes >= 0 or self._chunk_bytes > limit) and size(self._url, self._headers) > limit:
            raise too_large(self._wire.limits)
        self._enter(BODY)
        self._fruitless_bytes = -self._chunk_bytes
        expected = False
        for name, value in self._headers:
            if name == b"content-length" and value.isdigit():
                check_length(int(value), self._wire.limits.max_body_bytes)
            elif name == b"expect" and value.lower() == b"100-continue":
                expected = self._current is None and self._parser.get_http_version() == "1.1"
        if expected:
            self._transport.write(CONTINUE)

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body, up to the limit."""
        self._body_bytes += len(body)
        self._fruitless_bytes = -self._chunk_bytes
        check_length(self._body_bytes, self._wire.limits.max_body_bytes)
        self._parts.append(body)

    def on_message_complete(self) -> None:
        """Answer a complete request, or queue it behind the one that is being answered."""
        self._enter(ANSWERING)
        version = self._parser.get_http_version()
        headers = dict(self._headers)
        check(version, self._headers, headers)
        path, _, query = self._url.partition(b"?")
        if b"%" in path or b"#" in self._url or not path.startswith(b"/"):
            path, query = path_and_query(self._url)
        parts = self._parts
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        method = self._parser.get_method().decode("ascii")
        http = HttpRequest(method, path.decode("utf-8", "replace"), query, headers, body)
        self._latest = Exchange(http, keep_alive=version == "1.1" and self._parser.should_keep_alive())
        self._url, self._headers = b"", []
        self._take(self._latest)

    # Ours.

    def _take(self, exchange: Exchange) -> None:
        if self._current is None and not self._queue and self._jammed_since is None:
            self._answer(exchange.http, keep_alive=exchange.keep_alive)
            return
        self._queue.append(exchange)
        if len(self._queue) == MOST_QUEUED:
            self._transport.pause_reading()

    def _decline(self, offer: httptools.HttpParserUpgrade, rest: memoryview) -> None:
        """Decline to upgrade by answering the request as it is (RFC 9110, 7.8); what follows is HTTP still."""
        while rest := rest[int(offer.args[0]) :]:
            try:
                self._parser.feed_data(rest)
            except httptools.HttpParserUpgrade as another:
                offer = another
            except httptools.HttpParserError as error:
                self._refuse(reason(error))
                return
            else:
                return

    def _answer(self, http: HttpRequest, *, keep_alive: bool) -> None:
        self._current = http
        self._keep_alive = keep_alive
        pending = self._app.answer(http, self._reply)
        # Where the answer came at once, the next request may have taken this place already.
        if self._current is http:
            self._pending = pending

    def _reply(self, reply: HttpReply) -> None:
        """Write a reply, then answer the next request or wait for one."""
        http, transport, wire = self._current, self._transport, self._wire
        self._current = self._pending = None
        if http is None or transport.is_closing():
            return
        wire.answered += 1
        last = not self._queue and self._refusal is None
        keep = self._keep_alive and not (last and (self._closing or self._app.draining))
        transport.write(wire.rendered(reply, keep=keep, with_body=http.method != "HEAD"))
        if not keep:
            self._close()
        elif not last:
            self._unqueue()
        elif self._phase == ANSWERING:
            self._phase = IDLE
            self._since = wire.seconds

    def _unqueue(self) -> None:
        """Answer requests that wait, as far as that can be done now: a loop, since the answers to many come at once."""
        if self._unqueuing:
            return
        self._unqueuing = True
        while self._queue and self._current is None and self._jammed_since is None and self._phase < CLOSING:
            exchange = self._queue.popleft()
            self._answer(exchange.http, keep_alive=exchange.keep_alive)
        self._unqueuing = False
        if self._phase >= CLOSING or self._jammed_since is not None:
            return
        if self._refusal is None:
            if len(self._queue) < MOST_QUEUED:
                self._transport.resume_reading()
        elif self._current is None:
            self._last_word(self._refusal)

    def _refuse(self, error: SeptetError) -> None:
        """Answer what cannot be read, and close: where one request ends and the next begins is no longer known."""
        if self._refusal is not None or self._phase >= CLOSING or self._transport.is_closing():
            return
        if self._current is None and not self._queue:
            self._last_word(error)
            return
        # The answers on their way must be neither lost nor overtaken.
        self._refusal = error
        self._enter(ANSWERING)
        self._transport.pause_reading()

    def _last_word(self, error: SeptetError) -> None:
        path = self._url.partition(b"?")[0].decode("latin-1")
        reply = self._app.refuse(error, path, dict(self._headers))
        self._transport.write(self._wire.rendered(reply, keep=False, with_body=True))
        self._enter(LINGERING)
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._transport.resume_reading()

    def _close(self) -> None:
        """Close once everything is written."""
        self._enter(CLOSING)
        self._transport.close()

    def _part(self) -> None:
        if self._phase in PARTING_SECONDS:
            self._close()

    def _enter(self, phase: int) -> None:
        self._phase = phase
        self._since = self._wire.seconds
