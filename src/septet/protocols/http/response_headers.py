"""The headers of a reply that every transport sends alike: which model answered, and the flags of its answer."""

from collections.abc import Sequence
from typing import TypeAlias

from septet.printable import printable
from septet.types import Identity

HeaderPairs: TypeAlias = tuple[tuple[bytes, bytes], ...]


def identity_headers(identity: Identity | None) -> HeaderPairs:
    """The headers that name the model; none where there is none."""
    if identity is None:
        return ()
    return (
        (b"septet-model", _ascii(identity.name)),
        (b"septet-model-version", _ascii(identity.version)),
        (b"septet-model-digest", _ascii(identity.digest)),
    )


def flags_header(flags: Sequence[str]) -> HeaderPairs:
    """What a caller should know of the answer, such as `degraded`, as a list with commas; none without a flag."""
    return ((b"septet-flags", _ascii(", ".join(flags))),) if flags else ()


def _ascii(text: str) -> bytes:
    """The text with all that is not printable ASCII escaped: a line's end would begin another header."""
    return printable(text).encode("ascii", "backslashreplace")
