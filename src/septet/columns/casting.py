"""Arrays of whatever dtype -> those of a model's inputs, where every value stays what it is.

A whole number written as floating point is taken for a column of whole numbers, a bool is no number, and a float may
lose digits but not its magnitude. A whole number that the carrier would change is refused. None, NaN, NaT and
`pandas.NA` all are a missing value; whether one may be missing is asked of all values together, by `validation`. A text
stands for bytes as base64.

`Caster` names every value that does not fit, in linear time, and raises nothing; `cast` and `cast_tensor` raise the
first of them.
"""

import math
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from septet.errors import MOST_PROBLEMS, Problem, invalid
from septet.model.base64_text import from_base64
from septet.model.moments import is_date, is_moment
from septet.model.received import received
from septet.model.signature import DTYPES, Column, Tensor
from septet.model.values import (
    EXACT_LIMITS,
    FLOAT_LIMITS,
    INT_LIMITS,
    Mismatch,
    bare,
    counts,
    expected,
    expected_exact,
    finest,
    holds_missing,
    is_missing,
    is_text,
    read,
    read_carried,
    takes_null,
    whole_limits,
)
from septet.types import Array

_MATRIX: Final = 2
_BYTES_ARRAY: Final = "an array of objects that are bytes, or texts of base64"


def cast(array: Array, column: Column, carrier: str) -> Array:
    """The values of one column, in the dtype of the tensor that carries it.

    Raises:
        Invalid: a value is of another type, out of range, or would be changed; with its row.
    """
    return _raised(array, Caster(carrier, (column,)), "column")


def cast_tensor(array: Array, tensor: Tensor) -> Array:
    """The values of an input: numbers as its tensor has them, all others each by the dtype of its column.

    Raises:
        Invalid: as `cast`, with the column where the input has some.
    """
    columns = tensor.columns
    if not columns:
        return _raised(array, Caster(tensor.dtype, (bare(tensor),)), "input")
    if array.ndim != _MATRIX or array.shape[1] != len(columns):
        columns = columns[:1]
    if array.dtype.kind in "iuf":
        return _raised(array, Caster(tensor.dtype, columns, carried=True), "column")
    if len({(each.dtype, each.timezone, is_date(each)) for each in columns}) == 1:
        return _raised(array, Caster(tensor.dtype, columns), "column")
    return np.stack([cast(array[:, at], each, tensor.dtype) for at, each in enumerate(columns)], axis=1)


def cast_cells(cells: Sequence[object], shape: Sequence[int], tensor: Tensor, first: int = 0) -> Array:
    """The values of an input of this shape as JSON has them, in row-major order from the place `first`: [values].

    A number may stand for a column of whole numbers or booleans that floats carry, and be NaN or infinite where floats
    do: of these `validation` asks.

    Raises:
        Invalid: some are not what their columns take: up to 20 of them, with their rows and columns.
    """
    caster = Caster(tensor.dtype, tensor.columns or (bare(tensor),), carried=True)
    found, wrong = caster.listed(cells, (len(cells),), MOST_PROBLEMS)
    if wrong:
        places = {first + at: what for at, what in wrong.items()}
        raise invalid(
            caster.problems(shape, places, lambda at: cells[at - first]), "column" if tensor.columns else "input"
        )
    return found


def cast_texts(texts: Array, tensor: Tensor) -> Array:
    """An array of texts or bytes (None where one is missing) as an input of texts, bytes or moments holds them.

    Raises:
        Invalid: one is no moment; with its row and column.
    """
    if not is_moment(tensor.dtype):
        return texts
    return cast_cells(texts.ravel().tolist(), texts.shape, tensor).reshape(texts.shape)


def uncarried(values: Array, column: Column) -> Array:
    """The values of one column, as its tensor carries them, in the column's own dtype; one with missing values is kept.

    The array is the same where nothing is to be changed.
    """
    if values.dtype == DTYPES[column.dtype] or (values.dtype.kind == "f" and np.isnan(values).any()):
        return values
    return values.astype(DTYPES[column.dtype])


def nearest(values: Array, dtype: str) -> Array:
    """Values in another dtype, each as the nearest that it has: rows that a model learned from, not those of a caller.

    Raises:
        TypeError, ValueError: one has none.
    """
    if dtype == "string":
        texts = np.empty(values.size, dtype=object)
        texts[:] = [None if is_missing(value) else str(value) for value in values.ravel().tolist()]
        return texts.reshape(values.shape)
    if dtype == "bytes":
        return _nearest_bytes(values)
    if values.dtype == object and not is_moment(dtype):
        # None is how a missing value looks among texts; numbers say NaN.
        cells = [np.nan if value is None else value for value in values.ravel().tolist()]
        values = np.array(cells, dtype=object).reshape(values.shape)
    return values.astype(DTYPES[dtype])


def _nearest_bytes(values: Array) -> Array:
    cells = [None if is_missing(value) else plain(value) for value in values.ravel().tolist()]
    if any(not isinstance(cell, bytes | None) for cell in cells):
        raise TypeError("a value is not bytes")
    return _array(cells, "bytes").reshape(values.shape)


