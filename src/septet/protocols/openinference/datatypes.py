"""The datatypes of the Open Inference Protocol, and their raw bytes: little-endian, row-major, without padding.

BOOL is one byte of 0 or 1. An element of BYTES is its length (4 bytes, unsigned) and then its bytes. The signature says
whether a tensor of BYTES holds bytes as they are, texts, which must be UTF-8, or moments, which are texts of ISO 8601.
"""

import math
import struct
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np

from septet.columns.casting import cast_texts
from septet.errors import Invalid, Malformed, Problem
from septet.lengthy_work import VALUES_ON_LOOP, leave_loop
from septet.model.moments import as_texts, is_moment
from septet.model.signature import DTYPES, Tensor
from septet.model.values import bare, is_text
from septet.protocols.openinference.missing_parameter import without
from septet.tensors import WORTH_A_VIEW, contiguous_bytes, listed
from septet.types import Array

#: By the signature's dtype.
DATATYPES: Final[dict[str, str]] = {
    "bool": "BOOL",
    "uint8": "UINT8",
    "uint16": "UINT16",
    "uint32": "UINT32",
    "uint64": "UINT64",
    "int8": "INT8",
    "int16": "INT16",
    "int32": "INT32",
    "int64": "INT64",
    "float16": "FP16",
    "float32": "FP32",
    "float64": "FP64",
    "string": "BYTES",
    "bytes": "BYTES",
    **{dtype: "BYTES" for dtype in DTYPES if is_moment(dtype)},
}
#: BYTES of which nothing more is said are texts.
_BY_DATATYPE: Final = {
    datatype: dtype for dtype, datatype in DATATYPES.items() if dtype == "string" or not is_text(dtype)
}
_WIRE: Final = {name: dtype.newbyteorder("<") for name, dtype in DTYPES.items()}
_LENGTH: Final = struct.Struct("<I")
_ALIGNMENT: Final = 16  # bytes; that of every array that numpy makes
#: Where the content of `bytes` begins among so many: every object does at a multiple of it, but those of a single byte,
#: which the interpreter holds elsewhere.
_CONTENT: Final = np.frombuffer(bytes(64), np.uint8).ctypes.data % _ALIGNMENT


def dtype_of(datatype: str, name: str) -> str:
    """The signature's dtype for a datatype; `name` is the tensor's, for the error.

    Raises:
        Invalid: there is no such datatype, or it is not supported.
    """
    dtype = _BY_DATATYPE.get(datatype)
    if dtype is not None:
        return dtype
    if datatype == "BF16":
        text = f"The datatype BF16 of {name!r} is not supported: the engine takes no arrays of it from Python."
    else:
        text = f"{name!r} has the unknown datatype {datatype[:40]!r}. Known are {', '.join(_BY_DATATYPE)}."
    raise Invalid(text, (Problem(None, name, "a datatype of the protocol", repr(datatype[:40])),))


def raw_bytes(array: Array, dtype: str) -> bytes | memoryview:
    """The raw bytes of an array of a signature's dtype; a large one is not copied where it is contiguous.

    A missing text (None) is written as an empty one: BYTES has no null.
    """
    if is_text(dtype):
        return elements_bytes(listed(array.ravel()))
    return contiguous_bytes(array)


def input_bytes(array: Array, tensor: Tensor) -> bytes:
    """The raw bytes of an input as a caller sends them: moments as their columns have them."""
    if is_moment(tensor.dtype):
        return bytes(raw_bytes(as_texts(array, tensor.columns or (bare(tensor),)), "string"))
    return bytes(raw_bytes(array, tensor.dtype))


def elements_bytes(values: Iterable[str | bytes | None]) -> bytes:
    """The raw bytes of BYTES; a missing element is written as an empty one."""
    parts: list[bytes] = []
    for value in values:
        element = element_bytes(value)
        parts += (_LENGTH.pack(len(element)), element)
    return b"".join(parts)


def element_bytes(value: object) -> bytes:
    """An element of BYTES: bytes as they are, a text as UTF-8, a missing one empty."""
    if isinstance(value, bytes):
        return value
    return b"" if value is None else str(value).encode()


def from_raw(data: bytes | memoryview, dtype: str, shape: Sequence[int], name: str) -> Array:
    """An array of a shape over raw bytes; `name` is the tensor's, for errors.

    Many numbers are not copied where they are aligned to 16 bytes; the array is read-only then.

    Raises:
        Invalid: the bytes are more or fewer than the shape needs, or the shape cannot be.
        Malformed: a BOOL is neither 0 nor 1, or a text is damaged or not UTF-8.
    """
    count = _count(shape, name)
    if is_text(dtype):
        elements = elements_of(bytes(data), count, dtype, name)
        return shaped(np.fromiter(elements, object, count), shape, name)
    kind = _WIRE[dtype]
    expected = count * kind.itemsize
    if len(data) != expected:
        text = f"{name!r} of shape {list(shape)} and datatype {DATATYPES[dtype]} needs {expected} bytes, received "
        raise Invalid(f"{text}{len(data)}.", (Problem(None, name, f"{expected} bytes", f"{len(data)} bytes"),))
    if dtype == "bool" and bytes(data).strip(b"\0\1"):
        raise _no_boolean(data, name)
    array: Array = np.frombuffer(data, kind)
    return shaped(array.copy() if len(data) < WORTH_A_VIEW else aligned(array), shape, name)


