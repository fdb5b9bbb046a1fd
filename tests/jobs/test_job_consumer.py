"""A worker goes on, whatever happens to one of its jobs."""

import asyncio
from collections.abc import Callable
from time import time
from typing import cast

from septet.jobs.job_consumer import Answer, JobConsumer
from septet.jobs.job_log import JobLog
from septet.jobs.lease_keeping import LeaseKeeping
from septet.jobs.store_thread import StoreThread
from septet.protocols.http.http_messages import HttpReply, HttpRequest
from septet.queues.job import Job, JobState, LeasedJob
from septet.queues.job_store import JobStore
from septet.queues.memory_store import MemoryStore
from septet.types import DONE_ALREADY, Pending
from tests.jobs.in_process import KeptLease, PipeSignals
from tests.queues.samples import a_job


def answer_of(path: str) -> Answer:
    """An application that cannot even begin to answer `/broken`."""

    def answer(http: HttpRequest, done: Callable[[HttpReply], None]) -> Pending:
        if path == "/broken":
            raise RuntimeError("broken")
        done(HttpReply(200, http.body, "an-id"))
        return DONE_ALREADY

    return answer


def _ended(store: JobStore) -> bool:
    states = store.stats(time()).states
    return not states[JobState.QUEUED] and not states[JobState.RUNNING]


async def bring(_: LeasedJob) -> None:
    raise AssertionError("nothing is to be brought")


def test_a_job_that_cannot_be_begun_holds_up_none_that_was_taken_with_it() -> None:
    async def scenario() -> list[Job]:
        store = MemoryStore()
        jobs = [a_job(path=path, model="model", max_attempts=1) for path in ("/good", "/broken", "/good")]
        thread = StoreThread(lambda: store)
        thread.start(PipeSignals())
        lease = cast(LeaseKeeping, KeptLease(store))
        consumer = JobConsumer(thread, lease, answer_of, bring, dict, most=8, lost=lambda: None)
        store.accept(jobs, time())
        await consumer.start()
        consumer.begin(JobLog(access=False))
        async with asyncio.timeout(60):
            while not await thread.run(_ended):
                pass
        await consumer.stop(5.0)
        await thread.close()
        return [job for job in store.find([each.id for each in jobs]) if isinstance(job, Job)]

    good, broken, other = asyncio.run(scenario())
    assert good.state is other.state is JobState.SUCCEEDED
    assert (broken.state, broken.reason) == (JobState.FAILED, "attempts_exhausted")
    assert broken.error is not None
    assert broken.error.code == "internal"
