"""Jobs as tests submit them."""

from secrets import token_hex
from typing import Any

from septet.queues.job import Job, NewJob, Settlement, StoredReply
from septet.queues.job_store import Accepted, JobStore
from septet.types import Identity

NOW = 1_800_000_000.0
MODEL = Identity("iris", "1", "sha256:" + "0" * 64)
REPLY = StoredReply(200, b"application/json", b'{"label": "setosa"}', ((b"x-model", b"iris"),), ("degraded",))


def a_job(**said: Any) -> NewJob:
    """A job for the model `iris`, accepted at `NOW`, with what else is said of it."""
    facts = {"id": token_hex(16), "model": "iris", "path": "/predict", "request_id": "r", "submitted_at": NOW}
    return NewJob(**{**facts, "headers": ((b"content-type", b"application/json"),), "body": b"[[1,2,3,4]]", **said})


def success(job: str, attempt: int = 1, reply: StoredReply = REPLY) -> Settlement:
    """The end of an attempt that has an answer."""
    return Settlement(id=job, attempt=attempt, outcome="succeeded", reply=reply, answered_by=MODEL)


def accept(store: JobStore, *jobs: NewJob, now: float = NOW) -> list[str]:
    """The ids of jobs that the store takes."""
    outcomes = store.accept(jobs, now)
    assert [each for each in outcomes if not isinstance(each, Accepted)] == []
    return [each.id for each in outcomes if isinstance(each, Accepted)]


def found(store: JobStore, identifier: str) -> Job:
    (job,) = store.find([identifier])
    assert isinstance(job, Job)
    return job


def begin(store: JobStore, most: int = 10, now: float = NOW, worker: str = "w") -> list[tuple[str, int]]:
    return [(each.job.id, each.attempt) for each in store.lease(worker, most, now)]
