"""Brings answers to one file of JSON Lines."""

import fcntl
import os
import time
from pathlib import Path
from typing import Final

import msgspec

from septet.sinks.delivery import Delivery, DeliveryFailed, Sink

_LOCK_SECONDS: Final = 10.0
_PAUSE_SECONDS: Final = 0.01
_BLOCK: Final = 65_536
_NO_ENDS_OF_LINES: Final = bytes.maketrans(b"\r\n", b"  ")


class LinesSink(Sink):
    """At least once, with an id: a line is there whole, and may be there twice where its writer was killed after it.

    Processes may share the file; each locks it (`flock`) while it writes.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def deliver(self, delivery: Delivery) -> None:
        """Append one line."""
        # Inside of a text JSON has its ends of lines escaped, so these stand between the parts of an answer.
        line = delivery.message().translate(_NO_ENDS_OF_LINES) + b"\n"
        try:
            # Opened each time, so the file may be moved away between two lines.
            descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                _lock(descriptor)
                _append(descriptor, line)
            finally:
                os.close(descriptor)
        except TimeoutError:
            raise DeliveryFailed(f"{self._path} is locked by another process.") from None
        except OSError as error:
            raise DeliveryFailed(f"{self._path} cannot be written to: {error.strerror}") from None


def _lock(descriptor: int) -> None:
    """Lock a file until it is closed; a wait without end would hang on a process that was stopped."""
    deadline = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise TimeoutError from None
            time.sleep(_PAUSE_SECONDS)
        else:
            return


def _append(descriptor: int, line: bytes) -> None:
    size = _mended(descriptor)
    try:
        rest = memoryview(line)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    except OSError:
        # A disk that is full leaves no half of a line.
        os.ftruncate(descriptor, size)
        raise


def _mended(descriptor: int) -> int:
    """The size of a file whose last line is whole: what a killed writer left of one is cut, and is brought again."""
    size = os.fstat(descriptor).st_size
    if size == 0 or os.pread(descriptor, 1, size - 1) == b"\n":
        return size
    begin, blocks = size, [b""]
    while begin > 0 and b"\n" not in blocks[-1]:
        length = min(_BLOCK, begin)
        begin -= length
        blocks.append(os.pread(descriptor, length, begin))
    last = b"".join(reversed(blocks)).rpartition(b"\n")[2]
    try:
        msgspec.json.decode(last)
    except (msgspec.DecodeError, UnicodeDecodeError):
        os.ftruncate(descriptor, size - len(last))
        return size - len(last)
    os.write(descriptor, b"\n")
    return size + 1
