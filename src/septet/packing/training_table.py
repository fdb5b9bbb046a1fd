"""The rows that a user gives (DataFrame, array, list, mapping of columns), column by column with its own type."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from septet.errors import Invalid
from septet.model.signature import DTYPES, Column
from septet.packing.value_inference import InferredValues, infer_values, texts_of
from septet.types import Array

_EXACT = 2**53
_ROW_AXES = 2
_UNITS = ("s", "ms", "us", "ns")


class TrainingColumn(msgspec.Struct, frozen=True, eq=False):
    """One column of the data: its declaration, its values as a tensor carries them, [N], and which are missing.

    `fault` is the reason, in words, why no request can carry such values; the column's dtype then means nothing.
    """

    column: Column
    data: Array
    missing: Array
    fault: str = ""

    @property
    def name(self) -> str:
        """As a caller writes it."""
        return self.column.name

    @property
    def wide(self) -> bool:
        """Whether it holds whole numbers that float64 does not hold exactly."""
        if self.data.dtype.kind not in "iu" or not self.data.size:
            return False
        return int(self.data.max()) > _EXACT or int(self.data.min()) < -_EXACT


class TrainingTable(msgspec.Struct, frozen=True, eq=False):
    """The data as a whole.

    Attributes:
        source: what a user would hand to `predict`: a DataFrame, an array [N, columns], or an array of N texts.
        columns: its columns in order.
        named: whether the columns have names of their own: they come from a DataFrame or a mapping.
        flat: whether it has one value a row rather than columns.
    """

    source: Any
    columns: tuple[TrainingColumn, ...]
    named: bool
    flat: bool = False

    def __len__(self) -> int:
        return len(self.source)

    def take(self, places: Array) -> Any:
        """Some of the rows, of the kind that `source` is."""
        return self.source.iloc[places] if hasattr(self.source, "iloc") else self.source[places]


def rows_of(data: Any) -> TrainingTable:
    """Read the data that a user gives.

    Raises:
        Invalid: it has no rows, or is no table; the message says what to give instead.
    """
    if hasattr(data, "toarray"):
        data = data.toarray()
    if hasattr(data, "to_pandas") and not hasattr(data, "iloc"):
        data = data.to_pandas()
    if isinstance(data, Mapping):
        rows = _of_mapping(data)
    elif hasattr(data, "iloc") and hasattr(data, "columns"):
        rows = _of_frame(data)
    else:
        rows = _of_array(data)
    if not rows.columns or not len(rows):
        raise Invalid("the data has no rows or no columns: give the rows that the model was trained on")
    return rows


def require_types(columns: Sequence[TrainingColumn]) -> None:
    """Refuse columns that no request can carry.

    Raises:
        Invalid: there is one; the message names it.
    """
    for given in columns:
        if given.fault:
            raise Invalid(
                f"column {given.name!r} of the data holds {given.fault}, which no request can carry: make it numbers, "
                "booleans, texts, dates or moments of one kind, and train the model on that"
            )


def _of_frame(frame: Any) -> TrainingTable:
    names = _names(list(frame.columns))
    columns = tuple(_of_series(name, frame.iloc[:, place]) for place, name in enumerate(names))
    return TrainingTable(frame, columns, named=True)


def _of_mapping(data: Mapping[Any, Any]) -> TrainingTable:
    import pandas as pd

    try:
        return _of_frame(pd.DataFrame({name: _series(values) for name, values in data.items()}))
    except ValueError as exc:
        raise Invalid(f"the data is a mapping whose values are no columns of equal length: {exc}") from exc


def _series(values: Any) -> Any:
    return values.reshape(-1) if isinstance(values, np.ndarray) else values


def _names(labels: Sequence[Any]) -> list[str]:
    """The names of a DataFrame's columns, whole numbers as texts.

    Raises:
        Invalid: some are neither, or two are the same.
    """
    for label in labels:
        if not _is_name(label):
            several = " (a MultiIndex)" if isinstance(label, tuple) else ""
            raise Invalid(
                f"the data has a column named {label!r}{several}, and a column's name is a text: rename the columns, "
                "such as with data.columns = [' '.join(map(str, name)) for name in data.columns], and train again"
            )
    names = [str(label) for label in labels]
    twice = next((name for name in names if names.count(name) > 1), None) if len(set(names)) < len(names) else None
    if twice is not None:
        raise Invalid(f"the data has the column {twice!r} {names.count(twice)} times: give each a name of its own")
    return names


def _is_name(label: Any) -> bool:
    return isinstance(label, (str, int, np.integer)) and not isinstance(label, bool)


def _of_array(data: Any) -> TrainingTable:
    try:
        array = np.asarray(data)
        if array.dtype.kind in "US" and not isinstance(data, np.ndarray) and not hasattr(data, "dtype"):
            # numpy makes texts of the numbers beside them.
            array = np.asarray(data, dtype=object)
    except ValueError as exc:
        raise Invalid(f"the data is no table: {exc}. Give a DataFrame or an array of rows and columns") from exc
    if array.ndim == 0 or array.ndim > _ROW_AXES or array.dtype.kind == "V":
        raise Invalid(
            f"the data is a {type(data).__name__} of shape {list(array.shape)}, not rows and columns: give a DataFrame "
            "or an array with one row for each"
        )
    if array.ndim == 1:
        if array.dtype == object and any(isinstance(value, Mapping) for value in array.tolist()):
            raise Invalid("the data is a list of dictionaries: give pandas.DataFrame(data)")
        given = _of_values("x0", array)
        name = "text" if given.column.dtype == "string" else "x0"
        return TrainingTable(array, (_renamed(given, name),), named=False, flat=True)
    columns = tuple(_of_values(f"x{place}", array[:, place]) for place in range(array.shape[1]))
    return TrainingTable(array, columns, named=False)


def _renamed(given: TrainingColumn, name: str) -> TrainingColumn:
    return msgspec.structs.replace(given, column=msgspec.structs.replace(given.column, name=name))


def _of_values(name: str, values: Array) -> TrainingColumn:
    """A column of a numpy array."""
    kind = values.dtype.kind
    missing = np.zeros(len(values), dtype=np.bool_)
    if kind == "O":
        return _of_inferred(name, infer_values(values.tolist()))
    if kind == "f":
        dtype = "float32" if values.dtype == np.float32 else "float64"
        missing = np.isnan(values)
    elif kind == "M":
        unit = np.datetime_data(values.dtype)[0]
        dtype = f"datetime64[{unit if unit in _UNITS else 's'}]"
        missing = np.isnat(values)
    elif kind in "biuU":
        dtype = {"b": "bool", "U": "string"}.get(kind) or ("uint64" if values.dtype == np.uint64 else "int64")
    else:
        return TrainingColumn(Column(name, "string"), values, missing, fault=f"values of {values.dtype.name}")
    return TrainingColumn(Column(name, dtype, nullable=bool(missing.any())), values.astype(DTYPES[dtype]), missing)


def _of_inferred(name: str, inferred: InferredValues, pandas_dtype: str | None = None) -> TrainingColumn:
    if inferred.dtype is None:
        return TrainingColumn(Column(name, "string"), inferred.values, inferred.missing, fault=inferred.fault)
    column = Column(
        name,
        inferred.dtype,
        nullable=bool(inferred.missing.any()),
        timezone=inferred.timezone,
        pandas_dtype="date" if pandas_dtype is not None and inferred.dates else pandas_dtype,
    )
    return TrainingColumn(column, inferred.values, inferred.missing)


def _of_series(name: str, series: Any) -> TrainingColumn:
    """A column of a DataFrame."""
    kind = type(series.dtype).__name__
    if isinstance(series.dtype, np.dtype):
        return _of_plain(name, series)
    reader = _READERS.get(kind)
    if reader is not None:
        return reader(name, series)
    gone = np.asarray(series.isna().to_numpy(), dtype=np.bool_)
    if series.dtype.kind in "iufb":
        return _of_masked(name, series, gone)
    return TrainingColumn(Column(name, "string"), gone, gone, fault=f"values of {series.dtype}")


def _of_plain(name: str, series: Any) -> TrainingColumn:
    """A column whose dtype is numpy's."""
    if series.dtype.kind == "O":
        inferred = infer_values(series.tolist())
        missing = {"nan": "object[nan]", "NA": "object[NA]"}.get(inferred.spelled, "object")
        return _of_inferred(name, inferred, missing)
    given = _of_values(name, series.to_numpy())
    # The dtype in training is kept besides, so a float32 need not bind callers to what it holds.
    own = "float64" if given.column.dtype == "float32" else given.column.dtype
    column = msgspec.structs.replace(given.column, dtype=own, pandas_dtype=str(series.dtype))
    values = given.data.astype(own) if own == "float64" else given.data
    return msgspec.structs.replace(given, column=column, data=values)


