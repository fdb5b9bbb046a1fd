"""Heads of requests that were parsed and found good, by their very bytes.

A client on a connection that is kept open sends the same head again and again, but for the length of its body. Parsing
one costs more than a small model's run, and the same bytes always mean the same: so a chunk that is one whole request
with a head seen before needs no parser. Any other chunk is parsed.
"""

import msgspec

from septet.bounded_cache import BoundedCache
from septet.errors import Malformed
from septet.protocols.http.http_messages import HttpRequest

END = b"\r\n\r\n"
MAX_CACHED_HEADS = 512
# A head longer than this is rare, and would make the memory of all of them large.
MAX_HEAD_BYTES = 2048
# A request of more bytes is parsed: its connection may then leave the rest to a later turn of the loop.
MAX_REQUEST_BYTES = 65_536
# What makes the end of a body, or the answer, depend on more than the length.
_SPECIAL = (b"transfer-encoding", b"expect", b"upgrade")


class RequestHead(msgspec.Struct, frozen=True):
    """What the bytes of a head mean.

    Attributes:
        lines: the head's bytes, the empty line included.
        size: of the whole request in bytes.
        http: the request without its body, with what its headers say.
    """

    lines: bytes
    size: int
    http: HttpRequest


class RequestHeadCache:
    """The heads that one worker knows."""

    def __init__(self) -> None:
        self._heads = BoundedCache[bytes, RequestHead](MAX_CACHED_HEADS)

    def find(self, data: bytes) -> RequestHead | None:
        """The head of a chunk that is exactly one request, where it is known."""
        head = self._heads.get(data[: data.find(END) + len(END)])
        return None if head is None or len(data) != head.size else head

    def keep(self, data: bytes, http: HttpRequest) -> None:
        """Know the head of a request that was parsed, where the chunk was exactly that request."""
        if len(data) > MAX_REQUEST_BYTES:
            return
        end = data.find(END) + len(END)
        length = int(http.headers.get(b"content-length", b"0"))
        # Of a chunk with more than one request, or with lines before it, the lengths do not agree.
        if not len(END) < end <= MAX_HEAD_BYTES or len(data) - end != length:
            return
        if any(name in http.headers for name in _SPECIAL):
            return
        try:
            known = http.context
        except Malformed:
            return
        lines = data[:end]
        head = RequestHead(lines, len(data), msgspec.structs.replace(http, body=b"", known_context=known))
        self._heads.keep(lines, head)
