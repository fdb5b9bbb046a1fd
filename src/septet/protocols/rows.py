"""Rows of values in column order <-> the model's tensors."""

import struct
from collections.abc import Sequence
from itertools import chain
from typing import Any, Final

import numpy as np

from septet.model.signature import DTYPES, Column, Signature, Tensor
from septet.tensors import Deferred
from septet.types import Array, Tensors

#: The formats of the standard library's `struct`, by dtype.
FORMATS: Final = {
    "bool": "?",
    **{"int8": "b", "int16": "h", "int32": "i", "int64": "q"},
    **{"uint8": "B", "uint16": "H", "uint32": "I", "uint64": "Q"},
    **{"float16": "e", "float32": "f", "float64": "d"},
}


class Rows:
    """Turns row tuples into tensors: one conversion per tensor, compiled from the signature."""

    def __init__(self, signature: Signature) -> None:
        self.columns: tuple[Column, ...] = signature.columns
        self._tensors = signature.inputs
        self._strings = [i for i, column in enumerate(self.columns) if column.dtype == "string"]
        self._width = len(self.columns)
        only = signature.inputs[0]
        self._name, self._dtype = only.name, DTYPES[only.dtype]
        self._row_shape = only.shape[1:]
        self._single = len(signature.inputs) == 1
        numbers = self._single and only.dtype != "string" and not any(column.nullable for column in self.columns)
        self._format = FORMATS[only.dtype] if numbers else None
        self._packed_row = struct.Struct(f"{self._width}{self._format}").pack if numbers else None
        # A number above uint64's last must be noticed at once, and only making the array tells.
        self._certain = all(column.dtype != "uint64" for column in self.columns)
        # One object each, by which requests that may be made together know each other.
        self._unpack, self._make = self._unpacked, self._made

    def tensors(self, rows: Sequence[Sequence[Any]]) -> Tensors:
        """Tensors for rows that were checked to be of the columns' width and types; None stands for a missing value.

        Raises:
            OverflowError: a number does not fit the dtype.
        """
        if self._packed_row is None:
            return Deferred(self._make, rows) if self._certain else self._made(rows)
        try:
            if len(rows) == 1:
                data = self._packed_row(*rows[0])
            else:
                data = struct.pack(f"{len(rows) * self._width}{self._format}", *chain.from_iterable(rows))
        except struct.error as error:
            raise OverflowError(str(error)) from None
        return Deferred(self._unpack, data)

    def _unpacked(self, data: bytes) -> dict[str, Array]:
        return {self._name: np.frombuffer(data, self._dtype).reshape(-1, *self._row_shape)}

    def _made(self, rows: Sequence[Sequence[Any]]) -> dict[str, Array]:
        count = len(rows)
        if self._single:
            return {self._name: shaped(self._tensors[0], rows, count)}
        values = list(zip(*rows, strict=True))
        arrays: dict[str, Array] = {}
        start = 0
        for tensor in self._tensors:
            stop = start + len(tensor.columns)
            cells: Sequence[Any] = values[start] if stop == start + 1 else list(zip(*values[start:stop], strict=True))
            arrays[tensor.name] = shaped(tensor, cells, count)
            start = stop
        return arrays

    def texts(self, rows: Sequence[Sequence[Any]]) -> int:
        """How many cells hold a text."""
        return sum(row[i] is not None for i in self._strings for row in rows) if self._strings else 0


def shaped(tensor: Tensor, cells: Sequence[Any], count: int) -> Array:
    """One array of a column-faced tensor's shape."""
    shape = (count,) if len(tensor.shape) == 1 else (count, len(tensor.columns))
    return np.array(cells, DTYPES[tensor.dtype]).reshape(shape)
