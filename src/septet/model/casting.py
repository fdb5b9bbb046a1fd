"""Arrays of whatever dtype -> those of a model's inputs, where every value stays what it is.

A whole number written as floating point is taken for a column of whole numbers, a bool is no number, and a float may
lose digits but not its magnitude. A whole number that the carrier would change is refused. None, NaN, NaT and
`pandas.NA` all are a missing value; whether one may be missing is asked of all values together, by `validation`.
"""

import math
from typing import Any, Final

import numpy as np

from septet.errors import MOST_PROBLEMS, Problem, invalid
from septet.model.moments import is_date
from septet.model.received import received
from septet.model.signature import DTYPES, Column, Tensor
from septet.model.values import (
    EXACT_LIMITS,
    FLOAT_LIMITS,
    INT_LIMITS,
    Mismatch,
    bare,
    expected,
    expected_exact,
    finest,
    holds_missing,
    is_missing,
    is_text,
    read,
    takes_null,
)
from septet.types import Array

_MATRIX: Final = 2


def cast(array: Array, column: Column, carrier: str) -> Array:
    """The values of one column, in the dtype of the tensor that carries it.

    Raises:
        Invalid: a value is of another type, out of range, or would be changed; with its row.
    """
    return _Caster(carrier, (column,), "column")(array)


def cast_tensor(array: Array, tensor: Tensor) -> Array:
    """The values of an input: numbers as its tensor has them, all others each by the dtype of its column.

    Raises:
        Invalid: as `cast`, with the column where the input has some.
    """
    columns = tensor.columns
    if not columns:
        return _Caster(tensor.dtype, (bare(tensor),), "input")(array)
    if array.ndim != _MATRIX or array.shape[1] != len(columns):
        columns = columns[:1]
    if array.dtype.kind in "iuf":
        carried = tuple(Column(each.name, tensor.dtype, optional=each.optional) for each in columns)
        return _Caster(tensor.dtype, carried, "column")(array)
    if len({(each.dtype, each.timezone, is_date(each)) for each in columns}) == 1:
        return _Caster(tensor.dtype, columns, "column")(array)
    return np.stack([cast(array[:, at], each, tensor.dtype) for at, each in enumerate(columns)], axis=1)


def uncarried(values: Array, column: Column) -> Array:
    """The values of one column, as its tensor carries them, in the column's own dtype; one with missing values is kept.

    The array is the same where nothing is to be changed.
    """
    if values.dtype == DTYPES[column.dtype] or (values.dtype.kind == "f" and np.isnan(values).any()):
        return values
    return values.astype(DTYPES[column.dtype])


def inexact(array: Array, dtype: str) -> Array:
    """Which whole numbers of an array of integers a dtype of floating point cannot hold exactly."""
    # Of the least int64 the magnitude is a number only without a sign.
    size = array.astype(np.uint64) if array.dtype.kind == "u" else np.abs(array.astype(np.int64)).view(np.uint64)
    lowest = size & (~size + np.uint64(1))
    odd = size // np.maximum(lowest, np.uint64(1))
    return np.asarray((odd >= np.uint64(EXACT_LIMITS[dtype])) | (size > np.float64(FLOAT_LIMITS[dtype])))


