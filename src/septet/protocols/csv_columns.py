"""Cells of CSV read column by column: one call for a thousand numbers, where reading each takes ten times as long.

What Python's own readers take for a number is more than CSV has (`1_000`, `inf`, digits of any script), so wherever a
column has such a cell, or one that is not what its column asks for, nothing is read and the cells are left to the
careful reading.
"""

from collections.abc import Callable, Sequence
from math import isfinite
from typing import Any, TypeAlias

from septet.model.signature import Column
from septet.protocols.cells import FLOAT_LIMITS, INT_LIMITS, takes_null

_TRUTH = {"true": True, "false": False, "True": True, "False": False, "1": True, "0": False}

_Read: TypeAlias = Callable[[Sequence[str]], Sequence[Any] | None]


class CsvColumns:
    """Reads cells as the columns ask for."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._reads = [_reader(column) for column in columns]

    def __call__(self, lines: Sequence[Sequence[str]], order: Sequence[int]) -> list[tuple[Any, ...]] | None:
        """Rows of values in the columns' order, each of which stands at its place in `order`; None where in doubt."""
        if set(map(len, lines)) != {len(order)}:
            return None
        cells = list(zip(*lines, strict=True))
        values: list[Sequence[Any]] = []
        for read, place in zip(self._reads, order, strict=True):
            found = read(cells[place])
            if found is None:
                return None
            values.append(found)
        return list(zip(*values, strict=True))


def _reader(column: Column) -> _Read:
    nullable = takes_null(column)
    if column.dtype == "string":
        return _texts_or_null if nullable else _texts
    if column.dtype == "bool":
        return _booleans
    if column.dtype in FLOAT_LIMITS:
        limit = FLOAT_LIMITS[column.dtype]
        return lambda cells: _floats(cells, limit, nullable=nullable)
    low, high = INT_LIMITS[column.dtype]
    return lambda cells: _integers(cells, low, high)


def _texts(cells: Sequence[str]) -> Sequence[str]:
    return cells


def _texts_or_null(cells: Sequence[str]) -> list[str | None]:
    return [cell or None for cell in cells]


def _booleans(cells: Sequence[str]) -> list[bool] | None:
    try:
        return [_TRUTH[cell] for cell in cells]
    except KeyError:
        return None


def _floats(cells: Sequence[str], limit: float, *, nullable: bool) -> Sequence[float | None] | None:
    present = [cell for cell in cells if cell] if nullable else cells
    if not _is_plain(present):
        return None
    try:
        found = list(map(float, present))
    except ValueError:
        return None
    if found and not (isfinite(sum(found)) and -limit <= min(found) and max(found) <= limit):
        return None
    if len(found) == len(cells):
        return found
    each = iter(found)
    return [next(each) if cell else None for cell in cells]


def _integers(cells: Sequence[str], low: int, high: int) -> list[int] | None:
    if not _is_plain(cells):
        return None
    try:
        found = list(map(int, cells))
    except ValueError:
        return None
    return found if low <= min(found) and max(found) <= high else None


def _is_plain(cells: Sequence[str]) -> bool:
    text = "".join(cells)
    return text.isascii() and "_" not in text
