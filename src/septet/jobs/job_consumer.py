"""A worker of jobs in one process: it takes jobs that are due, has them answered by the routes, and stores the answers.

It takes several at once and hands all of them over in one turn of the event loop, so the model runs them together.
How many depends on how long they take: enough to keep the model busy, and few enough to leave some for others.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from time import time
from typing import Any, Final, Literal

import msgspec

from septet.errors import SeptetError
from septet.jobs.delivery_run import SinkBusy
from septet.jobs.job_log import JobLog
from septet.jobs.lease_keeping import LeaseKeeping
from septet.jobs.progress_reports import ProgressReports
from septet.jobs.store_outage import StoreOutage
from septet.jobs.store_thread import StoreThread
from septet.protocols.http.http_messages import HttpReply, HttpRequest
from septet.queues.job import JobError, LeasedJob, ProgressReport, Settlement, StoredReply, retry_delay
from septet.queues.job_store import JobStore
from septet.sinks.delivery import DeliveryFailed, DeliveryRefused
from septet.sinks.delivery_delay import delivery_delay
from septet.types import DONE_ALREADY, Pending

#: Errors after which the same request may be answered another time.
PASSING: Final = frozenset(
    ("overloaded", "rate_limited", "unavailable", "deadline_exceeded", "model_failed", "internal", "cancelled")
)
#: How long the store is left alone where nothing has told of a job, in seconds.
POLL_SECONDS: Final = 1.0
#: Jobs that are taken at once should keep the model busy for so long, in seconds.
SHORT_SECONDS, LONG_SECONDS = 0.05, 0.2

logger = logging.getLogger("septet.jobs")

#: Answers a request: `septet.protocols.http.app.App.answer`.
Answer = Callable[[HttpRequest, Callable[[HttpReply], None]], Pending]
#: Brings the answer of a job to its sink; raises DeliveryFailed, DeliveryRefused or SinkBusy.
Deliver = Callable[[LeasedJob], Coroutine[Any, Any, None]]


class JobInHand(msgspec.Struct, eq=False):
    """A job that was begun here, at a time in seconds since 1970, and not settled."""

    leased: LeasedJob
    begun_at: float
    pending: Pending = DONE_ALREADY
    cancelled: bool = False


class JobConsumer:
    """A `SecondaryServer` that answers jobs for as long as it runs.

    `answer` finds the routes for a path, `deliver` brings answers to sinks, `lost` is called when others may have taken
    its jobs: it must end then. `digests` are those of the models that are served now, by name.
    """

    def __init__(
        self,
        store: StoreThread,
        keeping: LeaseKeeping,
        answer: Callable[[str], Answer],
        deliver: Deliver,
        digests: Callable[[], dict[str, str]],
        *,
        most: int,
        lost: Callable[[], None],
    ) -> None:
        self._store = store
        self._keeping = keeping
        self._answer = answer
        self._deliver = deliver
        self._digests = digests
        self._most = most
        self._lost = lost
        self._room = 1
        self._in_hand: dict[str, JobInHand] = {}
        self._due = asyncio.Event()
        self._free = asyncio.Event()
        self._stopping = False
        self._consuming: asyncio.Task[None] | None = None
        self._deliveries: set[asyncio.Task[None]] = set()
        # Of those in hand: a sink that is slow must not keep predictions waiting.
        self._bringing = 0
        self._log = JobLog(access=False)
        self._outage = StoreOutage()
        self._progress = ProgressReports(self._tell_progress)

    async def _tell_progress(self, reports: Sequence[ProgressReport]) -> None:
        name = self._keeping.name
        await self._store.run(lambda store: any(store.report(name, reports)), changes=True)

    @property
    def in_hand(self) -> int:
        """How many jobs are begun here and not settled."""
        return len(self._in_hand)

    @property
    def _predicting(self) -> int:
        return len(self._in_hand) - self._bringing

    async def start(self) -> None:
        """Join the others."""
        await self._keeping.start(self._on_cancelled, self._on_lost)

    def begin(self, log: JobLog) -> None:
        """Begin to take jobs: from now on the process is given time to finish them when it is told to stop."""
        self._log = log
        self._consuming = asyncio.create_task(self._consume())

    def look(self) -> None:
        """Something has changed in the store."""
        self._due.set()

    def drain(self) -> None:
        """Take no more jobs."""
        self._stopping = True
        self._due.set()
        self._free.set()

    async def stop(self, grace: float) -> bool:
        """Finish what was begun within so many seconds, and give the rest back; whether nothing was given back."""
        self.drain()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await self._until_none(lambda: len(self._in_hand))
        finished = not self._in_hand
        self._log.returned([each.leased for each in self._in_hand.values()])
        for each in self._in_hand.values():
            each.pending.cancel()
        for delivery in self._deliveries:
            delivery.cancel()
        if self._consuming is not None:
            self._consuming.cancel()
        self._progress.close()
        name, now = self._keeping.name, time()
        with contextlib.suppress(SeptetError):  # its keeper gives them back then
            await self._store.run(partial(_leave, name, now), changes=True)
        await self._keeping.leave()
        return finished

    async def _consume(self) -> None:
        while not self._stopping:
            try:
                self._due.clear()
                if not await self._take():
                    await self._wait()
            except SeptetError as error:
                self._outage.failed(error.message)
                await asyncio.sleep(POLL_SECONDS)
            except Exception:
                # A consumer that has stopped would look alive.
                logger.exception("taking jobs failed")
                await asyncio.sleep(POLL_SECONDS)

    async def _take(self) -> bool:
        """Begin jobs where there is room; whether there were any."""
        while self._predicting > self._room // 2 and not self._stopping:
            self._free.clear()
            await self._free.wait()
        if self._stopping:
            return True
        name, most, now = self._keeping.name, self._room - self._predicting, time()
        leased = await self._store.run(lambda store: store.lease(name, max(1, most), now), changes=True)
        self._outage.ended()
        # A delivery is tried often, and takes its time where its sink is slow.
        alone = any(each.attempt > 1 and each.job.kind == "predict" for each in leased)
        if alone:
            # It may be what ended its worker: no other prediction is in hand while it runs.
            await self._until_none(lambda: self._predicting)
        batch = _Batch(len(leased), asyncio.get_running_loop().time())
        for each in leased:
            self._begin(each, batch)
        if alone:
            await self._until_none(lambda: self._predicting)
        return bool(leased)

    async def _until_none(self, count: Callable[[], int]) -> None:
        while count():
            self._free.clear()
            await self._free.wait()

    async def _wait(self) -> None:
        """Wait until something may be due."""
        now = time()
        due = await self._store.run(lambda store: store.next_due(now))
        seconds = POLL_SECONDS if due is None else max(0.0, min(POLL_SECONDS, due - now))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._due.wait()

    def _begin(self, leased: LeasedJob, batch: "_Batch") -> None:
        job = leased.job
        in_hand = self._in_hand[job.id] = JobInHand(leased, time())
        self._log.begun(leased, in_hand.begun_at)
        if job.kind == "deliver":
            batch.answered()
            self._bringing += 1
            delivery = asyncio.create_task(self._bring(leased))
            self._deliveries.add(delivery)
            delivery.add_done_callback(self._deliveries.discard)
        elif job.digest is not None and self._digests().get(job.model) != job.digest:
            batch.answered()
            text = f"The model {job.model!r} has another digest here than {job.digest}."
            self._end(leased, _again(leased, JobError("conflict", text)))
        else:
            report = self._progress.of(leased)
            http = HttpRequest("POST", job.path, job.query, dict(job.headers), job.body, report=report)
            try:
                in_hand.pending = self._answer(job.path)(http, partial(self._answered, leased, batch))
            except Exception:
                # The others that were taken with it must be begun all the same.
                logger.exception("the job %s could not be begun", job.id)
                batch.answered()
                self._end(leased, _again(leased, JobError("internal", "The log has the reason.")))

    def _answered(self, leased: LeasedJob, batch: "_Batch", reply: HttpReply) -> None:
        if batch.answered():
            self._adapt(batch, asyncio.get_running_loop().time())
        self._end(leased, settlement_of(leased, reply))

    def _adapt(self, batch: "_Batch", now: float) -> None:
        """Take more at once where they were quick, and fewer where they were slow."""
        seconds = now - batch.begun
        if seconds < SHORT_SECONDS and batch.size >= self._room // 2:
            self._room = min(self._most, 2 * self._room)
        elif seconds > LONG_SECONDS:
            self._room = max(1, self._room // 2)

    async def _bring(self, leased: LeasedJob) -> None:
        job = leased.job
        try:
            await self._deliver(leased)
        except DeliveryFailed as fault:
            delay = delivery_delay(leased.attempt, fault.retry_after)
            logger.warning("the answer of the job %s is not brought, attempt %d: %s", job.about, leased.attempt, fault)
            self._end(leased, _again(leased, JobError("unavailable", str(fault)), delay))
        except DeliveryRefused as fault:
            logger.warning("the answer of the job %s will not be brought: %s", job.about, fault)
            self._end(leased, _ended(leased, "failed", error=JobError("refused", str(fault))))
        except SinkBusy as busy:
            returned = Settlement(id=leased.job.id, attempt=leased.attempt, outcome="returned", delay=busy.delay)
            self._end(leased, returned)
        except Exception:
            logger.exception("bringing the answer of the job %s failed", job.about)
            error = JobError("internal", "The log has the reason.")
            self._end(leased, _again(leased, error, delivery_delay(leased.attempt)))
        else:
            self._end(leased, _ended(leased, "succeeded"))

    def _end(self, leased: LeasedJob, settlement: Settlement) -> None:
        self._store.settle(self._keeping.name, settlement, partial(self._settled, leased, settlement))

    def _settled(self, leased: LeasedJob, settlement: Settlement, outcome: bool | Exception) -> None:  # noqa: FBT001 - as the store gives it
        job = leased.job
        if isinstance(outcome, SeptetError) and self._in_hand.get(job.id) is not None and not self._stopping:
            # The answer is there: it is only to be stored.
            loop = asyncio.get_running_loop()
            loop.call_later(POLL_SECONDS, self._end, leased, settlement)
            return
        in_hand = self._in_hand.pop(job.id, None)
        if in_hand is not None and job.kind == "deliver":
            self._bringing -= 1
        self._free.set()
        if outcome is True:
            if in_hand is not None:
                self._log.settled(leased, settlement, in_hand.begun_at)
        else:
            logger.warning("job %s: what attempt %d became is not stored: it is another's", job.id, leased.attempt)

    def _on_cancelled(self, identifiers: Sequence[str]) -> None:
        """Somebody wants jobs ended that run here."""
        for identifier in identifiers:
            in_hand = self._in_hand.get(identifier)
            if in_hand is not None and not in_hand.cancelled:
                in_hand.cancelled = True
                in_hand.pending.cancel()
                self._end(in_hand.leased, _ended(in_hand.leased, "cancelled"))

    def _on_lost(self) -> None:
        """Others may have taken what is in hand: nothing of it is worth its work any more."""
        self._stopping = True
        self._log.lost([each.leased for each in self._in_hand.values()])
        for each in self._in_hand.values():
            each.pending.cancel()
        self._in_hand.clear()
        self._bringing = 0
        self._free.set()
        self._lost()


def _leave(worker: str, now: float, store: JobStore) -> bool:
    """End a worker; others may have jobs again."""
    store.leave(worker, now)
    return True


class _Batch:
    """Jobs that were taken together, until the last of them is answered."""

    def __init__(self, size: int, begun: float) -> None:
        self.size = self._left = size
        self.begun = begun

    def answered(self) -> bool:
        """One more is answered; whether it was the last."""
        self._left -= 1
        return not self._left


def settlement_of(leased: LeasedJob, reply: HttpReply) -> Settlement:
    """What an attempt became, by its reply."""
    stored = StoredReply(reply.status, reply.media_type, reply.body, reply.headers, reply.flags)
    if reply.code == "ok":
        return msgspec.structs.replace(_ended(leased, "succeeded"), reply=stored, answered_by=reply.model)
    error = JobError(reply.code, reply.message or "")
    if reply.code in PASSING:
        return msgspec.structs.replace(_again(leased, error), reply=stored)
    return msgspec.structs.replace(_ended(leased, "failed", error=error), reply=stored)


def _ended(
    leased: LeasedJob, outcome: Literal["succeeded", "failed", "cancelled"], *, error: JobError | None = None
) -> Settlement:
    return Settlement(id=leased.job.id, attempt=leased.attempt, outcome=outcome, error=error)


def _again(leased: LeasedJob, error: JobError, delay: float | None = None) -> Settlement:
    seconds = retry_delay(leased.attempt) if delay is None else delay
    return Settlement(id=leased.job.id, attempt=leased.attempt, outcome="retry", error=error, delay=seconds)
