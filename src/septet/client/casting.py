"""Arrays of whatever dtype -> the model's, where every value stays what it is."""

import numpy as np

from septet.errors import MOST_PROBLEMS, Problem, invalid
from septet.model.signature import DTYPES, Column, Tensor
from septet.protocols.cells import INT_LIMITS, expected, received
from septet.types import Array


def cast(array: Array, to: Column | Tensor, columns: tuple[str, ...] = ()) -> Array:
    """The array in the dtype of a column or tensor; `columns` name the positions on axis 1, for errors.

    A whole number written as floating point is taken as an integer, a bool is no number, and a float may lose digits
    but not its magnitude.

    Raises:
        Invalid: a value is of another type, or out of range.
    """
    target = DTYPES[to.dtype]
    if to.dtype == "string":
        array = array.astype(object) if array.dtype.kind == "U" else array
        texts_only(array, to, columns)
        return array
    if array.dtype == target:
        return array
    if array.dtype == object:
        array = _unboxed(array, to, columns)
    if array.dtype.kind not in ("b" if to.dtype == "bool" else "iuf"):
        _refuse(array, np.ones(array.shape, bool), to, columns)
    with np.errstate(over="ignore", invalid="ignore"):
        converted = array.astype(target)
    if target.kind == "f":
        _refuse(array, np.isinf(converted) & ~np.isinf(array), to, columns)
    elif target.kind in "iu":
        low, high = INT_LIMITS[to.dtype]
        whole = array.dtype.kind in "iu"
        good = (array >= low) & (array <= high) if whole else (np.trunc(array) == array) & (converted == array)
        _refuse(array, ~good, to, columns)
    return converted


def texts_only(array: Array, to: Column | Tensor, columns: tuple[str, ...] = ()) -> None:
    """Refuse what is not a text, missing values included: the protocol's BYTES has no null.

    Raises:
        Invalid: a value is no text.
    """
    bad = np.fromiter((not isinstance(value, str) for value in array.ravel().tolist()), bool, array.size)
    _refuse(array, bad.reshape(array.shape), to, columns)


def _unboxed(array: Array, to: Column | Tensor, columns: tuple[str, ...]) -> Array:
    """An array of objects as one of numbers, or of booleans."""
    values = array.ravel().tolist()
    wanted = bool if to.dtype == "bool" else int | float
    bad = (not isinstance(each, wanted) or isinstance(each, bool) != (to.dtype == "bool") for each in values)
    _refuse(array, np.fromiter(bad, bool, array.size).reshape(array.shape), to, columns)
    return np.array(values).reshape(array.shape)


def _refuse(array: Array, bad: Array, to: Column | Tensor, columns: tuple[str, ...]) -> None:
    if not bad.any():
        return
    problems = []
    for place in np.argwhere(bad)[:MOST_PROBLEMS]:
        name = columns[place[1]] if columns else to.name
        value = array[tuple(place)]
        shown = received(value.item() if isinstance(value, np.generic) else value)
        problems.append(Problem(int(place[0]) if len(place) else None, name, expected(to.dtype), shown))
    raise invalid(problems, "column" if columns or isinstance(to, Column) else "input")
