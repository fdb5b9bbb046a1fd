"""Limits that hold for a request on every transport."""

from collections.abc import Iterable

from septet.errors import HeadersTooLarge, Malformed, TooLarge
from septet.settings import Limits

# Of a content length: more digits than any limit has, fewer than Python refuses to read.
_MAX_DIGITS = 20


def check_length(size: int, limit: int) -> None:
    """Refuse a body over the limit.

    Raises:
        TooLarge: it is.
    """
    if size > limit:
        raise TooLarge(f"The body is over the limit of {limit} bytes. Send fewer rows at a time.")


def check_content_length(value: bytes, limit: int) -> int:
    """The bytes that a header `content-length` announces (RFC 9110, 8.6).

    Raises:
        TooLarge: they are over the limit.
        Malformed: it is no number, or has more than 20 digits with zeros in front.
    """
    if not value.isdigit() or (len(value) > _MAX_DIGITS and value.startswith(b"0")):
        raise Malformed("The header Content-Length must be a number of at most 20 digits.")
    size = int(value[:_MAX_DIGITS])
    check_length(size, limit)
    return size


def head_size(pairs: Iterable[tuple[bytes, bytes]]) -> int:
    """The bytes of headers as HTTP/1.1 writes them."""
    return sum(len(name) + len(value) + 4 for name, value in pairs)


def head_too_large(limits: Limits) -> HeadersTooLarge:
    """The error for a head over one of its limits."""
    return HeadersTooLarge(
        f"The request's head is over the limit of {limits.max_header_bytes} bytes or {limits.max_headers} headers."
    )
