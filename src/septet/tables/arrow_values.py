"""Columns of Arrow as the values of a `ColumnBatch`, and back: nothing is rounded, and a null is never a number."""

from decimal import Decimal
from typing import Any, Final

import numpy as np

from septet.errors import MissingExtra
from septet.tables.column_batch import Values
from septet.tensors import listed
from septet.types import Array

try:
    import pyarrow as pa
except ImportError as exc:
    raise MissingExtra("Tables of Arrow and Parquet need pyarrow: pip install 'septet[batch]'") from exc

__all__ = ["is_readable", "pa", "python_values", "values_of"]

#: What a column of Arrow cannot be to any model: spans of time, and what is nested otherwise than in lists.
_UNREADABLE: Final = (
    pa.types.is_duration,
    pa.types.is_time,
    pa.types.is_interval,
    pa.types.is_struct,
    pa.types.is_map,
    pa.types.is_union,
)


def is_readable(kind: pa.DataType) -> bool:
    """Whether `values_of` takes a column of this type."""
    kind = _bare(kind)
    if _is_list(kind):
        return is_readable(kind.value_type)
    return not any(test(kind) for test in _UNREADABLE)


def values_of(column: pa.Array | pa.ChunkedArray) -> Values:
    """A column's values: an array of numpy where all of them are of one dtype there, else Python's own in an array.

    A null is None, but for floats (NaN) and moments (NaT), which have nothing else. A moment with a zone is in UTC. A
    decimal is the whole number that it is, or the nearest float.
    """
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(array.type, pa.BaseExtensionType):
        array = array.storage
    kind = array.type
    if pa.types.is_dictionary(kind):
        return _of_dictionary(array)
    if _is_list(kind):
        return _of_lists(array)
    if pa.types.is_decimal(kind):
        return _objects([None if value is None else _number(value) for value in array.to_pylist()])
    if array.null_count and (pa.types.is_integer(kind) or pa.types.is_boolean(kind)):
        return _with_none(array)
    return array.to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]


def python_values(column: pa.Array | pa.ChunkedArray) -> list[Any]:
    """A column's values as Python's own, a null as None: moments as ISO 8601 has them, decimals as their digits."""
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        texts: list[Any] = listed(np.asarray(values_of(column)))
        return texts if getattr(kind, "tz", None) is None else [None if each is None else f"{each}Z" for each in texts]
    if pa.types.is_decimal(kind):
        return [None if each is None else str(each) for each in column.to_pylist()]
    if not column.null_count and (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        return column.to_numpy().tolist()  # type: ignore[no-any-return]
    return column.to_pylist()  # type: ignore[no-any-return]


def _bare(kind: pa.DataType) -> pa.DataType:
    if isinstance(kind, pa.BaseExtensionType):
        return _bare(kind.storage_type)
    return _bare(kind.value_type) if pa.types.is_dictionary(kind) else kind


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _with_none(array: pa.Array) -> Array:
    """Whole numbers, or booleans, of which some are missing: as floats they would be rounded."""
    nothing = False if pa.types.is_boolean(array.type) else 0
    found: Array = array.fill_null(nothing).to_numpy(zero_copy_only=False).astype(object)
    found[array.is_null().to_numpy(zero_copy_only=False)] = None
    return found


def _of_dictionary(array: pa.DictionaryArray) -> Values:
    known: Array = np.asarray(values_of(array.dictionary))
    places: Array = array.indices.cast(pa.int64()).fill_null(len(known)).to_numpy()
    if array.null_count or known.dtype.kind == "O":
        # The last place is that of a null.
        known = _objects([*known.tolist(), None])
    return known[places]


def _of_lists(array: pa.Array) -> Values:
    """Lists of one length as an array, one axis more than their values; others as lists of Python's own values."""
    if len(array) and not array.null_count:
        flat = array.flatten()
        width = len(flat) // len(array)
        lengths = pa.compute.list_value_length(array)
        if not flat.null_count and pa.compute.all(pa.compute.equal(lengths, width)).as_py():
            values = values_of(flat)
            if isinstance(values, np.ndarray):
                return values.reshape(len(array), width, *values.shape[1:])
    return array.to_pylist()  # type: ignore[no-any-return]


def _number(value: Decimal) -> int | float:
    whole = int(value) if value.is_finite() else None
    return whole if whole is not None and whole == value else float(value)


def _objects(values: list[Any]) -> Array:
    found = np.empty(len(values), object)
    found[:] = values
    return found
