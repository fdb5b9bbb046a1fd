"""The files that a model's answers depend on: their digests, and whether what was loaded is what was digested."""

import os
import time
from pathlib import Path
from typing import Final, TypeAlias

from septet.control_characters import escaped
from septet.errors import DigestMismatch
from septet.model.digest import bytes_digest, file_digest, identity_digest

# Device, inode, size in bytes, times of the last change of contents and of the file, in nanoseconds.
_FileState: TypeAlias = tuple[int, int, int, int, int]
# Clocks of file systems tick a few hundred times a second; two changes within one tick look like one.
_TICK_NS: Final = 100_000_000


class DigestedFiles:
    """Files in a folder, by name relative to it.

    Attributes:
        digests: the SHA-256 of each, as 64 hexadecimal digits.
    """

    def __init__(self, folder: Path) -> None:
        self.digests: dict[str, str] = {}
        self._folder = folder
        self._states: dict[str, tuple[Path, _FileState]] = {}
        self._recent: set[str] = set()

    def add(self, name: str, path: Path | None = None) -> str:
        """Digest one file, and return its SHA-256; `path` is where it lies if not in the folder.

        Raises:
            OSError: it cannot be read.
        """
        path = path or self._folder / name
        state = _state(path)
        if time.time_ns() - max(state[3:]) < _TICK_NS:
            self._recent.add(name)
        self._states[name] = path, state
        self.digests[name] = file_digest(path)
        return self.digests[name]

    @property
    def identity(self) -> str:
        """The digest of all: of one file its own, of several that of the list that `sha256sum` prints for them."""
        if len(self.digests) == 1:
            return identity_digest(next(iter(self.digests.values())))
        lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(self.digests.items()))
        return identity_digest(bytes_digest(lines.encode("utf-8", "surrogateescape")))

    def require_unchanged(self) -> None:
        """Refuse what was loaded where a file has changed since it was digested.

        Raises:
            DigestMismatch: one has, or is gone.
        """
        for name, (path, before) in self._states.items():
            try:
                same = _state(path) == before
                same = same and (name not in self._recent or file_digest(path) == self.digests[name])
            except OSError:
                same = False
            if not same:
                raise DigestMismatch(
                    f"{escaped(str(path))}: was changed while the model was loaded, so it may be a mixture of both; "
                    "load it again when it is written (a file that is renamed into its place is never half there)"
                )


def _state(path: Path) -> _FileState:
    facts = os.stat(path)  # noqa: PTH116 - the name of what it is
    return (facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)
