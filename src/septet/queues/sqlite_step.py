"""One step of the embedded store, within a transaction: what becomes of jobs, and the totals that change with them."""

from collections.abc import Iterable, Sequence
from secrets import token_hex
from typing import Any, Final

import msgspec

from septet.errors import Conflict, SeptetError
from septet.queues.job import ENDED, Job, JobState, LeasedJob, NewJob, Settlement
from septet.queues.job_rows import (
    INSERT_JOB,
    SELECT_JOBS,
    UPDATE_JOB,
    Totals,
    head_of,
    inserted_row,
    job_of,
    new_job_of,
    updated_row,
)
from septet.queues.job_store import Accepted, QueueStats, StoreLimits
from septet.queues.job_transitions import OTHER_REQUEST, delivery, ended, refusal_of, settled, unserved
from septet.queues.sqlite_database import Connection
from septet.queues.sqlite_ids import BY_ID, add_id, checksum_of, remove_ids

# What one step does of something that grows with the number of jobs; the next one goes on.
_MOST_AT_ONCE: Final = 10_000
_UNENDED: Final = "(state = 'queued' OR state = 'running')"
_READY: Final = "state = 'queued' AND later = 0"

_models = msgspec.json.Decoder(tuple[str, ...]).decode
_totals = msgspec.json.Decoder(Totals).decode


