"""The header `prefer` (RFC 7240): whether a caller would rather have its answer later."""

import re
from typing import Final

import msgspec

# A preference is a token, perhaps with a value, and has parameters behind semicolons, which none of ours takes.
_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PREFERENCE = re.compile(
    rb"\s*(" + _TOKEN + rb")\s*(?:=\s*(" + _TOKEN + rb"|\"(?:[^\"\\]|\\.)*\"))?\s*(?:;[^,]*)?(?:,|$)"
)


#: A preference of our own: a model whose answer may come later, beside the one that is asked.
LATER: Final = b"septet-later"


class Preference(msgspec.Struct, frozen=True):
    """What is preferred: an answer later, or that of another model, by its name, later."""

    asynchronous: bool
    later: str | None = None


def preference(header: bytes) -> Preference:
    """Read the header.

    A preference that is not understood, or that is written wrongly, is ignored (RFC 7240, section 2); of one that
    comes twice the first counts.
    """
    found: dict[bytes, bytes] = {}
    for match in _PREFERENCE.finditer(header):
        found.setdefault(match[1].lower(), (match[2] or b"").strip(b'"'))
    return Preference(b"respond-async" in found, found.get(LATER, b"").decode("latin-1") or None)
