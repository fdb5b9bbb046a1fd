"""What one connection sends: answers within the windows that the client grants, for the connection and each stream."""

from collections.abc import Callable, Iterable
from struct import Struct
from typing import Final

from septet.server.h2.frame_budget import BYTES_PER_FRAME, FRAMES_PER_ANSWER, MOST_SAVED, FrameBudget
from septet.server.h2.grpc_calls import MAX_STREAMS, GrpcCall
from septet.server.h2.grpc_headers import NO_TABLE, RESPONSE_HEADERS
from septet.server.h2.grpc_messages import PREFIX_BYTES, framed
from septet.server.h2.h2_frames import (
    DATA,
    END_HEADERS,
    END_STREAM,
    FRAME_HEADER,
    HEADERS,
    MAX_FRAME_BYTES,
    MAX_WINDOW,
    ErrorCode,
    H2ConnectionError,
    H2StreamError,
    frame,
    headers,
)

#: Of the connection, and of a stream until the client's settings say otherwise (RFC 9113, 6.9.2).
DEFAULT_WINDOW: Final = 65_535
# A frame header, and the prefix of the message behind it: its flag and its size.
_DATA_HEADER = Struct(FRAME_HEADER.format + "BI")


class FlowControlledWriter:
    """Writes the answers of one connection's calls; `finished` is called with each call that is over.

    `most_bytes` of answers may wait for the client before no further call is begun, and twice as many at all.

    Attributes:
        write_paused: the client does not read what was written already.
        waiting_bytes: of answers that wait for the client.
        largest: of the answers of the last two seconds that are too large for every stream to have one waiting, in
            bytes; 0 where there was none.
    """

    def __init__(
        self,
        write: Callable[[bytes], None],
        finished: Callable[[GrpcCall], None],
        budget: FrameBudget,
        most_bytes: int,
    ) -> None:
        self._write = write
        self._finished = finished
        self._budget = budget
        self._most_bytes = most_bytes
        self._window = self._initial = DEFAULT_WINDOW
        self._started = False
        # The calls that wait, but not for a window of their own.
        self._blocked: dict[int, GrpcCall] = {}
        self.write_paused = False
        self.waiting_bytes = self.largest = self._largest_now = 0

    def close(self) -> None:
        """The connection is gone: let go of everything."""
        self._blocked.clear()
        self._write = self._finished = _pass_over

    def open(self, call: GrpcCall) -> None:
        """Give a new call the window that the client's settings say."""
        call.window = self._initial

    def forget(self, call: GrpcCall) -> None:
        """Send no more of a call that was given up."""
        self._blocked.pop(call.number, None)
        self.waiting_bytes -= sum(map(len, call.pending_data))
        call.pending_data.clear()

    def has_room(self, others: int) -> bool:
        """Whether one more call may begin beside others whose answers are still to come, each perhaps a large one."""
        return self.waiting_bytes + others * self.largest < self._most_bytes

    def has_room_for(self, size: int) -> bool:
        """Whether an answer of so many bytes may wait; one always may."""
        return not self.waiting_bytes or self.waiting_bytes + size <= 2 * self._most_bytes

    def second_passed(self) -> None:
        """Forget how large answers were before the last second."""
        self.largest, self._largest_now = self._largest_now, 0

    def send(self, call: GrpcCall, body: bytes, trailers: bytes | None) -> None:
        """Send a message as soon as the windows allow; with trailers the call is over then."""
        # `FrameBudget.earn`, spelled out where most answers pass.
        budget = self._budget
        if budget.left < MOST_SAVED:
            budget.left += FRAMES_PER_ANSWER
        size = len(body) + PREFIX_BYTES
        at_once = (
            size <= self._window
            and size <= call.window
            and size <= MAX_FRAME_BYTES
            and not (call.pending_data or self.write_paused)
        )
        if at_once and self._started and trailers is not None and not call.opened and len(trailers) <= MAX_FRAME_BYTES:
            call.opened = True
            self._window -= size
            call.window -= size
            self._write(_whole_answer(call.number, RESPONSE_HEADERS, body, trailers))
            self._finished(call)
            return
        opening = b"" if call.opened else headers(call.number, self._block(RESPONSE_HEADERS), last=False)
        call.opened = True
        data = framed(body)
        if at_once:
            self._window -= size
            call.window -= size
            sent = opening + frame(DATA, 0, call.number, data)
            if trailers is None:
                self._write(sent)
            else:
                self._write(sent + headers(call.number, trailers, last=True))
                self._finished(call)
            return
        if opening:
            self._write(opening)
        if size * MAX_STREAMS > self._most_bytes:
            self._largest_now = max(self._largest_now, size)
            self.largest = max(self.largest, size)
        self.waiting_bytes += size
        call.pending_data.append(memoryview(data))
        call.trailers = trailers
        self._advance(call)

    def end(self, call: GrpcCall, trailers: bytes) -> None:
        """End a call behind what waits of it."""
        if call.pending_data:
            call.trailers = trailers
        elif call.opened:
            self._write(headers(call.number, trailers, last=True))
            self._finished(call)
        else:
            self.send_headers_only(call.number, RESPONSE_HEADERS + trailers)
            self._finished(call)

    def send_headers_only(self, number: int, block: bytes) -> None:
        """Send an answer that is one header block."""
        self._write(headers(number, self._block(block), last=True))

    def enlarge_window(self, call: GrpcCall | None, size: int) -> None:
        """Take the leave to send so many more bytes of a call, or of the connection.

        Raises:
            H2StreamError, H2ConnectionError: it is none, or more than a window can hold.
        """
        code = ErrorCode.PROTOCOL_ERROR if size == 0 else ErrorCode.FLOW_CONTROL_ERROR
        if call is None:
            if size == 0 or self._window + size > MAX_WINDOW:
                raise H2ConnectionError(code, "The connection's window cannot be enlarged so.")
            self._window += size
        else:
            if size == 0 or call.window + size > MAX_WINDOW:
                raise H2StreamError(code)
            call.window += size
            if call.pending_data:
                self._advance(call)
            return
        if self._blocked:
            self.flush()

    def set_initial_window(self, initial: int, calls: Iterable[GrpcCall]) -> None:
        """Take the client's window for streams, also for those that there are.

        Raises:
            H2ConnectionError: one of them gets too large.
        """
        change, self._initial = initial - self._initial, initial
        for call in calls:
            call.window += change
            if call.window > MAX_WINDOW:
                raise H2ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, "A stream's window gets too large.")
            if call.pending_data and call.window > 0:
                self._blocked[call.number] = call
        if self._blocked:
            self.flush()

    def flush(self) -> None:
        """Send what waits for the connection, as far as that allows."""
        for call in list(self._blocked.values()):
            if self._window <= 0 or self.write_paused:
                return
            if call.number in self._blocked:
                self._advance(call)

    def _advance(self, call: GrpcCall) -> None:
        """Send of a call what the windows allow, and go on with it where that is all."""
        while call.pending_data and not self.write_paused:
            part = call.pending_data[0]
            size = min(len(part), self._window, call.window, MAX_FRAME_BYTES)
            if size <= 0:
                break
            self._window -= size
            call.window -= size
            self.waiting_bytes -= size
            call.advanced()
            self._budget.earn(size // BYTES_PER_FRAME)
            if size == len(part):
                call.pending_data.popleft()
            else:
                call.pending_data[0] = part[size:]
            self._write(frame(DATA, 0, call.number, bytes(part[:size])))
        if call.pending_data:
            if call.window > 0:
                self._blocked[call.number] = call
            else:
                self._blocked.pop(call.number, None)
            return
        self._blocked.pop(call.number, None)
        if call.trailers is None:
            call.on_sent()
        else:
            self._write(headers(call.number, call.trailers, last=True))
            self._finished(call)

    def _block(self, block: bytes) -> bytes:
        if self._started:
            return block
        self._started = True
        return NO_TABLE + block


def _whole_answer(stream: int, block: bytes, body: bytes, trailers: bytes) -> bytes:
    """The frames of a call's whole answer: a header block, one message, trailers; each fits into a frame.

    The same as of `headers` and `frame`, in one step: most calls are answered so.
    """
    pack, size = FRAME_HEADER.pack, len(body)
    return b"".join(
        (
            pack(0, len(block), HEADERS, END_HEADERS, stream),
            block,
            _DATA_HEADER.pack(0, PREFIX_BYTES + size, DATA, 0, stream, 0, size),
            body,
            pack(0, len(trailers), HEADERS, END_HEADERS | END_STREAM, stream),
            trailers,
        )
    )


def _pass_over(_: object) -> None:
    """Nobody is interested any more."""
