"""The messages of a call: a flag, a length and so many bytes each, across the frames that they come in."""

from struct import Struct
from typing import Final

import msgspec

from septet.errors import Malformed, TooLarge
from septet.server.h2.h2_frames import DATA, END_HEADERS, END_STREAM, FRAME_HEADER, HEADERS

PREFIX_BYTES: Final = 5
# A frame header, and the prefix of the message behind it: its flag and its size.
_DATA_HEADER = Struct(FRAME_HEADER.format + "BI")


class GrpcMessage(msgspec.Struct, frozen=True):
    """One message, and whether it is compressed."""

    body: bytes
    compressed: bool


class MessageBuffer(bytearray):
    """The bytes of one call's messages that have come and were not taken yet.

    Messages are taken apart only when they are asked for, so that what waits is never larger than what came.
    """

    @property
    def missing_bytes(self) -> int:
        """How many bytes of the message that has begun are still to come; 0 where its length has not come."""
        if len(self) < PREFIX_BYTES:
            return 0
        return max(0, PREFIX_BYTES + int.from_bytes(self[1:PREFIX_BYTES]) - len(self))

    def take(self, max_bytes: int) -> GrpcMessage | None:
        """Remove and return the next message, of at most so many bytes; None where it is not complete.

        Raises:
            Malformed: what comes is no message.
            TooLarge: it has, or will have, more bytes than it may.
        """
        if len(self) < PREFIX_BYTES:
            return None
        flag, size = self[0], int.from_bytes(self[1:PREFIX_BYTES])
        if flag > 1:
            raise Malformed(f"A message must begin with the byte 0 or 1, not {flag}.")
        if size > max_bytes:
            raise TooLarge(f"The message has {size} bytes, over the limit of {max_bytes}. Send fewer rows at a time.")
        end = PREFIX_BYTES + size
        if len(self) < end:
            return None
        with memoryview(self) as view:
            body = bytes(view[PREFIX_BYTES:end])
        del self[:end]
        return GrpcMessage(body, bool(flag))


def framed(body: bytes) -> bytes:
    """A message as it is sent: never compressed."""
    return b"\0%b%b" % (len(body).to_bytes(4), body)


def whole_answer(stream: int, block: bytes, body: bytes, trailers: bytes) -> bytes:
    """The frames of a call's whole answer: a header block, one message, trailers; each fits into a frame.

    The same as of `h2_frames.headers` and `h2_frames.frame`, in one step: most calls are answered so.
    """
    pack, size = FRAME_HEADER.pack, len(body)
    return b"".join(
        (
            pack(0, len(block), HEADERS, END_HEADERS, stream),
            block,
            _DATA_HEADER.pack(0, PREFIX_BYTES + size, DATA, 0, stream, 0, size),
            body,
            pack(0, len(trailers), HEADERS, END_HEADERS | END_STREAM, stream),
            trailers,
        )
    )
