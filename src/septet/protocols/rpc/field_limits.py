"""How many fields a message may have: looked at before it is parsed, for a parser makes an object of two bytes.

Of the wire format (https://protobuf.dev/programming-guides/encoding/) only keys and lengths are read. What is no
message is left to the parser, which says so.
"""

from collections.abc import Collection
from typing import Final

from septet.errors import Malformed

#: Bytes up to which a message is parsed without a look at its fields.
UNCHECKED_BYTES: Final = 1 << 16
#: Fields of a message and of those in it that are counted.
MOST_FIELDS: Final = 20_000
_MORE: Final = 0x80
_MOST_SHIFT: Final = 63
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def check_fields(body: bytes, counted: Collection[int]) -> None:
    """Refuse a message of too many fields; those of the messages in fields of the numbers `counted` (up to 15) count.

    Raises:
        Malformed: it has more than `MOST_FIELDS`.
    """
    left = MOST_FIELDS
    spans = [(0, len(body))]
    try:
        # Messages that are found on the way follow.
        for place, (start, end) in enumerate(spans):
            at = start
            while at < end:
                left -= 1
                if left < 0:
                    raise Malformed(
                        f"The message has more than {MOST_FIELDS} fields. Send fewer inputs and parameters."
                    )
                key = body[at]
                _, at = _varint(body, at)
                kind = key & 7
                if kind == _BYTES:
                    size, at = _varint(body, at)
                    if place == 0 and key >> 3 in counted:
                        spans.append((at, at + size))
                    at += size
                elif kind == _VARINT:
                    _, at = _varint(body, at)
                elif kind in (_FIXED32, _FIXED64):
                    at += 4 if kind == _FIXED32 else 8
                else:
                    return
    except IndexError:
        return


def _varint(body: bytes, at: int) -> tuple[int, int]:
    """A number, and where it ends; raises IndexError where it has no end."""
    value = shift = 0
    while True:
        byte = body[at]
        at += 1
        value |= (byte & ~_MORE) << shift
        if byte < _MORE:
            return value, at
        shift += 7
        if shift > _MOST_SHIFT:
            raise IndexError
