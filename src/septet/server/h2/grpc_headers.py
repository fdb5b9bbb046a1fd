"""Replies -> the header blocks that gRPC wants around a message: the head, and the trailers with status and metadata.

The table that HPACK offers for what we send stays empty (its size is set to 0): so a block is the same bytes for every
client, and most of one is made once for the server.
"""

from base64 import b64encode
from collections.abc import Callable
from typing import Final
from urllib.parse import quote

from hpack.hpack import encode_integer

from septet.protocols.http.error_bodies import GRPC
from septet.protocols.http.http_messages import HttpReply
from septet.protocols.http.response_headers import flags_header, identity_headers
from septet.types import Identity

#: Goes before the first block on a connection: the table has the size 0.
NO_TABLE: Final = b"\x20"
LARGEST_DETAILS: Final = 4096  # bytes; clients take 8 KiB of metadata in all
LONGEST_MESSAGE: Final = 2048  # bytes, escaped

# The numbers of gRPC's statuses.
_NAMES = (
    *("OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS"),
    *("PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED"),
    *("INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"),
)
INTERNAL: Final = _NAMES.index("INTERNAL")
UNAVAILABLE: Final = _NAMES.index("UNAVAILABLE")
UNIMPLEMENTED: Final = _NAMES.index("UNIMPLEMENTED")
STATUS: Final = {"ok": 0, **{code: _NAMES.index(name) for code, name in GRPC.items()}}
_PLAIN = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")


def literal(name: bytes, value: bytes) -> bytes:
    """One field, spelled out."""
    return b"\0" + _text(name) + _text(value)


def _text(text: bytes) -> bytes:
    return bytes(encode_integer(len(text), 7)) + text


#: The head of every answer: status 200, which is the eighth of HPACK's own table.
RESPONSE_HEADERS: Final = b"\x88" + literal(b"content-type", b"application/grpc")
_CODINGS = literal(b"grpc-accept-encoding", b"identity, deflate, gzip")
_STATUS_NAME, _MESSAGE_NAME, _ID_NAME = b"grpc-status", b"grpc-message", b"x-request-id"


class ResponseTrailers:
    """The trailers of a server's answers; `default` is the model that answers of none name."""

    def __init__(self, default: Callable[[], Identity | None]) -> None:
        self._default = default
        # The model that was named last, how it is written, and all that stands before the id of a success.
        self._model: Identity | None = None
        self._identity = self._before_id = b""
        self._name(None)

    def _name(self, model: Identity | None) -> None:
        self._model = model
        self._identity = b"".join(literal(name, value) for name, value in identity_headers(model))
        self._before_id = literal(_STATUS_NAME, b"0") + self._identity + b"\0" + _text(_ID_NAME)

    def success(self, reply: HttpReply) -> bytes:
        """The trailers of one answer."""
        model = reply.model or self._default()
        if model is not self._model:
            self._name(model)
        trailers = self._before_id + _text(reply.id.encode())
        return trailers + _flags(reply) if reply.flags else trailers

    @property
    def plain(self) -> bytes:
        """The trailers of a stream of answers."""
        self._name(self._default())
        return literal(_STATUS_NAME, b"0") + self._identity

    def failure(self, reply: HttpReply) -> bytes:
        """The trailers of a call that failed, with the native error body where a client's limit leaves room for it."""
        status = STATUS.get(reply.code, INTERNAL)
        more = b"".join(literal(name, value) for name, value in reply.headers)
        if len(reply.body) <= LARGEST_DETAILS:
            more += literal(b"septet-error-bin", b64encode(reply.body).rstrip(b"="))
        if status == UNIMPLEMENTED:
            more += _CODINGS
        ended = self.ended(status, reply.message or reply.code, reply.model)
        return b"".join((ended, literal(_ID_NAME, reply.id.encode()), more))

    def ended(self, status: int, message: str, model: Identity | None = None) -> bytes:
        """The trailers of a call that ends with a status and a message for people."""
        self._name(model or self._default())
        fields = literal(_STATUS_NAME, b"%d" % status) + literal(_MESSAGE_NAME, escaped(message))
        return fields + self._identity


def _flags(reply: HttpReply) -> bytes:
    return b"".join(literal(name, value) for name, value in flags_header(reply.flags))


def escaped(message: str) -> bytes:
    """A message as `grpc-message` has it: visible ASCII, the rest of UTF-8 as `%XX`; a very long one is cut."""
    found = quote(message, safe=_PLAIN)
    if len(found) <= LONGEST_MESSAGE:
        return found.encode()
    kept = found[: LONGEST_MESSAGE - 3]
    # No escape may be cut.
    mark = kept.rfind("%", len(kept) - 2)
    return ((kept if mark < 0 else kept[:mark]) + "...").encode()


def http_status_only(status: int) -> bytes:
    """The whole answer to what is no call of gRPC: an HTTP status alone."""
    return literal(b":status", b"%d" % status) + literal(b"content-length", b"0")