class SqliteStep:
    """One durable step within a transaction that has begun: jobs and totals change together."""

    def __init__(self, connection: Connection, limits: StoreLimits, now: float) -> None:
        self._connection = connection
        self._limits = limits
        self._now = now
        self._counted = connection.execute("SELECT totals FROM totals").get
        self._totals = _totals(self._counted)

    def count(self) -> None:
        """Store the totals."""
        totals = msgspec.json.encode(self._totals).decode()
        if totals != self._counted:
            self._connection.execute("UPDATE totals SET totals = ?", (totals,))

    def accept(self, jobs: Sequence[NewJob]) -> list[Accepted | SeptetError]:
        """Store what was submitted."""
        stats = self.stats()
        states = dict(stats.states)
        outcomes: list[Accepted | SeptetError] = []
        for new in jobs:
            outcome = self._known(new) or refusal_of(self._limits, stats, len(new.body), self._now)
            if outcome is None:
                self._insert(new)
                outcome = Accepted(new.id)
                oldest = stats.oldest_at
                if new.not_before <= self._now:
                    oldest = new.submitted_at if oldest is None else min(oldest, new.submitted_at)
                states[JobState.QUEUED] += new.kind == "predict"
                stored = self._totals.stored_bytes
                stats = msgspec.structs.replace(stats, states=states, stored_bytes=stored, oldest_at=oldest)
            outcomes.append(outcome)
        return outcomes

    def _known(self, new: NewJob) -> Accepted | Conflict | None:
        if self._connection.execute(f"SELECT 1 FROM jobs WHERE {BY_ID}", (new.id, checksum_of(new.id))).get is not None:
            return Accepted(new.id, known=True)
        if new.idempotency is None:
            return None
        same = "SELECT id, request_digest FROM jobs WHERE idempotency = ? AND caller IS ?"
        row = self._connection.execute(same, (new.idempotency, new.caller)).fetchone()
        if row is None:
            return None
        return Accepted(row[0], known=True) if row[1] == new.digest_of_request else Conflict(OTHER_REQUEST)

    def _insert(self, new: NewJob) -> None:
        behind, later = new.key is not None and self._first_of(new.key) is not None, new.not_before > self._now
        totals = self._totals
        totals.place += 1
        totals.later += later
        totals.stored_bytes += len(new.body)
        totals.count(new, JobState.QUEUED, 1)
        self._connection.execute(INSERT_JOB, inserted_row(new, totals.place, behind=behind, later=later))
        add_id(self._connection, new.id, totals.place)
        self._connection.execute("INSERT INTO requests VALUES (?, ?, ?)", (totals.place, head_of(new), new.body))

    def _first_of(self, key: str) -> int | None:
        """The place of the first job of a key that has not ended."""
        place: int | None = self._connection.execute(
            f"SELECT min(place) FROM jobs WHERE key = ? AND {_UNENDED}", (key,)
        ).get
        return place

    def find_due(self) -> None:
        """Note which of the jobs that waited for their time may begin now."""
        if not self._totals.later:
            return
        due = "SELECT place FROM jobs WHERE state = 'queued' AND due_at > 0 AND later = 1 AND due_at <= ? LIMIT ?"
        update = f"UPDATE jobs SET later = 0 WHERE place IN ({due})"
        self._connection.execute(update, (self._now, _MOST_AT_ONCE))
        self._totals.later -= self._connection.changes()

    def lease(self, worker: str, models: Iterable[str], most: int) -> list[LeasedJob]:
        """Begin jobs in the order of their ranks, and let those expire that were to begin earlier."""
        leased: list[LeasedJob] = []
        begun: list[tuple[Any, ...]] = []
        names, last, passed, expired = tuple(models), self._totals.place, (float("-inf"), 0), 0
        alone = False
        while len(leased) < most and expired < _MOST_AT_ONCE and not alone:
            candidates = self._ready(names, passed, last, most - len(leased))
            if not candidates:
                break
            for rank, place, attempts, begin_by, due_at, first in candidates:
                passed, alone = (rank, place), attempts > 0
                if alone and leased:
                    break
                if begin_by is not None and begin_by < self._now and not attempts:
                    expired += 1
                    if self._expire(place).key is not None:
                        break  # the next of its key may come before the others
                else:
                    row: Any = self._connection.execute(
                        "SELECT head, body FROM requests WHERE place = ?", (place,)
                    ).fetchone()
                    job = new_job_of(*row)
                    leased.append(LeasedJob(job, attempts + 1, first if attempts else self._now))
                    begun.append((worker, self._now, leased[-1].first_started_at, place))
                    self._totals.count(job, JobState.QUEUED, -1)
                    self._totals.count(job, JobState.RUNNING, 1)
                    self._totals.counts[job.kind].begun(job.submitted_at, due_at, self._now)
                    if alone:
                        break
        begin = (
            "state = 'running', worker = ?, attempts = attempts + 1, started_at = ?, first_started_at = ?, "
            "progress = NULL, cancelling = 0"
        )
        self._connection.executemany(f"UPDATE jobs SET {begin} WHERE place = ?", begun)
        return leased

    def _ready(
        self, models: Iterable[str], passed: tuple[float, int], last: int, most: int
    ) -> list[tuple[float, int, int, float | None, float, float]]:
        """Rank, place, attempts, `begin_by`, `due_at` and first begin of what may begin after a rank and place.

        The next is first.
        """
        after = "(rank, place) > (?, ?) AND place <= ? AND due_at <= ?"
        columns = "rank, place, attempts, begin_by, due_at, first_started_at"
        ready = f"SELECT {columns} FROM jobs WHERE model = ? AND {_READY} AND behind = 0 AND {after}"
        found: list[Any] = []
        for model in models:
            values = (model, *passed, last, self._now, most)
            found += self._connection.execute(f"{ready} ORDER BY rank, place LIMIT ?", values)
        return sorted(found)[:most] if len(found) > 1 else found

    def _expire(self, place: int) -> Job:
        job = self._jobs("place = ?", (place,))[0]
        return self.put(job, ended(job, JobState.EXPIRED, self._now, self._limits))

    def settle(self, worker: str, settlement: Settlement) -> bool:
        """End an attempt, where it is still the worker's."""
        jobs = self._jobs(BY_ID, (settlement.id, checksum_of(settlement.id)))
        attempt = (JobState.RUNNING, worker, settlement.attempt)
        if not jobs or (jobs[0].state, jobs[0].worker, jobs[0].attempts) != attempt:
            return False
        job = settled(jobs[0], settlement, self._now, self._limits)
        if job.state in ENDED and settlement.reply is not None:
            reply = (job.place, msgspec.msgpack.encode(settlement.reply))
            self._connection.execute("INSERT INTO replies VALUES (?, ?)", reply)
        self.put(jobs[0], job)
        return True

    def begun(self, worker: str) -> list[Job]:
        """What a worker has begun and not settled."""
        return self._jobs("state = 'running' AND worker = ? ORDER BY place", (worker,))

    def put(self, old: Job, job: Job) -> Job:
        """Note what a job has become; let the next of its key go on, and queue the delivery of its answer."""
        queued = JobState.QUEUED
        later = job.state is queued and job.due_at > self._now
        was_later = (
            old.state is queued and self._connection.execute("SELECT later FROM jobs WHERE place = ?", (old.place,)).get
        )
        self._connection.execute(UPDATE_JOB, updated_row(job, later=later))
        totals = self._totals
        totals.later += later - bool(was_later)
        totals.stored_bytes += job.reply_bytes - old.reply_bytes
        totals.counts[job.kind].became(old, job, self._now)
        totals.count(job, old.state, -1)
        totals.count(job, job.state, 1)
        if job.state in ENDED:
            if job.key is not None:
                first = self._first_of(job.key)
                self._connection.execute("UPDATE jobs SET behind = 0 WHERE place = ? AND behind", (first,))
            if job.sink is not None and job.kind == "predict":
                self._insert(delivery(job, token_hex(16), self._now, self._limits))
        return job

    def sweep(self, most: int) -> int:
        """Expire and forget up to so many jobs; how many it were."""
        expiring = "state = 'queued' AND begin_by IS NOT NULL AND attempts = 0 AND begin_by < ?"
        late = self._jobs(f"{expiring} ORDER BY begin_by, place LIMIT ?", (self._now, most))
        for job in late:
            self.put(job, ended(job, JobState.EXPIRED, self._now, self._limits))
        old = self._jobs("keep_until IS NOT NULL AND keep_until <= ? LIMIT ?", (self._now, most - len(late)))
        self._forget_ids()
        until = self._now + self._limits.keep_seconds
        rows = [(job.place, job.id, until) for job in old]
        self._connection.executemany("INSERT INTO forgotten VALUES (?, ?, ?)", rows)
        return len(late) + self.forget(old)

    def _forget_ids(self) -> None:
        """Forget that there were jobs which are over."""
        over = "SELECT id, place FROM forgotten WHERE until <= ? LIMIT ?"
        rows: list[Any] = self._connection.execute(over, (self._now, _MOST_AT_ONCE)).fetchall()
        remove_ids(self._connection, rows)
        self._connection.executemany("DELETE FROM forgotten WHERE place = ?", [(place,) for _, place in rows])

    def forget(self, jobs: Sequence[Job]) -> int:
        """Delete jobs that have ended; how many it were."""
        places = [(job.place,) for job in jobs]
        for table in ("jobs", "requests", "replies"):
            self._connection.executemany(f"DELETE FROM {table} WHERE place = ?", places)
        for job in jobs:
            self._totals.count(job, job.state, -1)
            self._totals.stored_bytes -= job.body_bytes + job.reply_bytes
        return len(jobs)

    def stats(self) -> QueueStats:
        """What is stored now."""
        oldest = "SELECT min(submitted_at) AS submitted_at FROM jobs WHERE state = 'queued'"
        first = f"SELECT submitted_at FROM jobs WHERE {_READY} AND due_at <= ?1 ORDER BY submitted_at LIMIT 1"
        timed = f"{oldest} AND due_at > 0 AND later = 1 AND due_at <= ?1"
        both = f"SELECT min(submitted_at) FROM (SELECT * FROM ({first}) UNION ALL {timed})"
        return self._stats(self._connection.execute(both, (self._now,)).get)

    def _stats(self, oldest_at: float | None) -> QueueStats:
        totals = self._totals
        workers: list[Any] = self._connection.execute("SELECT models FROM workers").fetchall()
        return QueueStats(
            states={state: totals.predict.get(state.value, 0) for state in JobState},
            due=totals.of(JobState.QUEUED) - self._waiting_for_time(),
            deliveries=sum(each for state, each in totals.deliver.items() if JobState(state) not in ENDED),
            oldest_at=oldest_at,
            stored_bytes=totals.stored_bytes,
            workers=len(workers),
            unserved=unserved(totals.waiting, (_models(models) for (models,) in workers)),
            counts=totals.counts,
        )

    def _waiting_for_time(self) -> int:
        """How many jobs may not begin yet; only what a step of the clock has changed is counted one by one."""
        timed = "SELECT count(*) FROM jobs WHERE state = 'queued' AND due_at > 0 AND later ="
        due = self._connection.execute(f"{timed} 1 AND due_at <= ?", (self._now,)).get if self._totals.later else 0
        back: int = self._connection.execute(f"{timed} 0 AND due_at > ?", (self._now,)).get
        return self._totals.later - due + back

    def _jobs(self, where: str, values: tuple[Any, ...]) -> list[Job]:
        return [job_of(row) for row in self._connection.execute(f"{SELECT_JOBS} WHERE {where}", values).fetchall()]
