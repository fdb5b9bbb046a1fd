"""The streams of a connection that are over: which of their frames may still be on their way (RFC 9113, 5.1)."""

from typing import Final, TypeVar

from septet.server.h2.h2_frames import ErrorCode, H2ConnectionError, H2StreamError

#: Of the streams that ended before the client had sent all, and of those that were passed over, so many are known.
MAX_REMEMBERED: Final = 1024
_ValueT = TypeVar("_ValueT")


class PastStreams:
    """What is known of them, of one connection."""

    def __init__(self) -> None:
        self._cut_short: dict[int, None] = {}
        # The first by the last of those that were passed over together.
        self._passed_over: dict[int, int] = {}

    def cut_short(self, number: int) -> None:
        """Note a stream that ended before the client had sent all."""
        _remember(self._cut_short, number, None)

    def was_cut_short(self, number: int) -> bool:
        """Whether a stream ended before the client had sent all."""
        return number in self._cut_short

    def passed_over(self, first: int, last: int) -> None:
        """Note streams that the client will not open: it has opened a later one."""
        _remember(self._passed_over, last, first)

    def fault_of_head(self, number: int) -> H2StreamError | H2ConnectionError:
        """What a header block breaks that comes for a stream which is over, or was passed over."""
        if number in self._cut_short:
            # What was on its way when the stream was reset.
            return H2StreamError(ErrorCode.STREAM_CLOSED)
        if any(first <= number <= last for last, first in self._passed_over.items()):
            return H2ConnectionError(ErrorCode.PROTOCOL_ERROR, "A stream was opened behind a later one.")
        return H2ConnectionError(ErrorCode.STREAM_CLOSED, "A stream that has ended goes on.")


def _remember(streams: dict[int, _ValueT], number: int, value: _ValueT) -> None:
    """Note a stream, and forget the one that was noted first where there are too many."""
    streams[number] = value
    if len(streams) > MAX_REMEMBERED:
        del streams[next(iter(streams))]
