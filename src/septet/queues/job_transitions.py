"""What a job becomes by each step, as pure functions: every store applies these, or says the same in its language."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from septet.errors import Overloaded
from septet.queues.job import Job, JobError, JobState, NewJob, Settlement, retry_delay
from septet.queues.job_store import QueueStats, StoreLimits

LOST: Final = JobError("worker_lost", "The worker that ran it ended, or stood still, before it had an answer.")
LONGEST_RETRY_AFTER: Final = 60
#: The text of Conflict.
OTHER_REQUEST: Final = (
    "The idempotency key was used for another request. Send the same request again, or choose another key for this one."
)


def accepted(new: NewJob, place: int) -> Job:
    """The job that is stored for what was submitted."""
    return Job(
        id=new.id,
        kind=new.kind,
        model=new.model,
        digest=new.digest,
        path=new.path,
        caller=new.caller,
        key=new.key,
        priority=new.priority,
        begin_by=new.begin_by,
        max_attempts=new.max_attempts,
        max_age=new.max_age,
        sink=new.sink,
        about=new.about,
        request_id=new.request_id,
        trace=new.trace,
        submitted_at=new.submitted_at,
        place=place,
        state=JobState.QUEUED,
        due_at=new.not_before,
        body_bytes=len(new.body),
    )


def begun(job: Job, worker: str, now: float) -> Job:
    """A worker begins it: that is an attempt, however it ends."""
    return msgspec.structs.replace(
        job,
        state=JobState.RUNNING,
        worker=worker,
        attempts=job.attempts + 1,
        started_at=now,
        first_started_at=job.first_started_at if job.attempts else now,
        progress=None,
        cancelling=False,
    )


def ended(job: Job, state: JobState, now: float, limits: StoreLimits) -> Job:
    """It reaches its last state."""
    return msgspec.structs.replace(
        job, state=state, ended_at=now, keep_until=now + limits.keep_seconds, cancelling=False
    )


def settled(job: Job, settlement: Settlement, now: float, limits: StoreLimits) -> Job:
    """Its attempt is over."""
    job = msgspec.structs.replace(
        job,
        error=settlement.error or (None if settlement.outcome == "succeeded" else job.error),
        answered_by=settlement.answered_by,
        reply_bytes=0 if settlement.reply is None else len(settlement.reply.body),
    )
    if settlement.outcome == "returned":
        if job.cancelling:
            return ended(job, JobState.CANCELLED, now, limits)
        again = {"state": JobState.QUEUED, "attempts": job.attempts - 1, "worker": None, "reply_bytes": 0}
        return msgspec.structs.replace(job, due_at=now + settlement.delay, **again)
    if settlement.outcome == "retry":
        return _again(job, settlement.delay, now, limits)
    if settlement.outcome == "failed":
        return ended(msgspec.structs.replace(job, reason="permanent"), JobState.FAILED, now, limits)
    return ended(job, JobState(settlement.outcome), now, limits)


def reaped(job: Job, now: float, limits: StoreLimits, chance: float) -> Job:
    """Its worker is gone; `chance` is the same for all that it had begun."""
    return _again(msgspec.structs.replace(job, error=LOST), retry_delay(job.attempts, chance), now, limits)


def _again(job: Job, delay: float, now: float, limits: StoreLimits) -> Job:
    """Queue it again, where attempts and age allow it and nobody wants it ended."""
    if job.cancelling:
        return ended(job, JobState.CANCELLED, now, limits)
    if job.attempts >= job.max_attempts:
        return ended(msgspec.structs.replace(job, reason="attempts_exhausted"), JobState.FAILED, now, limits)
    # However long it waited before: a backlog takes no attempt from it.
    if job.first_started_at is not None and now - job.first_started_at > job.max_age:
        return ended(msgspec.structs.replace(job, reason="too_old"), JobState.FAILED, now, limits)
    return msgspec.structs.replace(job, state=JobState.QUEUED, worker=None, due_at=now + delay, reply_bytes=0)


def refusal_of(limits: StoreLimits, stats: QueueStats, size: int, now: float) -> Overloaded | None:
    """Why a job with a body of so many bytes is not taken now; None where it is."""
    waiting = stats.states[JobState.QUEUED]
    if waiting >= limits.max_waiting:
        return Overloaded(f"{waiting} jobs wait already. Try again later.", _patience(waiting / 1000))
    if stats.stored_bytes + size > limits.max_bytes:
        text = f"The store of jobs is full: it keeps up to {limits.max_bytes} bytes. Try again later."
        return Overloaded(text, LONGEST_RETRY_AFTER)
    if stats.oldest_at is not None and now - stats.oldest_at > limits.max_waiting_seconds:
        text = f"The oldest job has waited for {now - stats.oldest_at:.0f} s already. Try again later."
        return Overloaded(text, LONGEST_RETRY_AFTER)
    return None


def unserved(waiting: Mapping[str, int], workers: Iterable[Sequence[str]]) -> dict[str, int]:
    """Of the jobs that wait, by model, those for a model that no worker has; `workers` are the models of each."""
    served = {model for models in workers for model in models}
    return {model: count for model, count in waiting.items() if model not in served}


def _patience(seconds: float) -> int:
    return max(1, min(LONGEST_RETRY_AFTER, math.ceil(seconds)))


def delivery(job: Job, identifier: str, now: float, limits: StoreLimits) -> NewJob:
    """The job that brings the answer of another one to its sink."""
    return NewJob(
        id=identifier,
        kind="deliver",
        model=job.model,
        path=job.path,
        caller=job.caller,
        sink=job.sink,
        about=job.id,
        max_attempts=limits.delivery_attempts,
        max_age=limits.delivery_seconds,
        request_id=job.request_id,
        trace=job.trace,
        submitted_at=now,
    )
