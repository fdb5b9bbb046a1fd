"""One SQLite file that several processes use at once: how it is opened, how a step is made durable, and what fails.

The file is in WAL mode: readers wait for nobody, and writers one for the other. All that writes begins with the lock of
the writer, so no step fails half way because another one was faster.
"""

import os
import random
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Literal, TypeAlias, TypeVar

from septet.errors import MissingExtra, StartupError
from septet.queues.job_store import StoreFailed
from septet.queues.sqlite_files import LogGone, SqliteFiles, create
from septet.queues.sqlite_schema import APPLICATION_ID, SCHEMA, SCHEMA_VERSION

try:
    import apsw
except ImportError as missing:
    text = "jobs in an SQLite file need apsw: pip install 'septet[jobs]', or keep them in Redis"
    raise MissingExtra(text) from missing

#: What steps are written with.
Connection: TypeAlias = apsw.Connection
#: How much of a power loss is survived: all that was acknowledged, or all but the last moments.
Synchronous: TypeAlias = Literal["full", "normal"]
#: Seconds that a step waits for other processes.
PATIENCE_SECONDS: Final = 10.0
# Waiters look again after a random part of this time, so none of several is always too late.
_LOOK_AGAIN_SECONDS: Final = 0.002
_CACHE_KIBIBYTES: Final = 32 * 1024
_PAGES_BETWEEN_CHECKPOINTS: Final = 4000
_MOST_WAL_BYTES: Final = 64 << 20
# Free pages of the file are given back to the system beyond a tenth of it, so many at once.
_PAGES_GIVEN_BACK: Final = 1000
_FREE_PAGES_KEPT: Final = 256
_T = TypeVar("_T")

# What is wrong and what to do, by the class of the error.
_BUSY: Final = "another process has kept it locked for too long; try again, and see what holds it"
_ADVICE: Final = {
    apsw.BusyError: _BUSY,
    apsw.LockedError: _BUSY,
    apsw.FullError: "its disk is full; free space there",
    apsw.ReadOnlyError: "it cannot be written; see how its disk is mounted, and whether file and folder may be written",
    apsw.PermissionsError: "it cannot be accessed; see the permissions of the file and its folder",
    apsw.CantOpenError: "it cannot be opened; see whether the folder is there and may be written",
    apsw.IOError: "its disk fails, or is full; see the log of the system, and free space there",
    apsw.NotADBError: "it is no SQLite database; name another file",
    apsw.CorruptError: "it is damaged; stop what uses it, and restore it from a copy or by `sqlite3 FILE .recover`",
}


def refuse_old_library(version: str) -> None:
    """Refuse SQLite libraries in which a WAL that is reset while another process checkpoints may damage the file.

    That was mended in 3.51.3, and in 3.50.7 and 3.44.6 (https://sqlite.org/wal.html#walresetbug).

    Raises:
        StartupError: it is one of those.
    """
    numbers = tuple(int(each) for each in re.findall(r"\d+", version)[:3])
    mended = numbers >= (3, 51, 3) or (3, 50, 7) <= numbers < (3, 51) or (3, 44, 6) <= numbers < (3, 45)
    if not mended:
        text = f"SQLite {version} may damage files that several processes use; "
        raise StartupError(text + "3.51.3 or later is needed: pip install -U 'septet[jobs]'")


