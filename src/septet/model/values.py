"""What one value of a column may be, and what becomes of it in the tensor that carries the column.

The one place of these rules: every codec of the server, the client and the readers of training data follow it. A value
is told by its column's own dtype; `carrier` is the dtype of the tensor, which may be another one. A whole number that
the carrier cannot hold exactly is refused, for it would be rounded to another one, unless the model does not read it; a
number written as a decimal is rounded to the nearest one.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np

from septet.model.moments import counted, is_moment
from septet.model.moments import expected as expected_moment
from septet.model.signature import DTYPES, Column, Tensor

#: The largest double that rounds to a finite value: the shortest text of float32's own maximum lies above that maximum.
FLOAT_LIMITS: Final = {
    "float16": math.nextafter((2 - 2**-11) * 2.0**15, 0.0),
    "float32": math.nextafter((2 - 2**-24) * 2.0**127, 0.0),
    "float64": float(np.finfo(np.float64).max),
}
INT_LIMITS: Final = {name: (int(np.iinfo(name).min), int(np.iinfo(name).max)) for name in DTYPES if "int" in name}
#: Up to this magnitude each whole number is one of floating point.
EXACT_LIMITS: Final = {"float16": 2**11, "float32": 2**24, "float64": 2**53}


class Mismatch(Exception):
    """Raised for a value that a column does not take; `expected` says what it should have been."""

    def __init__(self, expected: str) -> None:
        super().__init__(expected)
        self.expected = expected


def is_text(dtype: str) -> bool:
    """Whether values of the dtype are written as texts: texts themselves, and moments."""
    return dtype == "string" or is_moment(dtype)


def is_whole(dtype: str) -> bool:
    """Whether values of the dtype are whole numbers."""
    return dtype in INT_LIMITS


def is_float(dtype: str) -> bool:
    """Whether values of the dtype are of floating point."""
    return dtype in FLOAT_LIMITS


def holds_missing(carrier: str) -> bool:
    """Whether a tensor of this dtype can hold a missing value: None, NaN or NaT."""
    return carrier in FLOAT_LIMITS or is_text(carrier)


def takes_null(column: Column, carrier: str) -> bool:
    """Whether a missing value is accepted."""
    return (column.nullable or column.optional) and holds_missing(carrier)


def is_optional(tensor: Tensor) -> bool:
    """Whether an input may be left out of a request: the model reads none of its columns."""
    return bool(tensor.columns) and all(column.optional for column in tensor.columns) and holds_missing(tensor.dtype)


def is_missing(value: object) -> bool:
    """Whether a value of Python, numpy or pandas stands for a missing one: None, NaN, NaT or `pandas.NA`."""
    if value is None:
        return True
    if isinstance(value, float | np.floating):
        return bool(value != value)  # noqa: PLR0124 - NaN
    if isinstance(value, np.datetime64):
        return bool(np.isnat(value))
    return type(value).__name__ in ("NAType", "NaTType")


def bare(tensor: Tensor) -> Column:
    """A tensor without columns as the one column that all its values are of."""
    return Column(tensor.name, tensor.dtype)


def finest(column: Column, carrier: str) -> str:
    """Of the dtypes of a column and its tensor, the one that holds fewer numbers exactly."""
    limits = [(EXACT_LIMITS[name], name) for name in (column.dtype, carrier) if name in EXACT_LIMITS]
    return min(limits)[1] if limits else carrier


def whole_limits(column: Column, carrier: str) -> tuple[int, int]:
    """Between which numbers the carrier holds each whole one that the column takes."""
    low, high = INT_LIMITS[column.dtype]
    if carrier in EXACT_LIMITS:
        limit = EXACT_LIMITS[carrier]
        return max(low, -limit), min(high, limit)
    if carrier in INT_LIMITS:
        lowest, highest = INT_LIMITS[carrier]
        return max(low, lowest), min(high, highest)
    return low, high


def is_exact(value: int, dtype: str) -> bool:
    """Whether a dtype of floating point holds a whole number exactly."""
    limit = EXACT_LIMITS[dtype]
    if -limit <= value <= limit:
        return True
    return abs(value) <= FLOAT_LIMITS[dtype] and abs(value) // (value & -value) < limit


def expected(column: Column, carrier: str) -> str:
    """What a value of the column is, in words."""
    dtype = column.dtype
    if dtype == "string":
        return "a text"
    if is_moment(dtype):
        return expected_moment(column)
    if dtype == "bool":
        return "true or false"
    if dtype in FLOAT_LIMITS:
        return f"a finite number ({finest(column, carrier)})"
    low, high = INT_LIMITS[dtype]
    return f"a whole number from {low} to {high}"


def expected_exact(column: Column, carrier: str) -> str:
    """What is asked of a whole number that would be changed, in words."""
    dtype = finest(column, carrier)
    rounded = "" if is_whole(column.dtype) else "; a number with a decimal point is rounded"
    return f"a whole number that {dtype} holds exactly (each up to {EXACT_LIMITS[dtype]}{rounded})"


def read(column: Column, carrier: str, value: object) -> Any:
    """A value of JSON as its tensor holds it: a missing one as None, a moment as the count of its units.

    Raises:
        Mismatch: it is of another type or out of range, or is a whole number that would be changed.
    """
    dtype = column.dtype
    if value is None:
        if takes_null(column, carrier):
            return None
    elif is_text(dtype):
        if isinstance(value, str):
            return _text(column, value)
    elif isinstance(value, bool):
        if dtype == "bool":
            return value
    elif isinstance(value, int | float) and dtype != "bool":
        return _number(column, carrier, value)
    raise Mismatch(expected(column, carrier))


def read_carried(column: Column, carrier: str, value: object) -> Any:
    """As `read`, of a value in a tensor: a number for a column of whole numbers or booleans that floats carry.

    Whether it is whole, or 0 or 1, is asked of all values together by `validation`.
    """
    if column.dtype == carrier or isinstance(value, bool) or is_text(carrier):
        return read(column, carrier, value)
    return read(Column(column.name, carrier, column.nullable, optional=column.optional), carrier, value)


def _text(column: Column, value: str) -> Any:
    if is_moment(column.dtype):
        try:
            return counted(value, column)
        except ValueError as error:
            raise Mismatch(str(error)) from None
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Mismatch("a text without unpaired surrogates") from None
    return value


def _number(column: Column, carrier: str, value: float) -> Any:
    if column.dtype in FLOAT_LIMITS:
        dtype = finest(column, carrier)
        if not -FLOAT_LIMITS[dtype] <= value <= FLOAT_LIMITS[dtype]:
            raise Mismatch(expected(column, carrier))
        if isinstance(value, int) and not column.optional and not is_exact(value, dtype):
            raise Mismatch(expected_exact(column, carrier))
        return float(value)
    low, high = INT_LIMITS[column.dtype]
    if not low <= value <= high or value != math.floor(value):
        raise Mismatch(expected(column, carrier))
    whole = int(value)
    if carrier in EXACT_LIMITS and not column.optional and not is_exact(whole, carrier):
        raise Mismatch(expected_exact(column, carrier))
    return whole


def counts(cells: Iterable[str | None], columns: Sequence[Column]) -> list[int | None]:
    """Texts of moments, in row-major order, as counts of their units.

    Raises:
        ValueError: one is none.
    """
    if len(columns) == 1:
        (column,) = columns
        return [None if cell is None else counted(cell, column) for cell in cells]
    width = len(columns)
    return [None if cell is None else counted(cell, columns[at % width]) for at, cell in enumerate(cells)]
