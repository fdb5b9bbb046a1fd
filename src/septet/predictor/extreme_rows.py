"""Rows of values far from ordinary: what one caller may send beside another.

Code that looks at its whole batch, for a mean, a scale, the values that occur or the longest text, shows it beside
these.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from septet.model.signature import Column, Signature
from septet.model.validation import problems
from septet.types import Array, Tensors

#: How many extreme rows there are.
EXTREME_ROWS = 6
_NUMBERS = (1e6, -1e30, None, -1e6, 1e-30, 0.0)
_WHOLE = (1_000_000, -1_000_000, None, 1, 0, 7)
_TEXTS = ("", "x " * 2000, None, "\N{SNOWMAN} no such text", "é", "0")
_BYTES = (b"", b"\xff" * 4000, None, b"\0", b"no such bytes", b"0")
# Of more columns than these, not each is missing by itself.
_MOST_NULLS = 32


def extreme_rows(signature: Signature, row: Tensors, places: Sequence[int] = range(EXTREME_ROWS)) -> Tensors:
    """Extreme rows that the signature allows; a value that it does not is that of `row`, which has one row.

    `places` tells which of them are made.
    """
    made: dict[str, Array] = {}
    for tensor in signature.inputs:
        array = np.repeat(row[tensor.name][:1], len(places), axis=0)
        if tensor.columns:
            table = array.reshape(len(places), len(tensor.columns))  # a view
            for at, column in enumerate(tensor.columns):
                table[:, at] = [_cell(column, place, table[made_at, at]) for made_at, place in enumerate(places)]
        elif array.dtype.kind == "f":
            for made_at, value in enumerate([_NUMBERS[place] for place in places]):
                array[made_at] = np.nan if value is None else _number(value, array.dtype)
        made[tensor.name] = array
    _restore(signature, made, row)
    return made


def _cell(column: Column, place: int, ordinary: Any) -> Any:
    """An extreme value of a column, in the dtype of its tensor."""
    if column.dtype in ("string", "bytes") and column.categories is None:
        value = (_TEXTS if column.dtype == "string" else _BYTES)[place]
        return _missing(column, ordinary) if value is None else value
    dtype = np.asarray(ordinary).dtype
    if column.dtype.startswith("datetime64") or column.dtype == "bool" or column.categories is not None:
        return _missing(column, ordinary) if _NUMBERS[place] is None else ordinary
    number = (_NUMBERS if column.dtype.startswith("float") else _WHOLE)[place]
    return _missing(column, ordinary) if number is None else _number(number, dtype)


def _number(value: float, dtype: np.dtype[Any]) -> Any:
    if dtype.kind == "f":
        limits = np.finfo(dtype)
        return min(max(value, float(limits.min)), float(limits.max))
    if dtype.kind in "iu":
        whole = np.iinfo(dtype)
        return int(min(max(value, whole.min), whole.max))
    return value


def _missing(column: Column, ordinary: Any) -> Any:
    if not column.nullable:
        return ordinary
    if column.dtype in ("string", "bytes"):
        return None
    return np.datetime64("NaT") if column.dtype.startswith("datetime64") else np.nan


def _restore(signature: Signature, made: dict[str, Array], row: Tensors) -> None:
    """Put ordinary values where the signature allows no others."""
    rows = len(next(iter(made.values())))
    wrong = problems(signature, made, most=rows * max(1, len(signature.columns)) * 2)
    if not wrong:
        return
    places = {(problem.row, problem.column) for problem in wrong}
    for tensor in signature.inputs:
        for at, column in enumerate(tensor.columns):
            table = made[tensor.name].reshape(rows, len(tensor.columns))
            for place in range(rows):
                if (place, column.name) in places:
                    table[place, at] = row[tensor.name].reshape(-1, len(tensor.columns))[0, at]


def nulls(signature: Signature, row: Tensors) -> Iterator[Tensors]:
    """The row with one value missing, for each column that may be."""
    count = 0
    for tensor in signature.inputs:
        for at, column in enumerate(tensor.columns):
            if not column.nullable or count == _MOST_NULLS:
                continue
            count += 1
            changed = row[tensor.name][:1].copy()
            table = changed.reshape(1, len(tensor.columns))
            table[0, at] = _missing(column, table[0, at])
            yield {**{name: array[:1] for name, array in row.items()}, tensor.name: changed}
