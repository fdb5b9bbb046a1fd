"""A folder that appears whole or not at all.

It is written beside its place under a hidden name, flushed to the disk and renamed. One that stands there already is
moved aside just before and deleted just after, and put back if the rename fails.
"""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

from septet.model.digest import file_digest

_COPY_BYTES: Final = 1 << 20


class NewFolder:
    """Files written beside `place`, until `publish` puts them there. A context manager: what is unpublished goes."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._mark = os.urandom(4).hex()
        self.path = place.with_name(f".{place.name}.{self._mark}.new")

    def __enter__(self) -> Self:
        self.path.mkdir(parents=True)
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.path, ignore_errors=True)

    def add(self, name: str, source: bytes | Path) -> str:
        """Write one file from bytes or a copy of a file, and return its SHA-256 (64 hexadecimal digits).

        Raises:
            OSError: the source cannot be read or the disk cannot be written.
        """
        target = self.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as file:
            if isinstance(source, bytes):
                file.write(source)
            else:
                with source.open("rb") as original:
                    shutil.copyfileobj(original, file, _COPY_BYTES)
            file.flush()
            os.fsync(file.fileno())
        return file_digest(target)

    def publish(self) -> None:
        """Put the folder in its place, instead of the one that stands there.

        Raises:
            OSError: it could not be; the old one stands as before.
        """
        for folder, _, _ in os.walk(self.path):
            _flush(Path(folder))
        if self._place.exists():
            self._exchange()
        else:
            self.path.rename(self._place)
        _flush(self._place.parent)

    def _exchange(self) -> None:
        aside = self._place.with_name(f".{self._place.name}.{self._mark}.old")
        self._place.rename(aside)
        try:
            self.path.rename(self._place)
        except BaseException:
            aside.rename(self._place)
            raise
        shutil.rmtree(aside, ignore_errors=True)


def add_all(folder: NewFolder, files: Mapping[str, bytes | Path]) -> dict[str, str]:
    """Write every file and return their SHA-256 by name.

    Raises:
        OSError: a source cannot be read or the disk cannot be written.
    """
    return {name: folder.add(name, source) for name, source in files.items()}


def _flush(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
