"""The columns of a DataFrame, rebuilt from tensors with the pandas dtypes that they had in training.

A text that is missing is None to a caller, however the training data wrote it. The model is given what it saw there:
`pandas_dtype` is `object` where that was None, `object[nan]` where it was NaN, and `object[NA]` where it was `pd.NA`.
"""

from typing import Any

import numpy as np

from septet.model.signature import Column
from septet.types import Array

_SPELLED = {"object[nan]": "nan", "object[NA]": "NA"}


def restored(values: Array, column: Column) -> Any:
    """One column, [N] as a tensor carries it, as an array of numpy or pandas that has the column's `pandas_dtype`.

    Where a value does not fit that dtype (a missing one among int64, 300 among uint8), the column has the dtype that
    pandas itself would give to it.
    """
    kind = column.pandas_dtype
    if kind is None:
        return unframed(values, column)
    if kind.startswith("category"):
        return _category(values, column, ordered=kind == "category[ordered]")
    if column.dtype == "string":
        return _text(values, kind)
    if column.dtype.startswith("datetime64"):
        return _moments(values, column, kind)
    if kind.startswith("object"):
        return as_objects(_objects(values, column, kind))
    return _numbers(values, column, kind)


def as_objects(values: Array) -> Any:
    """A column of the dtype `object`: pandas would make one of texts out of an array of them."""
    import pandas as pd

    return pd.Series(values, dtype=object)


def unframed(values: Array, column: Column) -> Array:
    """One column as numpy holds it: whole numbers and booleans as such where none is missing."""
    if column.dtype in ("int64", "uint64", "bool") and values.dtype.kind == "f" and not np.isnan(values).any():
        return values.astype(column.dtype)
    return values


def _text(values: Array, kind: str) -> Any:
    if kind == "object" or kind in _SPELLED:
        return as_objects(_filled(values, kind))
    import pandas as pd

    return pd.array(values, dtype=kind)


def _filled(values: Array, kind: str) -> Array:
    """Objects whose missing ones (None) are written as in training."""
    if kind == "object" or not any(value is None for value in values):
        return values
    missing: Any = np.nan
    if kind == "object[NA]":
        import pandas as pd

        missing = pd.NA
    made = np.empty(len(values), dtype=object)
    made[:] = [missing if value is None else value for value in values]
    return made


def _objects(values: Array, column: Column, kind: str) -> Array:
    """Numbers and booleans that stood there as Python's own."""
    whole = column.dtype if column.dtype in ("int64", "uint64", "bool") else "float64"
    gone = np.isnan(values) if values.dtype.kind == "f" else np.zeros(len(values), dtype=np.bool_)
    made = np.full(len(values), None, dtype=object)
    made[~gone] = values[~gone].astype(whole).astype(object)
    return _filled(made, kind)


def _numbers(values: Array, column: Column, kind: str) -> Any:
    if kind[0].isupper() or kind == "boolean" or "[pyarrow]" in kind:
        return _masked(values, column, kind)
    if column.dtype in ("int64", "uint64", "bool") and values.dtype.kind == "f" and np.isnan(values).any():
        if column.dtype == "bool":
            return as_objects(_objects(values, column, "object"))
        return values
    whole = unframed(values, column)
    made = whole.astype(kind)
    return whole if column.dtype in ("int64", "uint64") and not np.array_equal(made, whole) else made


def _masked(values: Array, column: Column, kind: str) -> Any:
    import pandas as pd

    if column.dtype == "float64":
        return pd.array(values.astype(np.float64), dtype="Float64").astype(kind)
    gone = np.isnan(values) if values.dtype.kind == "f" else np.zeros(len(values), dtype=np.bool_)
    whole = np.where(gone, 0, values).astype(column.dtype)
    made = pd.array(whole, dtype={"int64": "Int64", "uint64": "UInt64", "bool": "boolean"}[column.dtype])
    made[gone] = pd.NA
    # A number that does not fit would become another.
    narrow = whole if "[" in kind else whole.astype({"boolean": "bool"}.get(kind, kind.lower()))
    return made.astype(kind) if np.array_equal(narrow, whole) else made


def _category(values: Array, column: Column, *, ordered: bool) -> Any:
    import pandas as pd

    known: list[Any] = list(column.categories or ())
    cells = _objects(values, column, "object") if values.dtype != object else values
    places = {value: place for place, value in enumerate(known)}
    for value in cells.tolist():
        if value is not None and value not in places:
            places[value] = len(places)
            known.append(value)
    codes = np.array([-1 if value is None else places[value] for value in cells.tolist()], dtype=np.int64)
    return pd.Categorical.from_codes(codes, categories=pd.Index(known), ordered=ordered)


def _moments(values: Array, column: Column, kind: str) -> Any:
    import pandas as pd

    if kind == "date":
        made = np.full(len(values), None, dtype=object)
        there = ~np.isnat(values)
        made[there] = values[there].astype("datetime64[D]").astype(object)
        return as_objects(made)
    index = pd.DatetimeIndex(values)
    if column.timezone is not None:
        index = index.tz_localize("UTC").tz_convert(column.timezone)
    if not kind.startswith("object"):
        return index
    stamps = np.full(len(values), None, dtype=object)
    there = ~np.isnat(values)
    stamps[there] = index[there].astype(object)
    return as_objects(_filled(stamps, kind))
