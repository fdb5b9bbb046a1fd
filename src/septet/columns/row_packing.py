"""The values of a request, kept as they came until the run: those of many requests become one array.

Numbers are kept as their bytes; texts, bytes, and numbers that may be missing, as a list.
"""

import struct
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from math import prod
from typing import Any, Final

import numpy as np

from septet.model.moments import is_moment
from septet.model.signature import DTYPES, Signature, Tensor
from septet.model.values import bare, counts, takes_null
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


class InputPacking:
    """Packs the values of one input; the axes behind the first have fixed sizes.

    Attributes:
        numbers: whether they are packed as bytes.
    """

    def __init__(self, tensor: Tensor) -> None:
        self._dtype = DTYPES[tensor.dtype]
        may_miss = any(takes_null(column, tensor.dtype) for column in tensor.columns)
        self._format = None if may_miss else _FORMATS.get(tensor.dtype)
        self.numbers = self._format is not None
        self._moments = is_moment(tensor.dtype)
        self._columns = tensor.columns or (bare(tensor),)
        self._row_shape = [size for size in tensor.shape[1:] if size is not None]
        self._pack_row = None if self._format is None else struct.Struct(f"{prod(self._row_shape)}{self._format}").pack

    def packer(self, count: int) -> Callable[..., bytes | list[Any]] | None:
        """What packs so many numbers, or texts of moments, its arguments; None where values are kept as they are.

        It raises struct.error where a whole number does not fit the dtype, and ValueError where a text is no moment.
        Other values must have been checked.
        """
        if self._moments:
            return lambda *cells: self.moments(cells)
        return None if self._format is None else struct.Struct(f"{count}{self._format}").pack

    def moments(self, texts: Iterable[str | None]) -> list[int | None]:
        """Pack texts of moments.

        Raises:
            ValueError: one is none.
        """
        return counts(texts, self._columns)

    def rows(self, rows: Iterable[Sequence[int | float]], count: int) -> bytes:
        """Pack so many rows of numbers, for an input of numbers.

        Raises:
            OverflowError: a whole number does not fit the dtype. Other values must have been checked.
        """
        if count == 1:
            (row,) = rows
            return self.row(row)
        pack = self._pack_row
        assert pack is not None  # noqa: S101 - the input is one of numbers
        try:
            return b"".join([pack(*row) for row in rows])
        except struct.error as error:
            raise OverflowError(str(error)) from None

    def row(self, row: Sequence[int | float]) -> bytes:
        """Pack one row; as `rows`."""
        assert self._pack_row is not None  # noqa: S101 - the input is one of numbers
        try:
            return self._pack_row(*row)
        except struct.error as error:
            raise OverflowError(str(error)) from None

    def nested(self, value: Sequence[Any], count: int) -> bytes | list[Any]:
        """Pack so many rows of lists, nested like the input; a text or bytes that are missing are None.

        Raises:
            OverflowError: a whole number does not fit the dtype. The types of values must have been checked.
            ValueError: a text is no moment.
        """
        rows: Iterable[Sequence[Any]] = value if self._row_shape else zip(value)
        for _ in self._row_shape[1:]:
            rows = [list(chain.from_iterable(row)) for row in rows]
        if self.numbers:
            return self.rows(rows, count)
        cells = list(chain.from_iterable(rows))
        return self.moments(cells) if self._moments else cells

    def array(self, parts: Sequence[Any]) -> Array:
        """The array of what was packed for several requests, one behind the other."""
        if self.numbers:
            return self.of(b"".join(parts))
        return np.array(list(chain.from_iterable(parts)), self._dtype).reshape(-1, *self._row_shape)

    def of(self, data: bytes) -> Array:
        """The array of packed numbers."""
        return np.frombuffer(data, self._dtype).reshape(-1, *self._row_shape)


class RowPacking:
    """The inputs of a signature, in its order."""

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self.inputs = tuple(InputPacking(tensor) for tensor in tensors)
        self._names = [tensor.name for tensor in tensors]
        self._single = len(tensors) == 1 and self.inputs[0].numbers
        # One object, by which requests that may be joined know each other.
        self._make = self._made_of_one if self._single else self._made

    def tensors(self, values: list[Any]) -> Deferred:
        """The tensors of packed values, those of each input."""
        return Deferred(self._make, values[0] if self._single else values)

    def one(self, row: Sequence[int | float]) -> Deferred:
        """The tensors of one row of a single input of numbers.

        Raises:
            OverflowError: as `InputPacking.rows`.
        """
        return Deferred(self._make, self.inputs[0].row(row))

    def _made_of_one(self, data: bytes) -> dict[str, Array]:
        return {self._names[0]: self.inputs[0].of(data)}

    def _made(self, values: Sequence[Any]) -> dict[str, Array]:
        count = len(self._names)
        return {
            name: packed.array(values[at::count])
            for at, (name, packed) in enumerate(zip(self._names, self.inputs, strict=True))
        }


def packable(signature: Signature) -> bool:
    """Whether the rows of each input are all of one shape, so that values alone say what a request is."""
    return signature.rows and all(all(tensor.shape[1:]) for tensor in signature.inputs)
