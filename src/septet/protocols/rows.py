"""Rows of values in column order <-> the model's tensors."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from septet.model.signature import DTYPES, Column, Signature, Tensor
from septet.protocols.packed import Packed, packable
from septet.tensors import Deferred
from septet.types import Array, Tensors


class Rows:
    """Turns row tuples into tensors: one conversion per tensor, compiled from the signature.

    Attributes:
        columns: in the order of a row's values.
        row: makes the tensors of one row, checked to be of the columns' types and finite, where it is numbers alone;
            raises OverflowError where a number does not fit the dtype.
    """

    def __init__(self, signature: Signature) -> None:
        self.columns: tuple[Column, ...] = signature.columns
        self._tensors = signature.inputs
        self._single = len(signature.inputs) == 1
        self._strings = [i for i, column in enumerate(self.columns) if column.dtype == "string"]
        packed = Packed(signature.inputs) if packable(signature) else None
        # The numbers of a single input; texts, and several inputs, are kept as rows.
        self._packed = packed if packed is not None and self._single and packed.inputs[0].numbers else None
        self.row: Callable[[Sequence[int | float]], Tensors] | None = None
        if self._packed is not None:
            self.row = self._packed.one
        # A number above uint64's last must be noticed at once, and only making the array tells.
        self._certain = all(column.dtype != "uint64" for column in self.columns)
        # One object, by which requests that may be joined know each other.
        self._make = self._made

    def tensors(self, rows: Iterable[Sequence[Any]], count: int) -> Tensors:
        """Tensors for so many rows, checked to be of the columns' width and types; None stands for a missing value.

        Raises:
            OverflowError: a number does not fit the dtype.
        """
        if self._packed is not None:
            return self._packed.tensors([self._packed.inputs[0].rows(rows, count)])
        given = rows if isinstance(rows, list) else list(rows)
        return Deferred(self._make, given) if self._certain else self._made(given)

    def _made(self, rows: Sequence[Sequence[Any]]) -> dict[str, Array]:
        count = len(rows)
        if self._single:
            return {self._tensors[0].name: shaped(self._tensors[0], rows, count)}
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
