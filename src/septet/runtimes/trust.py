"""Trust in files that execute code when they are loaded: given by digest, never by name or place."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from septet.errors import SettingsInvalid, Untrusted

# 12 hexadecimal digits are 48 bits: more than enough against accident, and still easy to read out.
_DIGEST = re.compile(r"(?:sha256:)?([0-9a-f]{12,64})")


def require_trust(path: Path, content: bytes, trust: Sequence[str], reason: str) -> None:
    """Let `content`, read from `path`, be executed only if `trust` holds its SHA-256 (in full or 12 digits and more).

    `reason` completes the sentence "<file> is not loaded because ...".

    Raises:
        Untrusted: it does not; the message names the flag that would trust it.
        SettingsInvalid: an entry of `trust` is not a digest.
    """
    digest = hashlib.sha256(content).hexdigest()
    if any(digest.startswith(_hexadecimal(entry)) for entry in trust):
        return
    others = " (a digest was trusted, but it is not this file's)" if trust else ""
    message = (
        f"{path} is not loaded because {reason}{others}. "
        f"If you know who made this very file, trust it with: --trust sha256:{digest}"
    )
    raise Untrusted(message)


def _hexadecimal(entry: str) -> str:
    match = _DIGEST.fullmatch(entry.strip().lower())
    if match is None:
        message = f"trust: {entry!r} is not a digest; write sha256: and at least 12 hexadecimal digits"
        raise SettingsInvalid(message)
    return match.group(1)
