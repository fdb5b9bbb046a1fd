"""One HTTP/2 connection that carries gRPC calls (RFC 9113), from its first byte to its end, on the event loop.

`H2Streams` acts on frames. This file decides how long the connection lasts: the sweep, once a second, closes it where
the client is slow in sending a header block or a message, slow in reading an answer, or does nothing at all.

Shutdown (RFC 9113, 6.8): the connection sends a GOAWAY that names the largest stream id, and a PING. It answers every
stream that the client opens until the PING is acknowledged, and only then sends the GOAWAY that names the last one, so
no call is lost on its way. It closes its side for writing and reads on until the client closes too: closing with bytes
unread would reset the connection and could take the last answers with it.
"""

import asyncio
from collections.abc import Callable
from time import perf_counter

from septet.errors import Malformed, Overloaded
from septet.server.h2 import h2_frames
from septet.server.h2.flow_control import DEFAULT_WINDOW
from septet.server.h2.frame_reader import FrameReader
from septet.server.h2.grpc_calls import MAX_STREAMS, STREAM_WINDOW
from septet.server.h2.h2_frames import ErrorCode, H2ConnectionError
from septet.server.h2.h2_server_state import H2ServerState
from septet.server.h2.h2_streams import GOAWAY_PING, H2Streams
from septet.server.h2.receive_windows import CONNECTION_WINDOW
from septet.server.send_progress import send_progress

# How long the client has to acknowledge the first GOAWAY, to close its side behind the last answer, and to answer a
# PING.
DRAIN_SECONDS, LINGER_SECONDS, PING_SECONDS = 1.0, 2, 20
_KEEPALIVE_PING = b"alive?!?"


