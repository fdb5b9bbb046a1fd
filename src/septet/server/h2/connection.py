"""One HTTP/2 connection that carries gRPC calls (RFC 9113), from its first byte to its end, on the event loop.

What is said on it is for `Streams`. Here is how long it lasts: who is slow in sending a head or a message, in taking an
answer, or does nothing at all, is left; the one sweep a second sees to that.

The end. The client is told that there will be no more, but every stream that it opens until it has heard of that is
answered: only then does it hear which one was the last. So no call is lost on its way. Nor does the connection close
with bytes unread, which would reset it and could take the last answers with it.
"""

import asyncio

from septet.server.h2 import frames
from septet.server.h2.calls import STREAM_WINDOW
from septet.server.h2.frames import Code, ConnectionFault, Splitter
from septet.server.h2.outflow import FIRST_WINDOW
from septet.server.h2.shared import Shared
from septet.server.h2.streams import CONNECTION_WINDOW, FAREWELL, MOST_STREAMS, Streams

# For the client to hear that no more calls are taken; to close its side; to answer whether it is still there.
PARTING_SECONDS, LINGER_SECONDS, PING_SECONDS = 1.0, 2, 20
_ALIVE = b"alive?!?"


class H2Connection(asyncio.Protocol):
    """A protocol for asyncio, and `Connected` for the worker."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._transport: asyncio.Transport
        self._splitter = Splitter()
        self._streams = Streams(shared, self._write, parted=self._depart, emptied=self._emptied)
        # The last stream that the client was told is answered.
        self._final = frames.LAST_STREAM
        # Nothing more is read or written.
        self._over = False
        # When the connection began, was last without a call, or was over; when the client last said something, was
        # asked whether it is there, and began not to read.
        self._since = self._heard = shared.seconds
        self._asked: int | None = None
        self._jammed_since: int | None = None
        self._parting: asyncio.TimerHandle | None = None

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send our settings, and refuse at once where there are too many connections."""
        self._transport = transport  # type: ignore[assignment]
        shared = self._shared
        shared.joined(self)
        ours = {
            frames.MAX_CONCURRENT_STREAMS: MOST_STREAMS,
            frames.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
            frames.MAX_HEADER_LIST_SIZE: shared.limits.max_header_bytes,
        }
        self._write(frames.settings(ours) + frames.window_update(0, CONNECTION_WINDOW - FIRST_WINDOW))
        if len(shared.connections) > shared.limits.max_connections:
            self._fail(
                ConnectionFault(Code.ENHANCE_YOUR_CALM, "There are too many connections. Try again in a moment.")
            )
        elif shared.parting:
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
        except ConnectionFault as fault:
            self._fail(fault)

    def pause_writing(self) -> None:
        """Take nothing further from a client that does not read its answers."""
        self._jammed_since = self._shared.seconds
        self._streams.out.jammed = True
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Go on."""
        self._jammed_since = None
        self._streams.out.jammed = False
        if not self._transport.is_closing():
            self._transport.resume_reading()
            self._streams.out.pump()

    # What the worker calls.

    @property
    def busy(self) -> bool:
        """Whether calls are under way."""
        return bool(self._streams.calls)

    def swept(self) -> None:
        """Leave a client that is too slow, silent or idle."""
        limits = self._shared.limits
        if self._over:
            self._abort_after(self._since, LINGER_SECONDS)
        elif self._jammed_since is not None:
            self._abort_after(self._jammed_since, limits.keep_alive_seconds)
        elif self._asked is not None and self._asked > self._heard:
            self._abort_after(self._asked, PING_SECONDS)
        elif not self._streams.greeted:
            if self._lasts(self._since, limits.header_timeout_seconds):
                self._fail(ConnectionFault(Code.SETTINGS_TIMEOUT, "No settings have come."))
        elif (block := self._streams.block) is not None and self._lasts(block.since, limits.header_timeout_seconds):
            self._fail(ConnectionFault(Code.ENHANCE_YOUR_CALM, "A head was not complete in time."))
        else:
            self._streams.swept()
            self._ask_or_part(limits.keep_alive_seconds)

    def drained(self) -> None:
        """Tell those who watch that the server is about to stop."""
        for call in list(self._streams.calls.values()):
            call.drained()

    def part(self) -> None:
        """Say that there will be no more, and hear until the client knows it."""
        if self._parting is None and not self._over:
            self._write(frames.goaway(frames.LAST_STREAM, Code.NO_ERROR) + frames.frame(frames.PING, 0, 0, FAREWELL))
            self._parting = asyncio.get_running_loop().call_later(PARTING_SECONDS, self._depart)

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
            self._write(frames.frame(frames.PING, 0, 0, _ALIVE))

    def _emptied(self) -> None:
        """The last call under way is over."""
        self._since = self._shared.seconds
        if self._streams.departed:
            self._linger()

    def _depart(self) -> None:
        """Take no more calls, and close after the last answer."""
        streams = self._streams
        if streams.departed or self._over:
            return
        streams.departed = True
        self._final = streams.last
        self._write(frames.goaway(self._final, Code.NO_ERROR))
        for call in list(streams.calls.values()):
            call.stopped()
        if not streams.calls:
            self._linger()

    def _fail(self, fault: ConnectionFault) -> None:
        """Say why nothing can be answered any more, and close."""
        if not self._over:
            self._write(frames.goaway(min(self._streams.last, self._final), fault.code, fault.message))
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
