"""Whether decoded values fit the signature: missing values, infinities, bounds and categories.

Theory of operation. Each tensor gets one test that answers only whether all is well, in a few numpy calls over the
whole array; a request pays for no more. Only where it fails are the values looked at one by one, to say what is wrong.
A test for "all true" is a search for a zero byte: for one row that takes half the time of `.all()`.

A tensor without columns is no table: its floats may be NaN or infinite, as the masks of attention are.

Bounds are compared in the tensor's own dtype, so that a caller's 0.1 is not above a maximum of 0.1 after rounding.

A tensor of floats may carry columns of whole numbers and of booleans: then each of their values must be a whole number
in the column's range, or 0 or 1.
"""

import math
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final, TypeAlias

import msgspec
import numpy as np

from septet.errors import MOST_PROBLEMS, Problem
from septet.model.moments import NAT, counted, expected, is_moment, written
from septet.model.signature import DTYPES, Column, Signature, Tensor
from septet.model.values import INT_LIMITS, is_float, is_whole, takes_null
from septet.types import Array, Tensors

_SHOWN_CATEGORIES: Final = 3
_SHOWN_CHARACTERS: Final = 80

_Test: TypeAlias = Callable[[Array], bool]
_Mask: TypeAlias = Callable[[Array], Array]


class _Rule(msgspec.Struct, frozen=True):
    """What one column takes, in the dtype of its tensor.

    Attributes:
        name: the column's or tensor's.
        nullable: whether a value may be missing.
        low, high, categories: of the values, as the tensor holds them; moments as counts of their unit.
        expected: the same in words.
        whole: whether they must be whole numbers, which the tensor does not see to itself.
        text: how a received value is written where Python would write it otherwise.
        held: the type of values that the tensor holds as objects of Python.
        most_bytes: of bytes: how many a value may have.
    """

    name: str
    nullable: bool
    low: Any
    high: Any
    categories: frozenset[Any] | None
    expected: str
    whole: bool
    text: Callable[[Any], str] | None = None
    held: type = str
    most_bytes: int | None = None


class _Check(msgspec.Struct, frozen=True):
    """The check of one tensor: `test` whether all is well, `mask` which values are."""

    name: str
    rules: tuple[_Rule, ...]
    test: _Test
    mask: _Mask


class Checker:
    """The checks of one signature's inputs, compiled. Shapes and dtypes must have been checked before."""

    def __init__(self, signature: Signature) -> None:
        checks = (_check(tensor, _rules(tensor)) for tensor in signature.inputs)
        self._checks = tuple(check for check in checks if check is not None)

    def __call__(self, tensors: Tensors, *, first_row: int = 0, most: int = MOST_PROBLEMS) -> tuple[Problem, ...]:
        """Return what is wrong, at most `most` things; rows count along axis 0 from `first_row`."""
        found: list[Problem] = []
        for check in self._checks:
            array = tensors[check.name]
            if not check.test(array):
                found += _explained(array, check, first_row, most - len(found))
                if len(found) >= most:
                    break
        return tuple(found)

    def by_row(self, tensors: Tensors, *, first_row: int = 0) -> dict[int, list[Problem]]:
        """Return each bad row and all that is wrong with it, in the order of the rows, in linear time.

        Every tensor must have a row axis. Rows count from `first_row`; a row that is not named is good.
        """
        found: dict[int, list[Problem]] = {}
        for problem in self(tensors, first_row=first_row, most=sys.maxsize):
            assert problem.row is not None  # noqa: S101 - axis 0 is the row
            found.setdefault(problem.row, []).append(problem)
        return dict(sorted(found.items()))


def problems(
    signature: Signature, tensors: Tensors, *, first_row: int = 0, most: int = MOST_PROBLEMS
) -> tuple[Problem, ...]:
    """Return what is wrong with decoded tensors, at most `most` things; compile a `Checker` to ask more than once."""
    return Checker(signature)(tensors, first_row=first_row, most=most)


def _rules(tensor: Tensor) -> tuple[_Rule, ...]:
    if not tensor.columns:
        return (_rule(Column(tensor.name, tensor.dtype), tensor.dtype),)
    return tuple(_rule(column, tensor.dtype) for column in tensor.columns)


def _rule(column: Column, dtype: str) -> _Rule:
    low, high = _bounds(column, dtype)
    categories = None
    if column.categories is not None and not column.other_categories:
        categories = frozenset(_as_held(value, column, dtype) for value in column.categories)
    carried = column.dtype != dtype and DTYPES[dtype].kind == "f" and not is_float(column.dtype)
    text: Callable[[Any], str] | None = None
    if is_moment(column.dtype):
        text = partial(_written, column)
    elif dtype == "bytes":
        text = _counted_bytes
    return _Rule(
        column.name,
        takes_null(column, dtype),
        low,
        high,
        categories,
        _expected(column, dtype),
        carried,
        text,
        bytes if dtype == "bytes" else str,
        column.max_bytes,
    )