class SqliteDatabase:
    """A connection of this process; not to be used by two threads at once, nor by a child of the process.

    Raises:
        StartupError: the library is too old, or the file cannot be used.
    """

    def __init__(self, file: Path, synchronous: Synchronous, patience: float) -> None:
        refuse_old_library(apsw.sqlite_lib_version())
        self.file = file.absolute()
        self._synchronous = synchronous
        self._patience = patience
        self._pid = os.getpid()
        self._waiting_since = 0.0
        self._files: SqliteFiles
        try:
            self._connection: apsw.Connection | None = self._open(first=True)
        except (apsw.Error, OSError) as error:
            raise StartupError(self._text(error)) from error

    def _open(self, *, first: bool = False) -> apsw.Connection:
        if first:
            create(self.file)
        else:
            self._files.check_next()
        files = SqliteFiles(self.file)
        connection = apsw.Connection(str(self.file), flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            connection.set_busy_handler(self._wait)
            self._patiently(lambda: self._prepare(connection))
            files.opened(connection.filename_wal)
        except BaseException:
            connection.close()
            raise
        self._files = files
        return connection

    def _prepare(self, connection: apsw.Connection) -> None:
        connection.pragma("auto_vacuum", "incremental")
        if connection.pragma("journal_mode", "wal") != "wal":
            text = "its file system lacks what several processes need to share it; use a local disk"
            raise StartupError(f"{self.file}: {text}")
        connection.pragma("synchronous", self._synchronous)
        connection.pragma("cache_size", -_CACHE_KIBIBYTES)
        connection.pragma("temp_store", "memory")
        connection.pragma("journal_size_limit", _MOST_WAL_BYTES)
        connection.wal_autocheckpoint(_PAGES_BETWEEN_CHECKPOINTS)
        connection.execute("BEGIN IMMEDIATE")
        try:
            self._ensure_schema(connection)
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    def _ensure_schema(self, connection: apsw.Connection) -> None:
        version, owner = connection.pragma("user_version"), connection.pragma("application_id")
        if connection.execute("SELECT count(*) FROM sqlite_schema").get == 0 and version == 0:
            connection.execute(SCHEMA)
        elif owner != APPLICATION_ID:
            raise StartupError(f"{self.file}: it is the database of another program; name another file")
        elif version != SCHEMA_VERSION:
            text = f"its layout has version {version}, and this Septet knows version {SCHEMA_VERSION}"
            raise StartupError(f"{self.file}: {text}; use the Septet that made it, or name another file")

    def _wait(self, looks: int) -> bool:
        """Whether to look again for a lock that another process has."""
        now = time.monotonic()
        if looks == 0:
            self._waiting_since = now
        if now - self._waiting_since >= self._patience:
            return False
        time.sleep(random.uniform(0.0, _LOOK_AGAIN_SECONDS))  # noqa: S311 - no secret
        return True

    def _patiently(self, work: Callable[[], _T]) -> _T:
        """What SQLite refuses at once, because waiting for it could be for ever, is tried for the same time."""
        deadline = time.monotonic() + self._patience
        while True:
            try:
                return work()
            except apsw.BusyError:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(random.uniform(0.0, _LOOK_AGAIN_SECONDS))  # noqa: S311 - no secret

    @contextmanager
    def writing(self) -> Iterator[apsw.Connection]:
        """Make all that is written within one durable step, or nothing of it.

        Raises:
            StoreFailed: it cannot be done now.
        """
        with self._step("BEGIN IMMEDIATE") as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[apsw.Connection]:
        """Read one state of everything.

        Raises:
            StoreFailed: it cannot be done now.
        """
        with self._step("BEGIN") as connection:
            yield connection

    @contextmanager
    def _step(self, begin: str) -> Iterator[apsw.Connection]:
        with self._told():
            connection = self._connected()
            try:
                connection.execute(begin)
                yield connection
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            # Only now: a file that was deleted after the first look has the step as well, and nobody finds it.
            self._files.check()

    def tidy(self) -> None:
        """Give free pages back to the system, a bounded number at once, and cut the log where it has grown.

        While others keep it from that, nothing is done: the next time will do.

        Raises:
            StoreFailed: it cannot be done now.
        """
        with self._told(), suppress(apsw.BusyError):
            connection = self._connected()
            free, pages = connection.pragma("freelist_count"), connection.pragma("page_count")
            if free > _FREE_PAGES_KEPT + pages // 10:
                connection.execute(f"PRAGMA incremental_vacuum({_PAGES_GIVEN_BACK})").fetchall()
            log = Path(f"{self.file}-wal")
            if log.exists() and log.stat().st_size > _MOST_WAL_BYTES:
                connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)

    def _connected(self) -> apsw.Connection:
        if os.getpid() != self._pid:
            # SQLite's locks are the parent's: a child that went on with its connection could damage the file.
            raise StoreFailed(f"{self.file}: it was opened by another process; open it again in this one")
        if self._connection is None:
            self._connection = self._open()
        self._files.check()
        return self._connection

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn what SQLite and the system say into what its owner can act on."""
        try:
            yield
        except StartupError as error:
            raise StoreFailed(error.message) from error
        except (apsw.Error, OSError) as error:
            if not isinstance(error, (apsw.BusyError, apsw.LockedError, apsw.FullError, LogGone)):
                # It may be that this connection never sees that the fault is gone.
                self._drop()
            raise StoreFailed(self._text(error)) from error

    def _text(self, error: Exception) -> str:
        advice = next((text for kind, text in _ADVICE.items() if isinstance(error, kind)), None)
        return f"{self.file}: {advice} ({error})" if advice else f"{self.file}: {error}"

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close(force=True)
            self._connection = None

    def close(self) -> None:
        """Let go of the file; in a child of the process that opened it, do nothing."""
        if os.getpid() == self._pid:
            self._drop()
