"""The numbers of a single input, kept as their bytes until the run: those of many requests become one array."""

import struct
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import numpy as np

from septet.model.signature import DTYPES, Signature, Tensor
from septet.tensors import Deferred
from septet.types import Array

#: The formats of the standard library's `struct`, by dtype.
_FORMATS: Final = {
    "bool": "?",
    "int8": "b",
    "int16": "h",
    "int32": "i",
    "int64": "q",
    "uint8": "B",
    "uint16": "H",
    "uint32": "I",
    "uint64": "Q",
    "float16": "e",
    "float32": "f",
    "float64": "d",
}
#: The counts of numbers whose packer is kept.
_MOST_PACKERS: Final = 64


class Packed:
    """Packs the numbers of one input; the axes behind the first have fixed sizes."""

    def __init__(self, tensor: Tensor) -> None:
        self._name = tensor.name
        self._dtype = DTYPES[tensor.dtype]
        self._format = _FORMATS[tensor.dtype]
        self._row_shape = [size for size in tensor.shape[1:] if size is not None]
        # One object, by which requests that may be joined know each other.
        self._make = self._made
        self._packers: dict[int, Callable[..., bytes]] = {}

    def numbers(self, values: Sequence[int | float]) -> Deferred:
        """The tensors of numbers in row-major order.

        Raises:
            OverflowError: a whole number does not fit the dtype. Other numbers must have been checked.
        """
        try:
            return Deferred(self._make, self._packer(len(values))(*values))
        except struct.error as error:
            raise OverflowError(str(error)) from None

    def rows(self, rows: Iterable[Sequence[int | float]], count: int) -> Deferred:
        """The tensors of so many rows of numbers, for an input of two axes or one; raises as `numbers` does."""
        if count == 1:
            (row,) = rows
            return self.numbers(row)
        pack = self._packer(self._row_shape[0] if self._row_shape else 1)
        try:
            return Deferred(self._make, b"".join([pack(*row) for row in rows]))
        except struct.error as error:
            raise OverflowError(str(error)) from None

    def data(self, data: bytes) -> Deferred:
        """The tensors of numbers that are bytes already, in this machine's own order."""
        return Deferred(self._make, data)

    def _packer(self, count: int) -> Callable[..., bytes]:
        packer = self._packers.get(count)
        if packer is None:
            packer = struct.Struct(f"{count}{self._format}").pack
            if len(self._packers) < _MOST_PACKERS:
                self._packers[count] = packer
        return packer

    def _made(self, data: bytes) -> dict[str, Array]:
        return {self._name: np.frombuffer(data, self._dtype).reshape(-1, *self._row_shape)}


def packable(signature: Signature) -> bool:
    """Whether a request is the numbers of a single input, whose rows are all of one shape."""
    (only, *others) = signature.inputs
    return (
        signature.rows
        and not others
        and only.dtype in _FORMATS
        and all(only.shape[1:])
        and not any(column.nullable for column in only.columns)
    )
