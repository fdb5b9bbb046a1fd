"""The raw tensors of gRPC messages, quickly: what is the same for every message of a shape is worked out once.

`ModelInferResponse` is written as bytes: protobuf lets the fields of a message follow each other in any number of
pieces, so a head with the model and the outputs, made by protobuf and remembered, is followed by the id and the values.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from septet.model.signature import DTYPES
from septet.model.values import is_text
from septet.protocols.openinference.contract import InferSchema
from septet.protocols.openinference.datatypes import input_from_raw, raw_bytes
from septet.protocols.openinference.missing import places
from septet.types import Array

MOST_REMEMBERED = 1024
# Tags of length-delimited fields: their number times 8, plus 2.
ID, RAW_OUTPUT, STREAMED = b"\x1a", b"\x32", b"\x12"
_ONE_BYTE = 0x80

#: Output names, dtypes and shapes.
Shapes: TypeAlias = tuple[tuple[str, str, tuple[int, ...]], ...]


class _Layout(NamedTuple):
    """An input of numbers that a request may have: its wire type, shape, and size in bytes."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    size: int


class RawInputs:
    """Reads raw inputs under one contract."""

    def __init__(self, contract: InferSchema) -> None:
        self._contract = contract
        self._layouts: dict[tuple[str | int, ...], _Layout] = {}

    def array(self, name: str, datatype: str, shape: Sequence[int], data: bytes, missing: object = None) -> Array:
        """The array of an input; `missing` is its parameter of that name, None where there is none.

        Raises:
            Invalid, Malformed: as `InferSchema.input`, `places` and `input_from_raw`.
        """
        key: tuple[str | int, ...] = (name, datatype, *shape)
        layout = self._layouts.get(key)
        if layout is not None and len(data) == layout.size and missing is None:
            return np.frombuffer(data, layout.dtype).reshape(layout.shape)
        sizes = list(shape)
        tensor = self._contract.input(name, datatype, sizes)
        at = () if missing is None else places(tensor, datatype, sizes, missing)
        array = input_from_raw(data, tensor, sizes, at)
        if tensor.dtype != "bool" and not is_text(tensor.dtype):  # the bytes of these must be looked at each time
            if len(self._layouts) >= MOST_REMEMBERED:
                self._layouts.clear()
            self._layouts[key] = _Layout(DTYPES[tensor.dtype].newbyteorder("<"), array.shape, len(data))
        return array


class RawAnswers:
    """Writes answers whose outputs are raw; `head` makes the message of an answer without its id and values."""

    def __init__(self, head: Callable[[Shapes], bytes]) -> None:
        self._head = head
        self._heads: dict[Shapes, bytes] = {}

    def write(self, message_id: str, outputs: Sequence[tuple[str, str, Array]]) -> bytes:
        """The message; `outputs` are names, dtypes and values."""
        shapes = tuple((name, dtype, array.shape) for name, dtype, array in outputs)
        head = self._heads.get(shapes)
        if head is None:
            if len(self._heads) >= MOST_REMEMBERED:
                self._heads.clear()
            head = self._heads[shapes] = self._head(shapes)
        parts: list[bytes | memoryview] = [head]
        if message_id:
            text = message_id.encode()
            parts += (ID, size(len(text)), text)
        for _, dtype, array in outputs:
            data = raw_bytes(array, dtype)
            parts += (RAW_OUTPUT, size(len(data)), data)
        return b"".join(parts)


def size(length: int) -> bytes:
    """A length as protobuf writes it: seven bits in a byte, the lowest first, the highest bit set but in the last."""
    if length < _ONE_BYTE:
        return bytes((length,))
    parts = bytearray()
    while length >= _ONE_BYTE:
        parts.append(length & (_ONE_BYTE - 1) | _ONE_BYTE)
        length >>= 7
    parts.append(length)
    return bytes(parts)
