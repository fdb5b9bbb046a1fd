"""Listening on a Unix socket: a file, whose rights say who may connect."""

import contextlib
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from septet.errors import StartupError

# What the system's address structure holds (unix(7)), less its ending zero.
LONGEST_PATH_BYTES: Final = 107
#: For another server that starts at the same time. Whoever has the folder's lock for longer is none.
LOCK_SECONDS: Final = 1.0
_LOCK_PAUSE_SECONDS: Final = 0.02


@contextlib.contextmanager
def listening_at(path: Path, *, mode: int, backlog: int, name: str) -> Iterator[socket.socket]:
    """Listen at a path until the end of the block, and remove the file then.

    A file that a killed server has left behind is replaced. `mode` is the file's: who may write to it may connect.
    `name` is what messages call the socket. For a process without other threads: the file mode creation mask is
    another one for a moment.

    Raises:
        StartupError: another server listens there, or the path cannot be used.
    """
    if len(os.fsencode(path)) > LONGEST_PATH_BYTES:
        raise StartupError(f"{name}'s path has more than {LONGEST_PATH_BYTES} bytes: {path}")
    if "\0" in str(path):
        raise StartupError(f"{name}'s path has a character of code 0: {str(path)!r}")
    try:
        with _alone_in(path.parent):
            _remove_stale(path, name)
            listening = _listen(path, mode, backlog)
            made = _stamp(path)
    except OSError as error:
        raise StartupError(f"{name} {path} cannot be made: {error.strerror or error}") from error
    try:
        yield listening
    finally:
        listening.close()
        with contextlib.suppress(OSError):
            # Another server may have put its own there.
            if _stamp(path) == made:
                path.unlink()


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """One server at a time looks whether a file is stale: otherwise it could remove one that was made since."""
    import fcntl  # noqa: PLC0415 - Windows has none

    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        give_up_at = time.monotonic() + LOCK_SECONDS
        while time.monotonic() < give_up_at:
            try:
                fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(_LOCK_PAUSE_SECONDS)
            except OSError:  # a file system without locks
                break
            else:
                break
        yield
    finally:
        os.close(opened)


def _remove_stale(path: Path, name: str) -> None:
    """Remove what a server that was killed has left behind."""
    if not os.path.lexists(path):
        return
    if path.is_symlink() or not path.is_socket():
        raise StartupError(f"{name} {path} cannot be made: there is something else than a socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        # One whose queue is full would let us wait.
        probe.setblocking(False)  # noqa: FBT003 - the standard library's signature
        with contextlib.suppress(BlockingIOError):
            try:
                probe.connect(str(path))
            except ConnectionRefusedError:
                path.unlink()
                return
    raise StartupError(f"another server has {name} {path}")


def _listen(path: Path, mode: int, backlog: int) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # The file has its rights from the first: changed afterwards, it could have become another by then.
        before = os.umask(0o777 & ~mode)
        try:
            listening.bind(str(path))
        finally:
            os.umask(before)
        listening.listen(backlog)
        listening.setblocking(False)  # noqa: FBT003 - the standard library's signature
    except BaseException:
        listening.close()
        raise
    return listening


def _stamp(path: Path) -> tuple[int, int, int]:
    """Tell a file from a later one of the same name, which may have its inode."""
    facts = path.lstat()
    return facts.st_dev, facts.st_ino, facts.st_mtime_ns