def inexact(array: Array, dtype: str) -> Array:
    """Which whole numbers of an array of integers a dtype of floating point cannot hold exactly."""
    # Of the least int64 the magnitude is a number only without a sign.
    size = array.astype(np.uint64) if array.dtype.kind == "u" else np.abs(array.astype(np.int64)).view(np.uint64)
    lowest = size & (~size + np.uint64(1))
    odd = size // np.maximum(lowest, np.uint64(1))
    return np.asarray((odd >= np.uint64(EXACT_LIMITS[dtype])) | (size > np.float64(FLOAT_LIMITS[dtype])))


class Caster:
    """Casts the values of one column, or of several with the same dtype in an array of rows.

    `carrier` is the dtype of the tensor that carries them. `carried` values are those of the tensor: numbers for
    columns of whole numbers or booleans that floats carry.

    Attributes:
        expected: what a value, or an array of bytes, is in words.
    """

    def __init__(self, carrier: str, columns: tuple[Column, ...], *, carried: bool = False) -> None:
        self._carrier = carrier
        self._columns = columns
        self._column = columns[0]
        if carried and not is_text(carrier):
            self._column = Column(self._column.name, carrier, optional=self._column.optional)
        self._carried = carried
        self._read = read_carried if carried else read
        self._unread = all(column.optional for column in columns)
        # An array of numpy's own bytes has lost the zeros at their ends.
        self.expected = _BYTES_ARRAY if self._column.dtype == "bytes" else expected(self._column, carrier)
        self._nullable = all(takes_null(column, carrier) for column in columns)

    def __call__(self, array: Array, most: int = sys.maxsize) -> tuple[Array, dict[int, str]]:
        """The values in the carrier's dtype, and at least `most` of those that do not fit (all, where there are fewer).

        These by their places in row-major order, each with what was expected there; what the array holds in such a
        place says nothing.
        """
        dtype, kind = self._column.dtype, array.dtype.kind
        wrong: dict[int, str] = {}
        if kind in "OU":
            return self.listed(array.ravel().tolist(), array.shape, most)
        if not self.takes(array):
            _note(wrong, np.ones(array.shape, np.bool_), self.expected, most)
            return np.zeros(array.shape, DTYPES[self._carrier]), wrong
        if is_text(dtype):
            return self._moments(array, wrong, most), wrong
        if array.dtype == DTYPES[self._carrier] and dtype == self._carrier:
            return array, wrong
        with np.errstate(over="ignore", invalid="ignore"):
            converted = array.astype(DTYPES[self._carrier])
        if dtype in INT_LIMITS:
            self._check_whole(array, converted, wrong, most)
        elif dtype in FLOAT_LIMITS:
            narrow = finest(self._column, self._carrier)
            with np.errstate(over="ignore"):
                _note(wrong, np.isinf(array.astype(narrow)) & np.isfinite(array), self.expected, most)
            if kind in "iu" and not self._unread:
                _note(wrong, inexact(array, narrow), expected_exact(self._column, self._carrier), most)
        return converted, wrong

    def listed(
        self, cells: Sequence[Any], shape: tuple[int, ...], most: int = sys.maxsize
    ) -> tuple[Array, dict[int, str]]:
        """The same of the values of Python in a list, in row-major order, of an array of this shape."""
        quick = self.quick(cells)
        if quick is not None:
            return quick.reshape(shape), {}
        wrong: dict[int, str] = {}
        found: list[Any] = []
        for at, value in enumerate(cells):
            column = self._columns[at % len(self._columns)]
            floating = (self._carrier if self._carried else column.dtype) in FLOAT_LIMITS
            endless = floating and isinstance(value, float) and not math.isfinite(value)
            if endless or (is_missing(value) and takes_null(column, self._carrier)):
                found.append(value if endless else None)
                continue
            try:
                found.append(self._read(column, self._carrier, plain(value)))
            except Mismatch as mismatch:
                found.append(None if holds_missing(self._carrier) else 0)
                wrong[at] = mismatch.expected
                if len(wrong) >= most:
                    found += [found[-1]] * (len(cells) - len(found))
                    break
        return _array(found, self._carrier).reshape(shape), wrong

    def problems(
        self, shape: Sequence[int], wrong: dict[int, str], cell: Callable[[int], Any], first_row: int = 0
    ) -> list[Problem]:
        """What is wrong in an array of this shape, in its order; `cell` gives the value at a place."""
        width = max(math.prod(shape[1:]), 1)
        return [
            Problem(
                first_row + at // width if shape else None,
                self._columns[at % len(self._columns)].name,
                wrong[at],
                received(plain(cell(at))),
            )
            for at in sorted(wrong)
        ]

    def takes(self, array: Array) -> bool:
        """Whether values of an array's dtype can be values of the column."""
        dtype, kind = self._column.dtype, array.dtype.kind
        if kind in "OU":
            return True
        if is_text(dtype):
            return kind == "M" and is_moment(dtype)
        return kind in ("b" if dtype == "bool" else "iuf")

    def quick(self, cells: Sequence[Any]) -> Array | None:
        """The values of a list, [N], where all of them are plainly what the column takes; None where in doubt."""
        types = set(map(type, cells))
        if type(None) in types:
            if not self._nullable:
                return None
            types.remove(type(None))
        dtype = self._column.dtype
        if dtype == "bytes":
            return self._quick_bytes(cells) if types <= {bytes, str} else None
        if is_text(dtype):
            return self._quick_texts(cells) if types <= {str} else None
        if dtype == "bool":
            return _array(cells, self._carrier) if types <= {bool} else None
        if dtype in FLOAT_LIMITS:
            return self._quick_floats(cells) if types <= {int, float} else None
        return self._quick_wholes(cells) if types <= {int} else None

    def _quick_floats(self, cells: Sequence[Any]) -> Array | None:
        try:
            found = np.array(cells, np.float64)
        except OverflowError:
            return None
        # Below this magnitude each whole number is exact. What is missing is NaN by now, and in no order.
        limit = EXACT_LIMITS[finest(self._column, self._carrier)]
        if not found.size or (np.fmin.reduce(found) > -limit and np.fmax.reduce(found) < limit):
            return found.astype(DTYPES[self._carrier], copy=False)
        return None

    def _quick_wholes(self, cells: Sequence[Any]) -> Array | None:
        present = [cell for cell in cells if cell is not None] if self._nullable else cells
        least, most = whole_limits(self._column, self._carrier)
        fits = not present or (least <= min(present) and max(present) <= most)
        return _array(cells, self._carrier) if fits else None

    def _quick_texts(self, cells: Sequence[Any]) -> Array | None:
        try:
            if is_moment(self._column.dtype):
                return _array(counts(cells, self._columns), self._carrier)
            "".join(filter(None, cells)).encode()
        except ValueError:
            return None
        return _array(cells, self._carrier)

    def _quick_bytes(self, cells: Sequence[Any]) -> Array | None:
        try:
            return _array([from_base64(cell) if type(cell) is str else cell for cell in cells], self._carrier)
        except ValueError:
            return None

    def _check_whole(self, array: Array, converted: Array, wrong: dict[int, str], most: int) -> None:
        low, high = INT_LIMITS[self._column.dtype]
        if array.dtype.kind in "iu":
            good = (array >= low) & (array <= high)
        else:
            # The float next to the last integer of 64 bits is one more.
            good = (np.trunc(array) == array) & (array >= low) & (array < high + 1.0)
            good |= np.isnan(array) & holds_missing(self._carrier)
        _note(wrong, ~good, self.expected, most)
        if self._carrier in EXACT_LIMITS and not self._unread:
            changed = inexact(array, self._carrier) if array.dtype.kind in "iu" else _differ(array, converted)
            _note(wrong, changed, expected_exact(self._column, self._carrier), most)

    def _moments(self, array: Array, wrong: dict[int, str], most: int) -> Array:
        converted = array.astype(DTYPES[self._carrier])
        back = converted.astype(array.dtype)
        _note(wrong, _differ(array, back), f"{self.expected}, that {self._carrier} can hold", most)
        if is_date(self._column):
            days = array.astype("datetime64[D]").astype(array.dtype)
            _note(wrong, _differ(array, days), self.expected, most)
        return converted


