"""Brings answers to a folder, one file for each job."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from septet.queues.job import StoredReply
from septet.sinks.delivery import ENCODING, Delivery, DeliveryFailed, DeliveryRefused, Sink, is_plain_json

_SUFFIXES: Final = {
    b"application/json": ".json",
    b"text/csv": ".csv",
    b"text/plain": ".txt",
    b"text/html": ".html",
    b"application/grpc": ".grpc",
    b"application/grpc+proto": ".grpc",
    b"application/x-npy": ".npy",
    b"application/vnd.apache.arrow.stream": ".arrow",
}
_CODINGS: Final = {b"gzip": ".gz", b"zstd": ".zst", b"br": ".br", b"deflate": ".zz"}
_OTHER: Final = ".bin"


class FolderSink(Sink):
    """Exactly once by name: the file of a job has its id for a name, and is there whole or not at all.

    `ID.json` holds the message. Where the answer is not JSON, its own bytes are in a second file, which is there
    before `ID.json` is, and the message names that file as `file` in place of the bytes.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def deliver(self, delivery: Delivery) -> None:
        """Write the files of a job, again where they are there already."""
        if not delivery.job_id.isalnum():
            raise DeliveryRefused("The id of a job names no file.")
        reply, apart = delivery.reply, None
        if reply is not None and not is_plain_json(reply):
            apart = delivery.job_id + _suffix(reply)
        try:
            # A folder that lacks is not made: the disk that it is on may not be there yet.
            folder = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY)
            try:
                if reply is not None and apart is not None:
                    self._write(delivery, apart, reply.body)
                    os.fsync(folder)
                self._write(delivery, f"{delivery.job_id}.json", delivery.message(apart) + b"\n")
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise DeliveryFailed(f"{self._path} cannot be written to: {error.strerror}") from None

    def _write(self, delivery: Delivery, name: str, data: bytes) -> None:
        # Attempts have different numbers. One that was handed back may have the same, so nobody else's file is taken:
        # where there is one, the next attempt has another number.
        unfinished = self._path / f".{name}.{delivery.attempt}.part"
        with unfinished.open("xb") as file:
            try:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                unfinished.replace(self._path / name)
            except OSError:
                with suppress(OSError):
                    unfinished.unlink()
                raise
        # What attempts left that were killed.
        for attempt in range(1, delivery.attempt):
            (self._path / f".{name}.{attempt}.part").unlink(missing_ok=True)


def _suffix(reply: StoredReply) -> str:
    """Of the file with a reply's own bytes; never `.json`, which is the message's."""
    coding = next((_CODINGS.get(value, "") for name, value in reply.headers if name == ENCODING), "")
    suffix = _SUFFIXES.get(reply.media_type.partition(b";")[0].strip(), _OTHER) + coding
    return _OTHER if suffix == ".json" else suffix