def input_from_raw(data: bytes | memoryview, tensor: Tensor, shape: Sequence[int], at: Sequence[int] = ()) -> Array:
    """As `from_raw`, for an input of the model; `at` are the places of its missing elements.

    Raises:
        Invalid, Malformed: as `from_raw`, and where a text is no moment or stands at one of these places.
    """
    array = from_raw(data, tensor.dtype, shape, tensor.name)
    return input_elements(array, tensor, at) if is_text(tensor.dtype) else array


def input_elements(elements: Array, tensor: Tensor, at: Sequence[int] = ()) -> Array:
    """The texts or bytes of an input as its tensor holds them: moments as such, and missing ones at the places of `at`.

    Raises:
        Invalid: a text is no moment, or stands at one of these places.
    """
    if at:
        elements = without(elements, at, tensor.name, elements.shape)
    return cast_texts(elements, tensor)


def aligned(array: Array) -> Array:
    """The array, copied where it does not begin at a multiple of 16 bytes.

    Behind a JSON header of any length, numbers may lie anywhere. Engines vectorise from the first aligned one on:
    elsewhere they would add up in another order, and answer with other last bits.
    """
    return array.copy() if array.__array_interface__["data"][0] % _ALIGNMENT else array


def view(data: bytes, dtype: np.dtype[Any], shape: tuple[int, ...], start: int) -> Array:
    """Numbers behind the first `start` bytes as an array like those of `from_raw`: sooner, and without its checks."""
    array: Array = np.ndarray(shape, dtype, data, start)
    # To ask an array where it lies takes longer than all of this.
    return array.copy() if (_CONTENT + start) % _ALIGNMENT else array


def _count(shape: Sequence[int], name: str) -> int:
    if shape and min(shape) < 0:
        text = f"{name!r} has the shape {list(shape)}; sizes cannot be negative in a request."
        raise Invalid(text, (Problem(None, name, "sizes of at least 0", str(list(shape))),))
    return math.prod(shape)


def shaped(array: Array, shape: Sequence[int], name: str) -> Array:
    """The array in a shape of as many values; `name` is the tensor's.

    Raises:
        Invalid: no array can have this shape.
    """
    try:
        return array.reshape(shape)
    except (ValueError, OverflowError):  # too many axes, or sizes beside a 0 that no array can have
        text = f"{name!r} has the shape {list(shape)!s:.80}, which no array can have."
        raise Invalid(text, (Problem(None, name, "a possible shape", f"{list(shape)!s:.80}"),)) from None


def _no_boolean(data: bytes | memoryview, name: str) -> Malformed:
    value = next(byte for byte in data if byte > 1)
    text = f"A BOOL of {name!r} has the byte {value}; it must be 0 or 1."
    return Malformed(text, (Problem(None, name, "bytes 0 or 1", f"byte {value}"),))


def elements_of(data: bytes, count: int, dtype: str, name: str) -> list[Any]:
    """So many elements of BYTES from their raw bytes: bytes for the dtype `bytes`, else texts.

    `name` is the tensor's, for errors.

    Raises:
        Malformed: they are damaged, or not UTF-8 where they are to be texts.
    """
    elements = _cut(data, count, name)
    if dtype == "bytes":
        return elements
    try:
        return list(map(bytes.decode, elements))
    except UnicodeDecodeError:
        raise not_utf8(elements, name) from None


def not_utf8(elements: Iterable[bytes], name: str) -> Malformed:
    """The error for elements of BYTES that are to be texts, and are not all UTF-8."""
    at = next(at for at, element in enumerate(elements) if not _is_utf8(element))
    return _damaged(name, "UTF-8", f"other bytes in element {at}")


def _is_utf8(element: bytes) -> bool:
    try:
        element.decode()
    except UnicodeDecodeError:
        return False
    return True


def _cut(data: bytes, count: int, name: str) -> list[bytes]:
    if count > VALUES_ON_LOOP:
        leave_loop()
    # Each takes 4 bytes at least: no more are looked for than can be, whatever the shape says.
    if count * _LENGTH.size > len(data):
        raise _damaged(name, f"at least {count * _LENGTH.size} bytes for {count} elements", f"{len(data)} bytes")
    end = len(data)
    elements: list[bytes] = []
    stop = 0
    try:
        for _ in range(count):
            begin = stop + _LENGTH.size
            stop = begin + _LENGTH.unpack_from(data, stop)[0]
            if stop > end:
                what = f"{stop - begin} bytes in element {len(elements)}, as its length says"
                raise _damaged(name, what, f"{end - begin} bytes up to the end")
            elements.append(data[begin:stop])
    except struct.error:
        raise _damaged(name, f"{count} elements", f"the end within element {len(elements)}") from None
    if stop != end:
        raise _damaged(name, f"{stop} bytes for {count} elements", f"{end} bytes")
    return elements


def _damaged(name: str, expected: str, received: str) -> Malformed:
    text = f"The BYTES of {name!r} are damaged: expected {expected}, received {received}."
    return Malformed(text, (Problem(None, name, expected, received),))
