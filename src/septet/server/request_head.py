"""Rules of HTTP/1.1 for a request's head that the parser does not check, as pure functions."""

import logging
from collections.abc import Mapping, Sequence
from urllib.parse import unquote_to_bytes

import httptools

from septet.errors import Malformed, SeptetError

VERSIONS = ("1.1", "1.0")

logger = logging.getLogger("septet.http")


def check_head(version: str, pairs: Sequence[tuple[bytes, bytes]], headers: Mapping[bytes, bytes]) -> None:
    """Refuse a version that is not spoken, and a request that names no host, or several (RFC 9112, 3.2).

    Raises:
        Malformed: it is so. Before HTTP/1.1 no host need be named.
    """
    missing = b"host" not in headers
    if missing and version == "1.0":
        return
    # Only where a header repeats need they be counted.
    if missing or (len(headers) != len(pairs) and sum(name == b"host" for name, _ in pairs) > 1):
        raise Malformed("The request must name its host once, in the header Host.")
    if version not in VERSIONS:
        raise Malformed(f"The request is not HTTP/1.1, but {version}.")


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


def parser_error(error: httptools.HttpParserError) -> SeptetError:
    """Why the parser stopped: what a callback raised, or what is not HTTP."""
    if not isinstance(error, httptools.HttpParserCallbackError):
        return Malformed(f"The request is not HTTP/1.1: {error}.")
    cause = error.__context__
    if isinstance(cause, SeptetError):
        return cause
    logger.error("A request failed unexpectedly", exc_info=cause)
    return SeptetError("The server failed to answer. The log has the reason.")
