"""Compressed bodies: gzip and deflate, of requests and, where the caller asks for nothing else, of answers.

The limit of a body holds for what comes out of it, and is watched while it is expanded. Answers are compressed only for
callers that accept a single coding: most clients list all that they know without wanting any of them, and to compress
takes more time than the network would.
"""

import gzip
import zlib
from typing import Final

import msgspec

from septet.errors import Malformed, TooLarge, UnsupportedMediaType
from septet.lengthy_work import BYTES_ON_LOOP, leave_loop
from septet.protocols.http.http_messages import HttpReply, HttpRequest, shown

CODING: Final = b"content-encoding"
ACCEPTED: Final = b"accept-encoding"
_WORTH: Final = 128  # bytes; a smaller answer would hardly shrink, and fits into one packet anyway
_LEVEL: Final = 1
_NONE: Final = frozenset({b"", b"identity"})
_KNOWN: Final = frozenset({b"gzip", b"x-gzip", b"deflate"})
_MOST_CODINGS: Final = 3
_GZIP_BITS, _ZLIB_BITS, _RAW_BITS = 31, 15, -15
_GZIP_MAGIC: Final = b"\x1f\x8b"
_PIECE_BYTES: Final = 65_536
# Of what a piece expands to, so much at a time: more would be copied again and again while it grows.
_MOST_EXPANDED: Final = 1 << 20
# A member takes at least 20 bytes, and time even if nothing is in it: so many, and one more for so many bytes.
_MOST_MEMBERS: Final = 1_000
_MEMBER_BYTES: Final = 1_024


def expanded(http: HttpRequest, most: int) -> HttpRequest:
    """The request with its body as it was before it was compressed; `most` is its limit of bytes.

    The header may list several codings, in the order in which they were applied (RFC 9110, 8.4).

    Raises:
        UnsupportedMediaType: a coding is neither gzip nor deflate, or there are more than three.
        Malformed: the bytes are damaged.
        TooLarge: they are more than `most` when expanded.
        LengthyWork: they are many.
    """
    codings = [each.strip().lower() for each in http.headers[CODING].split(b",")]
    codings = [each for each in codings if each not in _NONE]
    if not codings:
        return http
    if len(codings) > _MOST_CODINGS or not _KNOWN.issuperset(codings):
        raise UnsupportedMediaType(
            f"The content encoding {shown(http.headers[CODING])} is not read; send gzip, deflate, or the body as it is."
        )
    body = http.body
    for coding in reversed(codings):
        # Some clients send the bare stream, without the zlib header that the standard asks for.
        bits = _GZIP_BITS if coding != b"deflate" else _ZLIB_BITS if _has_zlib_header(body) else _RAW_BITS
        body = _expand(body, bits, most)
    headers = {name: value for name, value in http.headers.items() if name != CODING}
    return msgspec.structs.replace(http, body=body, headers=headers)


def compressed(reply: HttpReply, accepted: bytes) -> HttpReply:
    """The reply, compressed where `accepted`, the header `accept-encoding`, names gzip or deflate and nothing else."""
    coding = accepted.strip().lower()
    if coding not in (b"gzip", b"deflate") or len(reply.body) < _WORTH:
        return reply
    if any(name == CODING for name, _ in reply.headers):
        return reply
    if len(reply.body) > BYTES_ON_LOOP:
        leave_loop()
    body = gzip.compress(reply.body, _LEVEL, mtime=0) if coding == b"gzip" else zlib.compress(reply.body, _LEVEL)
    headers = (*reply.headers, (CODING, coding), (b"vary", b"accept-encoding"))
    return msgspec.structs.replace(reply, body=body, headers=headers)


def _expand(body: bytes, bits: int, most: int) -> bytes:
    """All members of a gzip file (RFC 1952, 2.2), or the one stream of the other formats."""
    if len(body) > BYTES_ON_LOOP:
        # Members that expand to nothing take as long.
        leave_loop()
    view, found, size, members, at = memoryview(body), [], 0, 0, 0
    most_members = _MOST_MEMBERS + len(body) // _MEMBER_BYTES
    while at < len(view) or not members:
        if members and (bits != _GZIP_BITS or body[at : at + 2] != _GZIP_MAGIC):
            raise Malformed("The body cannot be expanded: bytes follow its end.")
        if members == most_members:
            raise Malformed("The body cannot be expanded: it has too many gzip members for its length.")
        members += 1
        stream = zlib.decompressobj(bits)
        while not stream.eof:
            # What a member leaves of a piece is copied: so pieces are small.
            piece = view[at : at + _PIECE_BYTES]
            if not piece:
                raise Malformed("The body cannot be expanded: it ends too early.")
            try:
                found.append(stream.decompress(piece, min(_MOST_EXPANDED, most + 1 - size)))
            except zlib.error as error:
                raise Malformed(f"The body cannot be expanded: {error}.") from None
            at += len(piece) - len(stream.unconsumed_tail) - len(stream.unused_data)
            size += len(found[-1])
            if size > most:
                raise TooLarge(f"The body is over the limit of {most} bytes when expanded. Send fewer rows at a time.")
            if size > BYTES_ON_LOOP:
                leave_loop()
    return b"".join(found)


def _has_zlib_header(body: bytes) -> bool:
    """Whether the first two bytes are those of RFC 1950: method 8, and a multiple of 31."""
    return len(body) > 1 and body[0] & 0x0F == zlib.DEFLATED and int.from_bytes(body[:2]) % 31 == 0
