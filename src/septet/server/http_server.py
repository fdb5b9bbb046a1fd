"""HTTP/1.1 on given sockets, until a signal comes, and a written order of stopping.

Stopping: not ready at once -> go on answering for `drain_delay_seconds`, so that balancers notice -> stop listening ->
answer what was asked, up to `grace_seconds`. Secondary servers, such as the one for gRPC, stop with this one.
"""

import asyncio
import contextlib
import logging
import random
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Protocol

from septet.server.acceptor import Acceptor
from septet.server.http_connection import HttpConnection
from septet.server.http_server_state import HttpServerState
from septet.server.tls import TransportOpener
from septet.server.tls_files import HTTP, TlsFiles
from septet.settings import Server

logger = logging.getLogger("septet.server")

TICK_SECONDS = 0.1
CUT_OFF = 1


class SecondaryServer(Protocol):
    """Another server in the same process and on the same event loop, which comes after ours and goes with it."""

    async def start(self) -> None:
        """Listen; raises StartupError where that cannot be."""

    def drain(self) -> None:
        """Say that it is not ready, but go on answering; may be called again."""

    async def stop(self, grace: float) -> bool:
        """Take no more, and answer what was asked within so many seconds; whether all was."""


class HttpServer:
    """Answers on given sockets until a signal comes, or as many requests as it may answer, and stops in order.

    `crowded` says whether another worker should accept the next connection first; `on_listening` is called with whether
    connections are accepted.

    Attributes:
        listening: set once it listens.
    """

    def __init__(
        self,
        state: HttpServerState,
        server: Server,
        *,
        crowded: Callable[[], bool],
        on_listening: Callable[[bool], None],
        tls_files: TlsFiles | None = None,
    ) -> None:
        self._state = state
        self._app = state.app
        self._registry = state.registry
        self._crowded = crowded
        self._on_listening = on_listening
        self._opener = TransportOpener(tls_files, HTTP, state.limits)
        self._drain_delay = server.drain_delay_seconds
        self._grace = server.grace_seconds
        # Workers that began together must not end together.
        jitter = random.randint(0, server.max_requests_jitter)  # noqa: S311 - no secret
        self._max_requests = server.max_requests + jitter if server.max_requests else None
        self._stop_at: float | None = None
        self._stopping = self._forced = False
        self._acceptors: list[Acceptor] = []
        self._secondary_servers: list[SecondaryServer] = []
        self._secondary_answered = False
        # Held while one of them starts: what is told to stop meanwhile must stop that one too.
        self._secondary_starting = asyncio.Lock()
        self._secondary_stopped = False
        self.listening = asyncio.Event()

    async def serve(self, sockets: Sequence[socket.socket]) -> None:
        """Serve to the end."""
        with _signals(self._on_signal):
            self._acceptors = [Acceptor(each, self._open, self._count, self._crowded) for each in sockets]
            self._on_listening(True)  # noqa: FBT003 - called by place
            self.listening.set()
            while not self._is_over():  # noqa: ASYNC110 - a clock, a counter and signals end it
                await asyncio.sleep(TICK_SECONDS)
            await self._shutdown(sockets)

    @property
    def stopping(self) -> bool:
        """Whether it was told to stop; it may still answer, until balancers have noticed."""
        return self._stopping or self._stop_at is not None

    def stop_now(self) -> None:
        """Stop at once."""
        self._stopping = self._forced = True

    async def start_secondary(self, secondary: SecondaryServer) -> None:
        """Start another server, which answers beside this one until the end; none is started once they are stopped."""
        async with self._secondary_starting:
            if not self._secondary_stopped:
                await secondary.start()
                self._secondary_servers.append(secondary)

    async def _open(self, connection: socket.socket) -> None:
        await self._opener.open(self._protocol, connection)

    def _count(self) -> int:
        return len(self._registry)

    def _protocol(self) -> HttpConnection:
        return HttpConnection(self._state)

    def _on_signal(self, _: int, __: FrameType | None) -> None:
        """Begin to drain: for no time where nothing was ever answered, since no balancer asks here."""
        self._app.draining = True
        if self._stop_at is None:
            self._stop_at = time.monotonic() + (0.0 if self._app.state.starting else self._drain_delay)

    def _is_over(self) -> bool:
        if self._stop_at is not None:
            for secondary in self._secondary_servers:
                secondary.drain()
            if time.monotonic() >= self._stop_at:
                self._stopping = True
        enough = self._max_requests is not None and self._state.answered >= self._max_requests
        return self._stopping or enough

    async def _shutdown(self, sockets: Sequence[socket.socket]) -> None:
        """Take in who has already connected, then listen no more and answer what was asked."""
        self._app.draining = True
        if self._app.models:
            logger.info("stopping: answering what was asked until now")
        for acceptor in self._acceptors:
            acceptor.close()
        for each in sockets:
            each.close()
        self._on_listening(False)  # noqa: FBT003 - called by place
        await asyncio.gather(*(acceptor.wait_closed() for acceptor in self._acceptors))
        stopping = asyncio.create_task(self._stop())
        while not stopping.done() and not self._forced:
            await asyncio.wait((stopping,), timeout=TICK_SECONDS)
        if not stopping.done():
            stopping.cancel()

    async def _stop(self) -> None:
        _, self._secondary_answered = await asyncio.gather(self._close_connections(), self._stop_secondary())

    async def _stop_secondary(self) -> bool:
        """Whether the servers beside this one have answered all that they were asked."""
        async with self._secondary_starting:
            self._secondary_stopped = True
            ends = [secondary.stop(self._grace) for secondary in self._secondary_servers]
        return all(await asyncio.gather(*ends))

    async def _close_connections(self) -> None:
        """Let the connections end, for as long as the grace lasts."""
        for connection in self._registry:
            connection.shutdown()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._registry.empty.wait(), self._grace)
        if self._registry:
            logger.error("cut off after %g s: %d connections", self._grace, len(self._registry))

    @property
    def exit_code(self) -> int:
        """Why it ended: 0 with everything answered, 1 with requests cut off."""
        return 0 if not self._registry and self._secondary_answered else CUT_OFF


@contextlib.contextmanager
def _signals(handle: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Handle what asks a worker to stop: interrupts are for its parent."""
    before = signal.signal(signal.SIGTERM, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
