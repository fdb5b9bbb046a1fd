"""Whether the files that a connection of SQLite has open are still the ones at their paths.

A file that is deleted or replaced stays as it is for whoever has it open: what is written then is gone with the process
(https://sqlite.org/howtocorrupt.html, section 2.5). SQLite does not look. So each step does, twice, before it is told.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

_DELETED: Final = (
    "it was deleted while it was in use, and what it held with it; put it back, or, for an empty one, delete FILE-wal "
    "and FILE-shm beside it as well, and restart Septet"
)
_REPLACED: Final = "it was replaced by another file while it was in use; what is asked next is asked of that one"
_LOG_STAYED: Final = (
    "it was replaced by another file, beside the log of the one before it; move that away, FILE-wal and FILE-shm"
)
_NO_LOG: Final = (
    "its log, FILE-wal or FILE-shm, was deleted or replaced while it was in use; stop all that uses it: the last one "
    "writes what was in the log to the file"
)


class FileGone(OSError):
    """Raised when the file is not at its path any more."""


class LogGone(OSError):
    """Raised when the file is there and its log is not: a connection that is opened now would damage the file."""


def create(file: Path) -> None:
    """Make an empty file where there is none, that only its owner may read: requests may hold secrets.

    Raises:
        FileGone: the log of one is there, which SQLite would delete: it may hold jobs.
    """
    if not file.exists():
        if Path(f"{file}-wal").exists():
            raise FileGone(_DELETED)
        # What lies beside it gets the same permissions. To open one that is there could end locks of this process.
        with suppress(FileExistsError):
            os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


class SqliteFiles:
    """The file, and its log and the log's index beside it, as one connection has opened them.

    `file` is looked at now, before it is opened.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._identity = _identity(file)
        self._beside: dict[Path, tuple[int, int] | None] = {}

    def opened(self, log: str) -> None:
        """A connection has opened the file, and its log at this path.

        Raises:
            FileGone, LogGone: one of them is another one by now.
        """
        paths = Path(log), Path(log.removesuffix("-wal") + "-shm")
        self._beside = {path: _identity(path) for path in paths}
        self.check()

    def check(self) -> None:
        """Make sure that what was written until now is in the files that others find.

        Raises:
            FileGone, LogGone: it is not.
        """
        found = _identity(self._file)
        if found != self._identity or found is None:
            raise FileGone(_DELETED if found is None else _REPLACED)
        for path, known in self._beside.items():
            if known is None or _identity(path) != known:
                raise LogGone(_NO_LOG)

    def check_next(self) -> None:
        """Make sure that the file may be opened again.

        Raises:
            FileGone: there is none, or another one beside the log of this one, which SQLite would copy into it.
        """
        found = _identity(self._file)
        if found is None:
            raise FileGone(_DELETED)
        if found != self._identity and any(known == _identity(path) for path, known in self._beside.items()):
            raise FileGone(_LOG_STAYED)


def _identity(path: Path) -> tuple[int, int] | None:
    """What no other file has while this one is open; None where there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