def _of_texts(name: str, series: Any) -> TrainingColumn:
    gone = np.asarray(series.isna().to_numpy(), dtype=np.bool_)
    column = Column(name, "string", nullable=bool(gone.any()), pandas_dtype=str(series.dtype))
    texts = _texts(series, gone)
    found = texts_of(texts[~gone].tolist())
    if isinstance(found, str):
        return TrainingColumn(column, texts, gone, fault=found)
    # pandas keeps numpy's own texts as they are.
    texts[~gone] = found[1]
    return TrainingColumn(column, texts, gone)


def _of_sparse(name: str, series: Any) -> TrainingColumn:
    return _of_series(name, series.sparse.to_dense())


def _texts(series: Any, missing: Array) -> Array:
    values = series.to_numpy(dtype=object, copy=True)
    values[missing] = None
    return np.asarray(values)


def _of_masked(name: str, series: Any, missing: Array) -> TrainingColumn:
    """A column of numbers or booleans that pandas keeps with a mask of what is missing."""
    dtype = {"b": "bool", "i": "int64", "u": "int64", "f": "float64"}[series.dtype.kind]
    if str(series.dtype).lower().startswith("uint64"):
        dtype = "uint64"
    gone = bool(missing.any())
    values = series.to_numpy(dtype="float64", na_value=np.nan) if gone else series.to_numpy(dtype=dtype)
    column = Column(name, dtype, nullable=gone, pandas_dtype=str(series.dtype))
    if gone and dtype in ("int64", "uint64"):
        present = series[~missing].to_numpy(dtype=dtype)
        if TrainingColumn(column, present, missing).wide:
            # Kept as they are: whoever needs them refuses what float64 cannot carry.
            return TrainingColumn(column, values, missing, fault="missing values beside whole numbers beyond 2**53")
    return TrainingColumn(column, values, missing)


