"""The answer of one job on its way to a sink, and what a sink does with it."""

import datetime as dt
from abc import ABC, abstractmethod
from base64 import b64encode
from typing import Any, Final

import msgspec

from septet.protocols.http.http_messages import JSON
from septet.queues.job import JobError, JobState, StoredReply
from septet.types import Identity

ENCODING: Final = b"content-encoding"


class DeliveryFailed(Exception):
    """Raised when an answer did not arrive, as far as is known, and may be brought once more.

    `retry_after` is how many seconds the sink asks to wait, or None. The text holds no secret.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class DeliveryRefused(Exception):
    """Raised when an answer will never be taken there. The text holds no secret."""


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of a job that has ended. Times are in seconds since 1970.

    Attributes:
        id: of the delivery, the same at each attempt: by it a receiver tells doubles.
        attempt: counts from 1.
        job_id, state, submitted_at, ended_at, request_id: of the job.
        job: the job as `GET /job/{id}` shows it, without its answer: a JSON object.
        model: the model that answered, if one did.
        trace: the `traceparent` header of the request, or None.
        reply: what the caller would have been answered at once, of an answer or of an error.
        error: why it failed.
    """

    id: str
    attempt: int
    job_id: str
    state: JobState
    submitted_at: float
    ended_at: float
    request_id: str
    job: bytes
    model: Identity | None = None
    trace: str | None = None
    reply: StoredReply | None = None
    error: JobError | None = None

    def message(self, file: str | None = None) -> bytes:
        """JSON in one line, the same at each attempt: `id`, `type`, `timestamp` and `data`, the job with its answer.

        The last three are the payload of Standard Webhooks 1.0.0; `type` is such as `job.succeeded`. `file` names the
        file that has the bytes of the answer, in place of them.
        """
        data: dict[str, Any] = dict(msgspec.json.decode(self.job, type=dict[str, Any]))
        if self.reply is not None:
            data["answer"] = shown_answer(self.reply) if file is None else {**_head(self.reply), "file": file}
        ended = dt.datetime.fromtimestamp(self.ended_at, dt.UTC).isoformat(timespec="milliseconds")
        event = {
            "id": self.id,
            "type": f"job.{self.state}",
            "timestamp": ended.replace("+00:00", "Z"),
            "data": data,
        }
        return msgspec.json.encode(event)


class Sink(ABC):
    """A place that answers are brought to. Threads may share it."""

    @abstractmethod
    def deliver(self, delivery: Delivery) -> None:
        """Bring one answer, and return when it is there as safely as the place can keep it. Blocks.

        Raises:
            DeliveryFailed: it may be brought once more.
            DeliveryRefused: it will never be taken.
        """

    def close(self) -> None:  # noqa: B027 - most sinks hold nothing open
        """Let go of what is held open; by default nothing is."""


def is_plain_json(reply: StoredReply) -> bool:
    """Whether the bytes of a reply are a JSON document as they are."""
    return reply.media_type == JSON and not any(name == ENCODING for name, _ in reply.headers)


def shown_answer(reply: StoredReply) -> dict[str, Any]:
    """A stored reply in JSON: what is JSON stands as it is, everything else as base64."""
    facts = _head(reply)
    if is_plain_json(reply):
        return {**facts, "body": msgspec.Raw(reply.body)}
    return {**facts, "body_base64": b64encode(reply.body).decode()}


def _head(reply: StoredReply) -> dict[str, Any]:
    facts: dict[str, Any] = {"status": reply.status, "content_type": reply.media_type.decode("latin-1")}
    return {**facts, "flags": reply.flags} if reply.flags else facts
