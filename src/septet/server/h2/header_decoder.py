"""Header blocks (HPACK, RFC 7541) -> the head of a call, or why it is refused.

A client sends the same headers with every call, and once they are in the dynamic table that both sides keep, as the
same few bytes. To decode them costs more than a small model's run. The cache rests on one invariant: a block that adds
nothing to the table and does not resize it has the same meaning until the table changes. Any change empties the cache.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

import msgspec
from hpack import HPACKError, OversizedHeaderListError

from septet.bounded_cache import BoundedCache
from septet.errors import Malformed
from septet.protocols.http.http_messages import RequestContext, context_of
from septet.protocols.http.job_headers import JOB_HEADERS
from septet.protocols.http.limits import head_too_large
from septet.server.h2.h2_frames import ErrorCode, H2ConnectionError, H2StreamError
from septet.server.h2.hpack_decoder import HpackDecoder
from septet.settings import Limits

#: What handlers read of a call's metadata; the rest is passed over.
READ: Final = JOB_HEADERS | {b"x-request-id", b"traceparent", b"grpc-timeout", b"authorization", b"x-api-key", b"host"}
IDENTITY: Final = b"identity"
MAX_CACHED, MAX_CACHED_BYTES = 64, 2048
# A block over `max_header_bytes` is decoded for the table's sake and the call refused, up to this multiple, or so many
# bytes; beyond both the connection is lost.
MULTIPLE, LEAST_BYTES = 2, 65_536

_POST = b"POST"
_TYPE = re.compile(rb"application/grpc(\+proto)?\s*(;.*)?", re.IGNORECASE | re.DOTALL)
_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")
_VALUE = re.compile(rb"(?![ \t])[^\0\r\n]*(?<![ \t])")
_PSEUDO = frozenset((b":method", b":scheme", b":path", b":authority"))
# They belong to HTTP/1.1.
_FOREIGN = frozenset((b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"))
_LENGTH, _HOST = b"content-length", b"host"
# What a client says once; the same again is no other request.
_SINGLE = frozenset((_LENGTH, _HOST))
_DEFAULT_PORTS = {b"http": b":80", b"https": b":443"}
_MAX_DIGITS = 20

Pairs: TypeAlias = Sequence[tuple[bytes, bytes]]


class CallHead(msgspec.Struct, frozen=True):
    """The headers of a call.

    Attributes:
        path: the method's, such as `/package.Service/Method`.
        headers: those that are read, by their names in lower case.
        coding: how messages are compressed where their flag is set.
        content_length: how many bytes of data follow, where the call declares it.
        status: the HTTP status for what is no call at all; 0 for a call.
        known_context: what the headers say, where the block was seen before.
    """

    path: str
    headers: Mapping[bytes, bytes]
    coding: bytes = IDENTITY
    content_length: int | None = None
    status: int = 0
    known_context: RequestContext | None = None


class HeaderBlock:
    """A header block that has begun: of which stream, whether that ends with it, what has come, and since when.

    `since` is in the worker's seconds.
    """

    __slots__ = ("data", "ended", "number", "since")

    def __init__(self, number: int, ended: bool, data: bytearray, since: int) -> None:  # noqa: FBT001 - as the flag comes
        self.number = number
        self.ended = ended
        self.data = data
        self.since = since


class HeaderDecoder:
    """Reads the header blocks of one connection, all of them, in their order.

    Attributes:
        most_bytes: of a block that is decoded.
        known: the heads of blocks that were read and change nothing in the table.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.most_bytes = max(MULTIPLE * limits.max_header_bytes, LEAST_BYTES)
        self._decoder = HpackDecoder(self.most_bytes)
        self.known = BoundedCache[bytes, CallHead](MAX_CACHED)

    def read(self, block: bytes) -> CallHead:
        """The head of a call whose block is not among those `known`.

        Raises:
            H2ConnectionError: the block cannot be decoded.
            H2StreamError: it breaks HTTP/2's rules for headers.
            HeadersTooLarge: it is over the limits.
        """
        changes = self._decoder.changes
        head = _head(self._decode(block), self._limits)
        if changes == self._decoder.changes and len(block) <= MAX_CACHED_BYTES:
            self.known.keep(block, _with_context(head))
        return head

    def read_trailers(self, block: bytes) -> None:
        """Read the trailers of a call, which mean nothing here.

        Raises:
            H2ConnectionError: the block cannot be decoded.
            H2StreamError: it breaks HTTP/2's rules for trailers (RFC 9113, 8.1).
            HeadersTooLarge: it is over the limits.
        """
        pairs = self._decode(block)
        _check_size(pairs, self._limits)
        for name, value in pairs:
            _check_field(name, value)

    def skip(self, block: bytes) -> None:
        """Decode a block for the table's sake only.

        Raises:
            H2ConnectionError: the block cannot be decoded.
        """
        self._decode(block)

    def _decode(self, block: bytes) -> Pairs:
        changes = self._decoder.changes
        try:
            pairs = self._decoder.decode(block)
        except OversizedHeaderListError as error:
            raise H2ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, "A head is far too large.") from error
        except HPACKError as error:
            raise H2ConnectionError(ErrorCode.COMPRESSION_ERROR, "A header block cannot be decoded.") from error
        if changes != self._decoder.changes:
            self.known.clear()
        return pairs