def _of_category(name: str, series: Any) -> TrainingColumn:
    dtype = series.dtype
    kinds = _of_series(name, dtype.categories.to_series())
    known = kinds.column.dtype
    missing = np.asarray(series.isna().to_numpy(), dtype=np.bool_)
    if kinds.fault or known.startswith("datetime64") or not len(kinds.data):
        held = kinds.fault or (f"moments ({dtype.categories.dtype})" if len(kinds.data) else "no values at all")
        return TrainingColumn(kinds.column, missing, missing, fault=f"categories that are {held}")
    codes = series.cat.codes.to_numpy()
    if known == "string":
        values: Array = np.array(np.where(missing, None, kinds.data[codes]))
    elif missing.any():
        values = np.where(missing, np.nan, kinds.data[codes].astype(np.float64))
    else:
        values = kinds.data[codes]
    column = Column(
        name,
        known,
        nullable=bool(missing.any()),
        categories=tuple(kinds.data.tolist()),
        pandas_dtype="category[ordered]" if dtype.ordered else "category",
    )
    return TrainingColumn(column, values, missing)


def _of_zoned(name: str, series: Any) -> TrainingColumn:
    import pandas as pd

    zone = str(series.dtype.tz)
    missing = np.asarray(series.isna().to_numpy(), dtype=np.bool_)
    column = Column(
        name,
        f"datetime64[{series.dtype.unit}]",
        nullable=bool(missing.any()),
        timezone=zone,
        pandas_dtype=str(series.dtype),
    )
    try:
        pd.DatetimeTZDtype(series.dtype.unit, zone)
    except Exception:  # noqa: BLE001 - every library of time zones has its own errors
        return TrainingColumn(column, missing, missing, fault=f"moments of a time zone without a name ({zone})")
    return TrainingColumn(column, series.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy(), missing)


_READERS: dict[str, Callable[[str, Any], TrainingColumn]] = {
    "CategoricalDtype": _of_category,
    "DatetimeTZDtype": _of_zoned,
    "StringDtype": _of_texts,
    "SparseDtype": _of_sparse,
}
