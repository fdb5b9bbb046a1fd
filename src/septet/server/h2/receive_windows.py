"""What a client may send on one connection before it is given leave for more (RFC 9113, 5.2 and 6.9).

The bytes of messages that are not complete, or not answered, are bounded by the windows of the streams. Each has a
small one. A message that does not fit in it is given leave for the rest of its bytes at once, as its prefix announces
them, out of a common allowance of the connection; where that is used up, the message waits until another is answered.
So many messages which do not end cannot hold up one another, nor more memory than
`MAX_STREAMS * STREAM_WINDOW` and the allowance.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

from septet.server.h2.grpc_calls import STREAM_WINDOW, GrpcCall
from septet.server.h2.h2_frames import window_update

#: Those of the streams bound what comes. This one is given back as soon as half of it is used.
CONNECTION_WINDOW: Final = 1 << 24
#: For messages that do not fit in the windows of their streams; one of the largest does in any case.
MAX_RESERVED_BYTES: Final = 1 << 25
_HALF: Final = STREAM_WINDOW // 2


class ReceiveWindows:
    """The windows of one connection and its calls.

    Attributes:
        reserved: how much of the common allowance is used, in bytes.
        taken: bytes of data of any stream that leave was not given for again.
    """

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write
        self.taken = 0
        self._waiting: deque[GrpcCall] = deque()
        self.reserved = 0

    def give_back(self) -> None:
        """Give leave for as many bytes as were taken."""
        self._write(window_update(0, self.taken))
        self.taken = 0

    def grant(self, call: GrpcCall) -> None:
        """Give leave for the rest of the message that has begun, or for the next ones."""
        if not self._grant(call) and not call.awaiting_window:
            call.awaiting_window = True
            self._waiting.append(call)

    def release(self, call: GrpcCall) -> None:
        """Nothing more comes of a call, and nothing of it is kept."""
        if call.awaiting_window:
            self._waiting.remove(call)
            call.awaiting_window = False
        if call.reserved:
            self.reserved -= call.reserved
            call.reserved = 0
            self._serve()

    def close(self) -> None:
        """The connection is gone: let go of everything."""
        self._waiting.clear()
        self._write = _pass_over

    def _serve(self) -> None:
        """Give leave to those who wait, in their order."""
        while self._waiting:
            call = self._waiting.popleft()
            if not self._grant(call):
                self._waiting.appendleft(call)
                return
            call.awaiting_window = False
            call.advanced()

    def _grant(self, call: GrpcCall) -> bool:
        """Whether the allowance has room for a call."""
        buffered, missing = call.buffered_bytes, call.missing_bytes
        target = max(STREAM_WINDOW - buffered, missing)
        reserved = max(0, buffered + max(target, call.may_send) - STREAM_WINDOW)
        change = reserved - call.reserved
        if change > 0 and self.reserved > call.reserved and self.reserved + change > MAX_RESERVED_BYTES:
            return False
        call.reserved = reserved
        self.reserved += change
        if call.may_send < (missing or _HALF):
            self._write(window_update(call.number, target - call.may_send))
            call.may_send = target
        if change < 0:
            self._serve()
        return True


def _pass_over(_: bytes) -> None:
    """Nobody is interested any more."""
