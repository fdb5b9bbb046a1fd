"""Digests of files: how a package knows that its bytes are the ones that were packed."""

import hashlib
from pathlib import Path
from typing import Final

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
