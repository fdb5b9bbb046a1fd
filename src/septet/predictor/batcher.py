"""The predictor that merges the requests which wait for the runtime into one run.

Theory of operation. A request joins the waiting list; at the end of the event loop's turn the sockets are looked at
once more, and then everything that waits is taken, up to `max_batch_rows`, and run as one: what came while the others
were read is not left for a run of its own. Under light load a turn holds one request and nothing changes; under heavy
load the fixed cost of a run and of waking the interpreter is shared. Nothing ever waits for a timer. Where the last
turns held a single request, the next one is run at once rather than at their end: a lone caller is spared them, and the
first of many costs no more than a run of its own.

A run that is expected to be short is made on the loop itself: handing it to a thread costs more than it takes. A longer
one is made in a thread, one at a time, and what arrives meanwhile is the next batch. So are short ones where so
many wait that the loop would be held up: it must stay free to refuse those who come too late. The expectation
comes from warm-up, so that one rule serves small models, heavy models, and a small model given very many rows; a model
that was quick at warm-up and then is not, is noticed. Where no row was known that the model answers, it starts cold,
each request by itself in the thread, and is warmed up on the first that it does answer.

Where requests are refused, the loop looks away from the sockets for a while, and only begins the next run when one is
over: to refuse takes time from the model where both have one core, and callers who ask again at once would take all of
it, which makes runs longer, and more of them refused, until nobody is answered.

What may be taken next is decided by `tickets.take`, a pure function; only `Batcher` touches the loop.
"""

import asyncio
import contextlib
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeAlias

import msgspec

from septet.errors import Overloaded, SeptetError
from septet.predictor.latency_model import INLINE_SECONDS, LatencyModel
from septet.predictor.model_runner import ModelRunner, Outcome
from septet.predictor.queued_request import Done, QueuedRequest, late, of, take
from septet.types import Identity, Predictor, Request, Response, Tensors, Timings

logger = logging.getLogger("septet.predictor")

#: From the tensors of a request that was answered to what runs cost, and how many rows may be merged.
Learn: TypeAlias = Callable[[Tensors], tuple[LatencyModel, int]]

# What waits is run on the loop where its runs, and those of the same turn before, take no longer together.
TURN_SECONDS = 0.005
# A run on the loop that takes longer than this was not short: so many in a row, and runs leave the loop for a while,
# twice as long each time. A single one says nothing: the machine may have been busy with something else.
LONG_SECONDS, MOST_LONG = 0.005, 3
FIRST_LEAVE_SECONDS, LONGEST_LEAVE_SECONDS = 10.0, 600.0
# How fast the expected wait follows what runs in the thread really take.
MEMORY = 0.1
# What handing a run to the thread and back takes besides: at first, and at most. It grows with what the loop has to do.
HANDOVER_SECONDS, LONGEST_HANDOVER_SECONDS = 0.0003, 0.01

# Expectations are not that exact, and a machine that others share slows down by a third within a second: a request is
# refused where it would not be answered in time with so much to spare.
DEADLINE_SAFETY_FACTOR = 1.5
# How long the loop looks away where requests are refused: to answer each as it comes costs three times as much as to
# answer them in groups. It is this many times what refusing took, in these limits.
PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.004, 0.05
RESPITE = 4
# How often those who wait are counted anew while they are too many.
RECOUNT_SECONDS = 0.001


class _Run(msgspec.Struct, frozen=True, eq=False):
    """A run in the thread: whose it is, since when, of how many rows."""

    tickets: list[QueuedRequest]
    begun: float
    rows: int
    work: "Future[tuple[list[Outcome], float]]"


