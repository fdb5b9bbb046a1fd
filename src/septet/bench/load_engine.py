"""Puts one load on a server, from one process and one thread.

Theory of operation. All that a request costs here is a write of bytes made before, the HTTP parser in C, and a few
numbers kept. In a closed loop an answer sends the next request on its connection. In an open loop each request has the
time it is due; it then takes the connection that has been idle the longest, or waits for one, and its response time
counts from when it was due, so that a stall of the server is seen by all who would have come meanwhile (coordinated
omission). The event loop's timers have milliseconds, so the last moments before a request is due are spent polling:
that time counts as idle, not as busy. Where the process has one CPU only it does not poll, as it may be the server's.
"""

import asyncio
import gc
import time
from collections import deque
from collections.abc import Callable, Sequence

from septet.bench.address import tls_context
from septet.bench.answer_check import check_for
from septet.bench.load import Load, LoadPlan
from septet.bench.load_connection import LoadConnection
from septet.bench.recording import WRONG_ANSWER, Recorder, Recording
from septet.bench.schedule import due_times
from septet.errors import Unavailable

GRACE_SECONDS = 1.0  # after the last request was due, for those that still wait for a connection
POLLED_SECONDS = 0.002
RETRY_SECONDS = 0.1
CONNECT_AT_ONCE = 64  # a listening socket's backlog is finite

Progress = Callable[[int, int], None]
_OK = range(200, 300)
_REFUSED = (429, 503)


async def run_load(
    load: Load,
    plan: LoadPlan,
    *,
    offset: int = 0,
    phase: float = 0.0,
    poll: bool = True,
    progress: Progress | None = None,
) -> Recording:
    """Put a load on a server and return what was recorded; it ends by itself, whatever the server does.

    `offset` is the first payload. `phase` is as in `due_times`. `progress` is called twice a second with how
    many requests were answered and how many failed.

    Raises:
        Unavailable: the server cannot be connected to.
    """
    engine = _LoadEngine(load, plan, offset=offset, due=due_times(load, phase), poll=poll)
    # Collection would count as lag; what a load leaves behind is little.
    collecting = gc.isenabled()
    gc.disable()
    try:
        await engine.connect()
        return await engine.run(progress)
    finally:
        engine.close()
        await asyncio.sleep(0)  # for the connections to end
        if collecting:
            gc.enable()


