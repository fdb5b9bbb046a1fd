"""How many fields a message may have: looked at before it is parsed, for a parser makes an object of two bytes.

Of the wire format (https://protobuf.dev/programming-guides/encoding/) only keys and lengths are read. What is no
message is left to the parser, which says so.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

from septet.errors import Malformed
from septet.lengthy_work import leave_loop

#: Bytes up to which a message is parsed without a look at its fields.
UNCHECKED_BYTES: Final = 1 << 16
#: Fields of a message and of those in it that are counted, without its texts.
MOST_FIELDS: Final = 20_000
#: Fields that are counted on the loop, in 5 ms.
FIELDS_ON_LOOP: Final = 4000
#: Texts of a message: so many are parsed in 20 ms, during which no other thread runs.
MOST_TEXTS: Final = 1 << 19
#: Bytes of a list of numbers that a parser reads at once, where the message says so.
MOST_PACKED_BYTES: Final = 4096
_MORE: Final = 0x80
_MOST_SHIFT: Final = 63
_VARINT, _FIXED64, _BYTES, _GROUP, _FIXED32 = 0, 1, 2, 3, 5

#: By their numbers, which of its fields hold messages whose fields count, too; `TEXTS` for one that holds many texts,
#: `PACKED` for one that holds few numbers.
CountedFields: TypeAlias = Mapping[int, Any]
TEXTS: Final = "texts"
PACKED: Final = "packed"


class WireField(NamedTuple):
    """A field as it stands in a message: its number and type, and where it, and its value, begin and end."""

    number: int
    kind: int
    begin: int
    start: int
    end: int


def wire_fields(body: bytes, start: int, end: int) -> Iterator[WireField]:
    """The fields of a message between two places.

    Raises:
        IndexError: they are cut, or are no fields.
        Malformed: there is a group, which proto3 does not have.
    """
    at = start
    while at < end:
        begin = at
        key, at = _varint(body, at)
        kind = key & 7
        value = at
        if kind == _BYTES:
            size, value = _varint(body, at)
            at = value + size
        elif kind == _VARINT:
            _, at = _varint(body, at)
        elif kind in (_FIXED32, _FIXED64):
            at += 4 if kind == _FIXED32 else 8
        elif kind == _GROUP:
            raise Malformed("The message has a group, which no message of this protocol has.")
        else:
            raise IndexError
        yield WireField(key >> 3, kind, begin, value, at)
    if at > end:
        raise IndexError


def check_fields(body: bytes, counted: CountedFields) -> None:
    """Refuse a message of too many fields, or texts.

    Raises:
        Malformed: it has more than `MOST_FIELDS`, or `MOST_TEXTS`, or a group.
        LengthyWork: it has many.
    """
    left, texts = MOST_FIELDS, 0
    spans = [(0, len(body), counted)]
    try:
        # Messages that are found on the way follow.
        for start, end, inner in spans:
            for field in wire_fields(body, start, end):
                found = inner.get(field.number)
                if found is TEXTS:
                    texts += 1
                    if texts == FIELDS_ON_LOOP:
                        leave_loop()
                    if texts > MOST_TEXTS:
                        raise Malformed(f"The message has more than {MOST_TEXTS} texts. Send fewer rows.")
                    continue
                left -= 1
                if left == MOST_FIELDS - FIELDS_ON_LOOP:
                    leave_loop()
                if left < 0:
                    raise Malformed(
                        f"The message has more than {MOST_FIELDS} fields. Send fewer inputs and parameters."
                    )
                if field.kind == _BYTES and found is not None:
                    spans += _inner(field, found)
    except IndexError:
        return


def _inner(field: WireField, found: Any) -> list[tuple[int, int, CountedFields]]:
    """The message in a field."""
    if found is not PACKED:
        return [(field.start, field.end, found)]
    if field.end - field.start > MOST_PACKED_BYTES:
        raise Malformed("A shape in the message has too many sizes.")
    return []


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
