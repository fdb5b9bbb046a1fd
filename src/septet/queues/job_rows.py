"""Jobs as rows of the embedded store, and the totals that are kept with them."""

from typing import Any, Final, TypeAlias

import msgspec

from septet.identity import Identity
from septet.queues.job import Job, JobError, JobKind, JobState, NewJob
from septet.queues.job_counts import JobCounts
from septet.queues.job_transitions import accepted

#: Jobs as `job_of` reads them.
SELECT_JOBS: Final = (
    "SELECT place, state, due_at, attempts, worker, started_at, first_started_at, ended_at, cancelling, progress, "
    "reason, error, answered_by, body_bytes, reply_bytes, keep_until, "
    # Faster than a join.
    "(SELECT head FROM requests WHERE requests.place = jobs.place) FROM jobs"
)
INSERT_JOB: Final = """
INSERT INTO jobs (place, id, kind, model, caller, idempotency, request_digest, key, rank, submitted_at, begin_by,
  body_bytes, behind, later, due_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
UPDATE_JOB: Final = """
UPDATE jobs SET state = ?, later = ?, due_at = ?, attempts = ?, worker = ?, started_at = ?, ended_at = ?,
  cancelling = ?, progress = ?, reason = ?, error = ?, answered_by = ?, reply_bytes = ?, keep_until = ? WHERE place = ?
"""
_Row: TypeAlias = tuple[Any, ...]

_new_job = msgspec.msgpack.Decoder(NewJob).decode
_error = msgspec.json.Decoder(JobError).decode
_identity = msgspec.json.Decoder(Identity).decode
_encoded = msgspec.msgpack.Encoder().encode


class Totals(msgspec.Struct):
    """What is counted with each step, so that nothing has to be counted over all jobs.

    Attributes:
        place: the last one that was given.
        stored_bytes: of bodies and replies.
        later: queued jobs that waited for their time when somebody last looked.
        predict, deliver: jobs of each kind by state.
        waiting: queued jobs of both kinds by model.
        counts: what has happened since the file was made, by kind.
    """

    place: int = 0
    stored_bytes: int = 0
    later: int = 0
    predict: dict[str, int] = {}
    deliver: dict[str, int] = {}
    waiting: dict[str, int] = {}
    counts: dict[JobKind, JobCounts] = msgspec.field(
        default_factory=lambda: {"predict": JobCounts(), "deliver": JobCounts()}
    )

    def count(self, job: NewJob | Job, state: JobState, more: int) -> None:
        """Note that there are so many more jobs like this one in a state."""
        states = self.predict if job.kind == "predict" else self.deliver
        states[state.value] = states.get(state.value, 0) + more
        if state is JobState.QUEUED:
            waiting = self.waiting.get(job.model, 0) + more
            self.waiting[job.model] = waiting
            if not waiting:
                del self.waiting[job.model]

    def of(self, state: JobState) -> int:
        """Jobs of both kinds in a state."""
        return self.predict.get(state.value, 0) + self.deliver.get(state.value, 0)


def head_of(new: NewJob) -> bytes:
    """What was submitted but for the body, which has a column of its own."""
    return _encoded(msgspec.structs.replace(new, body=b""))


def new_job_of(head: bytes, body: bytes) -> NewJob:
    """What was submitted, as it was."""
    return msgspec.structs.replace(_new_job(head), body=body)


def inserted_row(new: NewJob, place: int, *, behind: bool, later: bool) -> _Row:
    """The values of `INSERT_JOB`."""
    digest = None if new.idempotency is None else new.digest_of_request
    whose = (place, new.id, new.kind, new.model, new.caller, new.idempotency, digest, new.key)
    return (*whose, new.rank, new.submitted_at, new.begin_by, len(new.body), behind, later, new.not_before)


def updated_row(job: Job, *, later: bool) -> _Row:
    """The values of `UPDATE_JOB`."""
    error = None if job.error is None else msgspec.json.encode(job.error).decode()
    model = None if job.answered_by is None else msgspec.json.encode(job.answered_by).decode()
    begun = (job.state.value, later, job.due_at, job.attempts, job.worker, job.started_at, job.ended_at)
    told = (job.cancelling, job.progress, job.reason, error, model, job.reply_bytes, job.keep_until)
    return (*begun, *told, job.place)


def job_of(row: _Row) -> Job:
    """The job of a row of `SELECT_JOBS`."""
    place, state, due_at, attempts, worker, started_at, first_started_at, ended_at, cancelling, progress = row[:10]
    reason, error, model, body_bytes, reply_bytes, keep_until, head = row[10:]
    return msgspec.structs.replace(
        accepted(_new_job(head), place),
        state=JobState(state),
        due_at=due_at,
        attempts=attempts,
        worker=worker,
        started_at=started_at,
        first_started_at=first_started_at,
        ended_at=ended_at,
        cancelling=bool(cancelling),
        progress=progress,
        reason=reason,
        error=None if error is None else _error(error),
        answered_by=None if model is None else _identity(model),
        body_bytes=body_bytes,
        reply_bytes=reply_bytes,
        keep_until=keep_until,
    )