class _LoadEngine:
    def __init__(self, load: Load, plan: LoadPlan, *, offset: int, due: Sequence[float], poll: bool) -> None:
        self._load, self._plan, self._poll = load, plan, poll
        self._closed_loop = load.rate is None
        self._loop = asyncio.get_running_loop()
        self._tls = tls_context(plan.target)
        self._payloads = plan.payloads
        self._turn = offset % len(plan.payloads)
        self._check = check_for(plan.form)
        self._recorder = Recorder()
        self._due, self._at = due, 0
        self._backlog: deque[float] = deque()
        self._idle: deque[LoadConnection] = deque()
        self._busy: set[LoadConnection] = set()
        self._open: set[LoadConnection] = set()
        self._connecting: set[asyncio.Task[None]] = set()
        self._finished = self._loop.create_future()
        self._start = self._recorded_from = self._stop = 0.0
        self._last_answer = 0.0
        self._events = 0
        self._polled_at: float | None = None
        self._polled_events = 0
        self._polled_seconds = 0.0

    async def connect(self) -> None:
        total = self._load.connections
        for first in range(0, total, CONNECT_AT_ONCE):
            wanted = (self._connect() for _ in range(min(CONNECT_AT_ONCE, total - first)))
            for outcome in await asyncio.gather(*wanted, return_exceptions=True):
                if isinstance(outcome, (OSError, TimeoutError)):
                    text = str(outcome) or "no connection within the timeout"
                    raise Unavailable(f"{self._plan.target.authority}: cannot be connected to: {text}") from outcome
                if outcome is not None:
                    raise outcome

    async def run(self, progress: Progress | None) -> Recording:
        load = self._load
        self._start = time.monotonic()
        self._recorded_from = self._start + load.warmup
        self._stop = self._recorded_from + load.seconds
        cpu_at_start: list[float] = []
        self._loop.call_later(load.warmup, lambda: cpu_at_start.append(self._cpu_seconds()))
        cpu_at_stop: list[float] = []
        self._loop.call_later(load.warmup + load.seconds, lambda: cpu_at_stop.append(self._cpu_seconds()))
        self._sweep()
        if progress is not None:
            self._report_progress(progress)
        if self._closed_loop:
            for connection in list(self._idle):
                self._next(connection)
        else:
            self._tick()
        await self._finished
        if not cpu_at_stop:  # every connection was lost, or the last answers came early
            await asyncio.sleep(max(0.0, self._stop - time.monotonic()) + POLLED_SECONDS)
        busy = cpu_at_stop[0] - cpu_at_start[0] if cpu_at_start and cpu_at_stop else 0.0
        elapsed = max(load.seconds, self._last_answer - self._recorded_from)
        return self._recorder.recording(elapsed, max(0.0, busy) / load.seconds)

    def close(self) -> None:
        if not self._finished.done():
            self._finished.cancel()
        for task in self._connecting:
            task.cancel()
        for connection in list(self._open):
            connection.abort("the load has ended")

    # Called by connections.

    def answered(self, connection: LoadConnection, status: int, body: bytes, now: float) -> None:
        payload, connection.payload = connection.payload, None
        assert payload is not None  # noqa: S101 - an answer belongs to a request
        self._events += 1
        self._busy.discard(connection)
        if connection.due >= self._recorded_from:
            self._last_answer = now
            recorder = self._recorder
            if status not in _OK:
                recorder.fail(f"status {status}", body.decode(errors="replace"))
                if status in _REFUSED:
                    recorder.refused.append(now - connection.sent)
            elif wrong := self._check(payload, body):
                recorder.fail(WRONG_ANSWER, wrong)
            else:
                recorder.answered += 1
                recorder.response.append(now - connection.due)
                recorder.service.append(now - connection.sent)
        if connection.ready:
            self._free(connection, now)
        self._finish_if_done(now)

    def lost(self, connection: LoadConnection, reason: str) -> None:
        self._open.discard(connection)
        if self._finished.done():
            return
        now = time.monotonic()
        if connection in self._busy:
            self._busy.discard(connection)
            if connection.due >= self._recorded_from:
                self._last_answer = now
                kind = "timeout" if reason == _TIMEOUT else "connection lost"
                self._recorder.give_up(kind, reason, now - connection.due, now - connection.sent)
        if self._wanted(now):
            task = self._loop.create_task(self._reconnect())
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)
        self._finish_if_done(now)

    # Sending.

    def _free(self, connection: LoadConnection, now: float) -> None:
        if not self._closed_loop:
            if self._backlog:
                self._send(connection, self._backlog.popleft(), now)
            else:
                self._idle.append(connection)
        elif now < self._stop:
            self._send(connection, None, now)

    def _next(self, connection: LoadConnection) -> None:
        now = time.monotonic()
        if connection.ready:
            self._free(connection, now)

    def _send(self, connection: LoadConnection, due: float | None, now: float) -> None:
        turn = self._turn
        self._turn = turn + 1 if turn + 1 < len(self._payloads) else 0
        self._busy.add(connection)
        connection.send(self._payloads[turn], due, now)

    def _tick(self) -> None:
        """Send what is due, and come back when the next is."""
        if self._finished.done():
            return
        now = time.monotonic()
        if self._polled_at is not None and self._events == self._polled_events:
            self._polled_seconds += now - self._polled_at
        self._polled_at = None
        due, start, lag = self._due, self._start, self._recorder.lag
        while self._at < len(due) and start + due[self._at] <= now:
            moment = start + due[self._at]
            self._at += 1
            if moment >= self._recorded_from:
                lag.append(now - moment)
            self._backlog.append(moment)
        while self._backlog and self._idle:
            connection = self._idle.popleft()
            if connection.ready:
                self._send(connection, self._backlog.popleft(), time.monotonic())
        if self._at < len(due):
            self._come_back(start + due[self._at])

    def _come_back(self, moment: float) -> None:
        now = time.monotonic()
        wait = moment - now
        if not self._poll:
            self._loop.call_later(max(0.0, wait), self._tick)
        elif wait > 2 * POLLED_SECONDS:
            self._loop.call_later(wait - POLLED_SECONDS, self._tick)
        else:
            self._polled_at, self._polled_events = now, self._events
            self._loop.call_soon(self._tick)

    # Ending.

    def _sweep(self) -> None:
        """Give up what is over its time."""
        if self._finished.done():
            return
        now = time.monotonic()
        for connection in [each for each in self._busy if now - each.sent > self._load.timeout]:
            connection.abort(_TIMEOUT)
        if self._closed_loop:
            given_up = now > self._stop
        else:
            given_up = self._at == len(self._due) and now > self._stop + GRACE_SECONDS
            while given_up and self._backlog:
                moment = self._backlog.popleft()
                if moment >= self._recorded_from:
                    self._last_answer = now
                    self._recorder.give_up("not sent", "no connection was free for it in time", now - moment, None)
        if given_up:
            self._finish_if_done(now)
        self._loop.call_later(min(0.1, self._load.timeout / 4), self._sweep)

    def _finish_if_done(self, now: float) -> None:
        if self._busy or self._backlog or self._finished.done():
            return
        if now >= self._stop if self._closed_loop else self._at == len(self._due):
            self._finished.set_result(None)

    def _wanted(self, now: float) -> bool:
        """Say whether another connection may still be used."""
        return now < self._stop or bool(self._backlog)

    # Connecting.

    async def _connect(self) -> None:
        target = self._plan.target
        async with asyncio.timeout(self._load.timeout):
            _, connection = await self._loop.create_connection(
                lambda: LoadConnection(self), target.host, target.port, ssl=self._tls
            )
        self._open.add(connection)
        self._idle.append(connection)

    async def _reconnect(self) -> None:
        while self._wanted(time.monotonic()):
            try:
                await self._connect()
            except (OSError, TimeoutError) as exc:
                self._recorder.fail("cannot connect", str(exc) or type(exc).__name__)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            self._next(self._idle.pop())
            return

    # Looking on.

    def _cpu_seconds(self) -> float:
        return time.process_time() - self._polled_seconds

    def _report_progress(self, progress: Progress) -> None:
        if not self._finished.done():
            progress(self._recorder.answered, sum(self._recorder.errors.values()))
            self._loop.call_later(0.5, self._report_progress, progress)


_TIMEOUT = "no answer within the timeout"
