"""What tells that a file has changed, without reading it."""

from pathlib import Path

import msgspec


class FileFacts(msgspec.Struct, frozen=True):
    """Device and inode, size in bytes, and the times of the last change of content and of facts, in nanoseconds.

    The time of content can be set at will, as `cp -p` and `touch` do; the other one cannot.
    """

    device: int
    inode: int
    size: int
    written: int
    changed: int


def facts_of(path: Path) -> FileFacts | None:
    """The facts of a file, of the one that a link leads to; None where there is none."""
    try:
        found = path.stat()
    except (OSError, ValueError):  # no path at all, such as one that is too long or holds a NUL
        return None
    return FileFacts(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
