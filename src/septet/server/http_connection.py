"""HTTP/1.1 for our own runner: requests answered straight from the parser.

Theory of operation. httptools parses what uvloop's transports bring. An ASGI request would cost a scope, two closures,
an event and a task, together more than a small model; here a complete request goes to the application as one record,
a prediction is driven by callbacks, and the reply is written as one piece. A head of the very bytes of an earlier one
is not parsed again (`RequestHeadCache`). Codecs, predictor and answers are those of the ASGI application.

Limits stand here too: bytes and number of headers, bytes of a body, number of connections, and the time that a
connection may stay in a phase, checked by one sweep a second instead of timers for every request. Requests that are
pipelined behind an unfinished one wait in order, and so does the refusal of what follows them. A client that does not
read its answers is neither read nor answered any further. What a refused client still sends is read and discarded for a
moment before the connection is closed: closing with unread bytes would reset it, and the client might never see why.
"""

import asyncio
from collections import deque

import httptools
import msgspec

from septet.errors import SeptetError, TimedOut, Unavailable
from septet.protocols.http.http_messages import HttpReply, HttpRequest
from septet.protocols.http.limits import check_content_length, check_length, head_size, head_too_large
from septet.server.connection_phase import ANSWERING, BODY, CLOSING, DRAIN_SECONDS, HEAD, IDLE, LINGERING, NEW
from septet.server.http_server_state import HttpServerState
from septet.server.request_head import check_head, parser_error, path_and_query
from septet.server.request_head_cache import RequestHead
from septet.types import Pending

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
# How soon a caller that has ended its side is asked whether it is there, again and again while its answer takes.
FIRST_PROBE_SECONDS, LONGEST_PROBE_SECONDS = 0.05, 1.0
# Pipelined requests that may wait before reading from their connection pauses.
MAX_PIPELINED = 16


class PipelinedRequest(msgspec.Struct, frozen=True, gc=False):
    """A complete request, and whether its connection may be used again after the answer."""

    http: HttpRequest
    keep_alive: bool


