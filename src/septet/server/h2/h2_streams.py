"""The streams of one HTTP/2 connection: frames in, calls opened, fed and forgotten.

Frames go to one method for each type. A header block opens a `GrpcCall`, data go to it, and it answers through
`FlowControlledWriter`; a whole unary prediction is one step from the bytes to the application, without a task. A stream
error (RFC 9113, 5.4.2) ends the stream, a connection error (5.4.1) the connection.

Against hostile clients: header blocks, messages, answers that wait and streams are bounded, and frames that make work
and bring nothing have a budget (`frame_budget`).
"""

from collections import deque
from collections.abc import Callable
from typing import ClassVar, Final

from septet.errors import Malformed, MethodNotAllowed, Overloaded, SeptetError, Unimplemented, UnsupportedMediaType
from septet.server.h2 import h2_frames
from septet.server.h2.flow_control import FlowControlledWriter
from septet.server.h2.frame_budget import REFUSED_BLOCK_BYTES, SMALL_DATA_BYTES, FrameBudget
from septet.server.h2.grpc_calls import MAX_STREAMS, GrpcCall
from septet.server.h2.grpc_headers import RESPONSE_HEADERS, UNAVAILABLE, http_status_only
from septet.server.h2.h2_frames import ErrorCode, H2ConnectionError, H2StreamError
from septet.server.h2.h2_server_state import H2ServerState
from septet.server.h2.header_decoder import CallHead, HeaderBlock, HeaderDecoder
from septet.server.h2.past_streams import PastStreams
from septet.server.h2.receive_windows import CONNECTION_WINDOW, ReceiveWindows
from septet.server.h2.streaming_calls import KINDS

#: Sent behind the first GOAWAY: the acknowledgement means that the client has read both.
GOAWAY_PING: Final = b"farewell"
_PING_BYTES, _PRIORITY_BYTES, _MIN_GOAWAY_BYTES = 8, 5, 8
_CODINGS: Final = frozenset((b"identity", b"gzip", b"deflate"))


