"""Brings the answer of a job to its sink: reads it from the store, and lets a thread do what blocks.

A sink that is slow keeps neither predictions nor other sinks waiting: each place has its turns, and where too many
answers wait for one, the store keeps the others.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from septet.jobs.job_document import summary
from septet.jobs.store_thread import StoreThread
from septet.queues.job import Job, LeasedJob, StoredReply
from septet.queues.job_store import Forgotten, JobStore
from septet.sinks.delivery import Delivery, DeliveryRefused
from septet.sinks.sink_address import shown_sink

#: Answers that are brought at once: to one place, and to all.
MOST_TO_ONE, MOST_TO_ALL = 16, 64
#: Answers that may wait here for one place, without their bytes.
MOST_WAITING: Final = 256
_LONGEST_PAUSE_SECONDS: Final = 30.0


class SinkBusy(Exception):
    """Raised when too many answers wait for one sink already; `delay` is how many seconds to wait, partly random."""

    def __init__(self) -> None:
        super().__init__()
        self.delay = random.uniform(_LONGEST_PAUSE_SECONDS / 2, _LONGEST_PAUSE_SECONDS)  # noqa: S311 - nothing is secret


class SinkTurns:
    """Who brings something to one place now, and how many wait for that."""

    def __init__(self) -> None:
        self.count = 0
        self.turn = asyncio.Semaphore(MOST_TO_ONE)


class DeliveryRun:
    """Called with a job of the kind `deliver`; `deliver` takes what a job keeps as its sink, and the delivery."""

    def __init__(self, store: StoreThread, deliver: Callable[[str, Delivery], Awaitable[None]]) -> None:
        self._store = store
        self._deliver = deliver
        self._places: dict[str, SinkTurns] = {}
        self._turn = asyncio.Semaphore(MOST_TO_ALL)

    async def __call__(self, leased: LeasedJob) -> None:
        """Bring it.

        Raises:
            DeliveryFailed: it may be brought once more.
            DeliveryRefused: it will never be taken, or is no longer there.
            SinkBusy: it was not tried.
            StoreFailed: the store cannot be read now.
        """
        about, sink = leased.job.about, leased.job.sink
        if about is None or sink is None:
            raise DeliveryRefused("It says neither of which job nor where to.")
        # All hooks of a host are one place.
        name = shown_sink(sink)
        place = self._places.setdefault(name, SinkTurns())
        if place.count >= MOST_WAITING:
            raise SinkBusy
        place.count += 1
        try:
            async with place.turn, self._turn:
                await self._deliver(sink, await self._read(leased, about))
        finally:
            place.count -= 1
            if not place.count:
                del self._places[name]

    async def _read(self, leased: LeasedJob, about: str) -> Delivery:
        job, reply = await self._store.run(lambda store: _ended_job(store, about))
        if not isinstance(job, Job) or job.ended_at is None:
            raise DeliveryRefused(f"The job {about} is no longer kept.")
        return Delivery(
            id=leased.job.id,
            attempt=leased.attempt,
            job_id=job.id,
            state=job.state,
            submitted_at=job.submitted_at,
            ended_at=job.ended_at,
            request_id=job.request_id,
            job=msgspec.json.encode(summary(job, "")),
            model=job.answered_by,
            trace=job.trace,
            reply=reply,
            error=job.error,
        )


def _ended_job(store: JobStore, identifier: str) -> tuple[Job | Forgotten | None, StoredReply | None]:
    (job,) = store.find([identifier])
    return job, store.reply(identifier)
