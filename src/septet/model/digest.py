"""Digests of files: how a package knows that its bytes are the ones that were packed."""

import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from septet.errors import DigestMismatch
from septet.model.file_facts import FileFacts, facts_of

DIGEST_PREFIX: Final = "sha256:"


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits, reading it in pieces.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def bytes_digest(data: bytes) -> str:
    """Return the SHA-256 of bytes as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def identity_digest(hexadecimal: str) -> str:
    """Return a digest as an `Identity` carries it: `sha256:` and the 64 digits."""
    return DIGEST_PREFIX + hexadecimal


def combined_digest(main: str, others: Mapping[str, str]) -> str:
    """The digest of a model in several files: `main` where it is alone.

    Else the SHA-256 of lines of text: the digest of the main file, whose name does not count, then `DIGEST  NAME` for
    each of the others, by name.
    """
    if not others:
        return main
    lines = [main, *(f"{others[name]}  {name}" for name in sorted(others))]
    return bytes_digest("".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape"))


class DigestedFiles:
    """Files whose digests were taken, and how they were just before: what is loaded later must be the same bytes."""

    def __init__(self) -> None:
        self._before: dict[Path, FileFacts | None] = {}

    def remember(self, path: Path) -> None:
        """Remember a file as it is now, or that there is none."""
        self._before[path] = facts_of(path)

    def digest(self, path: Path) -> str:
        """Remember a file, and return its SHA-256 as 64 hexadecimal digits.

        Raises:
            OSError: the file cannot be read.
        """
        self.remember(path)
        return file_digest(path)

    def digests(self, folder: Path, names: Collection[str]) -> dict[str, str]:
        """Remember files of a folder, and return the digests of those that are there, by name.

        Raises:
            OSError: one cannot be read.
        """
        for name in names:
            self.remember(folder / name)
        return {name: file_digest(folder / name) for name in names if (folder / name).is_file()}

    def check_unchanged(self) -> None:
        """Refuse files that are not as they were.

        Raises:
            DigestMismatch: one was replaced, written, added or removed.
        """
        for path, facts in self._before.items():
            if facts_of(path) != facts:
                raise DigestMismatch(
                    f"{path}: was changed while the model was being loaded, so its digest is not that of what was "
                    "loaded; load the model again when its files are complete"
                )
