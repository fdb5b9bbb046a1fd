"""Cells of CSV read column by column: one call for a thousand numbers, where reading each takes ten times as long.

What Python's own readers take for a number is more than CSV has (`1_000`, `inf`, digits of any script), so wherever a
column has such a cell, or one that is not what its column asks for, nothing is read and the cells are left to the
careful reading.
"""

from collections.abc import Callable, Sequence
from math import isfinite
from typing import Any, TypeAlias

from septet.model.moments import is_moment
from septet.model.signature import Column
from septet.model.values import EXACT_LIMITS, FLOAT_LIMITS, counts, finest, takes_null, whole_limits

_TRUTH = {"true": True, "false": False, "True": True, "False": False, "1": True, "0": False}

_Read: TypeAlias = Callable[[Sequence[str]], Sequence[Any] | None]


class CsvColumns:
    """Reads cells as the columns ask for; `carriers` are the dtypes of their tensors."""

    def __init__(self, columns: Sequence[Column], carriers: Sequence[str]) -> None:
        self._reads = [_reader(*each) for each in zip(columns, carriers, strict=True)]

    def __call__(
        self, lines: Sequence[Sequence[str]], order: Sequence[int | None], width: int
    ) -> list[tuple[Any, ...]] | None:
        """Rows of values in the columns' order; None where in doubt.

        Each column stands at its place in `order` among the `width` cells of a line; None for one that is left out.
        """
        if set(map(len, lines)) != {width}:
            return None
        cells = list(zip(*lines, strict=True))
        values: list[Sequence[Any]] = []
        for read, place in zip(self._reads, order, strict=True):
            found = [None] * len(lines) if place is None else read(cells[place])
            if found is None:
                return None
            values.append(found)
        return list(zip(*values, strict=True))


def _reader(column: Column, carrier: str) -> _Read:
    read = _of_present(column, carrier)
    if not takes_null(column, carrier):
        return read

    def with_missing(cells: Sequence[str]) -> Sequence[Any] | None:
        present = [cell for cell in cells if cell]
        found = read(present)
        if found is None or len(present) == len(cells):
            return found
        each = iter(found)
        return [next(each) if cell else None for cell in cells]

    return with_missing


def _of_present(column: Column, carrier: str) -> _Read:
    if column.dtype == "string":
        return _texts
    if column.dtype == "bool":
        return _booleans
    if is_moment(column.dtype):
        return lambda cells: _moments(cells, column)
    if column.dtype in FLOAT_LIMITS:
        narrow = finest(column, carrier)
        return lambda cells: _floats(cells, FLOAT_LIMITS[narrow], EXACT_LIMITS[narrow])
    low, high = whole_limits(column, carrier)
    wholes = _decimal_wholes if carrier in FLOAT_LIMITS else _integers
    return lambda cells: wholes(cells, low, high)


def _texts(cells: Sequence[str]) -> Sequence[str]:
    return cells


def _moments(cells: Sequence[str], column: Column) -> Sequence[int | None] | None:
    try:
        return counts(cells, (column,))
    except ValueError:
        return None


def _booleans(cells: Sequence[str]) -> list[bool] | None:
    try:
        return [_TRUTH[cell] for cell in cells]
    except KeyError:
        return None


def _floats(cells: Sequence[str], limit: float, exact: int) -> Sequence[float] | None:
    if not _is_plain(cells):
        return None
    try:
        found = list(map(float, cells))
    except ValueError:
        return None
    if not found:
        return found
    low, high = min(found), max(found)
    if not (isfinite(sum(found)) and -limit <= low and high <= limit):
        return None
    # Decimals are rounded; whole numbers beyond those that are all exact are looked at one by one.
    if (low <= -exact or high >= exact) and any(
        abs(each) >= exact and not _is_decimal(cell) for each, cell in zip(found, cells, strict=True)
    ):
        return None
    return _unsigned(found, cells) if 0.0 in found and "-0" in "".join(cells) else found


def _unsigned(found: Sequence[float], cells: Sequence[str]) -> list[float]:
    """The same, but that a whole zero has no sign, as in JSON."""
    return [each if each or _is_decimal(cell) else 0.0 for each, cell in zip(found, cells, strict=True)]


def _is_decimal(cell: str) -> bool:
    return "." in cell or "e" in cell or "E" in cell


def _integers(cells: Sequence[str], low: int, high: int) -> list[int] | None:
    if not _is_plain(cells):
        return None
    try:
        found = list(map(int, cells))
    except ValueError:
        return None
    return found if not found or (low <= min(found) and max(found) <= high) else None


def _decimal_wholes(cells: Sequence[str], low: int, high: int) -> Sequence[float] | None:
    """Whole numbers of a column that floats carry: libraries write those of one with missing values as 3.0."""
    found = _floats(cells, high, high)
    return found if found is not None and all(low <= each and each.is_integer() for each in found) else None


def _is_plain(cells: Sequence[str]) -> bool:
    text = "".join(cells)
    return text.isascii() and "_" not in text
