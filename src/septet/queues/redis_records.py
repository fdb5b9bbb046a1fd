"""How a job is kept in Redis: what was submitted, and a row of what became of it, which the scripts change."""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from septet.identity import Identity
from septet.queues.job import FailureReason, Job, JobError, JobState, NewJob, Settlement, StoredReply


class _Row(msgspec.Struct):
    """What Job has beside NewJob, as the scripts name it; what is not there is as it is here."""

    place: int
    state: JobState
    due_at: float
    attempts: int = 0
    worker: str | None = None
    started_at: float | None = None
    first_started_at: float | None = None
    ended_at: float | None = None
    cancelling: bool = False
    progress: float | None = None
    reason: FailureReason | None = None
    error: str | None = None
    answered_by: str | None = None
    body_bytes: int = 0
    reply_bytes: int = 0
    keep_until: float | None = None


# What is as it is unless said otherwise is not stored.
_DEFAULTS: Final = {
    name: field.default for name, field in zip(NewJob.__struct_fields__, msgspec.structs.fields(NewJob), strict=True)
}
_pack: Final = msgspec.msgpack.Encoder().encode
_new_decoder: Final = msgspec.msgpack.Decoder(NewJob)
_row_decoder: Final = msgspec.msgpack.Decoder(_Row)
_reply_decoder: Final = msgspec.msgpack.Decoder(StoredReply)
_error_decoder: Final = msgspec.json.Decoder(JobError)
_identity_decoder: Final = msgspec.json.Decoder(Identity)


def submitted(job: NewJob) -> tuple[bytes, bytes, bytes]:
    """The row of a job that is accepted, what was submitted without its body, and the body."""
    new = {name: value for name in NewJob.__struct_fields__ if (value := getattr(job, name)) != _DEFAULTS[name]}
    new.pop("body", None)
    row: dict[str, Any] = {
        "id": job.id,
        "model": job.model,
        "rank": job.rank,
        "due_at": job.not_before,
        "submitted_at": job.submitted_at,
        "max_attempts": job.max_attempts,
        "max_age": job.max_age,
        "body_bytes": len(job.body),
        "request": job.digest_of_request.hex()[:32],
    }
    if job.kind != "predict":
        row["kind"] = job.kind
    if job.key is not None:
        row["key"] = job.key
    if job.begin_by is not None:
        row["begin_by"] = job.begin_by
    if job.sink is not None and job.kind == "predict":
        row["delivery"] = _delivery(job)
    if job.idempotency is not None:
        row["idempotency"] = ("-" if job.caller is None else f"+{job.caller}\0") + job.idempotency
    return _pack(row), _pack(new), job.body


def _delivery(job: NewJob) -> dict[str, str]:
    """What a script needs to submit the delivery of its answer; it cannot read what was submitted, which has bytes."""
    delivery = {
        "kind": "deliver",
        "model": job.model,
        "path": job.path,
        "caller": job.caller,
        "sink": job.sink,
        "about": job.id,
        "request_id": job.request_id,
        "trace": job.trace,
    }
    return {name: value for name, value in delivery.items() if value is not None}


def new_of(new: bytes, body: bytes) -> NewJob:
    """What was submitted, as it was."""
    job = _new_decoder.decode(new)
    return msgspec.structs.replace(job, body=body) if body else job


def job_of(new: bytes, row: bytes) -> Job:
    """The job as it is now."""
    said, became = _new_decoder.decode(new), _row_decoder.decode(row)
    return Job(
        id=said.id,
        kind=said.kind,
        model=said.model,
        digest=said.digest,
        path=said.path,
        caller=said.caller,
        key=said.key,
        priority=said.priority,
        begin_by=said.begin_by,
        max_attempts=said.max_attempts,
        max_age=said.max_age,
        sink=said.sink,
        about=said.about,
        request_id=said.request_id,
        trace=said.trace,
        submitted_at=said.submitted_at,
        place=became.place,
        state=became.state,
        due_at=became.due_at,
        attempts=became.attempts,
        worker=became.worker,
        started_at=became.started_at,
        first_started_at=became.first_started_at,
        ended_at=became.ended_at,
        cancelling=became.cancelling,
        progress=became.progress,
        reason=became.reason,
        error=None if became.error is None else _error_decoder.decode(became.error),
        answered_by=None if became.answered_by is None else _identity_decoder.decode(became.answered_by),
        body_bytes=became.body_bytes,
        reply_bytes=became.reply_bytes,
        keep_until=became.keep_until,
    )


def name_of_end(worker: str, settlement: Settlement) -> bytes:
    """8 bytes that are the same only for the same end of the same attempt."""
    return hashlib.blake2b(_pack((worker, settlement)), digest_size=8).digest()


def ending(settlement: Settlement, mark: str) -> tuple[bytes, bytes]:
    """How an attempt ended, for the scripts, and the reply; no bytes for none. The mark is kept with the job."""
    end: dict[str, Any] = {
        "id": settlement.id,
        "attempt": settlement.attempt,
        "outcome": settlement.outcome,
        "delay": settlement.delay,
        "mark": mark,
    }
    if settlement.error is not None:
        end["error"] = error_text(settlement.error)
    if settlement.answered_by is not None:
        end["answered_by"] = msgspec.json.encode(settlement.answered_by).decode()
    if settlement.reply is None:
        return _pack(end), b""
    end["reply_bytes"] = len(settlement.reply.body)
    return _pack(end), _pack(settlement.reply)


def error_text(error: JobError) -> str:
    """An error as a row has it: the scripts only hand it on."""
    return msgspec.json.encode(error).decode()


def reply_of(reply: bytes) -> StoredReply:
    """The reply as it was settled."""
    return _reply_decoder.decode(reply)


def packed(arguments: Mapping[str, Any]) -> bytes:
    """The arguments of a script by name."""
    return _pack({name: value for name, value in arguments.items() if value is not None})
