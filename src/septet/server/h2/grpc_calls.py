"""One call of a gRPC method: its messages in, its answers out. `streaming_calls` has those of several messages.

A call never blocks: the connection passes it what has arrived, it calls the application, and is called back. So
predictions that come in one turn of the event loop share a run of the model, and none needs a task.
"""

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
from septet.server.h2.grpc_headers import INTERNAL
from septet.server.h2.grpc_messages import PREFIX_BYTES, GrpcMessage, MessageBuffer
from septet.server.h2.h2_frames import ErrorCode
from septet.server.h2.h2_server_state import H2ServerState
from septet.server.h2.header_decoder import IDENTITY, CallHead
from septet.types import Pending

#: The calls that a connection may have at once.
MAX_STREAMS: Final = 128
#: What a stream may send before its message is known to be larger, in bytes.
STREAM_WINDOW: Final = 1 << 17
_TIMEOUT: Final = b"grpc-timeout"
# With whose routes calls share their timeout.
_ROUTE: Final = "/v2"
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

    def check_caller(self) -> None:
        """Refuse a caller who may not ask, before a large message of it is read.

        Raises:
            SeptetError: it is so.
        """
        self._owner.state.app.check_caller(self._head.path, self._head.headers)

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
            if time.monotonic() - self._held_since > limits.seconds_of(_ROUTE):
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
        self.busy = self.observed = True
        http = msgspec.structs.replace(held, headers=headers)
        self._pending = self._owner.state.app.answer(http, self._answered)

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
        owner = self._owner
        if owner.may_begin(self):
            self.busy = self.observed = True
            self._pending = owner.state.app.answer(http, self._answered)
        else:
            self._held, self._held_since, self.busy = http, time.monotonic(), False


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


def with_time_left(headers: Mapping[bytes, bytes], begun: float) -> Mapping[bytes, bytes]:
    """The headers of a call with the time that is left of it, where it names one; `begun` is on the monotonic clock."""
    seconds = timeout_of(headers)
    if seconds is None:
        return headers
    left = int((begun + seconds - time.monotonic()) * 1000)
    return {**headers, _TIMEOUT: b"%dm" % max(0, min(left, _MOST_MILLISECONDS))}
