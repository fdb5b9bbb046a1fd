"""What callers are shown of a job, as JSON."""

import datetime as dt
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

import msgspec

from septet.queues.job import ENDED, Job, JobState, NewJob, StoredReply
from septet.queues.job_store import WorkerInfo
from septet.sinks.delivery import shown_answer
from septet.sinks.sink_address import shown_sink

#: Where a job is found, below the root path of the server.
JOB_PATH: Final = "/job/{}"
#: Seconds after which to ask again for a job that has not ended.
RETRY_AFTER: Final = b"1"


def ticket(job: NewJob, identifier: str, root_path: str, durability: str) -> bytes:
    """The body that says that a job is accepted; `identifier` is an older one's, where it was known already."""
    href = root_path + JOB_PATH.format(identifier)
    return msgspec.json.encode(
        {
            "job_id": identifier,
            "state": JobState.QUEUED,
            "href": href,
            "model": {"name": job.model, **({} if job.digest is None else {"digest": job.digest})},
            "submitted_at": moment(job.submitted_at),
            "durability": durability,
            "id": job.request_id,
        }
    )


def document(job: Job, reply: StoredReply | None, root_path: str, served: Collection[str] | None = None) -> bytes:
    """A job with its answer, in the very bytes where that is JSON."""
    shown = summary(job, root_path, served)
    if reply is not None and job.state in (JobState.SUCCEEDED, JobState.FAILED):
        shown["answer"] = shown_answer(reply)
        shown["answer_href"] = f"{shown['href']}/answer"
    return msgspec.json.encode(shown)


def summary(job: Job, root_path: str, served: Collection[str] | None = None) -> dict[str, Any]:
    """What a list shows of a job: all but its answer. `served`: the models that workers have, where that is known."""
    unserved = served is not None and job.state is JobState.QUEUED and job.model not in served
    facts: dict[str, Any] = {
        "job_id": job.id,
        "state": job.state,
        "href": root_path + JOB_PATH.format(job.id),
        "path": job.path,
        "model": job.answered_by or {"name": job.model, "digest": job.digest},
        "submitted_at": moment(job.submitted_at),
        "not_before": moment(job.due_at) if job.due_at and job.state is JobState.QUEUED else None,
        "waiting_for": f"a worker that has the model {job.model!r}; none has it now" if unserved else None,
        "started_at": moment(job.started_at),
        "ended_at": moment(job.ended_at),
        "kept_until": moment(job.keep_until),
        "attempts": job.attempts,
        "max_attempts": job.max_attempts,
        "worker": job.worker,
        "progress": job.progress,
        "key": job.key,
        "priority": job.priority or None,
        "cancelling": True if job.cancelling and job.state not in ENDED else None,
        "reason": job.reason,
        "error": job.error,
        "sink": None if job.sink is None else shown_sink(job.sink),
        "about": job.about,
        "body_bytes": job.body_bytes,
        "id": job.request_id,
    }
    return {name: value for name, value in facts.items() if value is not None}


def job_list(jobs: Sequence[Job], root_path: str, following: str | None, served: Collection[str]) -> bytes:
    """A page of jobs, and where the next one is; `served` are the models that workers have."""
    return msgspec.json.encode({"jobs": [summary(job, root_path, served) for job in jobs], "next": following})


def served_models(workers: Iterable[WorkerInfo]) -> frozenset[str]:
    """The models that workers have."""
    return frozenset(model for each in workers for model in each.models)


def moment(seconds: float | None) -> str | None:
    """Seconds since 1970 as RFC 3339 has them, in UTC."""
    if seconds is None:
        return None
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
