"""The protobuf wire format, as far as ONNX needs it: walk the fields of a message and write fields back.

A message is a run of fields; a field is a key (number and wire type) and a value. Values of length-delimited fields
are handed out as views of the file, so walking over a tensor of 500 MB reads only its key and its length.
"""

from collections.abc import Iterator
from struct import Struct
from typing import TypeAlias

from septet.errors import DamagedModel

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_FIXED_SIZES = {FIXED64: 8, FIXED32: 4}
_VARINT_MAX_BYTES = 10
_HIGH_BIT = 0x80
_FLOAT = Struct("<f")
#: Fields of one message that are looked at: a graph has one for each of its nodes and constants.
MOST_FIELDS = 1_000_000

Value: TypeAlias = int | memoryview


def _damaged() -> DamagedModel:
    return DamagedModel("the bytes are not a complete ONNX model: the file is truncated or not an ONNX file")


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for index, byte in enumerate(data[at : at + _VARINT_MAX_BYTES]):
        value |= (byte & ~_HIGH_BIT) << (7 * index)
        if byte < _HIGH_BIT:
            return value, at + index + 1
    raise _damaged()


def fields(data: memoryview, most: int = MOST_FIELDS) -> Iterator[tuple[int, Value]]:
    """Yield number and value of each field; varints are unsigned, all other values are views.

    Raises:
        DamagedModel: the bytes end inside a field, are no protobuf message, or are one of more than `most` fields.
    """
    for count, (number, value, _) in enumerate(spans(data)):
        if count >= most:
            raise DamagedModel(f"a message in it has more than {most} fields, as no ONNX model has")
        yield number, value


def spans(data: memoryview) -> Iterator[tuple[int, Value, memoryview]]:
    """Yield number, value and the whole field as it is written, to copy; raises as `fields` does."""
    at, end = 0, len(data)
    while at < end:
        start = at
        key, at = _varint(data, at)
        number, kind = key >> 3, key & 7
        if number == 0:
            raise _damaged()
        if kind == VARINT:
            value, at = _varint(data, at)
            yield number, value, data[start:at]
            continue
        if kind == BYTES:
            size, at = _varint(data, at)
        elif kind in _FIXED_SIZES:
            size = _FIXED_SIZES[kind]
        else:
            raise _damaged()
        if at + size > end:
            raise _damaged()
        yield number, data[at : at + size], data[start : at + size]
        at += size


def view(value: Value) -> memoryview:
    """Return a length-delimited value; raise `DamagedModel` where the field holds a number."""
    if isinstance(value, int):
        raise _damaged()
    return value


def text(value: Value) -> str:
    """Return a string value; raise `DamagedModel` where it is not UTF-8."""
    try:
        return str(view(value), "utf-8")
    except UnicodeDecodeError as exc:
        raise _damaged() from exc


def signed(value: Value) -> int:
    """Return an int64 value, which is written as its two's complement."""
    if not isinstance(value, int):
        raise _damaged()
    return value - (1 << 64) if value >> 63 else value


def integers(value: Value) -> Iterator[int]:
    """Yield the integers of one field of a repeated int64, packed or not."""
    if isinstance(value, int):
        yield signed(value)
        return
    at = 0
    while at < len(value):
        number, at = _varint(value, at)
        yield signed(number)


def floats(value: Value) -> Iterator[float]:
    """Yield the numbers of one field of a repeated float32, packed or not; raise `DamagedModel` where one is cut."""
    data = view(value)
    if len(data) % _FLOAT.size:
        raise _damaged()
    for (each,) in _FLOAT.iter_unpack(data):
        yield each


def encode_varint(value: int) -> bytes:
    """Return an unsigned integer in base 128, lowest digits first."""
    out = bytearray()
    while value >= _HIGH_BIT:
        out.append(value & 0x7F | _HIGH_BIT)
        value >>= 7
    out.append(value)
    return bytes(out)


def encode(number: int, value: bytes | int | str) -> bytes:
    """Return one field, key included."""
    if isinstance(value, int):
        return encode_varint(number << 3 | VARINT) + encode_varint(value)
    data = value.encode() if isinstance(value, str) else value
    return b"".join((encode_varint(number << 3 | BYTES), encode_varint(len(data)), data))