class H2Connection(asyncio.Protocol):
    """A protocol for asyncio, and a `ManagedH2Connection` for the server.

    `clock`, in seconds, measures its share of a turn of the loop.
    """

    def __init__(self, state: H2ServerState, clock: Callable[[], float] = perf_counter) -> None:
        self._state = state
        self._registry = state.registry
        self._transport: asyncio.Transport
        self._streams = H2Streams(state, self._write, goaway_acknowledged=self._refuse_streams, emptied=self._emptied)
        self._reader = FrameReader(self._streams.take, self._fail, clock)
        # The last stream of the last GOAWAY.
        self._final = h2_frames.MAX_STREAM_ID
        # Nothing more is read or written.
        self._over = False
        # When the connection began, was last without a call, or was over; when bytes last came, when the client was
        # last asked whether it is there, and since when it has not read. All by the registry's clock.
        self._since = self._received_at = self._registry.seconds
        self._pinged_at: int | None = None
        self._write_paused_since: int | None = None
        self._progress = (0, 0)
        self._refusing_timer: asyncio.TimerHandle | None = None

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send our settings, and refuse at once where there are too many connections."""
        self._transport = transport  # type: ignore[assignment]
        self._reader.start(self._transport)
        state = self._state
        self._registry.add(self)
        ours = {
            h2_frames.MAX_CONCURRENT_STREAMS: MAX_STREAMS,
            h2_frames.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
            h2_frames.MAX_HEADER_LIST_SIZE: state.limits.max_header_bytes,
        }
        self._write(h2_frames.settings(ours) + h2_frames.window_update(0, CONNECTION_WINDOW - DEFAULT_WINDOW))
        if len(self._registry) > state.limits.max_connections:
            self._fail(
                H2ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, "There are too many connections. Try again in a moment.")
            )
        elif state.stopping:
            self.shutdown()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Cancel what nobody waits for any more, and leave no cycle of objects behind: a collector seldom runs."""
        self._over = True
        self._registry.remove(self)
        if self._refusing_timer is not None:
            self._refusing_timer.cancel()
        self._streams.close()
        self._reader.close()

    def data_received(self, data: bytes) -> None:
        """Act on the frames that are complete."""
        self._received_at = self._registry.seconds
        self._reader.feed(data)

    def pause_writing(self) -> None:
        """Take nothing further from a client that does not read its answers."""
        self._write_paused_since, self._progress = self._registry.seconds, send_progress(self._transport)
        self._streams.out.write_paused = True
        self._reader.hold()

    def resume_writing(self) -> None:
        """Go on."""
        self._write_paused_since = None
        self._streams.out.write_paused = False
        if not self._transport.is_closing():
            self._streams.out.flush()
            if self._write_paused_since is None:
                self._reader.release()

    # What the server and the registry call.

    @property
    def busy(self) -> bool:
        """Whether calls are under way."""
        return bool(self._streams.calls)

    def check_timeouts(self) -> None:
        """Close where the client is too slow, silent or idle."""
        limits = self._state.limits
        if self._over:
            self._check_lingering()
        elif self._write_paused_since is not None:
            self._check_progress(self._write_paused_since, limits.keep_alive_seconds)
        elif self._pinged_at is not None and self._pinged_at > self._received_at:
            self._abort_after(self._pinged_at, PING_SECONDS)
        elif not self._streams.settings_received:
            if self._lasts(self._since, limits.header_timeout_seconds):
                self._fail(H2ConnectionError(ErrorCode.SETTINGS_TIMEOUT, "No settings have come."))
        elif (block := self._streams.block) is not None and self._lasts(block.since, limits.header_timeout_seconds):
            self._fail(H2ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, "A head was not complete in time."))
        else:
            self._streams.check_timeouts()
            self._ping_or_close(limits.keep_alive_seconds)

    def announce_draining(self) -> None:
        """Tell the calls that watch the server's health that it is about to stop."""
        for call in list(self._streams.calls.values()):
            call.on_draining()

    def shutdown(self) -> None:
        """Say that there will be no more, and take calls until the client has heard that."""
        if self._refusing_timer is None and not self._over:
            self._write(
                h2_frames.goaway(h2_frames.MAX_STREAM_ID, ErrorCode.NO_ERROR)
                + h2_frames.frame(h2_frames.PING, 0, 0, GOAWAY_PING)
            )
            self._refusing_timer = asyncio.get_running_loop().call_later(DRAIN_SECONDS, self._refuse_streams)

    def abort(self) -> None:
        """Close at once."""
        self._over = True
        self._cancel_calls()
        self._transport.abort()

    # How it ends.

    def _check_progress(self, since: int, longest: float) -> None:
        """Close where the client has taken nothing for so many seconds; a slow one that reads on is left alone."""
        progress = send_progress(self._transport)
        if progress != self._progress:
            self._write_paused_since, self._progress = self._registry.seconds, progress
        else:
            self._abort_after(since, longest)

    def _check_lingering(self) -> None:
        """Close where the client has neither closed its side nor taken anything for a moment."""
        progress = send_progress(self._transport)
        if progress != self._progress:
            self._since, self._progress = self._registry.seconds, progress
        else:
            self._abort_after(self._since, LINGER_SECONDS)

    def _ping_or_close(self, longest: float) -> None:
        """Close an idle connection; ask a client that has calls and has been silent whether it is there."""
        if not self.busy:
            if self._lasts(self._since, longest):
                self.shutdown()
        elif self._lasts(self._received_at, longest):
            self._pinged_at = self._registry.seconds
            self._write(h2_frames.frame(h2_frames.PING, 0, 0, _KEEPALIVE_PING))

    def _emptied(self) -> None:
        """The last call under way is over."""
        self._since = self._registry.seconds
        if self._streams.refusing_streams:
            self._linger()

    def _refuse_streams(self) -> None:
        """Take no more calls, and close after the last answer."""
        streams = self._streams
        if self._refusing_timer is not None:
            # A timer that has passed would keep the connection.
            self._refusing_timer.cancel()
        if streams.refusing_streams or self._over:
            return
        streams.refusing_streams = True
        self._final = streams.last
        self._write(h2_frames.goaway(self._final, ErrorCode.NO_ERROR))
        for call in list(streams.calls.values()):
            call.on_stopping()
        if not streams.calls:
            self._linger()

    def _fail(self, fault: H2ConnectionError) -> None:
        """Say why nothing can be answered any more, and close."""
        if not self._over:
            calm = fault.code is ErrorCode.ENHANCE_YOUR_CALM
            self._state.app.refuse(Overloaded(fault.message) if calm else Malformed(fault.message), "", {})
            self._write(h2_frames.goaway(min(self._streams.last, self._final), fault.code, fault.message))
            self._cancel_calls()
            self._linger()

    def _linger(self) -> None:
        """Close our side, and wait until the client has closed its own."""
        if self._over:
            return
        self._over = True
        self._reader.stop()
        self._since, self._progress = self._registry.seconds, send_progress(self._transport)
        if self._transport.can_write_eof():
            self._transport.write_eof()

    def _cancel_calls(self) -> None:
        """Cancel every call."""
        if self._refusing_timer is not None:
            self._refusing_timer.cancel()
        self._streams.drop()

    def _abort_after(self, since: int, seconds: float) -> None:
        if self._lasts(since, seconds):
            self.abort()

    def _lasts(self, since: int, seconds: float) -> bool:
        """Whether something has lasted longer than so many seconds."""
        return self._registry.seconds - since > seconds

    def _write(self, data: bytes) -> None:
        if not self._over and not self._transport.is_closing():
            self._transport.write(data)
