"""One call of a gRPC method: its messages in, its answers out. A class for each way in which methods stream.

A call never blocks: the connection passes it what has arrived, it calls the application, and is called back. So
predictions that come in one turn of the event loop share a run of the model, and none needs a task.
"""

import asyncio
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping
from typing import Final, Protocol

import msgspec

from septet.errors import Cancelled, DeadlineExceeded, Malformed, SeptetError, TimedOut, Unimplemented
from septet.protocols.http.content_encoding import CODING
from septet.protocols.http.http_messages import HttpReply, HttpRequest
from septet.protocols.rpc.methods import Method, timeout_of
from septet.server.h2.frame_budget import FrameBudget
from septet.server.h2.grpc_headers import INTERNAL, UNAVAILABLE
from septet.server.h2.grpc_messages import PREFIX_BYTES, GrpcMessage, MessageBuffer
from septet.server.h2.h2_frames import ErrorCode
from septet.server.h2.h2_server_state import H2ServerState
from septet.server.h2.header_decoder import IDENTITY, CallHead
from septet.types import Pending

#: The calls that a connection may have at once.
MAX_STREAMS: Final = 128
#: What a stream may send before its message is known to be larger, in bytes.
STREAM_WINDOW: Final = 1 << 17
#: Of a stream, in a turn of the event loop.
MESSAGES_PER_TURN: Final = 32
_TIMEOUT: Final = b"grpc-timeout"
#: Codes of replies that end a stream: what follows would be refused as well.
_ENDING: Final = frozenset(("unauthenticated", "misdirected"))
_MOST_MILLISECONDS: Final = 99_999_999  # gRPC writes a timeout with at most eight digits


class Uncompressed(Malformed):
    """Raised when a message has the flag of compression, and its call names no encoding.

    gRPC has a status of its own for it, which is none for faults of a caller: INTERNAL.
    """


class StreamOwner(Protocol):
    """A connection, as its calls see it.

    Attributes:
        state: what it shares with the others.
        refusing_streams: it takes no more calls.
        budget: of frames that bring nothing.
    """

    state: H2ServerState
    budget: FrameBudget
    refusing_streams: bool

    def may_begin(self, call: "GrpcCall") -> bool:
        """Whether there is room for the answer of a call; it is begun later where there is not."""

    def send(self, call: "GrpcCall", body: bytes, trailers: bytes | None) -> None:
        """Send a message; with trailers it is the last one, and the call is over."""

    def end(self, call: "GrpcCall", trailers: bytes) -> None:
        """End the call without a further message."""

    def grant_window(self, call: "GrpcCall") -> None:
        """Give the caller leave to send the rest of a message, or the next one."""

    def reset(self, call: "GrpcCall", code: ErrorCode) -> None:
        """End the call at once, without an answer."""


