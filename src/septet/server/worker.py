"""What runs inside a serving process: HTTP on given sockets, its companions, and a written order of stopping.

Stopping: not ready at once -> go on answering for `drain_delay_seconds`, so that balancers notice -> stop listening ->
answer what was asked, up to `grace_seconds` -> exit 0.
"""

import asyncio
import contextlib
import gc
import logging
import os
import random
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Protocol

import msgspec
import uvloop

from septet.protocols.http.app import App
from septet.server import tls
from septet.server.acceptor import Acceptor
from septet.server.http import HttpConnection
from septet.server.wire import Wire
from septet.settings import Settings

logger = logging.getLogger("septet.server")

BEAT_SECONDS = 1.0
TICK_SECONDS = 0.1
# When it stops: for the TLS handshakes of those who have connected.
OPENING_SECONDS = 1.0
CUT_OFF, INTERRUPTED = 1, 130


def _nothing(_: int, __: bool) -> None:  # noqa: FBT001 - called by place
    """Tell nobody."""


def _never() -> bool:
    """A lone worker need not wait for others."""
    return False


class Companion(Protocol):
    """Another server in the same process and on the same event loop, which comes after ours and goes with it."""

    async def start(self) -> None:
        """Listen; raises StartupError where that cannot be."""

    def drain(self) -> None:
        """Say that it is not ready, but go on answering; may be called again."""

    async def stop(self, grace: float) -> bool:
        """Take no more, and answer what was asked within so many seconds; whether all was."""


class Work(msgspec.Struct, frozen=True):
    """What a worker does.

    Attributes:
        load: loads the model into the application; raises StartupError where it cannot.
        ready: called once the worker answers predictions.
        beat: called every second while the event loop is alive.
        early: whether to listen, and answer 503, while the model loads; a worker that joins others must not.
        companions: the servers that answer beside ours; `load` adds them.
        connected: told how many connections are open, and whether more are accepted.
        crowded: whether another worker should accept the next one first.
    """

    load: Callable[[], None]
    ready: Callable[[], None]
    beat: Callable[[], None]
    early: bool
    companions: Sequence[Companion] = ()
    connected: Callable[[int, bool], None] = _nothing
    crowded: Callable[[], bool] = _never


class Server:
    """Answers on given sockets until a signal comes, or as many requests as it may answer, and stops in order.

    Attributes:
        listening: set once it listens.
    """

    def __init__(self, app: App, wire: Wire, settings: Settings, crowded: Callable[[], bool]) -> None:
        """Raise StartupError where certificate and key cannot be used."""
        server = settings.server
        self._app = app
        self._wire = wire
        self._crowded = crowded
        self._tls = tls.context(server, "http/1.1")
        self._drain_delay = server.drain_delay_seconds
        self._grace = server.grace_seconds
        # Workers that began together must not end together.
        jitter = random.randint(0, server.max_requests_jitter)  # noqa: S311 - no secret
        self._most_requests = server.max_requests + jitter if server.max_requests else None
        self._stop_at: float | None = None
        self._stopping = self._forced = False
        self._acceptors: list[Acceptor] = []
        self._companions: list[Companion] = []
        self._companions_done = True
        self.listening = asyncio.Event()

    async def serve(self, sockets: Sequence[socket.socket]) -> None:
        """Serve to the end."""
        with _signals(self._signalled):
            self._acceptors = [Acceptor(each, self._open, self._count, self._crowded) for each in sockets]
            self._wire.listen(on=True)
            self.listening.set()
            while not self._is_over():  # noqa: ASYNC110 - a clock, a counter and signals end it
                await asyncio.sleep(TICK_SECONDS)
            await self._shutdown(sockets)

    def abandon(self) -> None:
        """Stop at once."""
        self._stopping = self._forced = True

    async def accompany(self, companion: Companion) -> None:
        """Let another server answer beside this one until the end."""
        await companion.start()
        self._companions.append(companion)

    async def _open(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        await loop.connect_accepted_socket(self._protocol, connection, ssl=self._tls)

    def _count(self) -> int:
        return len(self._wire.connections)

    def _protocol(self) -> HttpConnection:
        return HttpConnection(self._wire)

    def _signalled(self, number: int, _: FrameType | None) -> None:
        """Begin to drain; a second interrupt stops at once."""
        if self._app.draining and number == signal.SIGINT:
            self.abandon()
        self._app.draining = True
        if self._stop_at is None:
            self._stop_at = time.monotonic() + self._drain_delay

    def _is_over(self) -> bool:
        if self._stop_at is not None:
            for companion in self._companions:
                companion.drain()
            if time.monotonic() >= self._stop_at:
                self._stopping = True
        enough = self._most_requests is not None and self._wire.answered >= self._most_requests
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
        self._wire.listen(on=False)
        opened = [asyncio.ensure_future(acceptor.wait_closed()) for acceptor in self._acceptors]
        await asyncio.wait(opened, timeout=OPENING_SECONDS)
        stopping = asyncio.create_task(self._stop())
        while not stopping.done() and not self._forced:
            await asyncio.wait((stopping,), timeout=TICK_SECONDS)
        if not stopping.done():
            stopping.cancel()

    async def _stop(self) -> None:
        self._companions_done = not self._companions
        ends = [companion.stop(self._grace) for companion in self._companions]
        _, *done = await asyncio.gather(self._part(), *ends)
        self._companions_done = all(done)

    async def _part(self) -> None:
        """Let the connections end, for as long as the grace lasts."""
        for connection in list(self._wire.connections):
            connection.shutdown()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wire.deserted.wait(), self._grace)
        if self._wire.connections:
            logger.error("cut off after %g s: %d connections", self._grace, len(self._wire.connections))

    @property
    def exit_code(self) -> int:
        """Why it ended: 0 with everything answered, 130 at once on a second interrupt, 1 with requests cut off."""
        if not self._wire.connections and self._companions_done:
            return 0
        return INTERRUPTED if self._forced else CUT_OFF


