"""HTTP/1.1 for our own runner: requests answered straight from the parser.

Theory of operation. uvicorn keeps the sockets, signals and lifecycle; httptools parses. An ASGI request would cost a
scope, two closures, an event and a task, together more than a small model; here a complete request goes to the
application as one record, driven without a task (`Drive`), and the reply is written as one piece. Codecs, predictor
and answers are those of the ASGI application: only the transport is shorter.

Limits that uvicorn does not have stand here: bytes and number of headers, bytes of a body, number of connections, and
the time that a connection may stay in a phase, checked by one sweep a second instead of timers for every request.
Requests that are pipelined behind an unfinished one wait in order.
"""

import asyncio
from collections import deque
from typing import Any
from urllib.parse import unquote_to_bytes

import httptools
import msgspec
from uvicorn.config import Config
from uvicorn.server import ServerState

from septet.errors import HeadersTooLarge, Malformed, SeptetError, TimedOut, Unavailable
from septet.protocols.asgi import check_length, refusal
from septet.protocols.http import HttpReply, HttpRequest
from septet.server.drive import Drive
from septet.server.phase import Phase
from septet.server.wire import Wire

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
# Pipelined requests that may wait before reading from their connection pauses.
MOST_QUEUED = 16


class Exchange(msgspec.Struct, frozen=True):
    """A complete request, and whether its connection may be used again after the answer."""

    http: HttpRequest
    keep_alive: bool


