"""The messages of a call: a flag, a length and so many bytes each, across the frames that they come in."""

from typing import Final

import msgspec

from septet.errors import Malformed, TooLarge

PREFIX_BYTES: Final = 5


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
