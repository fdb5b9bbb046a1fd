"""The protocol of a store of jobs, and what it promises.

Every method is one durable step: when it returns, what it says is stored as safely as the store can, and no other
process has seen a part of it. All of them block, so a server calls them from one thread (`septet.jobs.store_thread`),
which gathers what came meanwhile into one call.

A lease is held by a worker, not by the clock: a worker beats, and whoever has seen no new beat of it for the time of a
lease, on a clock that nobody sets, reaps it. What it had begun is then queued again or fails, by its attempts; what it
still tells of that is not taken, because another attempt, or none, is under way.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from septet.errors import SeptetError, Unavailable
from septet.queues.job import Job, JobKind, JobState, LeasedJob, NewJob, ProgressReport, Settlement, StoredReply
from septet.queues.job_counts import JobCounts


class StoreLimits(msgspec.Struct, frozen=True):
    """How much a store takes, and how long it keeps it.

    Attributes:
        max_waiting: jobs that may wait.
        max_bytes: bytes of bodies and replies that are kept.
        max_waiting_seconds: how long the oldest job that waits may have waited.
        keep_seconds: how long a job is kept after its end; its id is known as over for as long again.
        delivery_attempts: how often an answer is brought to its sink.
        delivery_seconds: for how long that is tried.
    """

    max_waiting: int = 1_000_000
    max_bytes: int = 8 << 30
    max_waiting_seconds: float = 86_400.0
    keep_seconds: float = 86_400.0
    delivery_attempts: int = 12
    delivery_seconds: float = 86_400.0


class Accepted(msgspec.Struct, frozen=True):
    """A job is stored. `known`: it was before, under its own id, or under its idempotency key with this older id."""

    id: str
    known: bool = False


class WorkerInfo(msgspec.Struct, frozen=True):
    """A worker as others see it. `beat` counts up while it lives; `since` is when it came, in seconds since 1970."""

    id: str
    beat: int
    since: float
    models: tuple[str, ...]
    running: int


class QueueStats(msgspec.Struct, frozen=True):
    """What a store holds now, and what has happened in it.

    Attributes:
        states: jobs that predict, by state.
        due: those that wait and may begin now.
        deliveries: answers on their way to their sinks.
        oldest_at: when the oldest job that may begin was accepted, in seconds since 1970; None where none waits.
        stored_bytes: of bodies and replies.
        workers: that have not been reaped.
        unserved: jobs and deliveries that wait for a model which none of these has, by its name.
        counts: what has happened since the store was made, by kind; sums that only grow.
    """

    states: Mapping[JobState, int]
    due: int
    deliveries: int
    oldest_at: float | None
    stored_bytes: int
    workers: int
    unserved: Mapping[str, int] = {}
    counts: Mapping[JobKind, JobCounts] = {}


class JobFilter(msgspec.Struct, frozen=True):
    """Which jobs a list has: all that fit what is not None."""

    state: JobState | None = None
    model: str | None = None
    caller: str | None = None
    kind: str | None = "predict"


class JobPage(msgspec.Struct, frozen=True):
    """Jobs, the latest first. `before` is what to ask with for the next page; None where this is the last one."""

    jobs: Sequence[Job]
    before: int | None


class Forgotten(msgspec.Struct, frozen=True):
    """In place of a job that is over and no longer kept."""


class StoreFailed(Unavailable):
    """Raised when the store cannot be read or written now.

    Nothing of what was asked has happened, or all of it, where only the answer was lost: the same can be asked again.
    """


class JobSignals(Protocol):
    """Tells the other processes that use a store that something in it has changed. A signal may be lost."""

    def fileno(self) -> int:
        """A descriptor that can be read once another process has told of a change."""

    def drain(self) -> None:
        """Take note of all that was told; does not block."""

    def notify(self) -> None:
        """Tell of a change; does not block."""

    def close(self) -> None:
        """Hear and tell no more."""


class JobStore(ABC):
    """A store of jobs. `now` is in seconds since 1970, as the caller's clock has it.

    Every method raises StoreFailed where the store cannot do it now.

    Attributes:
        durability: what survives what, in words for the store's owner.
        safe: whether what it acknowledged survives a sudden end of its machine, as far as it knows.
    """

    durability: str
    safe: bool

    @abstractmethod
    def accept(self, jobs: Sequence[NewJob], now: float) -> list[Accepted | SeptetError]:
        """Store jobs; for each that it is stored, or why not.

        Conflict: its idempotency key was used for another request. Overloaded: there is no room for it now; its
        `retry_after` says when to try again.
        """

    @abstractmethod
    def join(self, worker: str, models: Sequence[str], now: float) -> None:
        """Begin to take jobs of these models, under a name that no other worker has had."""

    @abstractmethod
    def beat(self, worker: str, now: float) -> Sequence[str] | None:
        """Say that a worker lives; the ids of its jobs that somebody wants ended. None: it was reaped."""

    @abstractmethod
    def leave(self, worker: str, now: float) -> None:
        """End a worker; what it had begun and not settled may be begun by others, and does not count as an attempt."""

    @abstractmethod
    def lease(self, worker: str, most: int, now: float) -> list[LeasedJob]:
        """Begin up to `most` of the jobs that are due, those of the lowest rank; each counts as an attempt.

        A job that was begun before comes alone: what ends its worker should harm no other. One that was never begun
        and whose `begin_by` has passed expires instead. Empty for a worker that was reaped.
        """

    @abstractmethod
    def settle(self, worker: str, settlements: Sequence[Settlement], now: float) -> list[bool]:
        """End attempts; for each whether it was still the worker's. With it, what is to be delivered is queued."""

    @abstractmethod
    def report(self, worker: str, reports: Sequence[ProgressReport]) -> list[bool]:
        """Say how much of jobs is done; for each whether it is still the worker's."""

    @abstractmethod
    def workers(self) -> Sequence[WorkerInfo]:
        """Those that have joined, and neither left nor been reaped."""

    @abstractmethod
    def reap(self, worker: str, beat: int, now: float) -> Sequence[str]:
        """End a worker that has not beaten since `beat`, and queue or fail what it had begun; the ids of that."""

    @abstractmethod
    def find(self, identifiers: Sequence[str]) -> list[Job | Forgotten | None]:
        """Jobs by their ids; None for an id that is not known."""

    @abstractmethod
    def body(self, identifier: str) -> NewJob | None:
        """What was submitted, as it was."""

    @abstractmethod
    def reply(self, identifier: str) -> StoredReply | None:
        """The reply of a job that has one."""

    @abstractmethod
    def page(self, wanted: JobFilter, before: int | None, most: int) -> JobPage:
        """Up to `most` jobs that were accepted before the one at a place, the latest first."""

    @abstractmethod
    def cancel(self, identifier: str, now: float) -> Job | None:
        """End a job that waits, ask for the end of one that runs, leave one that has ended; None for an unknown id."""

    @abstractmethod
    def purge(self, wanted: JobFilter, ended_before: float, most: int) -> int:
        """Forget up to `most` jobs that ended before a time; how many it were."""

    @abstractmethod
    def sweep(self, now: float, most: int) -> int:
        """Expire what began too late and forget what was kept long enough, up to `most` jobs; how many it were."""

    @abstractmethod
    def next_due(self, now: float) -> float | None:
        """When the next job that waits for its time may begin, in seconds since 1970; None where none waits so."""

    @abstractmethod
    def stats(self, now: float) -> QueueStats:
        """What is stored now; in a time that does not grow with the number of jobs."""

    @abstractmethod
    def close(self) -> None:
        """Let go of files and connections. What is stored stays."""