@contextlib.contextmanager
def _signals(handle: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Handle what asks a process to stop."""
    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def work(app: App, sockets: Sequence[socket.socket], settings: Settings, what: Work) -> int:
    """Serve until a signal comes, and return the exit code.

    Raises:
        StartupError: the model cannot be served.
    """
    if not what.early:
        what.load()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        code = runner.run(_serve(app, list(sockets), settings, what))
    if code is None or code != 0:
        # A thread is still in the engine; the interpreter would wait for it, however long that takes.
        logging.shutdown()
        os._exit(code or 0)
    return 0


async def _serve(app: App, sockets: list[socket.socket], settings: Settings, what: Work) -> int | None:
    """Return the exit code; None where it was told to stop before the model was loaded."""
    wire = Wire(app, settings.limits, what.connected)
    server = Server(app, wire, settings, what.crowded)
    serving = asyncio.create_task(server.serve(sockets))
    helpers = [asyncio.create_task(wire.sweep()), asyncio.create_task(_beat(what.beat))]
    try:
        await _listening(serving, server.listening)
        if what.early:
            loading = _loading(what.load)
            await asyncio.wait((serving, loading), return_when=asyncio.FIRST_COMPLETED)
            if not loading.done():
                await serving
                return None
            loading.result()
        for companion in what.companions:
            await server.accompany(companion)
        # What was made until now lives as long as the process: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        what.ready()
        await serving
    except BaseException:
        server.abandon()
        with contextlib.suppress(asyncio.CancelledError):
            await serving
        raise
    finally:
        for helper in helpers:
            helper.cancel()
    return server.exit_code


def _loading(load: Callable[[], None]) -> "asyncio.Future[None]":
    """Load in a thread of its own, so that the loop can answer that it is not ready, and can stop."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()

    def settle(error: BaseException | None) -> None:
        if future.cancelled():
            return
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)

    def work() -> None:
        failure: BaseException | None = None
        try:
            load()
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            failure = error
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(settle, failure)

    threading.Thread(target=work, name="septet-load", daemon=True).start()
    return future


async def _listening(serving: "asyncio.Task[None]", listening: asyncio.Event) -> None:
    """Wait until the server listens, or has failed to."""
    wait = asyncio.create_task(listening.wait())
    await asyncio.wait((serving, wait), return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        wait.cancel()
        serving.result()


async def _beat(beat: Callable[[], None]) -> None:
    while True:
        beat()
        await asyncio.sleep(BEAT_SECONDS)