class HttpConnection(asyncio.Protocol):
    """One connection, with the constructor and the `shutdown` that uvicorn's server expects of a protocol."""

    def __init__(
        self,
        wire: Wire,
        config: Config,  # noqa: ARG002 - uvicorn passes it
        server_state: ServerState,
        app_state: dict[str, Any],  # noqa: ARG002 - uvicorn passes it
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._wire = wire
        self._app = wire.app
        self._state = server_state
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport
        self._drive: Drive[HttpReply] | None = None
        self._current: Exchange | None = None
        self._queue: deque[Exchange] = deque()
        self._phase = Phase.NEW
        self._since = wire.seconds
        self._closing = False
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._parts: list[bytes] = []
        self._body_bytes = 0
        self._head_bytes = 0
        self._chunk_bytes = 0

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, or refuse at once where there are too many connections."""
        self._transport = transport  # type: ignore[assignment]
        self._state.connections.add(self)  # type: ignore[arg-type]
        if len(self._state.connections) > self._wire.limits.max_connections:
            self._refuse(Unavailable("There are too many connections. Try again in a moment."))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Cancel what nobody waits for any more (SY-9)."""
        self._state.connections.discard(self)  # type: ignore[arg-type]
        self._queue.clear()
        if self._drive is not None:
            self._drive.cancel()

    def eof_received(self) -> bool:
        """The caller sends no more but may still read: answer what it asked, then close."""
        self._closing = True
        return self._drive is not None and self._transport.get_extra_info("sslcontext") is None

    def data_received(self, data: bytes) -> None:
        """Parse what came; anything that is not HTTP is answered 400 and ends the connection."""
        self._chunk_bytes = len(data)
        if self._phase is Phase.HEAD:
            self._head_bytes += len(data)
            if self._head_bytes > self._wire.limits.max_header_bytes:
                self._refuse(self._too_large_head())
                return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # an offer to upgrade may be declined by answering the request as it is (RFC 9110, 7.8)
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            self._refuse(cause if isinstance(cause, SeptetError) else Malformed("The request cannot be read."))
        except httptools.HttpParserError as error:
            self._refuse(Malformed(f"The request is not HTTP/1.1: {error}."))

    def pause_writing(self) -> None:
        """Read no further requests from a client that does not read its answers."""
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Read again."""
        self._transport.resume_reading()

    # What uvicorn's server and the sweep call.

    def shutdown(self) -> None:
        """Drain: close an idle connection now, any other after its last answer."""
        self._closing = True
        if self._phase is Phase.IDLE:
            self._transport.close()

    def swept(self) -> None:
        """Close the connection where its phase has lasted too long."""
        longest = self._wire.longest.get(self._phase)
        if longest is None or self._wire.seconds - self._since <= longest or self._transport.is_closing():
            return
        if self._phase in (Phase.NEW, Phase.IDLE):
            self._transport.close()
        else:
            self._refuse(TimedOut(f"The request was not complete within {longest:g} s."))

    # What the parser calls. An error raised here reaches `data_received` as the callback error's context.

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._enter(Phase.HEAD)
        self._url = b""
        self._headers = []
        self._parts = []
        self._body_bytes = 0
        self._head_bytes = 0

    def on_url(self, url: bytes) -> None:
        """Keep a piece of the URL."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header, up to the limit of their number."""
        self._headers.append((name.lower(), value))
        if len(self._headers) > self._wire.limits.max_headers:
            raise self._too_large_head()

    def on_headers_complete(self) -> None:
        """Refuse a head that is too large, and a body that is announced too large before it is sent."""
        limit = self._wire.limits.max_header_bytes
        if self._head_bytes + self._chunk_bytes > limit and self._sum_head() > limit:
            raise self._too_large_head()
        self._enter(Phase.BODY)
        for name, value in self._headers:
            if name == b"content-length" and value.isdigit():
                check_length(int(value), self._wire.limits.max_body_bytes)
            elif name == b"expect" and value.lower() == b"100-continue" and self._drive is None:
                self._transport.write(CONTINUE)

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body, up to the limit."""
        self._body_bytes += len(body)
        check_length(self._body_bytes, self._wire.limits.max_body_bytes)
        self._parts.append(body)

    def on_message_complete(self) -> None:
        """Answer a complete request, or queue it behind the one that is being answered."""
        self._enter(Phase.ANSWERING)
        keep_alive = self._parser.should_keep_alive() and self._parser.get_http_version() == "1.1"
        path, _, query = self._url.partition(b"?")
        if b"%" in path or b"#" in self._url or not path.startswith(b"/"):
            path, query = self._parsed_url()
        parts = self._parts
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        method = self._parser.get_method().decode("ascii")
        http = HttpRequest(method, path.decode("latin-1"), query, dict(self._headers), body)
        exchange = Exchange(http, keep_alive)
        if self._drive is None:
            self._answer(exchange)
            return
        self._queue.append(exchange)
        if len(self._queue) == MOST_QUEUED:
            self._transport.pause_reading()

    # Ours.

    def _answer(self, exchange: Exchange) -> None:
        self._current = exchange
        self._drive = Drive(self._app(exchange.http), self._reply)  # type: ignore[arg-type]
        self._drive.step()

    def _reply(self, reply: HttpReply) -> None:
        """Write a reply, then answer the next request or wait for one."""
        self._drive = None
        if self._transport.is_closing() or self._current is None:
            return
        self._state.total_requests += 1
        exchange = self._current
        last = not self._queue
        keep = exchange.keep_alive and not (last and (self._closing or self._app.draining))
        with_body = exchange.http.method != "HEAD"
        self._transport.write(self._wire.rendered(reply, self._state, keep=keep, with_body=with_body))
        if not keep:
            self._transport.close()
        elif not last:
            following = self._queue.popleft()
            if len(self._queue) == MOST_QUEUED - 1:
                self._transport.resume_reading()
            self._answer(following)
        elif self._phase is Phase.ANSWERING:
            self._enter(Phase.IDLE)

    def _refuse(self, error: SeptetError) -> None:
        """Answer what cannot be read, and close: where one request ends and the next begins is no longer known."""
        if self._transport.is_closing():
            return
        if self._drive is None:  # an answer on its way must not be overtaken
            self._transport.write(self._wire.rendered(refusal(error), self._state, keep=False, with_body=True))
        self._transport.close()

    def _enter(self, phase: Phase) -> None:
        self._phase = phase
        self._since = self._wire.seconds

    def _sum_head(self) -> int:
        return len(self._url) + sum(len(name) + len(value) + 4 for name, value in self._headers)

    def _too_large_head(self) -> SeptetError:
        limits = self._wire.limits
        text = f"The request's head is over the limit of {limits.max_header_bytes} bytes or {limits.max_headers} headers."
        return HeadersTooLarge(text)

    def _parsed_url(self) -> tuple[bytes, bytes]:
        """Path and query of a URL that is escaped or absolute; the path unescaped, as ASGI has it."""
        try:
            url = httptools.parse_url(self._url)
        except httptools.HttpParserInvalidURLError:
            raise Malformed("The request's URL cannot be read.") from None
        return unquote_to_bytes(url.path or b"/"), url.query or b""
