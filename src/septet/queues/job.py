"""What is known of a job: an accepted request, and what became of it.

A job is the request itself: the path, the headers that say how to read and answer it, and the exact bytes of the body.
A worker replays it through the same routes that answer at once, so its answer has the same bytes.
"""

import hashlib
import random
from enum import StrEnum
from typing import Final, Literal

import msgspec

from septet.identity import Identity

#: Seconds by which a job is preferred for each step of its priority: what was submitted so much earlier comes first.
PRIORITY_SECONDS: Final = 60.0
LOWEST_PRIORITY, HIGHEST_PRIORITY = -9, 9
#: The first retry waits up to so many seconds, each further one up to twice as long, and none longer than the last.
FIRST_DELAY_SECONDS, LONGEST_DELAY_SECONDS = 1.0, 60.0

# Headers that differ each time the same request is sent.
_OF_ONE_SENDING: Final = (b"x-request-id", b"traceparent")


class JobState(StrEnum):
    """Where a job is. Of the last four none ever changes."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


#: Which state may follow which.
TRANSITIONS: Final = {
    JobState.QUEUED: frozenset((JobState.RUNNING, JobState.FAILED, JobState.EXPIRED, JobState.CANCELLED)),
    JobState.RUNNING: frozenset((JobState.QUEUED, JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)),
    JobState.SUCCEEDED: frozenset[JobState](),
    JobState.FAILED: frozenset[JobState](),
    JobState.EXPIRED: frozenset[JobState](),
    JobState.CANCELLED: frozenset[JobState](),
}
ENDED: Final = frozenset(state for state, following in TRANSITIONS.items() if not following)

#: Why a job failed: its request can never be answered, all attempts failed, or it was too old for another one.
FailureReason = Literal["permanent", "attempts_exhausted", "too_old"]
#: Predict, or bring the answer of another job to where it is wanted.
JobKind = Literal["predict", "deliver"]


class NewJob(msgspec.Struct, frozen=True, kw_only=True):
    """What is submitted. Times are in seconds since 1970.

    Attributes:
        id: 32 hexadecimal digits, all of them random.
        kind: what a worker has to do.
        model: the name of the model that it is for.
        digest: the only digest of that model that may answer; None for whatever is served when it runs.
        path, query, headers, body: of the request. The headers are those that reading and answering it need.
        caller: the name of the API key that it came with, or None.
        idempotency: what the caller's idempotency key is kept as, or None.
        key: jobs of one key run one after the other, in the order in which they were accepted; None for no order.
        priority: from -9 to 9; the higher, the earlier.
        not_before: when it may begin; 0 for at once.
        begin_by: when it expires unless it has begun; None for never.
        max_attempts: how often it may be begun.
        max_age: seconds after its first begin from which a failed attempt is its last one.
        sink: where its answer is to be brought to, or None.
        about: of a delivery: the job whose answer it brings; else None.
        request_id, trace: of the request that submitted it.
        submitted_at: when it was accepted.
    """

    id: str
    kind: JobKind = "predict"
    model: str
    digest: str | None = None
    path: str
    query: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""
    caller: str | None = None
    idempotency: str | None = None
    key: str | None = None
    priority: int = 0
    not_before: float = 0.0
    begin_by: float | None = None
    max_attempts: int = 3
    max_age: float = 300.0
    sink: str | None = None
    about: str | None = None
    request_id: str
    trace: str | None = None
    submitted_at: float

    @property
    def rank(self) -> float:
        """Of the jobs that may begin, the one of the lowest rank is next; it never changes, so none waits for ever."""
        return self.submitted_at - PRIORITY_SECONDS * self.priority

    @property
    def digest_of_request(self) -> bytes:
        """32 bytes that are the same only for the same request: what an idempotency key stands for."""
        headers = sorted(each for each in self.headers if each[0] not in _OF_ONE_SENDING)
        head = msgspec.msgpack.encode((self.kind, self.model, self.path, self.query, headers))
        return hashlib.sha256(hashlib.sha256(self.body).digest() + head).digest()


class StoredReply(msgspec.Struct, frozen=True):
    """The reply that the request would have been given at once. `headers` are those beside what a transport adds."""

    status: int
    media_type: bytes
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()
    flags: tuple[str, ...] = ()


class JobError(msgspec.Struct, frozen=True):
    """Why an attempt failed: the error's neutral code, and its text for people."""

    code: str
    message: str


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A job as its store has it, without body and reply. Times are in seconds since 1970; None: not yet.

    Attributes:
        id, kind, model, digest, path, caller, key, priority, begin_by, max_attempts, max_age, sink, about, request_id,
            trace, submitted_at: as in `NewJob`.
        place: a number that is higher for each job that is accepted later.
        state: where it is.
        due_at: when it may begin, or be tried again.
        attempts: how often it was begun.
        worker: who has begun it last.
        started_at: when that was.
        first_started_at: when the first attempt that counts began.
        ended_at: when it reached its last state.
        cancelling: somebody wants it ended while it runs.
        progress: which part of it is done, from 0 to 1, where its model tells.
        reason: why it failed.
        error: of the last attempt that failed.
        answered_by: the model that answered.
        body_bytes, reply_bytes: how much is stored.
        keep_until: when it is forgotten.
    """

    id: str
    kind: JobKind
    model: str
    digest: str | None
    path: str
    caller: str | None
    key: str | None
    priority: int
    begin_by: float | None
    max_attempts: int
    max_age: float
    sink: str | None
    about: str | None
    request_id: str
    trace: str | None
    submitted_at: float
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
    error: JobError | None = None
    answered_by: Identity | None = None
    body_bytes: int = 0
    reply_bytes: int = 0
    keep_until: float | None = None


class LeasedJob(msgspec.Struct, frozen=True):
    """A job that a worker has begun: only with this attempt can it be settled.

    `first_started_at` is when its first attempt began, in seconds since 1970.
    """

    job: NewJob
    attempt: int
    first_started_at: float


class ProgressReport(msgspec.Struct, frozen=True):
    """Which part of an attempt is done, from 0 to 1."""

    id: str
    attempt: int
    progress: float


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """How an attempt ended.

    Attributes:
        id, attempt: of which job.
        outcome: `succeeded`; `failed` for good; `retry`, where attempts and age allow it; `cancelled`, as was wanted;
            `returned`: it was not really begun, and the attempt does not count.
        reply: what the caller is given, of an answer or of an error.
        error: why it failed.
        answered_by: the model that answered.
        delay: seconds to wait before it is tried again.
    """

    id: str
    attempt: int
    outcome: Literal["succeeded", "failed", "retry", "cancelled", "returned"]
    reply: StoredReply | None = None
    error: JobError | None = None
    answered_by: Identity | None = None
    delay: float = 0.0


def retry_delay(attempts: int, chance: float | None = None) -> float:
    """Seconds to wait after so many failed attempts: at least half of a time that doubles, so that few come at once.

    `chance`, from 0 to 1, says how much more; None for a random one.
    """
    longest = min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2.0 ** min(attempts - 1, 32))
    return longest / 2 * (1.0 + (random.random() if chance is None else chance))  # noqa: S311 - no secret
