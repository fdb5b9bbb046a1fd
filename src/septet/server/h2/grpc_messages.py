"""The messages of a call: a flag, a length and so many bytes each, across the frames that they come in."""

from typing import Final

import msgspec

from septet.errors import Malformed, TooLarge

PREFIX_BYTES: Final = 5


class GrpcMessage(msgspec.Struct, frozen=True):
    """One message, and whether it is compressed."""

    body: bytes
    compressed: bool


class MessageBuffer:
    """What has come of one call's messages and was not taken yet; a message may have `most` bytes.

    They are taken apart only when they are asked for, so that what waits is never larger than what came.
    """

    __slots__ = ("_buffer", "_most")

    def __init__(self, most: int) -> None:
        self._most = most
        self._buffer = bytearray()

    def __len__(self) -> int:
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Add what a frame has brought."""
        self._buffer += data

    def take(self) -> GrpcMessage | None:
        """The next message, or None where it is not complete.

        Raises:
            Malformed: what comes is no message.
            TooLarge: it has, or will have, more bytes than it may.
        """
        buffer = self._buffer
        if len(buffer) < PREFIX_BYTES:
            return None
        flag, size = buffer[0], int.from_bytes(buffer[1:PREFIX_BYTES])
        if flag > 1:
            raise Malformed(f"A message must begin with the byte 0 or 1, not {flag}.")
        if size > self._most:
            raise TooLarge(f"The message has {size} bytes, over the limit of {self._most}. Send fewer rows at a time.")
        end = PREFIX_BYTES + size
        if len(buffer) < end:
            return None
        with memoryview(buffer) as view:
            body = bytes(view[PREFIX_BYTES:end])
        del buffer[:end]
        return GrpcMessage(body, bool(flag))


def is_single_message(data: bytes, most: int) -> bool:
    """Whether the bytes are exactly one message that is not compressed: the usual frame of a unary call."""
    size = len(data) - PREFIX_BYTES
    return 0 <= size <= most and data[0] == 0 and int.from_bytes(data[1:PREFIX_BYTES]) == size


def framed(body: bytes) -> bytes:
    """A message as it is sent: never compressed."""
    return b"\0%b%b" % (len(body).to_bytes(4), body)
