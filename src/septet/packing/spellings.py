"""Other ways to write the same rows, for a model that does not take them as they are given.

None, NaN and `pd.NA` mean the same, and so do the dtypes of numpy and pandas for the same numbers. A model that was
trained on the one often fails on the other.
"""

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np

from septet.model.signature import Column
from septet.packing.training_table import TrainingColumn, TrainingTable
from septet.runtimes.data_frames import restored
from septet.runtimes.sklearn.sklearn_columns import ColumnFact

_TEXTS = (("object[nan]", "NaN"), ("object", "None"), ("str", "NaN in pandas' dtype str"), ("string", "pandas.NA"))
_REMARK = "the model does not take the rows as they are given, and takes missing values written as {}: it is served so"
# The missing value of each dtype.
_WRITTEN = {
    "object": "None",
    "object[nan]": "NaN",
    "object[NA]": "pandas.NA",
    "str": "NaN",
    "string": "pandas.NA",
    "large_string": "pandas.NA",
}
_PLAIN = {"bool": "bool", "int64": "int64", "uint64": "uint64", "float64": "float64"}


def spellings(rows: TrainingTable, known: Sequence[str] | None) -> Iterator[tuple[TrainingTable, str]]:
    """Other forms of the rows of a DataFrame, with a remark on each; the first ones are the most common."""
    if not rows.named:
        return
    for kind, word in _TEXTS:
        columns = tuple(_spelled(given, kind) for given in rows.columns)
        if columns != rows.columns:
            yield _framed(rows, columns), _REMARK.format(word)
    if known is None and all(_is_number(given) for given in rows.columns):
        columns = tuple(_with_dtype(given, None) for given in rows.columns)
        array = rows.source.to_numpy(dtype=np.float64, na_value=np.nan)
        yield TrainingTable(array, columns, named=True), "the model takes no DataFrame: it is given an array"


def marked(rows: TrainingTable, facts: Sequence[ColumnFact]) -> tuple[TrainingTable, str]:
    """The rows with missing texts as the estimator knows them, and a remark where the data write them otherwise.

    None, NaN and `pandas.NA` mean the same, and an estimator takes but one of them for a missing value.
    """
    columns = list(rows.columns)
    written: list[str] = []
    for place, (given, fact) in enumerate(zip(rows.columns, facts, strict=True)):
        dtype = given.column.pandas_dtype or "object"
        own = _WRITTEN.get(dtype.split("[pyarrow]")[0].split("[python]")[0])
        if given.fault or not fact.used or not fact.spelling or own in (None, _WRITTEN[fact.spelling]):
            continue
        if given.column.pandas_dtype is not None:
            columns[place] = _with_dtype(given, fact.spelling)
        if given.missing.any():
            written.append(f"{given.name!r} are given to it as {_WRITTEN[fact.spelling]}")
    if tuple(columns) == rows.columns and not written:
        return rows, ""
    made = _framed(rows, tuple(columns)) if rows.named else _filled(rows, tuple(columns), facts)
    return made, f"as the model knows them, missing values of {', '.join(written)}" if written else ""


def _filled(rows: TrainingTable, columns: tuple[TrainingColumn, ...], facts: Sequence[ColumnFact]) -> TrainingTable:
    """The rows of an array with its missing values as the estimator knows them."""
    table = np.array(rows.source, dtype=object)
    for place, (given, fact) in enumerate(zip(columns, facts, strict=True)):
        if fact.spelling and given.missing.any() and given.column.dtype == "string":
            nothing = np.full(int(given.missing.sum()), None, dtype=object)
            filled = restored(nothing, Column(given.name, "string", nullable=True, pandas_dtype=fact.spelling))
            table[(given.missing, place) if table.ndim > 1 else given.missing] = np.asarray(filled, dtype=object)
    return msgspec.structs.replace(rows, source=table, columns=columns)


def _spelled(given: TrainingColumn, text: str) -> TrainingColumn:
    """The column with numpy's own dtype, or that of texts; categories and moments stay as they are."""
    dtype = given.column.pandas_dtype or ""
    if given.fault or dtype.startswith("category") or given.column.dtype.startswith("datetime64"):
        return given
    if given.column.dtype == "string":
        return _with_dtype(given, text)
    masked = dtype[:1].isupper() or dtype == "boolean" or "[pyarrow]" in dtype
    return _with_dtype(given, _PLAIN[given.column.dtype]) if masked else given


def _with_dtype(given: TrainingColumn, dtype: str | None) -> TrainingColumn:
    if given.column.pandas_dtype == dtype:
        return given
    return msgspec.structs.replace(given, column=msgspec.structs.replace(given.column, pandas_dtype=dtype))


def _is_number(given: TrainingColumn) -> bool:
    return not given.fault and given.column.dtype in ("float64", "int64", "bool")


def _framed(rows: TrainingTable, columns: tuple[TrainingColumn, ...]) -> TrainingTable:
    """The rows with these columns as a DataFrame."""
    import pandas as pd

    made = {}
    for place, (label, given) in enumerate(zip(rows.source.columns, columns, strict=True)):
        old = rows.source.iloc[:, place].array
        made[label] = old if given.column == rows.columns[place].column else restored(given.data, given.column)
    return TrainingTable(pd.DataFrame(made), columns, named=True)
