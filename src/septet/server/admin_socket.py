"""The Unix socket on which the owner of a server, and nobody else, may change what it serves."""

import contextlib
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

from septet.errors import StartupError

#: Instead of a path: no admin socket.
NO_SOCKET = "none"
# What the system's address structure holds (unix(7)), less its ending zero.
LONGEST_PATH_BYTES = 107


def default_admin_path(port: int) -> Path:
    """Where the admin socket of the server on a port is: in a folder that only this user may enter."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime:
        return Path(runtime) / "septet" / f"{port}.sock"
    # As POSIX has it; what the standard library looks for besides takes long to import.
    temporary = os.environ.get("TMPDIR") or "/tmp"  # noqa: S108 - the folder in it is looked at
    return Path(temporary) / f"septet-{os.getuid()}" / f"{port}.sock"


@contextlib.contextmanager
def listening_for_admin(path: Path, backlog: int) -> Iterator[socket.socket]:
    """Listen at a path, where only this user may connect, until the end of the block.

    Raises:
        StartupError: another server listens there, or the path cannot be used.
    """
    if len(os.fsencode(path)) > LONGEST_PATH_BYTES:
        raise StartupError(f"the admin socket's path has more than {LONGEST_PATH_BYTES} bytes: {path}")
    try:
        _make_folder(path.parent)
        _remove_stale(path)
        listening = _listen(path, backlog)
    except OSError as error:
        raise StartupError(f"the admin socket {path} cannot be made: {error.strerror or error}") from error
    inode = path.stat().st_ino
    try:
        yield listening
    finally:
        listening.close()
        with contextlib.suppress(OSError):
            # Another server may have put its own there.
            if path.stat().st_ino == inode:
                path.unlink()


def _make_folder(folder: Path) -> None:
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    facts = folder.lstat()
    # In a folder that others may write to, one of them could have made ours.
    ours = facts.st_uid in (os.getuid(), 0) and stat.S_ISDIR(facts.st_mode)
    if not ours or (facts.st_mode & 0o022 and not facts.st_mode & stat.S_ISVTX):
        raise StartupError(f"the admin socket's folder {folder} must be this user's, and nobody else may write to it")


def _remove_stale(path: Path) -> None:
    """Remove what a server that was killed has left behind."""
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise StartupError(f"another server has the admin socket {path}")


def _listen(path: Path, backlog: int) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # Between binding and `chmod` nobody else may connect: nothing listens yet.
        listening.bind(str(path))
        path.chmod(0o600)
        listening.listen(backlog)
        listening.setblocking(False)  # noqa: FBT003 - the standard library's signature
    except BaseException:
        listening.close()
        raise
    return listening
