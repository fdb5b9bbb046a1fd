"""The rows given decide each column's name, dtype and nullability; what no request can carry is named."""

import datetime as dt
import decimal
from typing import Any

import numpy as np
import pytest

from septet.errors import Invalid
from septet.packing.training_table import require_types, rows_of

pd = pytest.importorskip("pandas")

DAYS = [dt.date(2026, 1, 1), None, dt.date(2026, 1, 3)]
WHEN = pd.date_range("2026-01-01", periods=3, freq="h", unit="us")


def column(values: Any) -> Any:
    (given,) = rows_of(pd.DataFrame({"a": values})).columns
    require_types([given])
    return given


@pytest.mark.parametrize(
    ("values", "dtype", "missing", "pandas_dtype"),
    [
        (np.array([1.5, 2.5, 3.5]), "float64", 0, "float64"),
        (np.array([1.5, np.nan, 3.5]), "float64", 1, "float64"),
        (np.array([1.5, 2.5, 3.5], np.float32), "float64", 0, "float32"),
        (np.array([1, 2, 3]), "int64", 0, "int64"),
        (np.array([1, 2, 3], np.uint8), "int64", 0, "uint8"),
        (np.array([1, 2, 2**64 - 1], np.uint64), "uint64", 0, "uint64"),
        (np.array([True, False, True]), "bool", 0, "bool"),
        (pd.array([1, 2, None], dtype="Int64"), "int64", 1, "Int64"),
        (pd.array([1, 2, 3], dtype="UInt8"), "int64", 0, "UInt8"),
        (pd.array([1, 2, 3], dtype="UInt64"), "uint64", 0, "UInt64"),
        (pd.array([1.5, None, 3], dtype="Float32"), "float64", 1, "Float32"),
        (pd.array([True, None, False], dtype="boolean"), "bool", 1, "boolean"),
        (pd.array(["a", None, "b"], dtype="string"), "string", 1, "string"),
        (pd.Series(["a", None, "b"], dtype=object), "string", 1, "object"),
        (pd.Series(["a", np.nan, "b"], dtype=object), "string", 1, "object[nan]"),
        (pd.Series(["a", pd.NA, "b"], dtype=object), "string", 1, "object[NA]"),
        (pd.Series([1, 2, 3], dtype=object), "int64", 0, "object"),
        (pd.Series([2**63, 2, 3], dtype=object), "uint64", 0, "object"),
        (pd.Series([1, 2.5, None], dtype=object), "float64", 1, "object"),
        (pd.Series([True, None, False], dtype=object), "bool", 1, "object"),
        (pd.Series([None, None, None], dtype=object), "string", 3, "object"),
        (WHEN, "datetime64[us]", 0, "datetime64[us]"),
        (WHEN.as_unit("s"), "datetime64[s]", 0, "datetime64[s]"),
        (pd.Series(list(WHEN), dtype=object), "datetime64[us]", 0, "object"),
        (pd.Series(DAYS, dtype=object), "datetime64[s]", 1, "date"),
        (pd.arrays.SparseArray([1.0, 0.0, 0.0]), "float64", 0, "float64"),
    ],
)
def test_each_column_has_its_own_dtype(values: Any, dtype: str, missing: int, pandas_dtype: str) -> None:
    given = column(values)
    assert (given.column.dtype, given.column.pandas_dtype) == (dtype, pandas_dtype)
    assert (given.column.nullable, int(given.missing.sum())) == (missing > 0, missing)


@pytest.mark.parametrize("kind", [None, object])
def test_a_moment_with_a_time_zone_is_kept_in_utc(kind: Any) -> None:
    given = column(pd.Series(WHEN.tz_localize("Europe/Rome"), dtype=kind))
    assert (given.column.dtype, given.column.timezone) == ("datetime64[us]", "Europe/Rome")
    assert given.data[0] == np.datetime64("2025-12-31T23:00")


