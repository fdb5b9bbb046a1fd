"""Brings the answer of a job to its sink: reads it from the store, and lets a thread do what blocks."""

import asyncio
from collections.abc import Callable

import msgspec

from septet.jobs.job_document import summary
from septet.jobs.store_thread import StoreThread
from septet.queues.job import Job, LeasedJob, StoredReply
from septet.queues.job_store import Forgotten, JobStore
from septet.sinks.delivery import Delivery, DeliveryRefused


class DeliveryRun:
    """Called with a job of the kind `deliver`; `deliver` takes what a job keeps as its sink, and the delivery."""

    def __init__(self, store: StoreThread, deliver: Callable[[str, Delivery], None]) -> None:
        self._store = store
        self._deliver = deliver

    async def __call__(self, leased: LeasedJob) -> None:
        """Bring it.

        Raises:
            DeliveryFailed: it may be brought once more.
            DeliveryRefused: it will never be taken, or is no longer there.
            StoreFailed: the store cannot be read now.
        """
        about, sink = leased.job.about, leased.job.sink
        if about is None or sink is None:
            raise DeliveryRefused("It says neither of which job nor where to.")
        job, reply = await self._store.run(lambda store: _ended_job(store, about))
        if not isinstance(job, Job) or job.ended_at is None:
            raise DeliveryRefused(f"The job {about} is no longer kept.")
        delivery = Delivery(
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
        await asyncio.get_running_loop().run_in_executor(None, self._deliver, sink, delivery)


def _ended_job(store: JobStore, identifier: str) -> tuple[Job | Forgotten | None, StoredReply | None]:
    (job,) = store.find([identifier])
    return job, store.reply(identifier)
