"""Rows of values in column order <-> the model's tensors."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from msgspec import UNSET

from septet.columns.row_packing import RowPacking, packable
from septet.columns.stacking import shaped
from septet.model.moments import counted, is_moment
from septet.model.signature import Column, Signature
from septet.model.values import is_text
from septet.tensors import Deferred
from septet.types import Array, Tensors


class RowTensors:
    """Turns row tuples into tensors: one conversion per tensor, compiled from the signature.

    Attributes:
        columns: in the order of a row's values.
        carriers: of each column the dtype of its tensor.
        row: makes the tensors of one row, checked to be of the columns' types and finite, where it is numbers alone;
            raises OverflowError where a number does not fit the dtype.
        plain: whether the values of JSON are numbers alone, and none can be left out.
    """

    def __init__(self, signature: Signature) -> None:
        self.columns: tuple[Column, ...] = signature.columns
        self.carriers = [tensor.dtype for tensor in signature.inputs for _ in tensor.columns]
        self._tensors = signature.inputs
        self._single = len(signature.inputs) == 1
        self._strings = [i for i, column in enumerate(self.columns) if is_text(column.dtype)]
        self._moments = {i: column for i, column in enumerate(self.columns) if is_moment(column.dtype)}
        self._optional = any(column.optional for column in self.columns)
        self._loose = self._optional or bool(self._moments)
        self.plain = not self._strings and not self._loose
        packed = RowPacking(signature.inputs) if packable(signature) else None
        # The numbers of a single input; texts, and several inputs, are kept as rows.
        self._packed = packed if packed is not None and self._single and packed.inputs[0].numbers else None
        self.row: Callable[[Sequence[int | float]], Tensors] | None = None
        if self._packed is not None:
            self.row = self._packed.one
        # A number above uint64's last must be noticed at once, and only making the array tells.
        self._certain = "uint64" not in self.carriers
        # One object, by which requests that may be joined know each other.
        self._make = self._made

    def tensors(self, rows: Iterable[Sequence[Any]], count: int) -> Tensors:
        """Tensors for so many rows, checked to be of the columns' width and types.

        None stands for a missing value, and moments are counts of their units.

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

    def read(self, rows: Iterable[Sequence[Any]]) -> tuple[Sequence[Sequence[Any]], int, int]:
        """Rows of JSON's values, those that were left out as UNSET, as `tensors` takes them.

        With them how many cells hold a text, and how many were left out.

        Raises:
            ValueError: a text is no moment.
        """
        given = list(rows)
        if not self._loose:
            return given, sum(row[i] is not None for i in self._strings for row in given), 0
        texts = sum(isinstance(row[i], str | bytes) for i in self._strings for row in given)
        left_out = sum(cell is UNSET for row in given for cell in row) if self._optional else 0
        if not left_out and not self._moments:
            return given, texts, 0
        found: list[list[Any]] = [[None if cell is UNSET else cell for cell in row] for row in given]
        for at, column in self._moments.items():
            for row in found:
                text = row[at]
                row[at] = None if text is None else counted(text, column)
        return found, texts, left_out
