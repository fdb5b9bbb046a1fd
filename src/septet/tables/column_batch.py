"""What a table is read and written by: batches of columns, a bounded number of rows each.

A reader knows nothing of a model: it gives every column that the table has, as the table has it. What becomes of the
values is defined by a signature, in `septet.columns`.
"""

from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import Any, Final, Protocol, TypeAlias

import msgspec
import numpy as np

from septet.errors import Invalid, Problem
from septet.tensors import listed
from septet.types import Array

#: Rows of a batch, where nobody asks for another number.
BATCH_ROWS: Final = 1000

#: The values of a column, one for each row: an array, [N] or of more axes, or a list of Python's own values.
Values: TypeAlias = Array | Sequence[Any]


class TableForm(Enum):
    """What the columns of a table are made of.

    Attributes:
        COLUMNS: named columns of typed values.
        RECORDS: rows with keys of their own, as objects of JSON; `msgspec.UNSET` stands where a row has no such key.
        LISTS: rows without names; the columns are called x0, x1, ... in their order.
        TEXTS: named columns of texts that stand for values, in which an empty one may be missing.
        INPUTS: named tensors of a model: a value is a row of one, nested like it.
    """

    COLUMNS = "columns"
    RECORDS = "records"
    LISTS = "lists"
    TEXTS = "texts"
    INPUTS = "inputs"


class ColumnBatch(msgspec.Struct, frozen=True, eq=False):
    """Some rows of a table.

    Attributes:
        columns: by name, in the table's order; each has `rows` values.
        rows: how many.
        first_row: how many rows stand before them in the table.
        form: what the columns are made of.
        problems: rows that are no rows of this table, by their places in the whole; their values mean nothing.
    """

    columns: Mapping[str, Values]
    rows: int
    first_row: int = 0
    form: TableForm = TableForm.COLUMNS
    problems: tuple[Problem, ...] = ()

    def part(self, start: int, stop: int) -> "ColumnBatch":
        """The rows from `start` to `stop` of the batch; without its problems."""
        columns = {name: values[start:stop] for name, values in self.columns.items()}
        return ColumnBatch(columns, min(stop, self.rows) - start, self.first_row + start, self.form)


class Reader(Protocol):
    """Reads a table once, from its start to its end."""

    def batches(self, rows: int = BATCH_ROWS) -> Iterator[ColumnBatch]:
        """Its rows in their order, at most so many at a time; no batch is empty, and a table of no rows has none.

        Raises:
            Malformed: it is not of the format.
            Invalid: it is, and is no table.
        """


class TextOutput(Protocol):
    """Where a table is written as text."""

    def write(self, text: str, /) -> object:
        """Write some text."""


class Writer(Protocol):
    """Writes a table, batch by batch. All batches have the same columns."""

    def write(self, batch: ColumnBatch) -> None:
        """Write rows behind those that were written before."""

    def close(self) -> None:
        """Write what comes after the last row. The stream is left open."""


def numbered(count: int) -> list[str]:
    """The names of columns that have none."""
    return [f"x{place}" for place in range(count)]


def same_rows(columns: Mapping[str, Values]) -> int:
    """The number of rows of all columns.

    Raises:
        Invalid: they differ.
    """
    counts = {name: len(values) for name, values in columns.items()}
    if len(set(counts.values())) > 1:
        first, *others = counts.items()
        name, count = next(item for item in others if item[1] != first[1])
        text = f"Every input must have the same number of rows: {first[0]!r} has {first[1]} and {name!r} has {count}."
        raise Invalid(text, (Problem(None, name, f"{first[1]} rows", f"{count} rows"),))
    return next(iter(counts.values()))


def rows_of_values(batch: ColumnBatch) -> Iterator[tuple[Any, ...]]:
    """The rows of a batch, each with its values in the columns' order; those of arrays as Python's own."""
    return zip(*(_listed(values) for values in batch.columns.values()), strict=True)


def _listed(values: Values) -> Sequence[Any]:
    return listed(values) if isinstance(values, np.ndarray) else values
