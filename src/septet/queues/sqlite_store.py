"""The store that keeps jobs in one SQLite file, which any number of processes of one machine use at once."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from septet.errors import SeptetError
from septet.queues.job import Job, JobState, LeasedJob, NewJob, ProgressReport, Settlement, StoredReply
from septet.queues.job_rows import SELECT_JOBS, job_of, new_job_of
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
from septet.queues.job_transitions import ended, reaped, settled
from septet.queues.sqlite_database import PATIENCE_SECONDS, Connection, SqliteDatabase, Synchronous
from septet.queues.sqlite_ids import BY_ID, checksum_of, remove_ids
from septet.queues.sqlite_step import SqliteStep

_DURABILITY: Final = {
    "full": "what was acknowledged survives the end of any process, and a loss of power where the disk keeps its word",
    "normal": "what was acknowledged survives the end of any process; a loss of power may cost the last moments",
}

_reply = msgspec.msgpack.Decoder(StoredReply).decode


class SqliteStore(JobStore):
    """Jobs in an SQLite file. `patience` is the seconds that a step waits for other processes before it fails.

    Raises:
        StartupError: the file cannot be used, or the SQLite library is too old.
        MissingExtra: on import, where `apsw` is not installed.
    """

    def __init__(
        self,
        file: Path,
        limits: StoreLimits | None = None,
        synchronous: Synchronous = "full",
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self._limits = StoreLimits() if limits is None else limits
        self.durability = _DURABILITY[synchronous]
        self.safe = synchronous == "full"
        self._database = SqliteDatabase(file, synchronous, patience)

    def accept(self, jobs: Sequence[NewJob], now: float) -> list[Accepted | SeptetError]:
        with self._database.writing() as connection:
            step = SqliteStep(connection, self._limits, now)
            step.find_due()
            outcomes = step.accept(jobs)
            step.count()
        return outcomes

    def join(self, worker: str, models: Sequence[str], now: float) -> None:
        with self._database.writing() as connection:
            row = (worker, 0, now, msgspec.json.encode(list(models)).decode())
            connection.execute("INSERT OR REPLACE INTO workers VALUES (?, ?, ?, ?)", row)

    def beat(self, worker: str, now: float) -> Sequence[str] | None:  # noqa: ARG002 - others note when
        with self._database.writing() as connection:
            connection.execute("UPDATE workers SET beat = beat + 1 WHERE id = ?", (worker,))
            if not connection.changes():
                return None
            wanted = "SELECT id FROM jobs WHERE state = 'running' AND worker = ? AND cancelling ORDER BY place"
            return [each for (each,) in connection.execute(wanted, (worker,))]

    def leave(self, worker: str, now: float) -> None:
        with self._database.writing() as connection:
            step = SqliteStep(connection, self._limits, now)
            connection.execute("DELETE FROM workers WHERE id = ?", (worker,))
            for job in step.begun(worker):
                returned = Settlement(id=job.id, attempt=job.attempts, outcome="returned")
                step.put(job, settled(job, returned, now, self._limits))
            step.count()

    def lease(self, worker: str, most: int, now: float) -> list[LeasedJob]:
        with self._database.writing() as connection:
            models = connection.execute("SELECT models FROM workers WHERE id = ?", (worker,)).get
            if models is None:
                return []
            step = SqliteStep(connection, self._limits, now)
            step.find_due()
            leased = step.lease(worker, msgspec.json.decode(models, type=list[str]), most)
            step.count()
        return leased

    def settle(self, worker: str, settlements: Sequence[Settlement], now: float) -> list[bool]:
        with self._database.writing() as connection:
            step = SqliteStep(connection, self._limits, now)
            outcomes = [step.settle(worker, each) for each in settlements]
            step.count()
        return outcomes

    def report(self, worker: str, reports: Sequence[ProgressReport]) -> list[bool]:
        held = f"{BY_ID} AND state = 'running' AND worker = ?3 AND attempts = ?4"
        outcomes = []
        with self._database.writing() as connection:
            for each in reports:
                values = (each.id, checksum_of(each.id), worker, each.attempt, each.progress)
                connection.execute(f"UPDATE jobs SET progress = ?5 WHERE {held}", values)
                outcomes.append(connection.changes() == 1)
        return outcomes

    def workers(self) -> Sequence[WorkerInfo]:
        running = "(SELECT count(*) FROM jobs WHERE state = 'running' AND worker = workers.id)"
        with self._database.reading() as connection:
            rows: list[Any] = connection.execute(
                f"SELECT id, beat, since, models, {running} FROM workers ORDER BY rowid"
            ).fetchall()
        return [
            WorkerInfo(name, beat, since, msgspec.json.decode(models, type=tuple[str, ...]), held)
            for name, beat, since, models, held in rows
        ]

    def reap(self, worker: str, beat: int, now: float) -> Sequence[str]:
        with self._database.writing() as connection:
            connection.execute("DELETE FROM workers WHERE id = ? AND beat = ?", (worker, beat))
            if not connection.changes():
                return ()
            step = SqliteStep(connection, self._limits, now)
            lost, chance = step.begun(worker), random.random()  # noqa: S311 - no secret
            for job in lost:
                step.put(job, reaped(job, now, self._limits, chance))
            step.count()
        return [job.id for job in lost]

    def find(self, identifiers: Sequence[str]) -> list[Job | Forgotten | None]:
        with self._database.reading() as connection:
            return [_found(connection, each) for each in identifiers]

    def body(self, identifier: str) -> NewJob | None:
        with self._database.reading() as connection:
            row = _about(connection, "SELECT head, body FROM requests", identifier)
        return None if row is None else new_job_of(*row)

    def reply(self, identifier: str) -> StoredReply | None:
        with self._database.reading() as connection:
            row = _about(connection, "SELECT reply FROM replies", identifier)
        return None if row is None else _reply(row[0])

    def page(self, wanted: JobFilter, before: int | None, most: int) -> JobPage:
        where, values = _where(wanted)
        if before is not None:
            where, values = f"{where} AND place < ?", (*values, before)
        with self._database.reading() as connection:
            rows = connection.execute(
                f"{SELECT_JOBS} WHERE {where} ORDER BY place DESC LIMIT ?", (*values, most + 1)
            ).fetchall()
        jobs = [job_of(row) for row in rows[:most]]
        return JobPage(jobs, jobs[-1].place if len(rows) > most else None)

    def cancel(self, identifier: str, now: float) -> Job | None:
        with self._database.writing() as connection:
            row = connection.execute(f"{SELECT_JOBS} WHERE {BY_ID}", (identifier, checksum_of(identifier))).fetchone()
            if row is None:
                return None
            job = job_of(row)
            step = SqliteStep(connection, self._limits, now)
            if job.state is JobState.QUEUED:
                job = step.put(job, ended(job, JobState.CANCELLED, now, self._limits))
            elif job.state is JobState.RUNNING:
                job = step.put(job, msgspec.structs.replace(job, cancelling=True))
            step.count()
        return job

    def purge(self, wanted: JobFilter, ended_before: float, most: int) -> int:
        where, values = _where(wanted)
        over = f"{where} AND keep_until IS NOT NULL AND ended_at < ?"
        with self._database.writing() as connection:
            step = SqliteStep(connection, self._limits, ended_before)
            rows = connection.execute(f"{SELECT_JOBS} WHERE {over} LIMIT ?", (*values, ended_before, most)).fetchall()
            jobs = [job_of(row) for row in rows]
            remove_ids(connection, [(job.id, job.place) for job in jobs])
            gone = step.forget(jobs)
            step.count()
        self._database.tidy()
        return gone

    def sweep(self, now: float, most: int) -> int:
        with self._database.writing() as connection:
            step = SqliteStep(connection, self._limits, now)
            step.find_due()
            done = step.sweep(most)
            step.count()
        self._database.tidy()
        return done

    def next_due(self, now: float) -> float | None:
        first = "SELECT min(due_at) AS due_at FROM jobs WHERE state = 'queued' AND due_at > 0 AND due_at > ?1"
        either = f"{first} AND later = 0 UNION ALL {first} AND later = 1"
        with self._database.reading() as connection:
            due_at: float | None = connection.execute(f"SELECT min(due_at) FROM ({either})", (now,)).get
        return due_at

    def stats(self, now: float) -> QueueStats:
        with self._database.reading() as connection:
            return SqliteStep(connection, self._limits, now).stats()

    def close(self) -> None:
        """Close the file; what is stored stays."""
        self._database.close()


def _found(connection: Connection, identifier: str) -> Job | Forgotten | None:
    named = (identifier, checksum_of(identifier))
    row = connection.execute(f"{SELECT_JOBS} WHERE {BY_ID}", named).fetchone()
    if row is not None:
        return job_of(row)
    over = connection.execute(f"SELECT 1 FROM forgotten WHERE {BY_ID}", named).get
    return None if over is None else Forgotten()


def _about(connection: Connection, select: str, identifier: str) -> Any:
    """What is stored beside a job, or None."""
    job = f"SELECT place FROM jobs WHERE {BY_ID}"
    return connection.execute(f"{select} WHERE place = ({job})", (identifier, checksum_of(identifier))).fetchone()


def _where(wanted: JobFilter) -> tuple[str, tuple[Any, ...]]:
    """The condition for a filter, and its values; the state is written out, so that partial indices fit it."""
    said = {"model": wanted.model, "caller": wanted.caller, "kind": wanted.kind}
    asked = {column: value for column, value in said.items() if value is not None}
    state = [] if wanted.state is None else [f"state = '{JobState(wanted.state).value}'"]
    return " AND ".join([*state, *(f"{column} = ?" for column in asked), "1"]), tuple(asked.values())