def _as_held(value: Any, column: Column, dtype: str) -> Any:
    if is_moment(dtype):
        return counted(str(value), column)
    return str(value) if dtype == "string" else DTYPES[dtype].type(value).item()


def _bounds(column: Column, dtype: str) -> tuple[Any, Any]:
    """Return the inclusive bounds as values of the dtype; those of floats leave out the infinities, of moments NaT."""
    if dtype in ("string", "bytes", "bool"):
        return None, None
    kind: np.dtype[Any] = np.dtype(np.int64) if is_moment(dtype) else DTYPES[dtype]
    low, high = column.minimum, column.maximum
    smallest, largest = _limits(column, dtype)
    if kind.kind != "f" or not is_float(column.dtype):
        low, high = low if low is None else math.ceil(low), high if high is None else math.floor(high)
    lowest = smallest if low is None else min(max(low, smallest), largest)
    highest = largest if high is None else min(max(high, smallest), largest)
    return kind.type(lowest), kind.type(highest)


def _limits(column: Column, dtype: str) -> tuple[Any, Any]:
    """Return the least and the greatest value that the column and its tensor have."""
    if is_moment(dtype):
        return NAT + 1, np.iinfo(np.int64).max
    if column.dtype == "bool":
        return 0, 1
    if not is_float(dtype):
        own = np.iinfo(column.dtype if column.dtype in INT_LIMITS else dtype)
        return max(own.min, np.iinfo(dtype).min), min(own.max, np.iinfo(dtype).max)
    # As Python's own numbers, for numpy would round a declared bound to the dtype before comparing.
    smallest, largest = float(np.finfo(dtype).min), float(np.finfo(dtype).max)
    if is_float(column.dtype):
        own_largest = float(np.finfo(column.dtype).max)
        return max(smallest, -own_largest), min(largest, own_largest)
    low, high = INT_LIMITS[column.dtype]
    # The float below the last integer of 64 bits, which itself would be rounded to one more.
    last = DTYPES[dtype].type(high)
    under = float(np.nextafter(last, DTYPES[dtype].type(0))) if float(last) > high else float(last)
    return max(float(low), smallest), min(under, largest)


def _expected(column: Column, dtype: str) -> str:
    null = " or null" if takes_null(column, dtype) else ""
    if column.categories is not None and not column.other_categories:
        shown = ", ".join(repr(value) for value in column.categories[:_SHOWN_CATEGORIES])
        more = len(column.categories) - _SHOWN_CATEGORIES
        return f"one of {shown}{f' ({more} more)' if more > 0 else ''}{null}"
    return _in_words(column, dtype) + null


def _in_words(column: Column, dtype: str) -> str:
    if dtype == "string":
        return "a string"
    if dtype == "bytes":
        return "bytes" if column.max_bytes is None else f"at most {column.max_bytes} bytes"
    if is_moment(dtype):
        bounded = column.minimum is not None or column.maximum is not None
        return expected(column) + (", within the column's bounds" if bounded else "")
    if column.dtype == "bool":
        return "true or false, as 1 or 0"
    return _between(
        column.minimum, column.maximum, "a whole number " if is_whole(column.dtype) and is_float(dtype) else ""
    )


def _between(low: float | None, high: float | None, noun: str) -> str:
    if low is not None and high is not None:
        return f"{noun}between {low:.15g} and {high:.15g}"
    if low is not None:
        return f"{noun}at least {low:.15g}"
    return f"{noun}at most {high:.15g}" if high is not None else noun.strip() or "a finite number"


def _check(tensor: Tensor, rules: tuple[_Rule, ...]) -> _Check | None:
    """Return the check of one tensor, or None where no array of its dtype can be wrong."""
    kind = DTYPES[tensor.dtype].kind
    if kind == "O":
        return _Check(tensor.name, rules, _object_test(rules), _object_mask(rules))
    if kind == "M":
        mask = _moment_mask(rules)
        return _Check(tensor.name, rules, _mask_test(mask), mask)
    if not tensor.columns:
        return None
    bounded = any(column.minimum is not None or column.maximum is not None for column in tensor.columns)
    carried = any(column.dtype != tensor.dtype for column in tensor.columns)
    listed = any(rule.categories is not None for rule in rules)
    if kind == "f" and not (bounded or listed or carried or any(rule.nullable for rule in rules)):
        return _Check(tensor.name, rules, _is_finite, np.isfinite)
    if kind != "f" and not (bounded or listed or carried):
        return None
    mask = _numeric_mask(rules, kind)
    test = _mask_test(mask) if bounded or listed or not any(rule.whole for rule in rules) else _whole_test(rules, mask)
    return _Check(tensor.name, rules, test, mask)


def _is_finite(array: Array) -> bool:
    return b"\0" not in np.isfinite(array).tobytes()


def _mask_test(mask: _Mask) -> _Test:
    return lambda array: b"\0" not in mask(array).tobytes()


