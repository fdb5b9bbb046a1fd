"""One HTTP/2 connection that carries gRPC calls (RFC 9113), from its first byte to its end, on the event loop.

What is said on it is for `H2Streams`. Here is how long it lasts: who is slow in sending a head or a message, in taking an
answer, or does nothing at all, is left; the one sweep a second sees to that.

The end. The client is told that there will be no more, but every stream that it opens until it has heard of that is
answered: only then does it hear which one was the last. So no call is lost on its way. Nor does the connection close
with bytes unread, which would reset it and could take the last answers with it.
"""

import asyncio

from septet.server.h2 import h2_frames
from septet.server.h2.flow_control import DEFAULT_WINDOW
from septet.server.h2.grpc_calls import STREAM_WINDOW
from septet.server.h2.h2_frames import ErrorCode, FrameSplitter, H2ConnectionError
from septet.server.h2.h2_server_state import H2ServerState
from septet.server.h2.h2_streams import CONNECTION_WINDOW, GOAWAY_PING, MAX_STREAMS, H2Streams

# For the client to hear that no more calls are taken; to close its side; to answer whether it is still there.
DRAIN_SECONDS, LINGER_SECONDS, PING_SECONDS = 1.0, 2, 20
_KEEPALIVE_PING = b"alive?!?"


class H2Connection(asyncio.Protocol):
    """A protocol for asyncio, and `Connected` for the worker."""

    def __init__(self, shared: H2ServerState) -> None:
        self._shared = shared
        self._transport: asyncio.Transport
        self._splitter = FrameSplitter()
        self._streams = H2Streams(shared, self._write, parted=self._depart, emptied=self._emptied)
        # The last stream that the client was told is answered.
        self._final = h2_frames.MAX_STREAM_ID
        # Nothing more is read or written.
        self._over = False
        # When the connection began, was last without a call, or was over; when the client last said something, was
        # asked whether it is there, and began not to read.
        self._since = self._heard = shared.seconds
        self._asked: int | None = None
        self._write_paused_since: int | None = None
        self._parting: asyncio.TimerHandle | None = None

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send our settings, and refuse at once where there are too many connections."""
        self._transport = transport  # type: ignore[assignment]
        shared = self._shared
        shared.joined(self)
        ours = {
            h2_frames.MAX_CONCURRENT_STREAMS: MAX_STREAMS,
            h2_frames.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
            h2_frames.MAX_HEADER_LIST_SIZE: shared.limits.max_header_bytes,
        }
        self._write(h2_frames.settings(ours) + h2_frames.window_update(0, CONNECTION_WINDOW - DEFAULT_WINDOW))
        if len(shared.connections) > shared.limits.max_connections:
            self._fail(
                H2ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, "There are too many connections. Try again in a moment.")
            )
        elif shared.stopping:
            self.part()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Cancel what nobody waits for any more."""
        self._shared.left(self)
        self._drop()

    def data_received(self, data: bytes) -> None:
        """Act on the frames that are complete."""
        self._heard = self._shared.seconds
        try:
            for kind, flags, number, payload in self._splitter.feed(data):
                if self._over:
                    return
                self._streams.take(kind, flags, number, payload)
        except H2ConnectionError as fault:
            self._fail(fault)

    def pause_writing(self) -> None:
        """Take nothing further from a client that does not read its answers."""
        self._write_paused_since = self._shared.seconds
        self._streams.out.write_paused = True
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Go on."""
        self._write_paused_since = None
        self._streams.out.write_paused = False
        if not self._transport.is_closing():
            self._transport.resume_reading()
            self._streams.out.pump()

    # What the worker calls.

    @property
    def busy(self) -> bool:
        """Whether calls are under way."""
        return bool(self._streams.calls)

    def check_timeouts(self) -> None:
        """Leave a client that is too slow, silent or idle."""
        limits = self._shared.limits
        if self._over:
            self._abort_after(self._since, LINGER_SECONDS)
        elif self._write_paused_since is not None:
            self._abort_after(self._write_paused_since, limits.keep_alive_seconds)
        elif self._asked is not None and self._asked > self._heard:
            self._abort_after(self._asked, PING_SECONDS)
        elif not self._streams.settings_received:
            if self._lasts(self._since, limits.header_timeout_seconds):
                self._fail(H2ConnectionError(ErrorCode.SETTINGS_TIMEOUT, "No settings have come."))
        elif (block := self._streams.block) is not None and self._lasts(block.since, limits.header_timeout_seconds):
            self._fail(H2ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, "A head was not complete in time."))
        else:
            self._streams.check_timeouts()
            self._ask_or_part(limits.keep_alive_seconds)

    def server_drains(self) -> None:
        """Tell those who watch that the server is about to stop."""
        for call in list(self._streams.calls.values()):
            call.server_drains()

    def part(self) -> None:
        """Say that there will be no more, and hear until the client knows it."""
        if self._parting is None and not self._over:
            self._write(
                h2_frames.goaway(h2_frames.MAX_STREAM_ID, ErrorCode.NO_ERROR)
                + h2_frames.frame(h2_frames.PING, 0, 0, GOAWAY_PING)
            )
            self._parting = asyncio.get_running_loop().call_later(DRAIN_SECONDS, self._depart)

    def abort(self) -> None:
        """Close at once."""
        self._over = True
        self._drop()
        self._transport.abort()

    # Ours.

    def _ask_or_part(self, longest: float) -> None:
        """Part from an idle client; ask one that has calls and has been silent whether it is there."""
        if not self.busy:
            if self._lasts(self._since, longest):
                self.part()
        elif self._lasts(self._heard, longest):
            self._asked = self._shared.seconds
            self._write(h2_frames.frame(h2_frames.PING, 0, 0, _KEEPALIVE_PING))

    def _emptied(self) -> None:
        """The last call under way is over."""
        self._since = self._shared.seconds
        if self._streams.refusing_streams:
            self._linger()

    def _depart(self) -> None:
        """Take no more calls, and close after the last answer."""
        streams = self._streams
        if streams.refusing_streams or self._over:
            return
        streams.refusing_streams = True
        self._final = streams.last
        self._write(h2_frames.goaway(self._final, ErrorCode.NO_ERROR))
        for call in list(streams.calls.values()):
            call.stopped()
        if not streams.calls:
            self._linger()

    def _fail(self, fault: H2ConnectionError) -> None:
        """Say why nothing can be answered any more, and close."""
        if not self._over:
            self._write(h2_frames.goaway(min(self._streams.last, self._final), fault.code, fault.message))
            self._drop()
            self._linger()

    def _linger(self) -> None:
        """Close our side, and wait until the client has closed its own."""
        if self._over:
            return
        self._over = True
        self._since = self._shared.seconds
        if self._transport.can_write_eof():
            self._transport.write_eof()

    def _drop(self) -> None:
        """Give up every call."""
        if self._parting is not None:
            self._parting.cancel()
        self._streams.drop()

    def _abort_after(self, since: int, seconds: float) -> None:
        if self._lasts(since, seconds):
            self.abort()

    def _lasts(self, since: int, seconds: float) -> bool:
        """Whether something has lasted longer than so many seconds."""
        return self._shared.seconds - since > seconds

    def _write(self, data: bytes) -> None:
        if not self._over and not self._transport.is_closing():
            self._transport.write(data)
