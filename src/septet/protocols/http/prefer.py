"""The header `prefer` (RFC 7240): whether a caller would rather have its answer later."""

import re

import msgspec

# A preference is a token, perhaps with a value, and has parameters behind semicolons, which none of ours takes.
_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PREFERENCE = re.compile(
    rb"\s*(" + _TOKEN + rb")\s*(?:=\s*(" + _TOKEN + rb"|\"(?:[^\"\\]|\\.)*\"))?\s*(?:;[^,]*)?(?:,|$)"
)
_WAIT = re.compile(rb"[0-9]{1,6}")


class Preference(msgspec.Struct, frozen=True):
    """What is preferred: an answer later, and for how many seconds it is waited for before."""

    asynchronous: bool
    wait: float | None = None


def preference(header: bytes) -> Preference:
    """Read the header.

    A preference that is not understood, or that is written wrongly, is ignored (RFC 7240, section 2); of one that
    comes twice the first counts.
    """
    found: dict[bytes, bytes] = {}
    for match in _PREFERENCE.finditer(header):
        found.setdefault(match[1].lower(), (match[2] or b"").strip(b'"'))
    wait = found.get(b"wait")
    seconds = float(wait) if wait is not None and _WAIT.fullmatch(wait) else None
    return Preference(b"respond-async" in found, seconds)
