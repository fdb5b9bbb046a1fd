"""The predictor of a model: it merges the requests which wait for the runtime into one run.

A request joins the waiting list. At the end of the event loop's turn the sockets are looked at once more, and then
everything that waits is taken, up to `max_batch_rows`, and run as one: what came while the others were read is not left
for a run of its own. Under light load a turn holds one request and nothing changes; under heavy load the fixed cost of
a run and of waking the interpreter is shared. No request waits for a timer. Where the last turns held a single request,
the next one is run at once rather than at their end: a lone caller is spared them, and the first of many costs no more
than a run of its own.

A run that is expected to be short is made on the loop itself: handing it to a thread costs more than it takes. A longer
one is made in a thread, one at a time, and what arrives meanwhile is the next batch. So are short ones where so many
wait that the loop would be held up. The estimate comes from warm-up, so that one rule serves small models, heavy
models, and a small model given very many rows; a model that was quick at warm-up and then is not, is noticed. A run
whose length the caller's values decide (`Runtime.open_ended`), or that has more in its rows than any before it
(`run_size`), is never made on the loop. Where no row was known that the model answers, it starts cold, each request by
itself in the thread, and is warmed up on the first that it does answer.

A run in the thread for which nobody waits any more is told to stop (`RunControl`). Until it has, what comes is refused.
Where it never does, `stuck` says so, and the process has to be replaced.

While requests are refused, `PacedRefusals` has those that come read in groups.

`admission` says who may wait, `scheduling` what runs next and where, `RunEstimate` how long that takes: all of them
functions of values. The `Batcher` carries out what they say: it alone knows the loop, the thread and the callbacks.
"""

import asyncio
import contextlib
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeAlias

from septet.errors import SeptetError, Unavailable
from septet.predictor.admission import expected_wait, queue_full, refusal, unended
from septet.predictor.latency_model import INLINE_SECONDS, LONG_SECONDS, LatencyModel, RunEstimate, cold_estimate
from septet.predictor.model_runner import ModelRunner, Outcome
from septet.predictor.paced_refusals import MOST_ARRIVALS, PacedRefusals
from septet.predictor.queued_request import QueuedRequest
from septet.predictor.run_thread import RunThread
from septet.predictor.scheduling import earliest_deadline, expired_at, is_full, next_run
from septet.predictor.thread_run import ThreadRun
from septet.runtimes.run_control import RunControl
from septet.service import Run, Watch
from septet.types import Done, Identity, Predictor, Request, Response, Tensors, Timings, tell

logger = logging.getLogger("septet.predictor")

#: From the tensors of a request that was answered to the latency of runs, and how many rows may be merged.
Learn: TypeAlias = Callable[[Tensors], tuple[LatencyModel, int]]

# How often those who wait are counted anew while they are too many.
RECOUNT_SECONDS = 0.001
#: A run that was told to stop mostly does so within some milliseconds. After so long, nobody waits for that any more.
STOP_SECONDS = 0.25