class HttpConnection(asyncio.Protocol):
    """One connection.

    Whether the connection reads is decided in one place, `_update_reading`.
    """

    def __init__(self, state: HttpServerState) -> None:
        self._state = state
        self._app = state.app
        self._registry = state.registry
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport
        # The request that is being answered, and how to give it up.
        self._current: HttpRequest | None = None
        self._pending: Pending | None = None
        self._keep_alive = False
        # Complete requests behind the current one.
        self._queue: deque[PipelinedRequest] = deque()
        self._answering_queue = False
        # The last request that was complete in the chunk that is parsed.
        self._latest: PipelinedRequest | None = None
        # The known head of the last request.
        self._head: RequestHead | None = None
        # The error that is sent behind the answers on their way; nothing is read after it.
        self._refusal: SeptetError | None = None
        # Since when the client has not read its answers, by the registry's clock.
        self._write_paused_since: int | None = None
        self._read_paused = False
        self._phase = NEW
        self._since = self._registry.seconds
        # The connection closes behind its last answer.
        self._closing = False
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._parts: list[bytes] = []
        self._body_bytes = 0
        # The bytes of whole chunks since the request began, or its body last grew; negative within that very chunk.
        self._stalled_bytes = 0
        self._chunk_bytes = 0

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, or refuse at once where there are too many connections."""
        self._transport = transport  # type: ignore[assignment]
        self._registry.add(self)
        if len(self._registry) > self._state.limits.max_connections:
            self._refuse(Unavailable("There are too many connections. Try again in a moment."))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Cancel what nobody waits for any more."""
        self._registry.remove(self)
        self._queue.clear()
        if self._pending is not None:
            self._pending.cancel()

    def eof_received(self) -> bool:
        """The caller sends no more but may still read: answer what it asked, then close."""
        self._closing = True
        pending = self._current is not None or bool(self._queue)
        if pending:
            asyncio.get_running_loop().call_later(FIRST_PROBE_SECONDS, self._probe, FIRST_PROBE_SECONDS)
        return pending and self._transport.get_extra_info("sslcontext") is None

    def _probe(self, seconds: float) -> None:
        """Find out whether the caller still reads: its system answers nothing, or a reset where the caller has gone.

        Any client may be sent this interim response (RFC 9110, 15.2), but for one of HTTP/1.0.
        """
        if self._current is None or self._transport.is_closing() or self._parser.get_http_version() == "1.0":
            return
        self._transport.write(CONTINUE)
        # The reset comes as the answer to the first, and is noticed with the second.
        longer = min(2 * seconds, LONGEST_PROBE_SECONDS)
        asyncio.get_running_loop().call_later(longer, self._probe, longer)

    def data_received(self, data: bytes) -> None:
        """Parse what came; anything that is not HTTP is answered 400 and ends the connection."""
        if self._refusal is not None or self._phase >= CLOSING:
            return
        between = self._phase <= IDLE
        if between:
            head = self._head
            # Mostly the same as before, which is told sooner than it is looked up.
            if head is None or len(data) != head.size or not data.startswith(head.lines):
                head = self._head = self._state.heads.find(data)
            if head is not None:
                self._phase = ANSWERING
                self._since = self._registry.seconds
                known, body = head.http, data[len(head.lines) :]
                http = HttpRequest(known.method, known.path, known.query, known.headers, body, "", known.known_context)
                if self._write_paused_since is None:
                    self._answer(http, keep_alive=True)
                else:
                    self._take(PipelinedRequest(http, keep_alive=True))
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
            self._refuse(parser_error(error))
        latest, self._latest = self._latest, None
        if between and latest is not None and latest.keep_alive:
            self._state.heads.keep(data, latest.http)
        if self._phase in (HEAD, BODY):
            self._stalled_bytes += len(data)
            if self._stalled_bytes > self._state.limits.max_header_bytes:
                self._refuse(head_too_large(self._state.limits))

    def pause_writing(self) -> None:
        """Take nothing further from a client that does not read its answers."""
        self._write_paused_since = self._registry.seconds
        self._update_reading()

    def resume_writing(self) -> None:
        """Go on."""
        self._write_paused_since = None
        if not self._transport.is_closing():
            self._answer_queue()

    # What the server and the registry call.

    def shutdown(self) -> None:
        """Drain: close a connection that stays idle, any other after its last answer."""
        self._closing = True
        if self._phase in DRAIN_SECONDS:
            asyncio.get_running_loop().call_later(DRAIN_SECONDS[self._phase], self._close_idle)

    def check_timeouts(self) -> None:
        """Close the connection where its phase has lasted too long."""
        now, limits = self._registry.seconds, self._state.phase_seconds
        if self._write_paused_since is not None and now - self._write_paused_since > limits[CLOSING]:
            self._transport.abort()
            return
        longest = limits.get(self._phase)
        if longest is None or now - self._since <= longest:
            return
        if self._phase >= CLOSING:
            self._transport.abort()
        elif self._phase in DRAIN_SECONDS:
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
        self._stalled_bytes = -self._chunk_bytes

    def on_url(self, url: bytes) -> None:
        """Keep a piece of the URL."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header, up to the limit of their number; one behind the body (a trailer) means nothing here."""
        if self._phase == BODY:
            return
        self._headers.append((name.lower(), value))
        if len(self._headers) > self._state.limits.max_headers:
            raise head_too_large(self._state.limits)

    def on_headers_complete(self) -> None:
        """Refuse a head that is too large, and a body that is announced too large before it is sent."""
        limit = self._state.limits.max_header_bytes
        if (self._stalled_bytes >= 0 or self._chunk_bytes > limit) and len(self._url) + head_size(
            self._headers
        ) > limit:
            raise head_too_large(self._state.limits)
        self._enter(BODY)
        self._stalled_bytes = -self._chunk_bytes
        expected = False
        for name, value in self._headers:
            if name == b"content-length":
                check_content_length(value, self._state.limits.max_body_bytes)
            elif name == b"expect" and value.lower() == b"100-continue":
                expected = self._current is None and self._parser.get_http_version() == "1.1"
        if expected:
            self._transport.write(CONTINUE)

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body, up to the limit."""
        self._body_bytes += len(body)
        self._stalled_bytes = -self._chunk_bytes
        check_length(self._body_bytes, self._state.limits.max_body_bytes)
        self._parts.append(body)

    def on_message_complete(self) -> None:
        """Answer a complete request, or queue it behind the one that is being answered."""
        self._enter(ANSWERING)
        version = self._parser.get_http_version()
        headers = dict(self._headers)
        check_head(version, self._headers, headers)
        path, _, query = self._url.partition(b"?")
        if b"%" in path or b"#" in self._url or not path.startswith(b"/"):
            path, query = path_and_query(self._url)
        parts = self._parts
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        method = self._parser.get_method().decode("ascii")
        http = HttpRequest(method, path.decode("utf-8", "replace"), query, headers, body)
        self._latest = PipelinedRequest(http, keep_alive=version == "1.1" and self._parser.should_keep_alive())
        self._url, self._headers = b"", []
        self._take(self._latest)

    # The way from a request to its answer.

    def _take(self, request: PipelinedRequest) -> None:
        """Answer a complete request, or let it wait for its turn."""
        if self._current is None and not self._queue and self._write_paused_since is None:
            self._answer(request.http, keep_alive=request.keep_alive)
            return
        self._queue.append(request)
        if len(self._queue) >= MAX_PIPELINED:
            self._update_reading()

    def _decline(self, offer: httptools.HttpParserUpgrade, rest: memoryview) -> None:
        """Decline to upgrade by answering the request as it is (RFC 9110, 7.8); what follows is HTTP still."""
        while rest := rest[int(offer.args[0]) :]:
            try:
                self._parser.feed_data(rest)
            except httptools.HttpParserUpgrade as another:
                offer = another
            except httptools.HttpParserError as error:
                self._refuse(parser_error(error))
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
        http, transport, state = self._current, self._transport, self._state
        self._current = self._pending = None
        if http is None or transport.is_closing():
            return
        state.answered += 1
        last = not self._queue and self._refusal is None
        keep = self._keep_alive and not (last and (self._closing or self._app.state.draining))
        transport.write(state.rendered(reply, keep=keep, with_body=http.method != "HEAD"))
        if not keep:
            self._close()
        elif not last:
            self._answer_queue()
        elif self._phase == ANSWERING:
            self._phase = IDLE
            self._since = self._registry.seconds

    def _answer_queue(self) -> None:
        """Answer requests that wait, as far as that can be done now: a loop, since the answers to many come at once."""
        if self._answering_queue:
            return
        self._answering_queue = True
        while self._queue and self._current is None and self._write_paused_since is None and self._phase < CLOSING:
            request = self._queue.popleft()
            self._answer(request.http, keep_alive=request.keep_alive)
        self._answering_queue = False
        if self._phase >= CLOSING or self._write_paused_since is not None:
            return
        if self._refusal is not None and self._current is None:
            self._send_refusal(self._refusal)
        else:
            self._update_reading()

    def _update_reading(self) -> None:
        """Read from the client, or pause: while it does not read, while it is ahead, and behind what is refused."""
        paused = self._write_paused_since is not None or len(self._queue) >= MAX_PIPELINED or self._refusal is not None
        # What a refused client still sends is discarded.
        paused = paused and self._phase != LINGERING
        if paused is self._read_paused:
            return
        self._read_paused = paused
        if paused:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _refuse(self, error: SeptetError) -> None:
        """Answer what cannot be read, and close: where one request ends and the next begins is no longer known."""
        if self._refusal is not None or self._phase >= CLOSING or self._transport.is_closing():
            return
        if self._current is None and not self._queue:
            self._send_refusal(error)
            return
        # The answers on their way must be neither lost nor overtaken.
        self._refusal = error
        self._enter(ANSWERING)
        self._update_reading()

    def _send_refusal(self, error: SeptetError) -> None:
        path = self._url.partition(b"?")[0].decode("latin-1")
        reply = self._app.refuse(error, path, dict(self._headers))
        self._transport.write(self._state.rendered(reply, keep=False, with_body=True))
        self._enter(LINGERING)
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._update_reading()

    def _close(self) -> None:
        """Close once everything is written."""
        self._enter(CLOSING)
        self._transport.close()

    def _close_idle(self) -> None:
        """Close, unless a request has come since."""
        if self._phase in DRAIN_SECONDS:
            self._close()

    def _enter(self, phase: int) -> None:
        self._phase = phase
        self._since = self._registry.seconds