def _note(wrong: dict[int, str], bad: Array, what: str, most: int) -> None:
    """Note the places that are bad, but for those of which something is said already."""
    if bad.any():
        for at in np.flatnonzero(bad)[:most].tolist():
            wrong.setdefault(at, what)


def _raised(array: Array, caster: Caster, noun: str) -> Array:
    """The array cast; `noun` says what the names of its columns are of.

    Raises:
        Invalid: some values do not fit.
    """
    found, wrong = caster(array, MOST_PROBLEMS)
    if wrong:
        flat = array.reshape(-1)
        raise invalid(caster.problems(array.shape, wrong, flat.__getitem__)[:MOST_PROBLEMS], noun)
    return found


def _array(cells: Sequence[Any], carrier: str) -> Array:
    if carrier in ("string", "bytes"):
        found = np.empty(len(cells), object)
        found[:] = cells
        return found
    return np.array(cells, DTYPES[carrier])


def plain(value: Any) -> Any:
    """A value of numpy, pandas or the standard library as JSON has it: a missing one as None, a moment as its text.

    Whatever holds bytes is bytes.
    """
    if is_missing(value) and not isinstance(value, float):
        return None
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    if isinstance(value, np.datetime64):
        return str(value)
    if isinstance(value, np.generic):
        return value.item()
    return value.isoformat() if hasattr(value, "isoformat") else value


def _differ(one: Array, other: Array) -> Array:
    """Where two arrays differ; what is missing in both is the same."""
    return np.asarray((one != other) & ~((one != one) & (other != other)))  # noqa: PLR0124 - NaN and NaT
