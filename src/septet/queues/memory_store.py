"""The store that keeps everything in the memory of one process: for tests, and for trying jobs out.

It does what every store does in the plainest way, so it is also what the others are compared with.
"""

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from secrets import token_hex

import msgspec

from septet.errors import Conflict, SeptetError
from septet.queues.job import ENDED, Job, JobKind, JobState, LeasedJob, NewJob, ProgressReport, Settlement, StoredReply
from septet.queues.job_counts import JobCounts
from septet.queues.job_store import (
    Accepted,
    Forgotten,
    JobFilter,
    JobPage,
    JobStore,
    QueueStats,
    StoreLimits,
    WorkerInfo,
)
from septet.queues.job_transitions import (
    OTHER_REQUEST,
    accepted,
    begun,
    delivery,
    ended,
    reaped,
    refusal_of,
    settled,
    unserved,
)


class _Stored(msgspec.Struct):
    job: Job
    new: NewJob
    reply: StoredReply | None = None


class _Worker(msgspec.Struct):
    models: tuple[str, ...]
    since: float
    beat: int = 0


class MemoryStore(JobStore):
    """Jobs in dictionaries; nothing survives the process."""

    durability = "jobs are kept in memory: they are lost when the process ends"
    safe = False

    def __init__(self, limits: StoreLimits | None = None) -> None:
        self._limits = StoreLimits() if limits is None else limits
        self._stored: dict[str, _Stored] = {}
        self._workers: dict[str, _Worker] = {}
        self._forgotten: dict[str, float] = {}
        self._place = 0
        self._counts: dict[JobKind, JobCounts] = {"predict": JobCounts(), "deliver": JobCounts()}

    def accept(self, jobs: Sequence[NewJob], now: float) -> list[Accepted | SeptetError]:
        return [self._accept(job, now) for job in jobs]

    def _accept(self, new: NewJob, now: float) -> Accepted | SeptetError:
        if new.id in self._stored:
            return Accepted(new.id, known=True)
        known = self._known(new)
        if known is not None:
            same = known.new.digest_of_request == new.digest_of_request
            return Accepted(known.job.id, known=True) if same else Conflict(OTHER_REQUEST)
        refusal = refusal_of(self._limits, self.stats(now), len(new.body), now)
        if refusal is not None:
            return refusal
        self._insert(new)
        return Accepted(new.id)

    def _known(self, new: NewJob) -> _Stored | None:
        if new.idempotency is None:
            return None
        same = (each for each in self._stored.values() if each.new.idempotency == new.idempotency)
        return next((each for each in same if each.new.caller == new.caller), None)

    def _insert(self, new: NewJob) -> None:
        self._place += 1
        self._stored[new.id] = _Stored(accepted(new, self._place), new)

    def join(self, worker: str, models: Sequence[str], now: float) -> None:
        self._workers[worker] = _Worker(tuple(models), now)

    def beat(self, worker: str, now: float) -> Sequence[str] | None:  # noqa: ARG002 - others note when
        known = self._workers.get(worker)
        if known is None:
            return None
        known.beat += 1
        return [each.job.id for each in self._begun(worker) if each.job.cancelling]

    def leave(self, worker: str, now: float) -> None:
        self._workers.pop(worker, None)
        for each in list(self._begun(worker)):
            returned = Settlement(id=each.job.id, attempt=each.job.attempts, outcome="returned")
            self._end(each, settled(each.job, returned, now, self._limits), now)

    def lease(self, worker: str, most: int, now: float) -> list[LeasedJob]:
        known = self._workers.get(worker)
        if known is None:
            return []
        leased: list[LeasedJob] = []
        for each in sorted(self._waiting(), key=lambda each: (each.new.rank, each.job.place)):
            if len(leased) == most:
                break
            if each.job.model not in known.models or each.job.due_at > now or self._held_up(each.job):
                continue
            if _is_late(each.job, now):
                self._end(each, ended(each.job, JobState.EXPIRED, now, self._limits), now)
                continue
            again = each.job.attempts > 0
            if again and leased:
                break
            self._counts[each.job.kind].begun(each.job.submitted_at, each.job.due_at, now)
            each.job = begun(each.job, worker, now)
            leased.append(LeasedJob(each.new, each.job.attempts, each.job.first_started_at or now))
            if again:
                break
        return leased

    def _held_up(self, job: Job) -> bool:
        """Whether an earlier job of its key has not ended."""
        return job.key is not None and any(
            each.job.key == job.key and each.job.place < job.place and each.job.state not in ENDED
            for each in self._stored.values()
        )

    def settle(self, worker: str, settlements: Sequence[Settlement], now: float) -> list[bool]:
        return [self._settle(worker, each, now) for each in settlements]

    def _settle(self, worker: str, settlement: Settlement, now: float) -> bool:
        stored = self._held(worker, settlement.id, settlement.attempt)
        if stored is None:
            return False
        job = settled(stored.job, settlement, now, self._limits)
        if job.state in ENDED:
            stored.reply = settlement.reply
        self._end(stored, job, now)
        return True

    def _end(self, stored: _Stored, job: Job, now: float) -> None:
        """Note what a job has become, and queue the delivery of its answer."""
        self._counts[job.kind].became(stored.job, job, now)
        stored.job = job
        if job.state in ENDED and job.sink is not None and job.kind == "predict":
            self._insert(delivery(job, token_hex(16), now, self._limits))

    def _held(self, worker: str, identifier: str, attempt: int) -> _Stored | None:
        stored = self._stored.get(identifier)
        if stored is None or stored.job.state is not JobState.RUNNING:
            return None
        return stored if (stored.job.worker, stored.job.attempts) == (worker, attempt) else None

    def report(self, worker: str, reports: Sequence[ProgressReport]) -> list[bool]:
        held = [self._held(worker, each.id, each.attempt) for each in reports]
        for stored, each in zip(held, reports, strict=True):
            if stored is not None:
                stored.job = msgspec.structs.replace(stored.job, progress=each.progress)
        return [stored is not None for stored in held]

    def workers(self) -> Sequence[WorkerInfo]:
        return [
            WorkerInfo(name, each.beat, each.since, each.models, sum(1 for _ in self._begun(name)))
            for name, each in self._workers.items()
        ]

    def reap(self, worker: str, beat: int, now: float) -> Sequence[str]:
        known = self._workers.get(worker)
        if known is None or known.beat != beat:
            return ()
        del self._workers[worker]
        lost, chance = list(self._begun(worker)), random.random()  # noqa: S311 - no secret
        for each in lost:
            self._end(each, reaped(each.job, now, self._limits, chance), now)
        return [each.job.id for each in lost]

    def find(self, identifiers: Sequence[str]) -> list[Job | Forgotten | None]:
        return [self._find(each) for each in identifiers]

    def _find(self, identifier: str) -> Job | Forgotten | None:
        if identifier in self._forgotten:
            return Forgotten()
        stored = self._stored.get(identifier)
        return None if stored is None else stored.job

    def body(self, identifier: str) -> NewJob | None:
        stored = self._stored.get(identifier)
        return None if stored is None else stored.new

    def reply(self, identifier: str) -> StoredReply | None:
        stored = self._stored.get(identifier)
        return None if stored is None else stored.reply

    def page(self, wanted: JobFilter, before: int | None, most: int) -> JobPage:
        found = [each.job for each in self._fitting(wanted) if before is None or each.job.place < before]
        found.sort(key=lambda job: -job.place)
        return JobPage(found[:most], found[most - 1].place if len(found) > most else None)

    def _fitting(self, wanted: JobFilter) -> Iterator[_Stored]:
        for each in self._stored.values():
            job = each.job
            asked = (wanted.state, wanted.model, wanted.caller, wanted.kind)
            if all(a in (None, b) for a, b in zip(asked, (job.state, job.model, job.caller, job.kind), strict=True)):
                yield each

    def cancel(self, identifier: str, now: float) -> Job | None:
        stored = self._stored.get(identifier)
        if stored is None:
            return None
        if stored.job.state is JobState.QUEUED:
            self._end(stored, ended(stored.job, JobState.CANCELLED, now, self._limits), now)
        elif stored.job.state is JobState.RUNNING:
            stored.job = msgspec.structs.replace(stored.job, cancelling=True)
        return stored.job

    def purge(self, wanted: JobFilter, ended_before: float, most: int) -> int:
        over = [each for each in self._fitting(wanted) if each.job.ended_at is not None]
        return self._forget([each for each in over if (each.job.ended_at or 0.0) < ended_before][:most], None)

    def sweep(self, now: float, most: int) -> int:
        waiting = sorted(self._waiting(), key=lambda each: (each.job.begin_by or 0.0, each.job.place))
        late = [each for each in waiting if _is_late(each.job, now)][:most]
        for each in late:
            self._end(each, ended(each.job, JobState.EXPIRED, now, self._limits), now)
        over = [each for each in self._stored.values() if each.job.keep_until is not None]
        old = [each for each in over if (each.job.keep_until or 0.0) <= now][: most - len(late)]
        self._forgotten = {name: until for name, until in self._forgotten.items() if until > now}
        return len(late) + self._forget(old, now + self._limits.keep_seconds)

    def _forget(self, over: Iterable[_Stored], until: float | None) -> int:
        gone = list(over)
        for each in gone:
            del self._stored[each.job.id]
            if until is not None:
                self._forgotten[each.job.id] = until
        return len(gone)

    def next_due(self, now: float) -> float | None:
        return min((each.job.due_at for each in self._waiting() if each.job.due_at > now), default=None)

    def stats(self, now: float) -> QueueStats:
        jobs = [each.job for each in self._stored.values()]
        states = dict.fromkeys(JobState, 0)
        for job in jobs:
            states[job.state] += job.kind == "predict"
        waits = Counter(job.model for job in jobs if job.state is JobState.QUEUED)
        waiting = [job for job in jobs if job.state is JobState.QUEUED and job.due_at <= now]
        return QueueStats(
            states=states,
            due=len(waiting),
            deliveries=sum(job.kind == "deliver" and job.state not in ENDED for job in jobs),
            oldest_at=min((job.submitted_at for job in waiting), default=None),
            stored_bytes=sum(job.body_bytes + job.reply_bytes for job in jobs),
            workers=len(self._workers),
            unserved=unserved(waits, (each.models for each in self._workers.values())),
            counts=deepcopy(self._counts),
        )

    def close(self) -> None:
        """Nothing is open."""

    def _waiting(self) -> Iterator[_Stored]:
        return (each for each in self._stored.values() if each.job.state is JobState.QUEUED)

    def _begun(self, worker: str) -> Iterator[_Stored]:
        held = (each for each in self._stored.values() if each.job.state is JobState.RUNNING)
        return (each for each in held if each.job.worker == worker)


def _is_late(job: Job, now: float) -> bool:
    return job.begin_by is not None and job.begin_by < now and not job.attempts