def _whole_test(rules: tuple[_Rule, ...], mask: _Mask) -> _Test:
    """The test of floats some of whose columns are whole numbers: at first as if nothing were missing."""
    places = [at for at, rule in enumerate(rules) if rule.whole]
    low = np.array([rules[at].low for at in places])
    high = np.array([rules[at].high for at in places])
    adjacent = places == list(range(places[0], places[-1] + 1))
    # A slice is a view, and taken sooner than single columns.
    own = (slice(None), slice(places[0], places[-1] + 1) if adjacent else places)

    def test(array: Array) -> bool:
        numbers = array if len(rules) == 1 else array[own]
        whole = np.trunc(np.minimum(np.maximum(numbers, low), high)) == numbers
        if b"\0" not in whole.tobytes() and _is_finite(array):
            return True
        return b"\0" not in mask(array).tobytes()

    return test


def _numeric_mask(rules: tuple[_Rule, ...], kind: str) -> _Mask:
    nulls = np.array([rule.nullable for rule in rules]) if kind == "f" else None
    if nulls is not None and not nulls.any():
        nulls = None
    listed = [(at, np.array(sorted(rule.categories))) for at, rule in enumerate(rules) if rule.categories is not None]
    low = None if kind == "b" else np.array([rule.low for rule in rules])
    high = None if kind == "b" else np.array([rule.high for rule in rules])
    free = np.array([not rule.whole for rule in rules])

    def mask(array: Array) -> Array:
        fine = np.ones(array.shape, np.bool_) if low is None else (array >= low) & (array <= high)
        if not free.all():
            fine &= (np.trunc(array) == array) | free
        if listed:
            table, marks = array.reshape(-1, len(rules)), fine.reshape(-1, len(rules))
            for at, values in listed:
                marks[:, at] &= np.isin(table[:, at], values)
        if nulls is not None and b"\0" in fine.tobytes():
            fine |= np.isnan(array) & nulls
        return fine

    return mask


def _moment_mask(rules: tuple[_Rule, ...]) -> _Mask:
    """As of whole numbers; NaT is less than each."""
    numbers = _numeric_mask(rules, "i")
    nulls = np.array([rule.nullable for rule in rules])
    return lambda array: numbers(array.view(np.int64)) | (np.isnat(array) & nulls)


def _object_test(rules: tuple[_Rule, ...]) -> _Test:
    """The test of texts and of bytes."""
    types = [{rule.held, type(None)} if rule.nullable else {rule.held} for rule in rules]
    listed = [None if rule.categories is None else rule.categories | {None} for rule in rules]
    limits = [rule.most_bytes for rule in rules]

    def test(array: Array) -> bool:
        table = array.reshape(-1, len(rules))
        for at, (allowed, categories, most) in enumerate(zip(types, listed, limits, strict=True)):
            values: list[Any] = table[:, at].tolist()
            if not allowed.issuperset(map(type, values)):
                return False
            if categories is not None and not categories.issuperset(values):
                return False
            if most is not None and max(map(len, filter(None, values)), default=0) > most:
                return False
        return True

    return test


def _object_mask(rules: tuple[_Rule, ...]) -> _Mask:
    def fits(value: Any, rule: _Rule) -> bool:
        if isinstance(value, bytes) and rule.held is bytes:
            return rule.most_bytes is None or len(value) <= rule.most_bytes
        if isinstance(value, rule.held):
            return rule.categories is None or value in rule.categories
        return rule.nullable and (value is None or (isinstance(value, float) and math.isnan(value)))

    def mask(array: Array) -> Array:
        table = array.reshape(-1, len(rules))
        columns = [[fits(value, rule) for value in table[:, at].tolist()] for at, rule in enumerate(rules)]
        return np.array(columns, np.bool_).T.reshape(array.shape)

    return mask


def _explained(array: Array, check: _Check, first_row: int, most: int) -> Iterator[Problem]:
    width = max(math.prod(array.shape[1:]), 1)
    flat = array.ravel()
    for at in np.flatnonzero(~np.asarray(check.mask(array)))[:most].tolist():
        rule = check.rules[at % len(check.rules)]
        row = first_row + at // width if array.ndim else None
        yield Problem(row, rule.name, rule.expected, _received(flat[at]) if rule.text is None else rule.text(flat[at]))


def _written(column: Column, moment: np.datetime64) -> str:
    return written(moment, column) or "null"


def _counted_bytes(value: object) -> str:
    return f"{len(value)} bytes" if isinstance(value, bytes) else _received(value)


def _received(value: object) -> str:
    plain = value.item() if isinstance(value, np.generic) else value
    if plain is None:
        return "null"
    if isinstance(plain, float) and not math.isfinite(plain):
        return "NaN" if math.isnan(plain) else ("Infinity" if plain > 0 else "-Infinity")
    text = repr(plain)
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 3] + "..."
