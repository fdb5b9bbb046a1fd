"""Rules of HTTP/1.1 for a request's head that the parser does not check, as pure functions."""

import logging
import re
from collections.abc import Mapping, Sequence
from urllib.parse import unquote_to_bytes

import httptools

from septet.errors import Malformed, SeptetError, Unimplemented
from septet.protocols.http.http_messages import shown
from septet.protocols.http.limits import check_content_length

VERSIONS = ("1.1", "1.0")
# RFC 3986, 3.2.2: a name or an IPv4 address, or an IPv6 address in brackets; then perhaps a port. It may be empty.
_HOST = re.compile(rb"(?:[A-Za-z0-9._~!$&'()*+,;=%-]*|\[[0-9A-Za-z:.%_~-]+\])(?::[0-9]*)?")

logger = logging.getLogger("septet.http")


def check_head(
    method: bytes, version: str, pairs: Sequence[tuple[bytes, bytes]], headers: Mapping[bytes, bytes]
) -> None:
    """Refuse a version that is not spoken, a tunnel, and a request that names no host, or several (RFC 9112, 3.2).

    Raises:
        Malformed: it is so. Before HTTP/1.1 no host need be named.
    """
    if version not in VERSIONS:
        raise other_version(version)
    host = headers.get(b"host")
    # Only where a header repeats need they be counted.
    if host is None:
        if version == "1.1":
            raise Malformed("The request must name its host once, in the header Host.")
    elif len(headers) != len(pairs) and sum(name == b"host" for name, _ in pairs) > 1:
        raise Malformed("The request must name its host once, in the header Host, but it has several.")
    elif not _HOST.fullmatch(host):
        raise Malformed(f"The header Host must be a name or an address, perhaps with a port, not {shown(host)}.")
    if method == b"CONNECT":
        raise Malformed("This server opens no tunnels: there is no CONNECT here.")


def other_version(version: str) -> Malformed:
    """The error for a version that is not spoken."""
    return Malformed(f"The request is not HTTP/1.1, but {version}.")


def body_length(version: str, headers: Mapping[bytes, bytes], limit: int) -> int:
    """The bytes of a request's body; 0 where it comes in chunks, which end by themselves (RFC 9112, 6.3).

    Raises:
        TooLarge: it is over the limit.
        Malformed: its length cannot be relied on.
        Unimplemented: it is coded in another way for its transfer than in chunks.
    """
    coding = headers.get(b"transfer-encoding")
    if coding is not None:
        if version == "1.0":
            raise Malformed("A request of HTTP/1.0 has no transfer encoding.")
        codings = [each.strip(b" \t").lower() for each in coding.split(b",")]
        if codings[-1] != b"chunked":
            raise Malformed(f"The transfer encoding must end in chunked, and not be {shown(coding)}.")
        if len(codings) > 1:
            raise Unimplemented(f"The transfer encoding {shown(coding)} is not read; send chunked, or a length.")
        return 0
    length = headers.get(b"content-length")
    return 0 if length is None else check_content_length(length, limit)


def path_and_query(url: bytes) -> tuple[bytes, bytes]:
    """Path and query of a URL that is escaped or absolute; the path unescaped, as ASGI has it.

    Raises:
        Malformed: it is no URL.
    """
    try:
        parsed = httptools.parse_url(url)
    except httptools.HttpParserInvalidURLError:
        raise Malformed("The request's URL cannot be read.") from None
    return unquote_to_bytes(parsed.path or b"/"), parsed.query or b""


def host_of(url: bytes) -> bytes:
    """The host of an absolute URL, with its port where it has one; empty where it names none.

    Raises:
        Malformed: it is no URL.
    """
    try:
        parsed = httptools.parse_url(url)
    except httptools.HttpParserInvalidURLError:
        raise Malformed("The request's URL cannot be read.") from None
    host: bytes = parsed.host or b""
    host = b"[%b]" % host if b":" in host else host
    return host if parsed.port is None else b"%b:%d" % (host, parsed.port)


def parser_error(error: httptools.HttpParserError) -> SeptetError:
    """Why the parser stopped: what a callback raised, or what is not HTTP."""
    if not isinstance(error, httptools.HttpParserCallbackError):
        return Malformed(f"The request is not HTTP/1.1: {error}.")
    cause = error.__context__
    if isinstance(cause, SeptetError):
        return cause
    logger.error("A request failed unexpectedly", exc_info=cause, extra={"route": "unmatched"})
    return SeptetError("The server failed to answer. The log has the reason.")