@pytest.mark.parametrize(
    ("values", "dtype", "categories", "cells"),
    [
        (pd.Categorical(["b", None, "a"], categories=["b", "a", "c"]), "string", ("b", "a", "c"), ["b", None, "a"]),
        (pd.Categorical([3, 1, 3]), "int64", (1, 3), [3, 1, 3]),
        (pd.Categorical([3, 1, None]), "int64", (1, 3), [3, 1, np.nan]),
        (pd.Categorical([0.5, 1.5, 0.5]), "float64", (0.5, 1.5), [0.5, 1.5, 0.5]),
        (pd.Categorical([True, False, True]), "bool", (False, True), [True, False, True]),
    ],
)
def test_a_category_has_the_dtype_of_its_categories_in_their_order(
    values: Any, dtype: str, categories: tuple[Any, ...], cells: list[Any]
) -> None:
    given = column(values)
    assert (given.column.dtype, given.column.categories, given.column.pandas_dtype) == (dtype, categories, "category")
    np.testing.assert_array_equal(given.data, np.array(cells, dtype=given.data.dtype))
    assert column(values.as_ordered()).column.pandas_dtype == "category[ordered]"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (pd.Series([1, "x", 2], dtype=object), "several types: int .* str"),
        (pd.Series([True, 2.5, 1], dtype=object), "several types: bool"),
        ([decimal.Decimal(1)] * 3, "Decimal"),
        ([b"x"] * 3, "bytes"),
        ([[1, 2]] * 3, "list"),
        ([{}] * 3, "dict"),
        ([dt.time(1)] * 3, "time"),
        (np.array([1j, 2j, 3j]), "complex128"),
        (pd.to_timedelta([1, 2, 3], "h"), "timedelta64"),
        (pd.Series([np.timedelta64(1, "h")] * 3, dtype=object), "timedelta"),
        (pd.period_range("2026", periods=3, freq="D"), "period"),
        (pd.cut(np.arange(3.0), 2), "interval"),
        (pd.Categorical(WHEN), "moments"),
        (pd.Categorical([None, None, None]), "no values"),
        (pd.Series([10**30, 1, 2], dtype=object), "beyond 64 bits"),
        (pd.array([2**60, 1, None], dtype="Int64"), r"beyond 2\*\*53"),
        (pd.Series([WHEN[0], WHEN[0].tz_localize("UTC")], dtype=object), "zones"),
        (pd.Series(["\ud800", "a", "b"], dtype=object), "surrogate"),
    ],
)
def test_what_no_request_can_carry_is_refused_by_its_column(values: Any, said: str) -> None:
    with pytest.raises(Invalid, match=f"column 'a' of the data holds .*{said}"):
        column(values)


def test_whole_numbers_that_float64_does_not_hold_are_known_as_such() -> None:
    assert column(np.array([2**53 + 1, 0, 1])).wide
    assert not column(np.array([2**53, 0, -(2**53)])).wide


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (["a", "a"], "'a' 2 times"),
        ([("a", "x"), ("a", "y")], "MultiIndex"),
        ([1.5, "b"], "1.5"),
        (["1", 1], "'1' 2 times"),
    ],
)
def test_names_that_no_request_can_carry_are_refused(labels: list[Any], said: str) -> None:
    frame = pd.DataFrame(np.zeros((2, 2)))
    frame.columns = pd.MultiIndex.from_tuples(labels) if isinstance(labels[0], tuple) else labels
    with pytest.raises(Invalid, match=said):
        rows_of(frame)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (pd.DataFrame({"a": []}), "no rows"),
        (pd.DataFrame(index=[0, 1]), "no columns"),
        (np.zeros((0, 3)), "no rows"),
        (3.0, "not rows"),
        ("abc", "not rows"),
        (None, "not rows"),
        (np.zeros((2, 2, 2)), "not rows"),
        ([[1, 2], [3]], "no table"),
        ([{"a": 1}], r"pandas\.DataFrame"),
        ({"a": [1, 2], "b": [1]}, "equal length"),
        (np.zeros(3, dtype=[("a", float)]), "not rows"),
    ],
)
def test_data_that_is_no_table_is_refused(data: Any, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        rows_of(data)


@pytest.mark.parametrize(
    ("data", "dtypes"),
    [
        (np.zeros((2, 2)), ["float64", "float64"]),
        (np.zeros((2, 1), np.float32), ["float32"]),
        (np.zeros((2, 1), np.float16), ["float64"]),
        (np.zeros((2, 1), np.int16), ["int64"]),
        (np.zeros((2, 1), bool), ["bool"]),
        (np.zeros((2, 1), "datetime64[D]"), ["datetime64[s]"]),
        (np.array([["a"], ["b"]]), ["string"]),
        ([["a", 1, 2.5], ["b", 2, 3.5]], ["string", "int64", "float64"]),
    ],
)
def test_the_dtype_of_an_array_decides_too(data: Any, dtypes: list[str]) -> None:
    rows = rows_of(data)
    assert [given.column.dtype for given in rows.columns] == dtypes
    assert [given.name for given in rows.columns] == [f"x{place}" for place in range(len(dtypes))]
