"""Reads the frames of one connection, for a bounded time in each turn of the event loop.

libuv goes on reading from a connection while there is more than a buffer of 256 KB to read, and a buffer holds
thousands of calls. So whoever sends without pause would be served alone. Here what is not acted on in time waits for
the next turn, in which other connections come first, and nothing more is read meanwhile.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Final

from septet.server.h2.h2_frames import Frame, FrameSplitter, H2ConnectionError

#: How long one connection may hold the loop in a turn, but for the last frame that was begun.
TURN_SECONDS: Final = 0.001
#: After a chunk of this size there may be more to read in the same turn.
LARGE_CHUNK_BYTES: Final = 65_536
#: A chunk of this size or less is acted on without a look at the clock: it holds 56 empty frames, or one small call.
SMALL_CHUNK_BYTES: Final = 512

TakeFrame = Callable[[int, int, int, bytes], None]


class FrameReader:
    """Passes frames to `take`, and a fault of the connection to `fail`; `clock` is in seconds."""

    def __init__(
        self, take: TakeFrame, fail: Callable[[H2ConnectionError], None], clock: Callable[[], float] = perf_counter
    ) -> None:
        self._take = take
        self._fail = fail
        self._clock = clock
        self._transport: asyncio.Transport
        self._splitter = FrameSplitter()
        # What has come and was not acted on: the rest of a chunk, and further chunks.
        self._frames: Iterator[Frame] | None = None
        self._chunks: deque[bytes] = deque()
        # Why nothing is read: the turn is over, or the client does not read itself.
        self._turn: asyncio.Handle | None = None
        self._held = False
        self._stopped = False

    def start(self, transport: asyncio.Transport) -> None:
        """Read from this transport."""
        self._transport = transport

    def feed(self, data: bytes) -> None:
        """Act on the frames that are complete with this chunk, or some of them."""
        if self._frames is not None or self._held or self._stopped:
            self._keep(data)
            return
        if len(data) <= SMALL_CHUNK_BYTES:
            self._act_on_all(data)
            return
        self._frames = self._splitter.feed(data)
        if not self._act() or len(data) >= LARGE_CHUNK_BYTES:
            self._end_turn()

    def _keep(self, data: bytes) -> None:
        """Act on a chunk later, for some transports deliver what they had read before they were paused; or never."""
        if not self._stopped:
            self._chunks.append(data)
        elif len(data) >= LARGE_CHUNK_BYTES:
            # To throw away takes time, too.
            self._end_turn()

    def hold(self) -> None:
        """Read and do nothing further until `release`."""
        self._held = True
        self._transport.pause_reading()

    def release(self) -> None:
        """Go on."""
        self._held = False
        if self._turn is None:
            self._begin_turn()

    def stop(self) -> None:
        """Pass on nothing more, and throw away what comes."""
        self._stopped = True
        self._frames = None
        self._chunks.clear()

    def close(self) -> None:
        """The connection is gone: let go of everything."""
        self.stop()
        if self._turn is not None:
            self._turn.cancel()
        self._take, self._fail = _pass_over, _pass_over

    def _act_on_all(self, data: bytes) -> None:
        """Act on the frames of a small chunk, unless one of them ends the connection."""
        take = self._take
        try:
            for kind, flags, number, payload in self._splitter.feed(data):
                take(kind, flags, number, payload)
                if self._stopped:
                    return
        except H2ConnectionError as fault:
            self._fail(fault)

    def _act(self) -> bool:
        """Act on frames until there are none, or the time is over, or the connection; whether none is left."""
        frames, take, clock = self._frames, self._take, self._clock
        assert frames is not None  # noqa: S101 - or there is nothing to do
        end = clock() + TURN_SECONDS
        try:
            for kind, flags, number, payload in frames:
                take(kind, flags, number, payload)
                if clock() > end or self._held:
                    return False
                if self._stopped:
                    return True
        except H2ConnectionError as fault:
            self._fail(fault)
        self._frames = None
        return True

    def _end_turn(self) -> None:
        if self._turn is None and not self._transport.is_closing():
            self._transport.pause_reading()
            self._turn = asyncio.get_running_loop().call_soon(self._begin_turn)

    def _begin_turn(self) -> None:
        self._turn = None
        if self._held or self._transport.is_closing():
            return
        if self._frames is None and self._chunks:
            self._frames = self._splitter.feed(self._chunks.popleft())
        if self._frames is not None and (not self._act() or self._chunks):
            self._end_turn()
        else:
            self._transport.resume_reading()


def _pass_over(*_: object) -> None:
    """Nobody is interested any more."""
