"""Rows of values in column order <-> the model's tensors."""

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

from septet.model.signature import DTYPES, Column, Signature, Tensor
from septet.types import Array, Tensors


class Rows:
    """Turns row tuples into tensors: one numpy conversion per tensor, compiled from the signature."""

    def __init__(self, signature: Signature) -> None:
        self.columns: tuple[Column, ...] = signature.columns
        self._tensors = signature.inputs
        self._strings = [i for i, column in enumerate(self.columns) if column.dtype == "string"]
        only = signature.inputs[0]
        self._single = len(signature.inputs) == 1
        plain = self._single and only.dtype != "string" and not any(column.nullable for column in self.columns)
        self._plain = DTYPES[only.dtype] if plain else None
        self._width = len(self.columns)
        self._flat = len(only.shape) == 1

    def tensors(self, rows: Sequence[Sequence[Any]]) -> Tensors:
        """Arrays for rows that were checked to be of the columns' width and types; None stands for a missing value.

        Raises:
            OverflowError: an integer does not fit the dtype.
        """
        count = len(rows)
        if self._plain is not None:
            if count == 1 and not self._flat:
                return {self._tensors[0].name: np.array(rows, self._plain)}
            array = np.fromiter(chain.from_iterable(rows), self._plain, count * self._width)
            return {self._tensors[0].name: array if self._flat else array.reshape(count, self._width)}
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
