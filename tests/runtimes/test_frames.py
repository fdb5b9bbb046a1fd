"""Columns are rebuilt with the pandas dtypes that the model was trained on."""

from typing import Any

import numpy as np
import pytest

from septet.model.signature import Column
from septet.runtimes.frames import restored

pd = pytest.importorskip("pandas")

HALF = np.array([1.0, np.nan])
WHOLE = np.array([1.0, 2.0])
TEXT = np.array(["a", None], dtype=object)


@pytest.mark.parametrize(
    ("values", "column", "expected"),
    [
        (WHOLE, ("float64", "float32"), np.array([1, 2], np.float32)),
        (WHOLE, ("int64", "int64"), np.array([1, 2])),
        (WHOLE, ("int64", "uint8"), np.array([1, 2], np.uint8)),
        (np.array([1, 2]), ("int64", "int32"), np.array([1, 2], np.int32)),
        (np.array([1.0, 0.0]), ("bool", "bool"), np.array([True, False])),
        (HALF, ("int64", "Int64"), pd.array([1, None], dtype="Int64")),
        (WHOLE, ("int64", "UInt8"), pd.array([1, 2], dtype="UInt8")),
        (HALF, ("bool", "boolean"), pd.array([True, None], dtype="boolean")),
        (HALF, ("float64", "Float32"), pd.array([1.0, None], dtype="Float32")),
        (HALF, ("int64", "object"), pd.Series([1, None], dtype=object)),
        (HALF, ("bool", "object[nan]"), pd.Series([True, np.nan], dtype=object)),
        (TEXT, ("string", "string"), pd.array(["a", None], dtype="string")),
        (TEXT, ("string", "str"), pd.array(["a", None], dtype="str")),
        (TEXT, ("string", "object"), pd.Series(["a", None], dtype=object)),
        (TEXT, ("string", "object[nan]"), pd.Series(["a", np.nan], dtype=object)),
        (TEXT, ("string", "object[NA]"), pd.Series(["a", pd.NA], dtype=object)),
    ],
)
def test_a_column_gets_its_dtype_back(values: Any, column: tuple[str, str], expected: Any) -> None:
    made = pd.Series(restored(values, Column("a", column[0], pandas_dtype=column[1])))
    pd.testing.assert_series_equal(made, pd.Series(expected))
    if made.dtype == object:
        assert [type(value) for value in made] == [type(value) for value in expected]


@pytest.mark.parametrize(
    ("values", "column", "expected"),
    [
        (np.array([1.0, 300.0]), ("int64", "uint8"), np.array([1, 300])),
        (np.array([-1.0, 2.0]), ("int64", "UInt8"), pd.array([-1, 2], dtype="Int64")),
        (HALF, ("int64", "int64"), HALF),
        (HALF, ("bool", "bool"), pd.Series([True, None], dtype=object)),
    ],
)
def test_a_value_that_does_not_fit_has_the_dtype_that_pandas_would_give(
    values: Any, column: tuple[str, str], expected: Any
) -> None:
    made = pd.Series(restored(values, Column("a", column[0], pandas_dtype=column[1])))
    pd.testing.assert_series_equal(made, pd.Series(expected))


@pytest.mark.parametrize(
    ("values", "dtype", "categories", "expected"),
    [
        (TEXT, "string", ("b", "a"), ["a", None]),
        (HALF, "int64", (2, 1), [1, None]),
        (WHOLE, "float64", (1.0, 2.0), [1.0, 2.0]),
        (np.array([1.0, 0.0]), "bool", (False, True), [True, False]),
    ],
)
def test_a_category_gets_its_categories_back_in_their_order(
    values: Any, dtype: str, categories: tuple[Any, ...], expected: list[Any]
) -> None:
    for kind, ordered in (("category", False), ("category[ordered]", True)):
        made = restored(values, Column("a", dtype, categories=categories, pandas_dtype=kind))
        pd.testing.assert_extension_array_equal(made, pd.Categorical(expected, list(categories), ordered=ordered))


def test_a_category_never_seen_comes_behind_the_known_ones() -> None:
    column = Column("a", "string", categories=("b",), other_categories=True, pandas_dtype="category")
    made = restored(np.array(["x", "b"], dtype=object), column)
    assert made.tolist() == ["x", "b"]
    assert made.categories.tolist() == ["b", "x"]


MOMENTS = np.array(["2026-01-01T12:00", "NaT"], dtype="datetime64[us]")


def test_moments_get_their_unit_and_zone_back() -> None:
    made = pd.Series(restored(MOMENTS, Column("a", "datetime64[us]", pandas_dtype="datetime64[us]")))
    pd.testing.assert_series_equal(made, pd.Series(MOMENTS))
    zoned = Column("a", "datetime64[us]", timezone="Asia/Tokyo", pandas_dtype="datetime64[us, Asia/Tokyo]")
    made = pd.Series(restored(MOMENTS, zoned))
    assert str(made.dtype) == "datetime64[us, Asia/Tokyo]"
    assert made[0] == pd.Timestamp("2026-01-01T21:00", tz="Asia/Tokyo")
    assert made[1] is pd.NaT
    stamps = restored(MOMENTS, Column("a", "datetime64[us]", pandas_dtype="object"))
    assert list(stamps) == [pd.Timestamp("2026-01-01T12:00"), None]


def test_days_are_days() -> None:
    made = restored(MOMENTS.astype("datetime64[s]"), Column("a", "datetime64[s]", pandas_dtype="date"))
    assert [str(day) for day in made] == ["2026-01-01", "None"]