class _Caster:
    """Casts the values of one column, or of several with the same dtype in an array of rows.

    `noun` says what their names are of: a column, or an input.
    """

    def __init__(self, carrier: str, columns: tuple[Column, ...], noun: str) -> None:
        self._carrier = carrier
        self._columns = columns
        self._column = columns[0]
        self._unread = all(column.optional for column in columns)
        self._noun = noun
        self._expected = expected(self._column, carrier)

    def __call__(self, array: Array) -> Array:
        dtype, kind = self._column.dtype, array.dtype.kind
        if kind in "OU":
            return self._one_by_one(array)
        if is_text(dtype):
            return self._moments(array)
        if array.dtype == DTYPES[self._carrier] and dtype == self._carrier:
            return array
        if kind not in ("b" if dtype == "bool" else "iuf"):
            self._refuse(array, np.ones(array.shape, np.bool_), self._expected)
        with np.errstate(over="ignore", invalid="ignore"):
            converted = array.astype(DTYPES[self._carrier])
        if dtype in INT_LIMITS:
            self._check_whole(array, converted)
        elif dtype in FLOAT_LIMITS:
            narrow = finest(self._column, self._carrier)
            with np.errstate(over="ignore"):
                self._refuse(array, np.isinf(array.astype(narrow)) & np.isfinite(array), self._expected)
            if kind in "iu" and not self._unread:
                self._refuse(array, inexact(array, narrow), expected_exact(self._column, self._carrier))
        return converted

    def _check_whole(self, array: Array, converted: Array) -> None:
        low, high = INT_LIMITS[self._column.dtype]
        if array.dtype.kind in "iu":
            good = (array >= low) & (array <= high)
        else:
            # The float next to the last integer of 64 bits is one more.
            good = (np.trunc(array) == array) & (array >= low) & (array < high + 1.0)
            good |= np.isnan(array) & holds_missing(self._carrier)
        self._refuse(array, ~good, self._expected)
        if self._carrier in EXACT_LIMITS and not self._unread:
            changed = inexact(array, self._carrier) if array.dtype.kind in "iu" else _differ(array, converted)
            self._refuse(array, changed, expected_exact(self._column, self._carrier))

    def _moments(self, array: Array) -> Array:
        if array.dtype.kind != "M":
            self._refuse(array, np.ones(array.shape, np.bool_), self._expected)
        converted = array.astype(DTYPES[self._carrier])
        back = converted.astype(array.dtype)
        self._refuse(array, _differ(array, back), f"{self._expected}, that {self._carrier} can hold")
        if is_date(self._column):
            days = array.astype("datetime64[D]").astype(array.dtype)
            self._refuse(array, _differ(array, days), self._expected)
        return converted

    def _one_by_one(self, array: Array) -> Array:
        target = DTYPES[self._carrier]
        found = np.empty(array.size, object)
        wrong: dict[int, str] = {}
        for at, value in enumerate(array.ravel().tolist()):
            column = self._columns[at % len(self._columns)]
            endless = isinstance(value, float) and not math.isfinite(value) and column.dtype in FLOAT_LIMITS
            if endless or (is_missing(value) and takes_null(column, self._carrier)):
                found[at] = value if endless else None
                continue
            try:
                found[at] = read(column, self._carrier, plain(value))
            except Mismatch as mismatch:
                wrong[at] = mismatch.expected
                if len(wrong) == MOST_PROBLEMS:
                    break
        if wrong:
            self._tell(array, wrong)
        return (found if target.kind == "O" else np.array(found.tolist(), target)).reshape(array.shape)

    def _refuse(self, array: Array, bad: Array, what: str) -> None:
        if bad.any():
            self._tell(array, dict.fromkeys(np.flatnonzero(bad)[:MOST_PROBLEMS].tolist(), what))

    def _tell(self, array: Array, wrong: dict[int, str]) -> None:
        width = max(math.prod(array.shape[1:]), 1)
        flat = array.reshape(-1)
        problems = [
            Problem(
                at // width if array.ndim else None,
                self._columns[at % len(self._columns)].name,
                what,
                received(plain(flat[at])),
            )
            for at, what in wrong.items()
        ]
        raise invalid(problems, self._noun)


def plain(value: Any) -> Any:
    """A value of numpy, pandas or the standard library as JSON has it: a missing one as None, a moment as its text."""
    if is_missing(value) and not isinstance(value, float):
        return None
    if isinstance(value, np.datetime64):
        return str(value)
    if isinstance(value, np.generic):
        return value.item()
    return value.isoformat() if hasattr(value, "isoformat") else value


def _differ(one: Array, other: Array) -> Array:
    """Where two arrays differ; what is missing in both is the same."""
    return np.asarray((one != other) & ~((one != one) & (other != other)))  # noqa: PLR0124 - NaN and NaT
