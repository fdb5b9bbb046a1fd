"""HTTP/1.1 for our own runner: requests answered straight from the parser.

Theory of operation. httptools parses what uvloop's transports bring. An ASGI request would cost a scope, two closures,
an event and a task, together more than a small model; here a complete request goes to the application as one record,
a prediction is driven by callbacks, and the reply is written as one piece. A head of the very bytes of an earlier one
is not parsed again (`RequestHeadCache`). Codecs, predictor and answers are those of the ASGI application.

Order: requests that are pipelined behind an unfinished one wait, and so does the refusal of what follows them.

Fairness: a transport may bring 256 KB at once, many times in one turn of the event loop, and each may hold thousands of
requests or chunks. A connection parses for a third of a millisecond in a turn, answers for another, and leaves the
rest, and reading, to a later turn.

Memory: a connection that is ahead is not read: behind `MAX_PIPELINED` requests, or `MAX_WAITING_BYTES` of their
bodies; nor one whose client does not read its answers, which is not answered any further either. What a client abandons
is freed as soon as its connection is lost: nothing here lives in a cycle by then.

Time: a phase may last so long, checked by one sweep a second instead of timers for every request. A client that reads
slowly, but reads, is not cut off.

The end: behind the last answer the connection sends no more, and discards what still comes for a moment. Closing with
bytes unread would reset it, and the client might never see its answers (RFC 9112, 9.6).
"""

import asyncio
from collections import deque
from time import perf_counter
from typing import Final

from septet.errors import SeptetError, TimedOut, Unavailable
from septet.protocols.http.http_messages import HttpReply, HttpRequest
from septet.server.connection_phase import ANSWERING, BODY, CLOSING, DRAIN_SECONDS, IDLE, LINGERING, NEW
from septet.server.http_server_state import MAX_LINGER_BYTES, MAX_LINGER_SECONDS, HttpServerState
from septet.server.request_head_cache import RequestHead
from septet.server.request_parser import PipelinedRequest, RequestParser
from septet.server.send_progress import send_progress
from septet.server.streamed_reply import StreamedReply
from septet.types import Pending

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
# Pipelined requests that may wait before reading from their connection pauses, and the bytes of their bodies.
MAX_PIPELINED: Final = 16
MAX_WAITING_BYTES: Final = 1 << 20
# What one connection may do in a turn of the event loop: bytes to parse where each may begin something, and seconds to
# answer pipelined requests in.
SLICE_BYTES: Final = 2048
TURN_SECONDS: Final = 0.0003
# A chunk of so many bytes is most of what a transport reads at once: more may follow within the same turn.
LARGE_CHUNK_BYTES: Final = 65_536
NOTHING: Final = memoryview(b"")


