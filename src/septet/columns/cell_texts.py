"""Texts of a table without types (the cells of CSV) -> the values of columns.

`read_text` is the rule for one cell. `TextColumns` and `ColumnTexts` read a thousand cells in one call, which takes a
tenth of the time. What Python's own readers take for a number is more than CSV has (`1_000`, `inf`, digits of any
script), so wherever a column has such a cell, or one that is not what its column asks for, nothing is read in the short
way and the cells are left to the careful one.
"""

from collections.abc import Callable, Sequence
from math import isfinite
from typing import Any, Final, TypeAlias

import msgspec
import numpy as np

from septet.columns.scalars import json_type
from septet.errors import MOST_PROBLEMS
from septet.model.base64_text import from_base64
from septet.model.moments import is_moment
from septet.model.signature import DTYPES, Column
from septet.model.values import (
    EXACT_LIMITS,
    FLOAT_LIMITS,
    INT_LIMITS,
    Mismatch,
    counts,
    expected,
    finest,
    read,
    takes_null,
    whole_limits,
)
from septet.types import Array

TRUE: Final = ("true", "1", "1.0")
FALSE: Final = ("false", "0", "0.0")
#: How tables write a missing value. A column of texts has only the empty cell: the others are texts there.
MISSING: Final = ("", "nan", "nat", "null", "none", "na", "<na>")

_TRUTH = {"true": True, "false": False, "True": True, "False": False, "1": True, "0": False}

_Read: TypeAlias = Callable[[Sequence[str]], Sequence[Any] | None]


class TextColumns:
    """Reads rows of cells as the columns ask for; `carriers` are the dtypes of their tensors."""

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
        for reader, place in zip(self._reads, order, strict=True):
            found = [None] * len(lines) if place is None else reader(cells[place])
            if found is None:
                return None
            values.append(found)
        return list(zip(*values, strict=True))


class ColumnTexts:
    """Reads the cells of one column as an array of the dtype of its tensor, `carrier`."""

    def __init__(self, column: Column, carrier: str) -> None:
        self._column = column
        self._carrier = carrier
        self._read = _reader(column, carrier)

    def __call__(self, cells: Sequence[str], most: int = MOST_PROBLEMS) -> tuple[Array, dict[int, str]]:
        """The values, [N], and of the first `most` cells that are none what was expected in their place, by row."""
        found = self._read(cells)
        if found is not None:
            return np.array(found, DTYPES[self._carrier]), {}
        values = np.zeros(len(cells), DTYPES[self._carrier])
        wrong: dict[int, str] = {}
        for row, cell in enumerate(cells):
            try:
                values[row : row + 1] = np.array([read_text(self._column, self._carrier, cell)], values.dtype)
            except Mismatch as mismatch:
                wrong[row] = mismatch.expected
                if len(wrong) >= most:
                    break
        return values, wrong


def read_text(column: Column, carrier: str, text: str) -> Any:
    """The text of a cell as the JSON value it stands for, read as such.

    Raises:
        Mismatch: the column does not take it.
    """
    if column.dtype in ("string", "bytes"):
        return read(column, carrier, text if text or not takes_null(column, carrier) else None)
    bare = text.strip()
    low = bare.lower()
    if low in MISSING:
        return read(column, carrier, None)
    if is_moment(column.dtype):
        return read(column, carrier, bare)
    if column.dtype == "bool":
        return read(column, carrier, True if low in TRUE else False if low in FALSE else text)
    try:
        # Python reads 1_000 and digits of any script; CSV writers do not write these.
        if "_" in bare or not bare.isascii():
            raise ValueError(text)
        return read(column, carrier, int(bare) if bare.lstrip("+-").isdigit() else float(bare))
    except ValueError:
        raise Mismatch(expected(column, carrier)) from None


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
    if column.dtype == "bytes":
        return _bytes
    if column.dtype == "bool":
        return _booleans
    if is_moment(column.dtype):
        return lambda cells: _moments(cells, column)
    # The decoder has no bound above 64 bits with a sign, and takes decimals wherever floats carry whole numbers.
    unsure = column.dtype == "uint64" or (column.dtype in INT_LIMITS and carrier in FLOAT_LIMITS)
    return _careful_numbers(column, carrier) if unsure else _numbers(column, carrier)


def _numbers(column: Column, carrier: str) -> _Read:
    """Numbers as JSON has them are read by its decoder, in a fifth of the time of `float`."""
    decode = msgspec.json.Decoder(list[json_type(column, carrier)]).decode  # type: ignore[misc]
    careful = _careful_numbers(column, carrier)

    def numbers(cells: Sequence[str]) -> Sequence[float] | None:
        text = ",".join(cells)
        # A cell that holds a comma, or nothing, would be another number of numbers.
        try:
            found = decode(f"[{text}]")
        except (msgspec.MsgspecError, UnicodeEncodeError):
            return careful(cells)
        return found if len(found) == len(cells) and text.count(",") == len(cells) - 1 else careful(cells)

    return numbers


def _careful_numbers(column: Column, carrier: str) -> _Read:
    if column.dtype in FLOAT_LIMITS:
        narrow = finest(column, carrier)
        return lambda cells: _floats(cells, FLOAT_LIMITS[narrow], EXACT_LIMITS[narrow])
    low, high = whole_limits(column, carrier)
    wholes = _decimal_wholes if carrier in FLOAT_LIMITS else _integers
    return lambda cells: wholes(cells, low, high)


def _texts(cells: Sequence[str]) -> Sequence[str]:
    return cells


def _bytes(cells: Sequence[str]) -> list[bytes] | None:
    try:
        return list(map(from_base64, cells))
    except ValueError:
        return None


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