class Batcher(Predictor):
    """One engine as a `Predictor`.

    `max_pending` bounds the requests that wait; one more is refused at once. `max_batch_rows` of 1 merges nothing,
    for models whose rows are not independent. A cold model has no `cost`: it runs in the thread and nothing is merged,
    until `learn` was given the tensors of the first request that it answered, and has found the cost and the rows.
    """

    def __init__(
        self,
        engine: ModelRunner,
        identity: Identity,
        cost: LatencyModel | None,
        *,
        max_batch_rows: int,
        max_pending: int,
        learn: Learn | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._key = engine.key
        self._identity = identity
        self._handover = HANDOVER_SECONDS
        self._learn = learn
        if cost is None:
            # Nobody is refused for a wait that is not known.
            self._expect(LatencyModel(0.0, 0.0), 1, away_until=math.inf)
        else:
            self._expect(cost, max_batch_rows)
        self._max_pending = max_pending
        self._clock = clock
        self._waiting: deque[QueuedRequest] = deque()
        self._running: _Run | None = None
        self._scheduled = False
        self._recounted = -math.inf
        # Whether the last turn of the loop had a single request, and how many this one has that did not run at once.
        self._lone = True
        self._joined = 0
        # How long the runs on the loop were expected to take in this turn: the machine may have been busy besides.
        self._spent = 0.0
        # Runs on the loop that took long, one behind the other; until when there are none, and for how long next time.
        self._long_runs = 0
        self._leave_seconds = FIRST_LEAVE_SECONDS
        # How much longer than at warm-up runs in the thread take: on other values, or while the machine is busy.
        self._slowness = 1.0
        # While the thread runs: when it is expected to be free, and the rows that wait for that.
        self._done_at = 0.0
        self._waiting_rows = 0
        self._executor: ThreadPoolExecutor | None = None
        # Set when the thread has nothing to do.
        self._idle = threading.Event()
        self._pausing = False
        # Set for when, by our own clock: the handle of an event loop need not know.
        self._alarm: asyncio.Handle | None = None
        self._alarm_at = math.inf

    def _expect(self, cost: LatencyModel, max_batch_rows: int, *, away_until: float = 0.0) -> None:
        """Go by this cost from the next run on, merge at most so many rows, and run none on the loop before."""
        self._cost = cost
        self._max_batch_rows = max_batch_rows
        # The most rows of a run, on the loop and in the thread.
        self._loop_rows = cost.worthwhile(max_batch_rows)
        self._thread_rows = cost.worthwhile(max_batch_rows, self._handover)
        self._away_until = away_until

    def submit(self, request: Request, done: Done) -> QueuedRequest:
        """Answer a request.

        `done` gets `Overloaded` where too many requests wait, or those that do take longer than its deadline allows;
        `DeadlineExceeded` where its deadline passes first; else what the model runner says.
        """
        now = self._clock()
        ticket = QueuedRequest(request, done, self._key(request), now)
        if len(self._waiting) >= self._max_pending and self._is_full(now):
            self._refuse(ticket, Overloaded(f"{self._max_pending} requests wait already. Try again in a moment."))
            return ticket
        if self._running is not None:
            wait = self._wait(now)
            if (
                request.deadline is not None
                and now + DEADLINE_SAFETY_FACTOR * (wait + self._expected(request.rows)) > request.deadline
            ):
                text = f"Those that wait already take about {wait:.1f} s, longer than this request's deadline allows."
                self._refuse(ticket, Overloaded(text, max(1, math.ceil(wait))))
                return ticket
            self._waiting.append(ticket)
            self._waiting_rows += request.rows
            self._watch(asyncio.get_running_loop(), (ticket,))
            return ticket
        if not self._scheduled:
            self._scheduled = True
            loop = asyncio.get_running_loop()
            loop.call_soon(self._look_again, loop)
            if self._lone and self._short(request.rows, now):
                self._at_once(ticket)
                return ticket
        self._waiting.append(ticket)
        self._waiting_rows += request.rows
        self._joined += 1
        if self._waiting_rows >= self._loop_rows and (
            self._waiting_rows >= self._thread_rows or self._fits_the_turn(now)
        ):
            # A run is full: to wait for the end of the turn would gain nothing, and hold up the first of many.
            self._run_waiting(asyncio.get_running_loop())
        return ticket

    def _wait(self, now: float) -> float:
        """The seconds until all that is running and waiting now is expected to be done."""
        runs = -(-self._waiting_rows // self._thread_rows)
        waiting = self._cost.seconds(self._waiting_rows, runs) * self._slowness + runs * self._handover
        return max(0.0, self._done_at - now) + waiting

    def _fits_the_turn(self, now: float) -> bool:
        """Whether all that waits may be run on the loop, as far as its runs are short."""
        runs = -(-self._waiting_rows // self._loop_rows)
        waiting = self._cost.seconds(self._waiting_rows, runs)
        return self._short(1, now) and self._spent + waiting <= TURN_SECONDS

    def _expected(self, rows: int) -> float:
        """The seconds that a run of so many rows is expected to take in the thread: as at warm-up, and as of late."""
        return self._cost.seconds(rows) * self._slowness + self._handover

    def _short(self, rows: int, now: float) -> bool:
        """Whether a run of so many rows may be made on the loop."""
        return self._cost.seconds(rows) <= INLINE_SECONDS and now >= self._away_until

    def _on_loop(self, batch: list[QueuedRequest], requests: Sequence[Request], begun: float, rows: int) -> None:
        outcomes = self._engine.run(requests)
        ended = self._clock()
        self._spent += self._cost.seconds(rows)
        if ended - begun <= LONG_SECONDS:
            self._long_runs = 0
        else:
            self._long_runs += 1
            if self._long_runs == MOST_LONG:
                self._long_runs = 0
                self._away_until = ended + self._leave_seconds
                self._leave_seconds = min(2 * self._leave_seconds, LONGEST_LEAVE_SECONDS)
        self._settle(batch, outcomes, begun, ended, rows)

    def _at_once(self, ticket: QueuedRequest) -> None:
        request, begun = ticket.request, ticket.arrived
        if request.deadline is not None and request.deadline <= begun:
            ticket.settle(of(request, late()))
            return
        self._on_loop([ticket], (request,), begun, request.rows)

    def _look_again(self, loop: asyncio.AbstractEventLoop) -> None:
        """At the end of the turn: look once more, since others came while these were read."""
        if self._waiting:
            loop.call_soon(self._flush, loop)
        else:
            self._flush(loop)

    def _flush(self, loop: asyncio.AbstractEventLoop) -> None:
        """Run what the turn, or two of them, brought."""
        self._scheduled = False
        self._lone = self._joined <= 1
        self._joined = 0
        self._run_waiting(loop)
        self._spent = 0.0

    def _run_waiting(self, loop: asyncio.AbstractEventLoop) -> None:
        """Run what waits: short runs at once, until one needs the thread."""
        while self._waiting and self._running is None:
            begun = self._clock()
            fits = self._fits_the_turn(begun)
            most_rows = self._loop_rows if fits else self._thread_rows
            batch, expired = take(self._waiting, begun, most_rows, self._expected)
            self._waiting_rows = sum([ticket.request.rows for ticket in self._waiting]) if self._waiting else 0
            _fail_all(expired)
            if not batch:
                continue
            requests = [ticket.request for ticket in batch]
            rows = sum([request.rows for request in requests])
            if fits and self._short(rows, begun):
                self._on_loop(batch, requests, begun, rows)
                continue
            self._done_at = begun + self._expected(rows)
            self._idle.clear()
            run = _Run(batch, begun, rows, self._thread().submit(self._timed, requests))
            self._running = run
            self._watch(loop, (*batch, *self._waiting))
            run.work.add_done_callback(lambda _: self._ended(run, loop))  # noqa: B023 - the loop ends here

    def _timed(self, requests: Sequence[Request]) -> tuple[list[Outcome], float]:
        """Run in the thread; how long it took there as well."""
        begun = self._clock()
        outcomes = self._engine.run(requests)
        return outcomes, self._clock() - begun

    def _ended(self, run: _Run, loop: asyncio.AbstractEventLoop) -> None:
        """In the thread, when a run is over."""
        self._idle.set()
        with contextlib.suppress(RuntimeError):  # nobody is left to answer: the loop is closed
            loop.call_soon_threadsafe(self._finish, run, loop)

    def _refuse(self, ticket: QueuedRequest, error: Overloaded) -> None:
        ticket.settle(of(ticket.request, error))
        if not self._pausing:
            self._pausing = True
            loop = asyncio.get_running_loop()
            loop.call_soon(self._pause, self._clock(), loop)

    def _pause(self, since: float, loop: asyncio.AbstractEventLoop) -> None:
        """At the end of a turn in which requests were refused, the first of them at `since`: let the model run."""
        self._pausing = False
        now = self._clock()
        until = now + min(max(PAUSE_SECONDS, RESPITE * (now - since)), LONGEST_PAUSE_SECONDS)
        if self._alarm is not None:
            until = min(until, self._alarm_at)
        while (run := self._running) is not None and (left := until - self._clock()) > 0.0 and self._idle.wait(left):
            self._finish(run, loop)

    def _thread(self) -> ThreadPoolExecutor:
        if self._executor is None:
            self._executor = ThreadPoolExecutor(1, "septet-runtime")
        return self._executor

    def _finish(self, run: _Run, loop: asyncio.AbstractEventLoop) -> None:
        """Answer a run of the thread, unless that is done, and begin the next."""
        if self._running is not run:
            return
        self._running = None
        if not run.work.cancelled():
            ended = self._clock()
            outcomes, seconds = run.work.result()
            expected = self._cost.seconds(run.rows)
            if expected > 0.0:
                self._slowness += MEMORY * (seconds / expected - self._slowness)
            self._settle(run.tickets, outcomes, run.begun, ended, run.rows)
            # Until the answers are on their way the thread has nothing to do.
            handover = min(self._clock() - run.begun - seconds, LONGEST_HANDOVER_SECONDS)
            self._handover += MEMORY * (handover - self._handover)
            self._thread_rows = self._cost.worthwhile(self._max_batch_rows, self._handover)
            if self._learn is not None and not isinstance(outcomes[0], SeptetError):
                # Nothing was merged yet: there is one request.
                self._expect(LatencyModel(seconds, 0.0), 1, away_until=math.inf)
                # Beside what runs meanwhile: nobody should wait for the many runs that it takes.
                learning = loop.run_in_executor(None, self._learn, run.tickets[0].request.tensors)
                learning.add_done_callback(self._learned)
                self._learn = None
        self._flush(loop)

    def _learned(self, learning: "asyncio.Future[tuple[LatencyModel, int]]") -> None:
        """A cold model is warm; where it did not answer the same values again, it is served as it is."""
        if learning.cancelled():
            return
        if (error := learning.exception()) is not None:
            logger.warning("the model cannot be warmed up and is asked each request by itself (%s)", error)
            return
        self._expect(*learning.result())

    def _settle(
        self, batch: list[QueuedRequest], outcomes: list[Outcome], begun: float, ended: float, rows: int
    ) -> None:
        run, identity = ended - begun, self._identity
        for ticket, outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, SeptetError):
                ticket.settle(of(ticket.request, outcome))
            elif (done := ticket.done) is not None:
                ticket.done = None
                done(Response(outcome, ticket.request.rows, identity, Timings(begun - ticket.arrived, run, rows)))

    def _is_full(self, now: float) -> bool:
        """Whether too many wait when those who no longer do are not counted."""
        if now - self._recounted < RECOUNT_SECONDS:
            return True
        self._recounted = now
        self._waiting = deque(ticket for ticket in self._waiting if ticket.done is not None)
        return len(self._waiting) >= self._max_pending

    def _watch(self, loop: asyncio.AbstractEventLoop, tickets: Sequence[QueuedRequest]) -> None:
        """While the thread runs, be woken at the earliest deadline, so that none is answered late."""
        deadlines = [
            ticket.request.deadline
            for ticket in tickets
            if ticket.request.deadline is not None and ticket.done is not None
        ]
        if not deadlines:
            return
        earliest = min(deadlines)
        if self._alarm is not None:
            if self._alarm_at <= earliest:
                return
            self._alarm.cancel()
        self._alarm_at = earliest
        self._alarm = loop.call_later(max(0.0, earliest - self._clock()), self._expire, loop)

    def _expire(self, loop: asyncio.AbstractEventLoop) -> None:
        self._alarm = None
        now = self._clock()
        running = () if self._running is None else self._running.tickets
        late = [t for t in (*running, *self._waiting) if t.request.deadline is not None and t.request.deadline <= now]
        _fail_all(late)
        if running:
            self._watch(loop, (*running, *self._waiting))

    def close(self) -> None:
        """Stop the thread; what waits is cancelled by its callers."""
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)


def _fail_all(tickets: list[QueuedRequest]) -> None:
    for ticket in tickets:
        ticket.settle(of(ticket.request, late()))
