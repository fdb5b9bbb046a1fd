"""The Unix socket on which the owner of a server, and nobody else, may change what it serves."""

import contextlib
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

from septet.errors import StartupError
from septet.server.unix_socket import listening_at

#: Instead of a path: no admin socket.
NO_SOCKET = "none"
#: What messages call it.
NAME = "the admin socket"
_OWNER_ONLY = 0o600


def default_admin_path(served: int | Path) -> Path:
    """Where the admin socket of a server is: in a folder that only this user may enter.

    `served` is where callers reach the server: its TCP port, or its Unix socket.
    """
    file = f"{served if isinstance(served, int) else _short_name(served)}.sock"
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime:
        return Path(runtime) / "septet" / file
    # As POSIX has it; what the standard library looks for besides takes long to import.
    temporary = os.environ.get("TMPDIR") or "/tmp"  # noqa: S108 - the folder in it is looked at
    return Path(temporary) / f"septet-{os.getuid()}" / file


@contextlib.contextmanager
def listening_for_admin(path: Path, backlog: int) -> Iterator[socket.socket]:
    """Listen at a path, where only this user may connect, until the end of the block.

    Raises:
        StartupError: another server listens there, or the path cannot be used.
    """
    _make_folder(path.parent)
    with listening_at(path, mode=_OWNER_ONLY, backlog=backlog, name=NAME) as listening:
        yield listening


def _make_folder(folder: Path) -> None:
    try:
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        facts = folder.lstat()
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise StartupError(f"{NAME}'s folder {folder} cannot be made: {reason}") from error
    # In a folder that others may write to, one of them could have made ours.
    ours = facts.st_uid in (os.getuid(), 0) and stat.S_ISDIR(facts.st_mode)
    if not ours or (facts.st_mode & 0o022 and not facts.st_mode & stat.S_ISVTX):
        raise StartupError(f"{NAME}'s folder {folder} must be this user's, and nobody else may write to it")


def _short_name(path: Path) -> str:
    """A name for a path, short enough for a socket's."""
    import hashlib  # noqa: PLC0415 - no server on a port needs it

    return hashlib.sha256(os.fsencode(path.absolute())).hexdigest()[:16]
