"""The ledger of runs: a file of SQLite, in which each run and each of its units stands.

It is written by the process that leads a run, once for each unit, in SQLite's own rollback journal with full flushes:
what it says is done is done, also after a loss of power.
"""

import contextlib
import fcntl
import hashlib
import os
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Self

import msgspec

from septet.batch_runs.batch_plan import BatchPlan
from septet.batch_runs.batch_run import ENDS, BatchRun, RunStatus, UnitResult
from septet.errors import Conflict, NotFound, StartupError

_FILE_NAME: Final = "runs.db"
#: Runs of a list, where nobody asks for another number.
MOST_SHOWN: Final = 100
_VERSION: Final = 1
_BUSY_SECONDS: Final = 30.0
_SCHEMA: Final = """
CREATE TABLE runs (
    id TEXT PRIMARY KEY, key TEXT NOT NULL, target TEXT NOT NULL, status TEXT NOT NULL, started_at REAL NOT NULL,
    facts BLOB NOT NULL, plan BLOB NOT NULL
) STRICT;
CREATE INDEX runs_by_key ON runs (key, started_at);
CREATE INDEX runs_by_start ON runs (started_at);
CREATE TABLE units (
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE, unit INTEGER NOT NULL, result BLOB NOT NULL,
    PRIMARY KEY (run, unit)
) STRICT, WITHOUT ROWID;
"""


class RunLedger:
    """The runs in one file. For one thread."""

    def __init__(self, path: Path) -> None:
        """Open the file, or make it.

        Raises:
            StartupError: it cannot be opened, or is of another program or version.
        """
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
            self._database.executescript(
                "PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL; PRAGMA foreign_keys = 1;"
            )
            with self._step():
                (version,) = self._database.execute("PRAGMA user_version").fetchone()
                if version == 0:
                    for statement in filter(str.strip, _SCHEMA.split(";")):
                        self._database.execute(statement)
                    self._database.execute(f"PRAGMA user_version = {_VERSION}")
        except (sqlite3.Error, OSError) as error:
            raise StartupError(f"the ledger of runs at {path} cannot be opened: {error}") from None
        if version not in (0, _VERSION):
            raise StartupError(f"the ledger of runs at {path} is of another version of Septet ({version})")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def begin(self, run: BatchRun, plan: BatchPlan) -> None:
        """Write a new run with its plan."""
        packed = zlib.compress(msgspec.json.encode(plan), 1)
        row = (run.id, run.key, run.target, run.status.value, run.started_at, msgspec.json.encode(run), packed)
        with self._step():
            self._database.execute("INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?, ?)", row)

    def update(self, run: BatchRun) -> None:
        """Write where a run is."""
        row = (run.status.value, msgspec.json.encode(run), run.id)
        with self._step():
            self._database.execute("UPDATE runs SET status = ?, facts = ? WHERE id = ?", row)

    def unit_done(self, run: BatchRun, result: UnitResult) -> None:
        """Write that a unit is done, with where its run is now."""
        with self._step():
            self._database.execute(
                "INSERT OR REPLACE INTO units VALUES (?, ?, ?)", (run.id, result.index, msgspec.json.encode(result))
            )
            row = (run.status.value, msgspec.json.encode(run), run.id)
            self._database.execute("UPDATE runs SET status = ?, facts = ? WHERE id = ?", row)

    def forget_units(self, run: str, units: Sequence[int]) -> None:
        """Let units be done again."""
        with self._step():
            self._database.executemany("DELETE FROM units WHERE run = ? AND unit = ?", [(run, unit) for unit in units])

    def done(self, run: str) -> Sequence[UnitResult]:
        """The units of a run that are done, in their order."""
        found = self._database.execute("SELECT result FROM units WHERE run = ? ORDER BY unit", (run,))
        return [msgspec.json.decode(result, type=UnitResult) for (result,) in found]

    def plan(self, run: str) -> BatchPlan:
        """What a run was to do.

        Raises:
            NotFound: there is no such run.
        """
        found = self._database.execute("SELECT plan FROM runs WHERE id = ?", (run,)).fetchone()
        if found is None:
            raise NotFound(f"there is no run {run!r} in {self.path}")
        return msgspec.json.decode(zlib.decompress(found[0]), type=BatchPlan)

    def run(self, identifier: str) -> BatchRun:
        """A run, by its id or by the digits that only its id begins with.

        Raises:
            NotFound: there is no such run, or there are several.
        """
        pattern = f"{identifier}*"
        if not identifier.isalnum():
            raise NotFound(f"there is no run {identifier!r} in {self.path}")
        found = self._database.execute("SELECT facts FROM runs WHERE id GLOB ? LIMIT 2", (pattern,)).fetchall()
        if len(found) != 1:
            what = "there is no run" if not found else "there are several runs that begin with"
            raise NotFound(f"{what} {identifier!r} in {self.path}")
        return msgspec.json.decode(found[0][0], type=BatchRun)

    def runs(
        self, *, status: RunStatus | None = None, target: str | None = None, most: int = MOST_SHOWN
    ) -> Sequence[BatchRun]:
        """The latest runs first; only those in a status, and to a target, where these are given."""
        query = """SELECT facts FROM runs WHERE (?1 IS NULL OR status = ?1) AND (?2 IS NULL OR target = ?2)
            ORDER BY started_at DESC, rowid DESC LIMIT ?3"""
        found = self._database.execute(query, (None if status is None else status.value, target, most))
        return [msgspec.json.decode(facts, type=BatchRun) for (facts,) in found]

    def latest(self, key: str) -> BatchRun | None:
        """The latest run of the same work."""
        query = "SELECT facts FROM runs WHERE key = ? ORDER BY started_at DESC, rowid DESC LIMIT 1"
        found = self._database.execute(query, (key,)).fetchone()
        return None if found is None else msgspec.json.decode(found[0], type=BatchRun)

    def prune(self, before: float) -> int:
        """Forget runs that ended before a moment, in seconds since 1970; how many they were."""
        gone = [run.id for run in self.runs(most=1 << 62) if run.status in ENDS and (run.ended_at or 0.0) < before]
        with self._step():
            self._database.executemany("DELETE FROM runs WHERE id = ?", [(each,) for each in gone])
        return len(gone)

    @contextlib.contextmanager
    def lock(self, target: str) -> Iterator[None]:
        """Be the only run that writes to a target; the system lets go of it when this process ends, however it does.

        Raises:
            Conflict: another run writes there now.
        """
        folder = self.path.with_name(f"{self.path.name}.locks")
        folder.mkdir(exist_ok=True)
        path = folder / hashlib.sha256(target.encode()).hexdigest()[:32]
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Conflict(f"another run writes to {target} now; wait for its end, or stop it") from None
            yield
        finally:
            os.close(descriptor)

    def status_now(self, run: BatchRun) -> str:
        """The status in words: a run that says it is running, while nobody writes to its target, was interrupted."""
        if run.status not in ENDS:
            with contextlib.suppress(Conflict), self.lock(str(Path(run.target).absolute())):
                return "interrupted"
        return run.status.value.replace("_", " ")

    @contextlib.contextmanager
    def _step(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")


def ledger_path(chosen: str | None) -> Path:
    """The file of the ledger: the one that is chosen, or that of the user, where the XDG Base Directory says."""
    if chosen is not None:
        return Path(chosen)
    home = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(home, "septet", _FILE_NAME)