class GrpcCall(ABC):
    """What all calls have in common.

    Attributes:
        number: of its stream.
        busy: the application has not answered yet.
        announced_bytes: what the content-length leaves to come; None where there was none.
        ended: the client has closed its side of the stream.
        opened: the head of the answer is sent.
        closed: nothing more may be sent.
        window: the bytes that may be sent to the caller.
        may_send: the bytes that the caller may send.
        reserved: those of them, and of what has come, that are beyond the window of its stream.
        awaiting_window: the caller waits for leave to send.
        observed: the application has, or had, a request of it, whose end the observer is told of.
        pending_data: what waits for the caller's windows.
        trailers: what goes behind that, and ends the call.
        since: when it last got on, in the worker's seconds.
    """

    __slots__ = (
        *("_buffer", "_head", "_held", "_held_since", "_method", "_owner", "_pending", "announced_bytes"),
        *("awaiting_window", "busy", "closed", "ended", "may_send", "number", "observed", "opened", "pending_data"),
        *("reserved", "since", "trailers", "window"),
    )

    def __init__(self, owner: StreamOwner, number: int, method: Method, head: CallHead) -> None:
        self._owner = owner
        self._method = method
        self._head = head
        self._buffer = MessageBuffer()
        self._pending: Pending | None = None
        # What waits for room to be begun, and since when.
        self._held: HttpRequest | None = None
        self._held_since = 0.0
        self.number = number
        self.announced_bytes = head.content_length
        self.busy = self.ended = self.opened = self.closed = self.observed = self.awaiting_window = False
        self.window = self.reserved = 0
        self.may_send = STREAM_WINDOW
        self.pending_data: deque[memoryview] = deque()
        self.trailers: bytes | None = None
        self.since = owner.state.registry.seconds

    @property
    def buffered_bytes(self) -> int:
        """The bytes that have come and were not taken yet."""
        return len(self._buffer)

    @property
    def missing_bytes(self) -> int:
        """The bytes of the message that has begun which have not come."""
        return self._buffer.missing_bytes

    def receive(self, data: bytes) -> None:
        """Take in what came; `ended` is set before where nothing follows."""
        try:
            self._take(data)
        except SeptetError as error:
            self.refuse(error)

    def refuse(self, error: SeptetError) -> None:
        """End the call with an error that its handler knows nothing of."""
        state = self._owner.state
        self._owner.budget.charge(1)
        self.observed = True
        self._held = None
        reply = state.app.refuse(error, self._head.path, self._head.headers)
        if isinstance(error, Uncompressed):
            self._owner.end(self, state.trailers.ended(INTERNAL, error.message))
        else:
            self._owner.end(self, state.trailers.failure(reply))

    def cancel(self, error: SeptetError | None = None) -> None:
        """Nobody waits for an answer any more, because of an error of the caller's or because it has gone."""
        self.closed = True
        self._held = None
        pending, self._pending = self._pending, None
        if self.busy and pending is not None:
            pending.cancel()
        if not self.observed:
            self.observed = True
            self._owner.state.app.refuse(
                error or Cancelled("The call was given up."), self._head.path, self._head.headers
            )

    def advanced(self) -> None:
        """The caller has taken some of what is sent."""
        self.since = self._owner.state.registry.seconds

    def on_sent(self) -> None:  # noqa: B027 - most calls do nothing then
        """What waited for the caller's windows is on its way, and the call goes on."""

    def on_draining(self) -> None:  # noqa: B027 - most calls do nothing then
        """The server is about to stop."""

    def on_stopping(self) -> None:  # noqa: B027 - most calls do nothing then
        """The connection takes no more calls, and ends when those it has are over."""

    def check_timeouts(self) -> None:
        """End the call where the caller is too slow in sending, or in taking what is sent."""
        state = self._owner.state
        limits, seconds = state.limits, state.registry.seconds - self.since
        if self.pending_data:
            if seconds > limits.keep_alive_seconds:
                self._owner.reset(self, ErrorCode.CANCEL)
        elif self._held is not None:
            if time.monotonic() - self._held_since > limits.timeout_seconds:
                self.refuse(DeadlineExceeded("The answers to other calls of the connection were not read in time."))
        elif self.awaiting_window:
            self.advanced()
        elif self._expecting() and seconds > limits.body_timeout_seconds:
            self.refuse(TimedOut(f"The message was not complete within {limits.body_timeout_seconds:g} s."))

    @abstractmethod
    def _take(self, data: bytes) -> None:
        """Take in what came; raises SeptetError where the call cannot go on."""

    @abstractmethod
    def _expecting(self) -> bool:
        """Whether the caller owes the rest of a message."""

    @abstractmethod
    def _reply(self, reply: HttpReply) -> None:
        """Send what the application has answered."""

    def begin_held(self) -> None:
        """Hand over what has waited for room, with the time that is left of it."""
        held, self._held = self._held, None
        if held is None:
            return
        try:
            headers = with_time_left(held.headers, self._held_since)
        except Malformed:
            headers = held.headers  # of which the caller is told
        self._submit(msgspec.structs.replace(held, headers=headers))

    def _answered(self, reply: HttpReply) -> None:
        self.busy = False
        self._pending = None
        if not self.closed:
            self._reply(reply)

    def _ask(self, message: GrpcMessage, headers: Mapping[bytes, bytes]) -> None:
        """Hand a message to the application, which may answer before this returns.

        Raises:
            Uncompressed: its flag says that it is compressed, and no header says how.
        """
        if message.compressed:
            if self._head.coding == IDENTITY:
                raise Uncompressed("The message is compressed, but no grpc-encoding says how.")
            headers = {**headers, CODING: self._head.coding}
        head = self._head
        http = HttpRequest("POST", head.path, b"", headers, message.body, "", head.known_context)
        if self._owner.may_begin(self):
            self._submit(http)
        else:
            self._held, self._held_since, self.busy = http, time.monotonic(), False

    def _submit(self, http: HttpRequest) -> None:
        self.busy = self.observed = True
        self._pending = self._owner.state.app.answer(http, self._answered)


class UnaryCall(GrpcCall):
    """One message, one answer."""

    __slots__ = ("_message",)

    def __init__(self, owner: StreamOwner, number: int, method: Method, head: CallHead) -> None:
        super().__init__(owner, number, method, head)
        self._message: GrpcMessage | None = None

    def _take(self, data: bytes) -> None:
        buffer = self._buffer
        if (
            self.ended
            and not buffer
            and self._message is None
            and is_single_message(data, self._owner.state.limits.max_body_bytes)
        ):
            self._begin(GrpcMessage(data[PREFIX_BYTES:], compressed=False))
            return
        buffer.extend(data)
        if self._message is None:
            self._message = buffer.take(self._owner.state.limits.max_body_bytes)
        if self._message is not None and buffer:
            raise Unimplemented(f"{self._head.path} takes one message, not several.")
        if not self.ended:
            if self._message is None:
                self._owner.grant_window(self)
        elif self._message is not None:
            self._begin(self._message)
        elif buffer:
            raise Malformed("The call ended within its message.")
        else:
            raise Unimplemented(f"{self._head.path} takes one message, and none came.")

    def _begin(self, message: GrpcMessage) -> None:
        self._ask(message, self._head.headers)

    def _reply(self, reply: HttpReply) -> None:
        answers = self._owner.state.trailers
        if reply.code == "ok":
            self._owner.send(self, reply.body, answers.success(reply))
        else:
            self._owner.end(self, answers.failure(reply))

    def _expecting(self) -> bool:
        return not self.ended


