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
from septet.protocols.http.http_messages import HttpReply, HttpRequest

CODING: Final = b"content-encoding"
ACCEPTED: Final = b"accept-encoding"
_WORTH: Final = 128  # bytes; a smaller answer would hardly shrink, and fits into one packet anyway
_LEVEL: Final = 1
_GZIP_BITS, _ZLIB_BITS, _RAW_BITS = 31, 15, -15


def expanded(http: HttpRequest, most: int) -> HttpRequest:
    """The request with its body as it was before it was compressed; `most` is its limit of bytes.

    Raises:
        UnsupportedMediaType: the coding is neither gzip nor deflate.
        Malformed: the bytes are damaged.
        TooLarge: they are more than `most` when expanded.
        LengthyWork: they are many.
    """
    coding = http.headers[CODING].strip().lower()
    if coding in (b"identity", b""):
        return http
    if coding in (b"gzip", b"x-gzip"):
        body = _expand(http.body, _GZIP_BITS, most)
    elif coding == b"deflate":
        # Some clients send the bare stream, without the zlib header that the standard asks for.
        body = _expand(http.body, _ZLIB_BITS if _has_zlib_header(http.body) else _RAW_BITS, most)
    else:
        shown = repr(coding.decode("latin-1")[:80])
        raise UnsupportedMediaType(
            f"The content encoding {shown} is not read; send gzip, deflate, or the body as it is."
        )
    headers = {name: value for name, value in http.headers.items() if name != CODING}
    return msgspec.structs.replace(http, body=body, headers=headers)


def compressed(reply: HttpReply, accepted: bytes) -> HttpReply:
    """The reply, compressed where `accepted`, the header `accept-encoding`, names gzip or deflate and nothing else."""
    coding = accepted.strip().lower()
    if coding not in (b"gzip", b"deflate") or len(reply.body) < _WORTH:
        return reply
    if len(reply.body) > BYTES_ON_LOOP:
        leave_loop()
    body = gzip.compress(reply.body, _LEVEL, mtime=0) if coding == b"gzip" else zlib.compress(reply.body, _LEVEL)
    headers = (*reply.headers, (CODING, coding), (b"vary", b"accept-encoding"))
    return msgspec.structs.replace(reply, body=body, headers=headers)


def _expand(body: bytes, bits: int, most: int) -> bytes:
    stream = zlib.decompressobj(bits)
    try:
        found = stream.decompress(body, min(most, BYTES_ON_LOOP) + 1)
        if len(found) > BYTES_ON_LOOP:
            leave_loop()
            found += stream.decompress(stream.unconsumed_tail, most + 1 - len(found))
    except zlib.error as error:
        raise Malformed(f"The body cannot be expanded: {error}.") from None
    if len(found) > most:
        raise TooLarge(f"The body is over the limit of {most} bytes when expanded. Send fewer rows at a time.")
    if not stream.eof:
        raise Malformed("The body cannot be expanded: it ends too early.")
    if stream.unused_data:
        raise Malformed("The body cannot be expanded: bytes follow its end.")
    return found


def _has_zlib_header(body: bytes) -> bool:
    """Whether the first two bytes are those of RFC 1950: method 8, and a multiple of 31."""
    return len(body) > 1 and body[0] & 0x0F == zlib.DEFLATED and int.from_bytes(body[:2]) % 31 == 0
