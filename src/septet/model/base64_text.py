"""Bytes as text, wherever a value must be one: base64 in the standard alphabet, with padding (RFC 4648, section 4)."""

from binascii import a2b_base64, b2a_base64
from typing import Final

#: What a text of bytes is, in words.
EXPECTED: Final = "bytes as a text of base64"


def from_base64(text: str) -> bytes:
    """The bytes of a text.

    Raises:
        ValueError: it is no base64.
    """
    return a2b_base64(text, strict_mode=True)


def to_base64(data: bytes) -> str:
    """The text of bytes."""
    return b2a_base64(data, newline=False).decode("ascii")