class HttpConnection(asyncio.Protocol):
    """One connection.

    Whether the connection reads is decided in one place, `_update_reading`.
    """

    def __init__(self, state: HttpServerState) -> None:
        self._state = state
        self._app = state.app
        self._registry = state.registry
        self._parser = RequestParser(state.limits, state.app.check_caller)
        self._transport: asyncio.Transport
        # The request that is being answered, and how to give it up.
        self._current: HttpRequest | None = None
        self._pending: Pending | None = None
        self._keep_alive = False
        # Its reply is written piece by piece, and the pieces are not over.
        self._streaming = False
        # Complete requests behind the current one, and the bytes of their bodies.
        self._queue: deque[PipelinedRequest] = deque()
        self._waiting_bytes = 0
        # What came and is left to a later turn of the loop.
        self._unparsed = NOTHING
        # This turn's work is done: `_go_on` is called in the next.
        self._resting = False
        self._answering_queue = False
        # The known head of the last request.
        self._head: RequestHead | None = None
        # The error that is sent behind the answers on their way; nothing is read after it.
        self._refusal: SeptetError | None = None
        # Since when the client has not read its answers, by the registry's clock, and how far it had come by then.
        self._write_paused = False
        self._stuck_since = 0
        self._sent: tuple[int, int] | None = None
        self._read_paused = False
        self._phase = NEW
        self._since = self._registry.seconds
        # The connection closes behind its last answer: the client has ended its sending, or the server stops.
        self._closing = False
        self._peer_ended = self._stopping = False
        # Until when, and how much, the client may still send behind the last answer.
        self._linger_until = 0
        self._discarded_bytes = 0

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, or refuse at once where there are too many connections."""
        self._transport = transport  # type: ignore[assignment]
        self._registry.add(self)
        if len(self._registry) > self._state.limits.max_connections:
            self._refuse(Unavailable("There are too many connections. Try again in a moment."))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Cancel what nobody waits for any more, and let go of what came."""
        self._registry.remove(self)
        self._phase = CLOSING
        for request in self._queue:
            self._app.abandon(request.http)
        self._state.abandoned.add(self._waiting_bytes + self._parser.close())
        self._drop_unanswered()
        if self._refusal is not None:
            self._app.refuse(self._refusal, self._parser.path, self._parser.headers)
            self._refusal = None
        self._current, pending, self._pending = None, self._pending, None
        if pending is not None:
            pending.cancel()

    def eof_received(self) -> bool:
        """The caller sends no more but may still read: answer what it asked, then close."""
        self._closing = self._peer_ended = True
        pending = self._current is not None or bool(self._queue) or bool(self._unparsed)
        return pending and self._transport.get_extra_info("sslcontext") is None

    def data_received(self, data: bytes) -> None:
        """Parse what came; anything that is not HTTP is answered 400 and ends the connection."""
        if self._refusal is not None or self._phase >= CLOSING:
            self._discard(len(data))
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
                if not self._write_paused:
                    self._answer(http, keep_alive=True)
                else:
                    self._wait(PipelinedRequest(http, keep_alive=True))
                return
        self._parse(data, between=between)

    def pause_writing(self) -> None:
        """Take nothing further from a client that does not read its answers."""
        self._write_paused = True
        self._stuck_since = self._registry.seconds
        self._update_reading()

    def resume_writing(self) -> None:
        """Go on."""
        self._write_paused = False
        if not self._transport.is_closing():
            self._answer_queue()

    # What the server and the registry call.

    def shutdown(self) -> None:
        """Drain: close a connection that stays idle, any other behind the answers to what was read by now."""
        self._closing = self._stopping = True
        self._linger_until = min(self._linger_until, self._registry.seconds + 1)
        if self._phase in DRAIN_SECONDS:
            asyncio.get_running_loop().call_later(DRAIN_SECONDS[self._phase], self._close_idle)
        elif self._phase < CLOSING:
            self._update_reading()

    def check_timeouts(self) -> None:
        """Close the connection where its phase has lasted too long."""
        now, limits = self._registry.seconds, self._state.phase_seconds
        if self._write_paused or self._phase >= CLOSING:
            self._check_sending(now)
            if self._write_paused or self._transport.is_closing():
                return
        if self._peer_ended and self._current is not None and not self._streaming:
            self._find_out_who_reads()
        if self._read_paused and self._phase < CLOSING:
            # It is not the client that lets us wait.
            self._since = now
            return
        longest = limits.get(self._phase)
        if longest is None or now - self._since <= longest:
            return
        if self._phase == CLOSING:
            self._transport.abort()
        elif self._phase in DRAIN_SECONDS or self._phase == LINGERING:
            self._close()
        else:
            self._refuse(TimedOut(f"The request was not complete within {longest:g} s."))

    # From bytes to requests.

    def _check_sending(self, now: int) -> None:
        """Abort the connection where the client has taken nothing of what is sent for too long."""
        sent, before = send_progress(self._transport), self._sent
        self._sent = sent
        if sent != before:
            self._stuck_since = now
            if before is not None:
                self._since = now
        elif now - self._stuck_since > self._state.phase_seconds[CLOSING]:
            self._transport.abort()

    def _find_out_who_reads(self) -> None:
        """Send something to a caller that has ended its sending: the system of one that has gone answers with a reset.

        Any client may be sent this interim response (RFC 9110, 15.2), but for one of HTTP/1.0.
        """
        if self._parser.takes_interim:
            self._transport.write(CONTINUE)

    def _parse(self, data: bytes, *, between: bool) -> None:
        """Parse a chunk, or this turn's part of it, and keep its head where it was one whole request."""
        if self._unparsed:
            self._unparsed = memoryview(bytes(self._unparsed) + data)
            return
        parser = self._parser
        error, complete = self._parse_slice(data), parser.taken()
        if between and len(complete) == 1 and parser.phase == IDLE and not self._unparsed and complete[0].keep_alive:
            self._state.heads.keep(data, complete[0].http)
        self._take(complete, error)
        if len(data) >= LARGE_CHUNK_BYTES or self._unparsed:
            self._rest()

    def _parse_slice(self, data: "bytes | memoryview") -> SeptetError | None:
        """Parse until requests are complete or this turn's time is over, and keep the rest."""
        parser = self._parser
        if len(data) <= SLICE_BYTES:
            self._unparsed = NOTHING
            return parser.feed(data)
        rest, end, error = memoryview(data), perf_counter() + TURN_SECONDS, None
        while rest and error is None and not parser.complete and perf_counter() < end:
            # A long header is put together anew with each piece: so the pieces grow with it.
            size = max(SLICE_BYTES, parser.body_left, parser.head_bytes // 4)
            error = parser.feed(rest[:size])
            rest = rest[size:]
        self._unparsed = rest
        return error

    def _take(self, complete: list[PipelinedRequest], error: SeptetError | None) -> None:
        """Answer complete requests, or let them wait for their turn."""
        phase = self._parser.phase
        if complete:
            self._phase = phase if phase > IDLE else ANSWERING
            self._since = self._registry.seconds
        elif phase > IDLE and phase != self._phase:
            self._enter(phase)
        if len(complete) == 1 and self._current is None and not self._queue and not self._write_paused:
            self._answer(complete[0].http, keep_alive=complete[0].keep_alive)
        else:
            for request in complete:
                self._wait(request)
            self._answer_queue()
        if error is not None:
            self._refuse(error)
        elif self._parser.expects_continue:
            self._tell_to_continue()

    def _wait(self, request: PipelinedRequest) -> None:
        """Let a complete request wait behind others."""
        self._queue.append(request)
        self._waiting_bytes += len(request.http.body)
        if self._is_ahead():
            self._update_reading()

    def _tell_to_continue(self) -> None:
        """Ask for the body that the client holds back, once its answers are not mixed up with others."""
        if self._current is None and not self._queue and self._phase == BODY:
            self._parser.expects_continue = False
            self._transport.write(CONTINUE)

    def _rest(self) -> None:
        """Leave what is to be done to the next turn of the loop, behind the work of others."""
        if not self._resting:
            self._resting = True
            asyncio.get_running_loop().call_soon(self._go_on)
            self._update_reading()

    def _go_on(self) -> None:
        """Do this turn's part of what was left."""
        self._resting = False
        if self._phase >= CLOSING or self._transport.is_closing():
            self._update_reading()
            return
        if self._unparsed and not self._is_blocked():
            error = self._parse_slice(self._unparsed)
            self._take(self._parser.taken(), error)
        else:
            self._answer_queue()
        self._update_reading()

    # From a request to its answer.

    def _answer(self, http: HttpRequest, *, keep_alive: bool) -> None:
        self._current = http
        self._keep_alive = keep_alive
        pending = self._app.answer(http, self._reply)
        # Where the answer came at once, the next request may have taken this place already, or its pieces have.
        if self._current is http and not self._streaming:
            self._pending = pending

    def _reply(self, reply: HttpReply) -> None:
        """Write a reply, then answer the next request or wait for one."""
        http, transport, state = self._current, self._transport, self._state
        self._current = self._pending = None
        if http is None or transport.is_closing():
            return
        state.answered += 1
        if reply.pieces is not None:
            self._stream(reply, http)
            return
        last = not self._queue and self._refusal is None and (self._stopping or not self._unparsed)
        keep = self._keep_alive and not (last and (self._closing or self._app.state.draining))
        transport.write(state.rendered(reply, keep=keep, with_body=http.method != "HEAD"))
        self._replied(keep=keep, last=last)

    def _replied(self, *, keep: bool, last: bool) -> None:
        """Go on behind a reply; `last` says whether none waits behind it."""
        if not keep:
            self._linger(unread=not last)
        elif not last:
            self._answer_queue()
        elif self._phase == ANSWERING:
            self._phase = IDLE
            self._since = self._registry.seconds
        elif self._parser.expects_continue:
            self._tell_to_continue()

    def _stream(self, reply: HttpReply, http: HttpRequest) -> None:
        """Write the head of a reply, and its pieces as they come; requests behind it wait for the last one."""
        chunked = self._parser.takes_interim  # HTTP/1.0 has no chunks
        self._keep_alive = keep = self._keep_alive and chunked and not (self._closing or self._app.state.draining)
        self._transport.write(self._state.rendered_head(reply, keep=keep, chunked=chunked))
        if reply.pieces is None or http.method == "HEAD":
            self._streamed()
            return
        self._current, self._streaming = http, True
        self._pending = StreamedReply(self._transport, reply.body, reply.pieces, self._streamed, chunked=chunked)

    def _streamed(self) -> None:
        """The last piece is written."""
        self._current, self._pending, self._streaming = None, None, False
        last = not self._queue and self._refusal is None and (self._stopping or not self._unparsed)
        self._replied(keep=self._keep_alive and not (last and self._closing), last=last)

    def _answer_queue(self) -> None:
        """Answer requests that wait, as far as that can be done now: a loop, since the answers to many come at once."""
        if self._answering_queue or self._resting:
            return
        self._answering_queue = True
        end = perf_counter() + TURN_SECONDS
        while self._can_answer() and perf_counter() < end:
            request = self._queue.popleft()
            self._waiting_bytes -= len(request.http.body)
            self._answer(request.http, keep_alive=request.keep_alive)
        self._answering_queue = False
        if self._phase >= CLOSING or self._write_paused:
            return
        if self._can_answer():
            self._rest()
        elif self._refusal is not None and self._current is None and not self._queue:
            self._send_refusal(self._refusal)
        else:
            self._update_reading()

    def _can_answer(self) -> bool:
        """Whether a request waits whose turn it is."""
        return bool(self._queue) and self._current is None and not self._write_paused and self._phase < CLOSING

    # Reading, or not.

    def _is_ahead(self) -> bool:
        return len(self._queue) >= MAX_PIPELINED or self._waiting_bytes >= MAX_WAITING_BYTES

    def _is_blocked(self) -> bool:
        """Whether nothing more is parsed for now."""
        stopping = self._stopping and (self._current is not None or bool(self._queue))
        return self._write_paused or stopping or self._refusal is not None or self._is_ahead()

    def _update_reading(self) -> None:
        """Read from the client, or pause: while it does not read, while it is ahead, and behind what is refused."""
        blocked = self._is_blocked()
        if self._unparsed and not blocked and not self._resting and self._phase < CLOSING:
            self._rest()
        paused = blocked or self._resting or bool(self._unparsed)
        if self._phase >= CLOSING:
            paused = self._resting or self._discarded_bytes > MAX_LINGER_BYTES
        if paused is self._read_paused or self._transport.is_closing():
            return
        self._read_paused = paused
        if paused:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    # Refusing and closing.

    def _refuse(self, error: SeptetError) -> None:
        """Answer what cannot be read, and close: where one request ends and the next begins is no longer known."""
        if self._refusal is not None or self._phase >= CLOSING or self._transport.is_closing():
            return
        self._unparsed = NOTHING
        if self._current is None and not self._queue:
            self._send_refusal(error)
            return
        # The answers on their way must be neither lost nor overtaken.
        self._refusal = error
        self._enter(ANSWERING)
        self._update_reading()

    def _send_refusal(self, error: SeptetError) -> None:
        self._refusal = None
        reply = self._app.refuse(error, self._parser.path, self._parser.headers)
        self._transport.write(self._state.rendered(reply, keep=False, with_body=True))
        self._linger(unread=True)

    def _linger(self, *, unread: bool) -> None:
        """Send no more, and discard what still comes for a moment; what waits behind the last answer has none.

        `unread` says whether more is known to come.
        """
        self._drop_unanswered()
        transport = self._transport
        half_close = transport.can_write_eof()
        # TLS cannot end one direction: a client that waits for the end would wait for nothing.
        if self._peer_ended or transport.is_closing() or not (half_close or unread):
            self._close()
            return
        self._enter(LINGERING)
        self._linger_until = self._since + (1 if self._stopping else MAX_LINGER_SECONDS)
        self._sent = None
        self._stuck_since = self._since
        if half_close:
            transport.write_eof()
        self._update_reading()

    def _discard(self, size: int) -> None:
        """Read on for a client that still sends: it may read only when it has sent all."""
        self._discarded_bytes += size
        if self._discarded_bytes > MAX_LINGER_BYTES:
            self._update_reading()
            return
        if self._registry.seconds < self._linger_until:
            self._since = self._registry.seconds
        if size >= LARGE_CHUNK_BYTES:
            self._rest()

    def _drop_unanswered(self) -> None:
        self._queue.clear()
        self._waiting_bytes = 0
        self._unparsed = NOTHING

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
