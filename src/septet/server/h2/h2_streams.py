"""The streams of one HTTP/2 connection: frames in, calls opened, fed and forgotten.

Frames go to one method for each type. A header block opens a `GrpcCall`, data go to it, and it answers through
`FlowControlledWriter`; a whole unary prediction is one step from the bytes to the application, without a task. A stream
error (RFC 9113, 5.4.2) ends the stream, a connection error (5.4.1) the connection.

Against hostile clients: header blocks, messages and streams are bounded, and frames that make work and bring nothing
(PING, SETTINGS, RST_STREAM, empty DATA) may come only so often.
"""

from collections.abc import Callable
from typing import Final

from septet.errors import SeptetError, Unimplemented
from septet.server.h2 import h2_frames
from septet.server.h2.flow_control import FlowControlledWriter
from septet.server.h2.grpc_calls import KINDS, STREAM_WINDOW, GrpcCall
from septet.server.h2.grpc_headers import RESPONSE_HEADERS, http_status_only
from septet.server.h2.h2_frames import ErrorCode, H2ConnectionError, H2StreamError
from septet.server.h2.h2_server_state import H2ServerState
from septet.server.h2.header_decoder import CallHead, HeaderBlock, HeaderDecoder

MAX_STREAMS: Final = 256
CONNECTION_WINDOW: Final = 1 << 24
# Bytes of messages that are not complete, over all calls of a connection; two of the largest fit in any case.
MIN_BUFFERED_BYTES: Final = 1 << 28
# Frames without use that may come in a second; an answered call makes up for some, such as the pings that measure it.
MAX_USELESS_FRAMES, FORGIVEN_PER_CALL = 1000, 4
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
        self.out = FlowControlledWriter(write, self._finished)
        self.last = 0
        self.settings_received = False
        self.block: HeaderBlock | None = None
        self.refusing_streams = False
        self._write = write
        self._goaway_acknowledged = goaway_acknowledged
        self._emptied = emptied
        self._decoder = HeaderDecoder(state.limits)
        self._received = 0
        self._useless_frames = 0
        self._kinds = (
            *(self._on_data, self._on_headers, self._on_priority, self._on_rst_stream, self._on_settings),
            *(self._on_push_promise, self._on_ping, self._on_goaway, self._on_window_update, self._on_continuation),
        )

    def take(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        """Act on one frame.

        Raises:
            H2ConnectionError: nothing more can be understood of the connection.
        """
        if (self.block is None) == (kind == h2_frames.CONTINUATION):
            raise H2ConnectionError(ErrorCode.PROTOCOL_ERROR, "A head must be sent in one piece.")
        if not self.settings_received and (kind != h2_frames.SETTINGS or flags & h2_frames.ACK):
            raise H2ConnectionError(ErrorCode.PROTOCOL_ERROR, "The first frame must be SETTINGS.")
        if kind >= len(self._kinds):
            return  # for what a later version may bring
        try:
            self._kinds[kind](flags, number, payload)
        except H2StreamError as fault:
            self._count_useless_frame()
            self._write(h2_frames.rst_stream(number, fault.code))
            call = self.calls.get(number)
            if call is not None:
                self._cancel(call)

    def check_timeouts(self) -> None:
        """Begin a new second: look at every call, and forgive what came without use."""
        self._useless_frames = 0
        for call in list(self.calls.values()):
            call.check_timeouts()
        self._replenish()

    def drop(self) -> None:
        """Give up every call."""
        calls = list(self.calls.values())
        self.calls.clear()
        for call in calls:
            call.cancel()
            self.out.forget(call)

    # What calls ask for.

    def send(self, call: GrpcCall, body: bytes, trailers: bytes | None) -> None:
        """Send a message; with trailers it is the last one."""
        self.out.send(call, body, trailers)

    def end(self, call: GrpcCall, trailers: bytes) -> None:
        """End a call without a further message."""
        self.out.end(call, trailers)

    def grant_window(self, call: GrpcCall) -> None:
        """Give the client leave to send what it has used up."""
        self._write(h2_frames.window_update(call.number, call.ungranted))
        call.ungranted = 0

    def reset(self, call: GrpcCall, code: ErrorCode) -> None:
        """End a call at once."""
        self._write(h2_frames.rst_stream(call.number, code))
        self._cancel(call)

    # Frames.

    def _on_data(self, flags: int, number: int, payload: bytes) -> None:
        size = len(payload)
        self._received += size
        if self._received > CONNECTION_WINDOW:
            raise H2ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, "More was sent than the connection's window allows.")
        self._replenish()
        data = h2_frames.unpadded(flags, payload)
        call = self.calls.get(number)
        if call is None:
            self._require_opened(number)
            self._count_useless_frame()
            return
        if call.ended:
            raise H2StreamError(ErrorCode.STREAM_CLOSED)
        call.ungranted += size
        if call.ungranted > STREAM_WINDOW:
            raise H2StreamError(ErrorCode.FLOW_CONTROL_ERROR)
        if call.announced_bytes is not None:
            _count_announced(call, len(data), ended=bool(flags & h2_frames.END_STREAM))
        if flags & h2_frames.END_STREAM:
            call.ended = True
        elif not data:
            self._count_useless_frame()
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
        if not payload:
            self._count_useless_frame()
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
            self._decoder.skip(block)
            raise H2StreamError(ErrorCode.STREAM_CLOSED)
        self.last = number
        try:
            head = self._decoder.known.get(block) or self._decoder.read(block)
        except SeptetError as error:
            self._decline(number, ended, error)
            return
        if self.refusing_streams or len(self.calls) >= MAX_STREAMS:
            raise H2StreamError(ErrorCode.REFUSED_STREAM)
        self._open(number, ended, head)

    def _on_trailers(self, call: GrpcCall, ended: bool, block: bytes) -> None:  # noqa: FBT001 - as the flag comes
        self._decoder.skip(block)
        if call.ended:
            raise H2StreamError(ErrorCode.STREAM_CLOSED)
        if not ended or call.announced_bytes:
            raise H2StreamError(ErrorCode.PROTOCOL_ERROR)
        call.ended = True
        call.receive(b"")

    def _open(self, number: int, ended: bool, head: CallHead) -> None:  # noqa: FBT001 - as the flag comes
        method = self.state.methods.get(head.path)
        if head.status:
            self._count_useless_frame()
            self.out.send_headers_only(number, http_status_only(head.status))
            self._closed(number, ended)
        elif method is None:
            self._decline(number, ended, Unimplemented(f"There is no method {head.path[:200]!r} here."), head)
        elif head.coding not in _CODINGS:
            text = f"The encoding {head.coding.decode('latin-1')[:80]!r} of messages is not read."
            self._decline(number, ended, Unimplemented(text), head)
        elif ended and head.content_length:
            raise H2StreamError(ErrorCode.PROTOCOL_ERROR)
        else:
            self.calls[number] = call = KINDS[method.streams](self, number, method, head)
            self.out.open(call)
            if ended:
                call.ended = True
                call.receive(b"")

    def _decline(self, number: int, ended: bool, error: SeptetError, head: CallHead | None = None) -> None:  # noqa: FBT001
        """Answer what no method is asked for."""
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

    def _on_rst_stream(self, _: int, number: int, payload: bytes) -> None:
        h2_frames.read_number(payload)
        self._require_opened(number)
        self._count_useless_frame()
        call = self.calls.get(number)
        if call is not None:
            self._cancel(call)

    def _on_settings(self, flags: int, number: int, payload: bytes) -> None:
        if number:
            raise H2ConnectionError(ErrorCode.PROTOCOL_ERROR, "SETTINGS belong to no stream.")
        if flags & h2_frames.ACK:
            if payload:
                raise H2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "An acknowledgement is empty.")
            return
        self._count_useless_frame()
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
        if not flags & h2_frames.ACK:
            self._count_useless_frame()
            self._write(h2_frames.frame(h2_frames.PING, h2_frames.ACK, 0, payload))
        elif payload == GOAWAY_PING:
            self._goaway_acknowledged()

    def _on_goaway(self, _: int, number: int, payload: bytes) -> None:
        if number:
            raise H2ConnectionError(ErrorCode.PROTOCOL_ERROR, "GOAWAY belongs to no stream.")
        if len(payload) < _MIN_GOAWAY_BYTES:
            raise H2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "GOAWAY is cut.")
        # The client opens no more streams: it is done once those that there are are answered.
        self._goaway_acknowledged()

    def _on_window_update(self, _: int, number: int, payload: bytes) -> None:
        size = h2_frames.read_number(payload)
        if number == 0:
            self.out.enlarge_window(None, size)
            return
        self._require_opened(number)
        call = self.calls.get(number)
        if call is not None:
            self.out.enlarge_window(call, size)

    # Windows, useless frames, and the ends of streams.

    def _replenish(self) -> None:
        """Give leave for what has come, unless too much of it waits for the rest of its messages."""
        if self._received >= CONNECTION_WINDOW // 2:
            most = max(MIN_BUFFERED_BYTES, 2 * self.state.limits.max_body_bytes)
            if sum(call.buffered_bytes for call in self.calls.values()) < most:
                self._write(h2_frames.window_update(0, self._received))
                self._received = 0

    def _require_opened(self, number: int) -> None:
        """Refuse a frame for a stream that was never opened."""
        if number > self.last or number % 2 == 0:
            raise H2ConnectionError(ErrorCode.PROTOCOL_ERROR, "A frame is for a stream that was not opened.")

    def _count_useless_frame(self) -> None:
        """Count a frame that makes work and brings nothing."""
        self._useless_frames += 1
        if self._useless_frames > MAX_USELESS_FRAMES:
            raise H2ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, "Too many frames without use.")

    def _cancel(self, call: GrpcCall) -> None:
        """Forget a call that the client, or the protocol, has ended."""
        call.cancel()
        self.out.forget(call)
        self._gone(call.number)

    def _finished(self, call: GrpcCall) -> None:
        """Everything is sent."""
        call.closed = True
        self._useless_frames = max(0, self._useless_frames - FORGIVEN_PER_CALL)
        self._closed(call.number, call.ended)

    def _closed(self, number: int, ended: bool) -> None:  # noqa: FBT001 - as the flag comes
        """A stream is answered; a client that has not sent all of it need not."""
        if not ended:
            self._write(h2_frames.rst_stream(number, ErrorCode.NO_ERROR))
        self._gone(number)

    def _gone(self, number: int) -> None:
        self.calls.pop(number, None)
        self._replenish()
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