class H2Streams:
    """A `StreamOwner` for its calls.

    `goaway_acknowledged` is called when the client knows that no more streams are answered, `emptied` when no call is
    left.

    Attributes:
        calls: those under way, by the numbers of their streams.
        out: what is sent of them.
        budget: of frames that bring nothing.
        last: the last stream that the client has opened.
        settings_received: the client's SETTINGS have come.
        block: the header block that has begun and not ended.
        refusing_streams: no more calls are taken.
    """

    def __init__(
        self,
        state: H2ServerState,
        write: Callable[[bytes], None],
        *,
        goaway_acknowledged: Callable[[], None],
        emptied: Callable[[], None],
    ) -> None:
        self.state = state
        self.calls: dict[int, GrpcCall] = {}
        self.budget = FrameBudget()
        self.out = FlowControlledWriter(write, self._finished, self.budget, state.limits.max_unread_bytes)
        self.last = 0
        self.settings_received = False
        self.block: HeaderBlock | None = None
        self.refusing_streams = False
        self._write = write
        self._goaway_acknowledged = goaway_acknowledged
        self._emptied = emptied
        self._decoder = HeaderDecoder(state.limits)
        self._in = ReceiveWindows(write)
        # The calls that wait for room for their answers.
        self._held: deque[GrpcCall] = deque()
        self._past = PastStreams()

    def take(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        """Act on one frame.

        Raises:
            H2ConnectionError: nothing more can be understood of the connection.
        """
        if (self.block is None) == (kind == h2_frames.CONTINUATION):
            raise H2ConnectionError(ErrorCode.PROTOCOL_ERROR, "A head must be sent in one piece.")
        if not self.settings_received and (kind != h2_frames.SETTINGS or flags & h2_frames.ACK):
            raise H2ConnectionError(ErrorCode.PROTOCOL_ERROR, "The first frame must be SETTINGS.")
        if kind >= len(self._KINDS):
            self.budget.spend()
            return  # for what a later version may bring
        try:
            self._KINDS[kind](self, flags, number, payload)
        except H2StreamError as fault:
            self._write(h2_frames.rst_stream(number, fault.code))
            call = self.calls.get(number)
            if call is not None:
                self._cancel(call, Malformed(f"The call breaks HTTP/2's rules: {fault.code.name}."))
            else:
                self._past.cut_short(number)
            self.budget.spend()

    def check_timeouts(self) -> None:
        """Begin a new second: look at every call."""
        self.budget.second_passed()
        self.out.second_passed()
        for call in list(self.calls.values()):
            call.check_timeouts()
        self._begin_held()

    def drop(self) -> None:
        """Give up every call."""
        calls = list(self.calls.values())
        self.calls.clear()
        self._held.clear()
        for call in calls:
            call.cancel()
            self.out.forget(call)

    def close(self) -> None:
        """The connection is gone: give up every call, and let go of everything."""
        self.state.abandoned.add(self.out.waiting_bytes + sum(call.buffered_bytes for call in self.calls.values()))
        self.drop()
        self.out.close()
        self._in.close()
        self._write = self._goaway_acknowledged = self._emptied = _pass_over

    # What calls ask for.

    def may_begin(self, call: GrpcCall) -> bool:
        """Whether there is room for the answer of a call; where there is not, the call is begun once there is."""
        if not self.out.largest or (not self._held and self.out.has_room(self._busy())):
            return True
        self._held.append(call)
        return False

    def send(self, call: GrpcCall, body: bytes, trailers: bytes | None) -> None:
        """Send a message; with trailers it is the last one."""
        if self.out.waiting_bytes and not self.out.has_room_for(len(body)):
            text = "The answers to other calls of the connection wait to be read. Read them, and try again."
            self.end(call, self.state.trailers.ended(UNAVAILABLE, text))
            return
        self.out.send(call, body, trailers)

    def end(self, call: GrpcCall, trailers: bytes) -> None:
        """End a call without a further message."""
        self.out.end(call, trailers)

    def grant_window(self, call: GrpcCall) -> None:
        """Give the client leave to send the rest of a message, or the next one.

        Raises:
            SeptetError: it may not ask, and need not send the rest.
        """
        if not call.reserved and call.buffered_bytes:
            call.check_caller()
        self._in.grant(call)

    def reset(self, call: GrpcCall, code: ErrorCode) -> None:
        """End a call at once."""
        self._write(h2_frames.rst_stream(call.number, code))
        self._cancel(call)

    # Frames.

    def _on_data(self, flags: int, number: int, payload: bytes) -> None:
        size = len(payload)
        incoming = self._in
        incoming.taken += size
        if incoming.taken >= CONNECTION_WINDOW // 2:
            incoming.give_back()
        data = h2_frames.unpadded(flags, payload)
        call = self.calls.get(number)
        if call is None:
            self._require_opened(number)
            if not self._past.was_cut_short(number):
                raise H2StreamError(ErrorCode.STREAM_CLOSED)
            self.budget.spend()
            return
        if call.ended:
            raise H2StreamError(ErrorCode.STREAM_CLOSED)
        call.may_send -= size
        if call.may_send < 0:
            raise H2StreamError(ErrorCode.FLOW_CONTROL_ERROR)
        if call.announced_bytes is not None:
            _count_announced(call, len(data), ended=bool(flags & h2_frames.END_STREAM))
        if flags & h2_frames.END_STREAM:
            call.ended = True
        elif len(data) < SMALL_DATA_BYTES:
            self.budget.spend()
        call.receive(data)

    def _on_headers(self, flags: int, number: int, payload: bytes) -> None:
        if number % 2 == 0:
            raise H2ConnectionError(ErrorCode.PROTOCOL_ERROR, "A client's streams have odd numbers.")
        ended, piece = bool(flags & h2_frames.END_STREAM), h2_frames.block_of(flags, payload)
        if flags & h2_frames.END_HEADERS:
            self._on_head(number, ended, piece)
        else:
            self.block = HeaderBlock(number, ended, bytearray(piece), self.state.registry.seconds)

    def _on_continuation(self, flags: int, number: int, payload: bytes) -> None:
        block = self.block
        assert block is not None  # noqa: S101 - or the frame had not come here
        if number != block.number:
            raise H2ConnectionError(ErrorCode.PROTOCOL_ERROR, "A head must be sent in one piece.")
        if len(payload) < SMALL_DATA_BYTES and not flags & h2_frames.END_HEADERS:
            self.budget.spend()
        block.data += payload
        if len(block.data) > self._decoder.most_bytes:
            raise H2ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, "A head is far too large.")
        if flags & h2_frames.END_HEADERS:
            self.block = None
            self._on_head(number, block.ended, bytes(block.data))

    def _on_head(self, number: int, ended: bool, block: bytes) -> None:  # noqa: FBT001 - as the flag comes
        call = self.calls.get(number)
        if call is not None:
            self._on_trailers(call, ended, block)
            return
        if number <= self.last:
            self._on_head_of_the_past(number, block)
            return
        if number > self.last + 2:
            self._past.passed_over(self.last + 2, number - 2)
        self.last = number
        if self.budget.left < 0:
            self.budget.spend(0)
        try:
            head = self._decoder.known.get(block) or self._decoder.read(block)
        except SeptetError as error:
            self.budget.charge(len(block) // REFUSED_BLOCK_BYTES)
            self._decline(number, ended, error)
            return
        except H2StreamError:
            self.state.app.refuse(Malformed("The head breaks HTTP/2's rules."), "", {})
            raise
        if self.refusing_streams or len(self.calls) >= MAX_STREAMS:
            self.state.app.refuse(Overloaded("The connection takes no more calls now."), head.path, head.headers)
            raise H2StreamError(ErrorCode.REFUSED_STREAM)
        self._open(number, ended, head)

    def _on_head_of_the_past(self, number: int, block: bytes) -> None:
        """Refuse a header block of a stream that is over, or that the client has passed over (RFC 9113, 5.1, 5.1.1)."""
        self._decoder.skip(block)
        raise self._past.fault_of_head(number)

    def _on_trailers(self, call: GrpcCall, ended: bool, block: bytes) -> None:  # noqa: FBT001 - as the flag comes
        if call.ended:
            self._decoder.skip(block)
            raise H2StreamError(ErrorCode.STREAM_CLOSED)
        try:
            self._decoder.read_trailers(block)
        except SeptetError as error:
            call.refuse(error)
            return
        if not ended or call.announced_bytes:
            raise H2StreamError(ErrorCode.PROTOCOL_ERROR)
        call.ended = True
        call.receive(b"")

    def _open(self, number: int, ended: bool, head: CallHead) -> None:  # noqa: FBT001 - as the flag comes
        method = self.state.methods.get(head.path)
        if head.status:
            self.budget.spend()
            self.state.app.refuse(_NO_CALL[head.status], head.path, head.headers)
            self.out.send_headers_only(number, http_status_only(head.status))
            self._closed(number, ended)
        elif method is None:
            self._decline(number, ended, Unimplemented(f"There is no method {head.path[:200]!r} here."), head)
        elif head.coding not in _CODINGS:
            text = f"The encoding {head.coding.decode('latin-1')[:80]!r} of messages is not read."
            self._decline(number, ended, Unimplemented(text), head)
        elif ended and head.content_length:
            self.state.app.refuse(Malformed("The call is shorter than its content-length."), head.path, head.headers)
            raise H2StreamError(ErrorCode.PROTOCOL_ERROR)
        else:
            self.calls[number] = call = KINDS[method.streams](self, number, method, head)
            self.out.open(call)
            if ended:
                call.ended = True
                call.receive(b"")

    def _decline(self, number: int, ended: bool, error: SeptetError, head: CallHead | None = None) -> None:  # noqa: FBT001
        """Answer what no method is asked for."""
        self.budget.charge(1)
        path, headers = ("", {}) if head is None else (head.path, head.headers)
        reply = self.state.app.refuse(error, path, headers)
        self.out.send_headers_only(number, RESPONSE_HEADERS + self.state.trailers.failure(reply))
        self._closed(number, ended)

    def _on_priority(self, _: int, number: int, payload: bytes) -> None:
        """Nothing is sent earlier than anything else."""
        if number == 0:
            raise H2ConnectionError(ErrorCode.PROTOCOL_ERROR, "PRIORITY belongs to a stream.")
        if len(payload) != _PRIORITY_BYTES:
            raise H2StreamError(ErrorCode.FRAME_SIZE_ERROR)
        self.budget.spend()

    def _on_rst_stream(self, _: int, number: int, payload: bytes) -> None:
        h2_frames.read_number(payload)
        self._require_opened(number)
        self.budget.spend()
        call = self.calls.get(number)
        if call is not None:
            self._cancel(call)

    def _on_settings(self, flags: int, number: int, payload: bytes) -> None:
        if number:
            raise H2ConnectionError(ErrorCode.PROTOCOL_ERROR, "SETTINGS belong to no stream.")
        if flags & h2_frames.ACK:
            if payload:
                raise H2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "An acknowledgement is empty.")
            self.budget.spend()
            return
        # Each setting is work, too.
        self.budget.spend(1 + len(payload) // h2_frames.SETTING_BYTES)
        self.settings_received = True
        values = dict(h2_frames.read_settings(payload))
        # The client counts with its new window only from here on: before anything is sent into it.
        self._write(h2_frames.frame(h2_frames.SETTINGS, h2_frames.ACK, 0))
        if h2_frames.INITIAL_WINDOW_SIZE in values:
            self.out.set_initial_window(values[h2_frames.INITIAL_WINDOW_SIZE], list(self.calls.values()))

    def _on_push_promise(self, _: int, __: int, ___: bytes) -> None:
        raise H2ConnectionError(ErrorCode.PROTOCOL_ERROR, "A client promises nothing.")

    def _on_ping(self, flags: int, number: int, payload: bytes) -> None:
        if number:
            raise H2ConnectionError(ErrorCode.PROTOCOL_ERROR, "PING belongs to no stream.")
        if len(payload) != _PING_BYTES:
            raise H2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "PING has eight bytes.")
        self.budget.spend()
        if not flags & h2_frames.ACK:
            self._write(h2_frames.frame(h2_frames.PING, h2_frames.ACK, 0, payload))
        elif payload == GOAWAY_PING:
            self._goaway_acknowledged()

    def _on_goaway(self, _: int, number: int, payload: bytes) -> None:
        if number:
            raise H2ConnectionError(ErrorCode.PROTOCOL_ERROR, "GOAWAY belongs to no stream.")
        if len(payload) < _MIN_GOAWAY_BYTES:
            raise H2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "GOAWAY is cut.")
        self.budget.spend()
        # The client opens no more streams: it is done once those that there are are answered.
        self._goaway_acknowledged()

    def _on_window_update(self, _: int, number: int, payload: bytes) -> None:
        size = h2_frames.read_number(payload)
        self.budget.spend()
        if number == 0:
            self.out.enlarge_window(None, size)
        else:
            self._require_opened(number)
            call = self.calls.get(number)
            if call is None:
                return
            self.out.enlarge_window(call, size)
        self._begin_held()

    #: By their numbers.
    _KINDS: ClassVar = (
        *(_on_data, _on_headers, _on_priority, _on_rst_stream, _on_settings, _on_push_promise, _on_ping, _on_goaway),
        *(_on_window_update, _on_continuation),
    )

    # Windows, and the ends of streams.

    def _busy(self) -> int:
        return sum(call.busy for call in self.calls.values())

    def _begin_held(self) -> None:
        """Begin the calls for whose answers there is room by now."""
        while self._held and self.out.has_room(self._busy()):
            call = self._held.popleft()
            if not call.closed:
                call.begin_held()

    def _require_opened(self, number: int) -> None:
        """Refuse a frame for a stream that was never opened."""
        if number > self.last or number % 2 == 0:
            raise H2ConnectionError(ErrorCode.PROTOCOL_ERROR, "A frame is for a stream that was not opened.")

    def _cancel(self, call: GrpcCall, error: SeptetError | None = None) -> None:
        """Forget a call that the client, or the protocol, has ended."""
        call.cancel(error)
        self.out.forget(call)
        self._past.cut_short(call.number)
        self._gone(call.number)

    def _finished(self, call: GrpcCall) -> None:
        """Everything is sent."""
        call.closed = True
        self._closed(call.number, call.ended)

    def _closed(self, number: int, ended: bool) -> None:  # noqa: FBT001 - as the flag comes
        """A stream is answered; a client that has not sent all of it need not."""
        if not ended:
            self._past.cut_short(number)
            self._write(h2_frames.rst_stream(number, ErrorCode.NO_ERROR))
        self._gone(number)

    def _gone(self, number: int) -> None:
        call = self.calls.pop(number, None)
        if call is not None and (call.reserved or call.awaiting_window):
            self._in.release(call)
        if self._held:
            if call is not None and call in self._held:
                self._held.remove(call)
            self._begin_held()
        if not self.calls:
            self._emptied()


def _count_announced(call: GrpcCall, size: int, *, ended: bool) -> None:
    """Count data against the content-length of a call (RFC 9113, 8.1.1).

    Raises:
        H2StreamError: more comes than was announced, or less.
    """
    assert call.announced_bytes is not None  # noqa: S101 - or nothing is counted
    call.announced_bytes -= size
    if call.announced_bytes < 0 or (ended and call.announced_bytes):
        raise H2StreamError(ErrorCode.PROTOCOL_ERROR)


def _pass_over(*_: object) -> None:
    """Nobody is interested any more."""


#: What is no call at all, by the HTTP status that it is answered with.
_NO_CALL: Final = {
    405: MethodNotAllowed("A call is POST.", "POST"),
    415: UnsupportedMediaType("A call has the content type application/grpc."),
}