def _with_context(head: CallHead) -> CallHead:
    try:
        return msgspec.structs.replace(head, known_context=context_of(head.headers))
    except Malformed:
        # Whoever asks for it is told why.
        return head


def _check_size(pairs: Pairs, limits: Limits) -> None:
    if (
        len(pairs) > limits.max_headers
        or sum(len(name) + len(value) for name, value in pairs) > limits.max_header_bytes
    ):
        raise head_too_large(limits)


def _head(pairs: Pairs, limits: Limits) -> CallHead:
    _check_size(pairs, limits)
    pseudo, fields = _checked(pairs)
    path = pseudo[b":path"].decode("latin-1")
    if pseudo[b":method"] != _POST:
        return CallHead(path, {}, status=405)
    if _TYPE.fullmatch(fields.get(b"content-type", b"")) is None:
        return CallHead(path, {}, status=415)
    read = {name: value for name, value in fields.items() if name in READ}
    # The host that is asked for (RFC 9113, 8.3.1).
    if b":authority" in pseudo:
        read[_HOST] = pseudo[b":authority"]
    return CallHead(path, read, fields.get(b"grpc-encoding", IDENTITY).lower(), _content_length(fields))


def _content_length(fields: Mapping[bytes, bytes]) -> int | None:
    """The announced bytes of data (RFC 9113, 8.1.1).

    Raises:
        H2StreamError: the header is no number.
    """
    value = fields.get(_LENGTH)
    if value is None:
        return None
    if not value.isdigit() or len(value) > _MAX_DIGITS:
        raise H2StreamError(ErrorCode.PROTOCOL_ERROR)
    return int(value)


def _checked(pairs: Pairs) -> tuple[dict[bytes, bytes], dict[bytes, bytes]]:
    """Pseudo-headers and headers, where HTTP/2 allows them (RFC 9113, 8.2 and 8.3).

    Raises:
        H2StreamError: it does not.
    """
    pseudo: dict[bytes, bytes] = {}
    fields: dict[bytes, bytes] = {}
    for name, value in pairs:
        if name[:1] != b":":
            _check_field(name, value)
            if name in _SINGLE and fields.get(name, value) != value:
                raise H2StreamError(ErrorCode.PROTOCOL_ERROR)
            fields[name] = value
        elif fields or name in pseudo or name not in _PSEUDO or _VALUE.fullmatch(value) is None:
            raise H2StreamError(ErrorCode.PROTOCOL_ERROR)
        else:
            pseudo[name] = value
    if not pseudo.get(b":path") or b":method" not in pseudo or b":scheme" not in pseudo:
        raise H2StreamError(ErrorCode.PROTOCOL_ERROR)
    _check_host(pseudo, fields)
    return pseudo, fields


def _check_host(pseudo: Mapping[bytes, bytes], fields: Mapping[bytes, bytes]) -> None:
    """A `host` names what `:authority` names (RFC 9113, 8.3.1), compared as RFC 3986, 6.2 says.

    Raises:
        H2StreamError: it names another.
    """
    host, authority = fields.get(_HOST), pseudo.get(b":authority")
    if host is None or authority is None or host == authority:
        return
    port = _DEFAULT_PORTS.get(pseudo[b":scheme"].lower(), b":")
    if _normal(host, port) != _normal(authority, port):
        raise H2StreamError(ErrorCode.PROTOCOL_ERROR)


def _normal(authority: bytes, port: bytes) -> bytes:
    return authority.lower().removesuffix(port).removesuffix(b":")


def _check_field(name: bytes, value: bytes) -> None:
    if (
        _NAME.fullmatch(name) is None
        or _VALUE.fullmatch(value) is None
        or name in _FOREIGN
        or (name == b"te" and value != b"trailers")
    ):
        raise H2StreamError(ErrorCode.PROTOCOL_ERROR)