def is_single_message(data: bytes, most: int) -> bool:
    """Whether the bytes are exactly one message that is not compressed: the usual frame of a unary call."""
    size = len(data) - PREFIX_BYTES
    return 0 <= size <= most and data[0] == 0 and int.from_bytes(data[1:PREFIX_BYTES]) == size


class WatchCall(UnaryCall):
    """One message, an answer now, and another when the server drains."""

    __slots__ = ("_told_draining",)

    def _begin(self, message: GrpcMessage) -> None:
        self._message = message
        self._told_draining = self._owner.state.draining
        self._ask(message, self._head.headers)

    def _reply(self, reply: HttpReply) -> None:
        if reply.code != "ok":
            self._owner.end(self, self._owner.state.trailers.failure(reply))
            return
        self._owner.send(self, reply.body, None)
        self.on_draining()
        self.on_stopping()

    def on_draining(self) -> None:
        """Answer again, unless this is what was answered."""
        message = self._message
        if self.ended and message is not None and not self.busy and self._owner.state.draining != self._told_draining:
            self._begin(message)

    def on_stopping(self) -> None:
        """There is nothing more to tell."""
        if self._owner.refusing_streams and self.ended and not self.busy and not self.closed:
            self._owner.end(self, self._owner.state.trailers.plain)


class BidirectionalCall(GrpcCall):
    """Messages come and go, each answered in turn, until the caller ends or the server does."""

    __slots__ = ("_begun", "_resuming", "_turning")

    def __init__(self, owner: StreamOwner, number: int, method: Method, head: CallHead) -> None:
        super().__init__(owner, number, method, head)
        self._begun = time.monotonic()
        self._turning = self._resuming = False

    def _take(self, data: bytes) -> None:
        if not self._buffer:
            self.since = self._owner.state.registry.seconds
        self._buffer.extend(data)
        self._turn()

    def _reply(self, reply: HttpReply) -> None:
        fault = self._method.fault
        if reply.code == "ok":
            self._owner.send(self, reply.body, None)
        elif fault is not None and reply.code not in _ENDING:
            self._owner.send(self, fault(reply), None)
        else:
            self._owner.end(self, self._owner.state.trailers.failure(reply))
        self._go_on()

    def on_sent(self) -> None:
        """Take the next message: none is while an answer waits to be taken by the caller."""
        self._go_on()

    def on_stopping(self) -> None:
        """What has come is answered, then the stream ends."""
        self._go_on()

    def _go_on(self) -> None:
        try:
            self._turn()
        except SeptetError as error:
            self.refuse(error)

    def _turn(self) -> None:
        """Answer what can be answered now: a loop, since the answers to many may come at once.

        After some messages the rest waits for the next turn of the event loop: a frame may hold thousands.
        """
        if self._turning:
            return
        self._turning = True
        most_bytes = self._owner.state.limits.max_body_bytes
        try:
            for _ in range(MESSAGES_PER_TURN):
                if not self._free or (message := self._buffer.take(most_bytes)) is None:
                    break
                self.since = self._owner.state.registry.seconds
                self._ask(message, self._headers())
            else:
                self._resume_later()
        finally:
            self._turning = False
        if self._free and not self._resuming:
            self._end_if_answered()

    def _resume_later(self) -> None:
        if not self._resuming:
            self._resuming = True
            asyncio.get_running_loop().call_soon(self._resume)

    def _resume(self) -> None:
        self._resuming = False
        if not self.closed:
            self._go_on()

    @property
    def _free(self) -> bool:
        return not (self.busy or self.pending_data or self.closed or self._held is not None)

    def _end_if_answered(self) -> None:
        """End the call where the client or the server has ended it: all messages so far are answered."""
        owner = self._owner
        if self.ended:
            if self._buffer:
                raise Malformed("The call ended within a message.")
            owner.end(self, owner.state.trailers.plain)
        elif owner.refusing_streams:
            owner.end(self, owner.state.trailers.ended(UNAVAILABLE, "The server is draining."))
        else:
            owner.grant_window(self)

    def _headers(self) -> Mapping[bytes, bytes]:
        """The caller's, with the time that is left of the call."""
        return with_time_left(self._head.headers, self._begun)

    def _expecting(self) -> bool:
        return bool(self._buffer) and not self.busy


def with_time_left(headers: Mapping[bytes, bytes], begun: float) -> Mapping[bytes, bytes]:
    """The headers of a call with the time that is left of it, where it names one; `begun` is on the monotonic clock."""
    seconds = timeout_of(headers)
    if seconds is None:
        return headers
    left = int((begun + seconds - time.monotonic()) * 1000)
    return {**headers, _TIMEOUT: b"%dm" % max(0, min(left, _MOST_MILLISECONDS))}


#: By `Method.streams`.
KINDS: Final[Mapping[str, type[GrpcCall]]] = {"no": UnaryCall, "both": BidirectionalCall, "answers": WatchCall}