class Batcher(Predictor):
    """One model as a `Predictor`.

    `max_pending` bounds the requests that wait; one more is refused. `max_batch_rows` of 1 merges nothing, for models
    whose rows are not independent. A cold model has no `latency`: it runs in the thread and nothing is merged, until
    `learn` was given the tensors of the first request that it answered, and has found the latency and the rows.

    Attributes:
        gate: closed while requests are refused.
    """

    def __init__(
        self,
        runner: ModelRunner,
        identity: Identity,
        latency: LatencyModel | None,
        *,
        max_batch_rows: int,
        max_pending: int,
        learn: Learn | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._run: Run = runner.run
        self._unwatched: Run = runner.run
        self._key = runner.key
        self._identity = identity
        self._learn = learn
        self._sizes = runner.sizes
        self._estimate = cold_estimate() if latency is None else RunEstimate(latency, max_batch_rows)
        self._max_pending = max_pending
        self._clock = clock
        self._waiting: deque[QueuedRequest] = deque()
        self._waiting_rows = 0
        self._recounted = -math.inf
        # The end of the turn is scheduled; whether the last one had a single request, and how many this one has that
        # did not run at once.
        self._scheduled = False
        self._lone = True
        self._joined = 0
        # How long the runs on the loop were expected to take in this turn: the machine may have been busy besides.
        self._spent = 0.0
        # The run in the thread, and when it is expected to be over.
        self._running: ThreadRun | None = None
        self._done_at = 0.0
        self._thread: RunThread | None = None
        # Set for when, by our own clock: the handle of an event loop need not know.
        self._alarm: asyncio.Handle | None = None
        self._alarm_at = math.inf
        self._refusals = PacedRefusals()
        self.gate = self._refusals.gate

    def submit(self, request: Request, done: Done) -> QueuedRequest:
        """Answer a request.

        `done` gets `Overloaded` where too many requests wait, or those that do take longer than its deadline allows;
        `DeadlineExceeded` where its deadline passes first; else what the model runner says.
        """
        now = self._clock()
        queued = QueuedRequest(request, done, self._key(request), now)
        if len(self._waiting) >= self._max_pending and self._is_full(now):
            self._refusals.refuse(queued, queue_full(self._max_pending))
            return queued
        if self._running is not None:
            self._admit(queued, now)
            return queued
        rows, estimate = request.rows, self._estimate
        if not self._scheduled:
            self._scheduled = True
            loop = asyncio.get_running_loop()
            loop.call_soon(self._look_again, loop)
            # `RunEstimate.is_short`, spelled out where most requests pass.
            if (
                self._lone
                and rows <= estimate.short_rows
                and now >= estimate.not_inline_before
                and (self._sizes is None or self._is_small(request))
            ):
                self._run_at_once(queued)
                return queued
        self._waiting.append(queued)
        self._waiting_rows += rows
        self._joined += 1
        if self._waiting_rows >= estimate.inline_rows and is_full(now, self._waiting_rows, self._spent, estimate):
            self._run_waiting(asyncio.get_running_loop())
        return queued

    def _admit(self, queued: QueuedRequest, now: float) -> None:
        """Let a request wait behind the run under way, unless it would be late."""
        request, estimate, running = queued.request, self._estimate, self._running
        if running is not None and now - running.abandoned > STOP_SECONDS:
            self._refusals.refuse(queued, unended(now - running.begun))
            return
        if request.deadline is not None and request.deadline <= now:
            queued.expire()
            return
        wait = expected_wait(now, self._done_at, self._waiting_rows, estimate)
        error = refusal(now, request.deadline, request.rows, wait, estimate)
        if error is not None:
            self._refusals.refuse(queued, error)
            return
        self._waiting.append(queued)
        self._waiting_rows += request.rows
        self._watch(asyncio.get_running_loop(), (queued,))

    def _is_small(self, request: Request) -> bool:
        """Whether the run of a request is known to be as short as the latency of warm-up says."""
        sizes = self._sizes
        return sizes is None or sizes.measure(request.tensors, request.rows) <= sizes.known

    def _run_at_once(self, queued: QueuedRequest) -> None:
        request, begun = queued.request, queued.arrived
        if request.deadline is not None and request.deadline <= begun:
            queued.expire()
            return
        self._run_inline([queued], (request,), begun, request.rows)

    def _run_inline(self, batch: list[QueuedRequest], requests: Sequence[Request], begun: float, rows: int) -> None:
        outcomes = self._run(requests)
        ended = self._clock()
        estimate = self._estimate
        latency = estimate.latency
        self._spent += latency.fixed + latency.per_row * rows
        if ended - begun > LONG_SECONDS or estimate.long_runs:
            self._estimate = estimate.after_inline_run(ended, ended - begun)
        self._settle(batch, outcomes, begun, ended, rows)

    def _look_again(self, loop: asyncio.AbstractEventLoop) -> None:
        """At the end of the turn: look once more, since others came while these were read."""
        if self._waiting:
            loop.call_soon(self._end_turn, loop)
        else:
            self._end_turn(loop)

    def _end_turn(self, loop: asyncio.AbstractEventLoop) -> None:
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
            run = next_run(self._waiting, self._waiting_rows, begun, self._spent, self._estimate)
            self._waiting_rows = sum([queued.request.rows for queued in self._waiting]) if self._waiting else 0
            for queued in run.expired:
                queued.expire()
            if not run.batch:
                continue
            requests = [queued.request for queued in run.batch]
            if run.inline and (self._sizes is None or all(map(self._is_small, requests))):
                self._run_inline(run.batch, requests, begun, run.rows)
            else:
                self._run_in_thread(loop, run.batch, begun, run.rows)

    # The thread.

    def _run_in_thread(
        self, loop: asyncio.AbstractEventLoop, batch: list[QueuedRequest], begun: float, rows: int
    ) -> None:
        if self._thread is None:
            self._thread = RunThread()
        self._done_at = begun + self._estimate.thread_seconds(rows)
        control = RunControl(len(batch), self._abandoned)
        for queued in batch:
            queued.control = control
        self._running = run = ThreadRun(batch, begun, rows, control)
        self._watch(loop, (*batch, *self._waiting))
        compute, clock = self._run, self._clock

        def work() -> None:
            run.compute(compute, clock)
            with contextlib.suppress(RuntimeError):  # nobody is left to answer: the loop is closed
                loop.call_soon_threadsafe(self._finish, run, loop)

        self._thread.submit(work)

    def _abandoned(self) -> None:
        """Nobody waits for the run in the thread any more, and it was told to stop."""
        run = self._running
        if run is not None:
            run.abandoned = self._clock()
            asyncio.get_running_loop().call_later(STOP_SECONDS, self._give_up, run)

    def _give_up(self, run: ThreadRun) -> None:
        """Refuse what waits behind a run that does not stop."""
        if self._running is not run:
            return
        waiting, self._waiting, self._waiting_rows = self._waiting, deque(), 0
        seconds = self._clock() - run.begun
        for queued in waiting:
            queued.fail(unended(seconds))

    def stuck(self) -> float:
        """For how many seconds the run in the thread has not ended, though nobody waits for it; 0 where none is so."""
        run = self._running
        return 0.0 if run is None else max(0.0, self._clock() - run.abandoned)

    def _finish(self, run: ThreadRun, loop: asyncio.AbstractEventLoop) -> None:
        """Answer a run of the thread, and begin the next."""
        self._running = None
        ended = self._clock()
        outcomes, seconds = run.outcomes, run.seconds
        self._settle(run.batch, outcomes, run.begun, ended, run.rows)
        self._learn_size(run)
        # Until the answers are on their way the thread has nothing to do.
        handover = self._clock() - run.begun - seconds
        if not run.control.stopped:
            self._estimate = self._estimate.after_thread_run(run.rows, seconds, handover)
        if self._learn is not None and not isinstance(outcomes[0], SeptetError):
            self._begin_to_learn(loop, self._learn, run.batch[0].request.tensors, seconds)
        if not self._waiting and self.gate.closed:
            # The thread has nothing else to do.
            self.gate.let_in(MOST_ARRIVALS)
        self._end_turn(loop)

    def _learn_size(self, run: ThreadRun) -> None:
        """A run that was as short as those on the loop may be made there the next time."""
        sizes = self._sizes
        if sizes is not None and run.seconds < INLINE_SECONDS and len(run.batch) == 1:
            request = run.batch[0].request
            self._sizes = sizes.learned(request.tensors, request.rows)

    def _begin_to_learn(self, loop: asyncio.AbstractEventLoop, learn: Learn, tensors: Tensors, seconds: float) -> None:
        """A cold model has answered one request, since nothing is merged yet: warm it up on that."""
        self._learn = None
        self._estimate = self._estimate.relearned(LatencyModel(seconds, 0.0), 1, inline=False)

        def work() -> None:
            found: tuple[LatencyModel, int] | Exception
            try:
                found = learn(tensors)
            except Exception as error:  # noqa: BLE001 - told on the loop
                found = error
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(self._learned, found)

        # Beside what runs meanwhile: nobody should wait for the many runs that it takes, not even the exit.
        threading.Thread(target=work, name="septet-learn", daemon=True).start()

    def _learned(self, found: tuple[LatencyModel, int] | Exception) -> None:
        """A cold model is warm; where it did not answer the same values again, it is served as it is."""
        if self._run is _closed:
            return
        if isinstance(found, Exception):
            logger.warning("the model cannot be warmed up and is asked each request by itself (%s)", found)
            return
        self._estimate = self._estimate.relearned(*found)

    # Answers.

    def _settle(
        self, batch: list[QueuedRequest], outcomes: list[Outcome], begun: float, ended: float, rows: int
    ) -> None:
        run, identity = ended - begun, self._identity
        for queued, outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, SeptetError):
                queued.fail(outcome)
            elif (done := queued.done) is not None:
                queued.done = None
                try:
                    done(Response(outcome, queued.request.rows, identity, Timings(begun - queued.arrived, run, rows)))
                except Exception as error:  # noqa: BLE001 - the neighbours in the run must still be answered
                    tell(done, error)

    def _is_full(self, now: float) -> bool:
        """Whether too many wait when those who no longer do are not counted."""
        if now - self._recounted < RECOUNT_SECONDS:
            return True
        self._recounted = now
        self._waiting = deque(queued for queued in self._waiting if queued.done is not None)
        return len(self._waiting) >= self._max_pending

    def _watch(self, loop: asyncio.AbstractEventLoop, queued: Sequence[QueuedRequest]) -> None:
        """While the thread runs, be woken at the earliest deadline, so that none is answered late."""
        earliest = earliest_deadline(queued)
        if earliest == math.inf:
            return
        if self._alarm is not None:
            if self._alarm_at <= earliest:
                return
            self._alarm.cancel()
        self._alarm_at = earliest
        self._alarm = loop.call_later(max(0.0, earliest - self._clock()), self._expire, loop)

    def _expire(self, loop: asyncio.AbstractEventLoop) -> None:
        self._alarm = None
        running = () if self._running is None else self._running.batch
        for queued in expired_at(self._clock(), (*running, *self._waiting)):
            queued.expire()
        if running:
            self._watch(loop, (*running, *self._waiting))

    def watch(self, watch: Watch | None) -> None:
        """Put this around each run from now on, or nothing."""
        if self._run is not _closed:
            self._run = self._unwatched if watch is None else watch(self._unwatched, self._identity.digest)

    def close(self) -> None:
        """Free the model and end its thread, as soon as no run is under way; what is asked from now on is refused."""
        self._run = self._unwatched = _closed
        self._learn = None
        # Whatever still comes is told so on the loop, and needs no thread.
        self._estimate = RunEstimate(LatencyModel(0.0, 0.0), 1)
        if self._thread is not None:
            self._thread.close()
            self._thread = None


def _closed(requests: Sequence[Request]) -> list[Outcome]:
    """The runs of a model that is closed."""
    return [Unavailable("The model is not served any more.") for _ in requests]
