"""The columns of a DataFrame, rebuilt from tensors with the pandas dtypes that they had in training.

A text that is missing is None to a caller, however the training data wrote it. The model is given what it saw there:
`pandas_dtype` is `object` where that was None, `object[nan]` where it was NaN, and `object[NA]` where it was `pd.NA`.

A column's dtype comes from the signature alone, never from the values that happen to stand in it: a row has the same
form by itself as among the rows of others.
"""

import re
from typing import Any

import numpy as np

from septet.model.signature import Column
from septet.types import Array

_WHOLE = ("int64", "uint64", "bool")
_MASKED = {"int64": "Int64", "uint64": "UInt64", "bool": "boolean"}
_SPELLED = {"object[nan]": "nan", "object[NA]": "NA"}


def restored(values: Array, column: Column) -> Any:
    """One column, [N] as a tensor carries it, as an array of numpy or pandas that has the column's `pandas_dtype`.

    Where a value that the signature allows does not fit that dtype, every row has the dtype that pandas would give to
    a column with such a value: float64 for whole numbers of numpy that may be missing, int64 for an int8 without
    bounds.
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
    """One column as numpy holds it: whole numbers and booleans as such where none may be missing."""
    if column.dtype in _WHOLE and values.dtype.kind == "f" and not _may_be_missing(values, column):
        return values.astype(column.dtype)
    return values


def _may_be_missing(values: Array, column: Column) -> bool:
    """As the signature has it. Rows that break it reach no model; they are not made into numbers all the same."""
    return column.nullable or (values.dtype.kind == "f" and bool(np.isnan(values).any()))


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
    whole = column.dtype if column.dtype in _WHOLE else "float64"
    gone = np.isnan(values) if values.dtype.kind == "f" else np.zeros(len(values), dtype=np.bool_)
    made = np.full(len(values), None, dtype=object)
    made[~gone] = values[~gone].astype(whole).astype(object)
    return _filled(made, kind)


def _numbers(values: Array, column: Column, kind: str) -> Any:
    if kind[0].isupper() or kind == "boolean" or "[pyarrow]" in kind:
        return _masked(values, column, kind)
    dtype = np.dtype(kind)
    if dtype.kind in "iub" and _may_be_missing(values, column):
        return as_objects(_objects(values, column, "object")) if column.dtype == "bool" else values.astype(np.float64)
    return values.astype(dtype if holds(column) else column.dtype)


def holds(column: Column) -> bool:
    """Whether the dtype that a column of whole numbers had in training holds each number that the signature allows."""
    limits = narrow(column)
    if limits is None:
        return True
    least, most = limits
    low, high = column.minimum, column.maximum
    return low is not None and high is not None and low >= least and high <= most


def narrow(column: Column) -> tuple[int, int] | None:
    """The bounds of a column's `pandas_dtype`, where that holds fewer whole numbers than the column's own dtype."""
    own = re.fullmatch("(u?int)(8|16|32|64)", (column.pandas_dtype or "").lower().removesuffix("[pyarrow]"))
    if own is None or column.dtype not in ("int64", "uint64") or own[0] == column.dtype:
        return None
    limits = np.iinfo(own[0])
    return int(limits.min), int(limits.max)


def _masked(values: Array, column: Column, kind: str) -> Any:
    import pandas as pd

    if column.dtype == "float64":
        return pd.array(values.astype(np.float64), dtype="Float64").astype(kind)
    gone = np.isnan(values) if values.dtype.kind == "f" else np.zeros(len(values), dtype=np.bool_)
    whole = np.where(gone, 0, values).astype(column.dtype)
    made = pd.array(whole, dtype=_MASKED[column.dtype])
    made[gone] = pd.NA
    if holds(column):
        return made.astype(kind)
    return made.astype(f"{column.dtype}[pyarrow]") if "[pyarrow]" in kind else made


def _category(values: Array, column: Column, *, ordered: bool) -> Any:
    import pandas as pd

    known: list[Any] = list(column.categories or ())
    cells = _objects(values, column, "object") if values.dtype != object else values
    places = {value: place for place, value in enumerate(known)}
    for value in cells.tolist():
        if value is not None and value not in places:
            places[value] = len(places)
            known.append(value)
    # What is known in training decides the dtype, not a value never seen.
    dtype = None if column.dtype == "string" and known else {"string": "str"}.get(column.dtype, column.dtype)
    codes = np.array([-1 if value is None else places[value] for value in cells.tolist()], dtype=np.int64)
    return pd.Categorical.from_codes(codes, categories=pd.Index(known, dtype=dtype), ordered=ordered)


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
