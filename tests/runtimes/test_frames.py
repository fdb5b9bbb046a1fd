"""Columns are rebuilt with the pandas dtypes that the model was trained on."""

from typing import Any

import numpy as np
import pytest

from septet.model.signature import Column
from septet.runtimes.data_frames import restored

pd = pytest.importorskip("pandas")

HALF = np.array([1.0, np.nan])
WHOLE = np.array([1.0, 2.0])
TEXT = np.array(["a", None], dtype=object)


@pytest.mark.parametrize(
    ("values", "column", "expected"),
    [
        (WHOLE, ("float64", "float32"), np.array([1, 2], np.float32)),
        (WHOLE, ("int64", "int64"), np.array([1, 2])),
        (np.array([1.0, 0.0]), ("bool", "bool"), np.array([True, False])),
        (HALF, ("int64", "Int64"), pd.array([1, None], dtype="Int64")),
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
    ("column", "expected"),
    [
        (Column("a", "int64", pandas_dtype="uint8"), np.array([1, 2])),
        (Column("a", "int64", minimum=0, maximum=255, pandas_dtype="uint8"), np.array([1, 2], np.uint8)),
        (Column("a", "int64", minimum=0, pandas_dtype="uint8"), np.array([1, 2])),
        (Column("a", "int64", pandas_dtype="UInt8"), pd.array([1, 2], dtype="Int64")),
        (Column("a", "int64", minimum=0, maximum=9, pandas_dtype="UInt8"), pd.array([1, 2], dtype="UInt8")),
        (Column("a", "int64", nullable=True, pandas_dtype="int64"), WHOLE),
        (Column("a", "int64", nullable=True, pandas_dtype="int8"), WHOLE),
        (Column("a", "int64", nullable=True, pandas_dtype="float32"), WHOLE.astype(np.float32)),
    ],
)
def test_a_column_has_a_dtype_that_every_allowed_value_fits(column: Column, expected: Any) -> None:
    pd.testing.assert_series_equal(pd.Series(restored(WHOLE, column)), pd.Series(expected))


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


_NUMBERS = ["int8", "uint8", "int32", "int64", "uint64", "float32", "float64", "object", "object[nan]", "object[NA]"]
_MASKED = ["Int8", "UInt16", "Int64", "Float32", "Float64"]
_BOOLEANS = ["bool", "boolean", "object", "object[nan]", "object[NA]"]
_TEXTS = ["object", "object[nan]", "object[NA]", "str", "string", "category", "category[ordered]"]
_MOMENTS = ["datetime64[us]", "object", "object[nan]"]
_COLUMNS = [
    *((np.array([1.0, 2, 300, -5, np.nan, 0, 2**40]), "int64", kind) for kind in [*_NUMBERS, *_MASKED, "category"]),
    *((np.array([0.1, 2, 1e300, -5, np.nan, np.inf]), "float64", kind) for kind in ("float32", *_MASKED[3:], "object")),
    *((np.array([1.0, 0, np.nan]), "bool", kind) for kind in _BOOLEANS),
    *((np.array(["a", None, "", "new"], object), "string", kind) for kind in _TEXTS),
    *((np.array(["2026-01-01", "NaT"], "datetime64[us]"), "datetime64[us]", kind) for kind in _MOMENTS),
    (np.array(["2026-01-01", "NaT"], "datetime64[s]"), "datetime64[s]", "date"),
]


@pytest.mark.filterwarnings("ignore:overflow encountered")
@pytest.mark.parametrize(("values", "dtype", "kind"), _COLUMNS)
@pytest.mark.parametrize("nullable", [True, False])
def test_a_row_has_the_same_form_alone_as_among_others(values: Any, dtype: str, kind: str, nullable: bool) -> None:  # noqa: FBT001
    present = values if nullable else values[[value is not None and value == value for value in values]]  # noqa: PLR0124
    known = {"int64": (1, 2), "string": ("a",)}.get(dtype) if kind.startswith("category") else None
    column = Column("a", dtype, nullable, categories=known, other_categories=True, pandas_dtype=kind)
    for count in range(1, len(present) + 1):
        many = pd.Series(restored(present[:count], column))
        for row in range(count):
            one = pd.Series(restored(present[row : row + 1], column))
            if known is not None:
                # The categories of a row are those of training and its own.
                assert one.cat.categories.dtype == many.cat.categories.dtype
                assert one.cat.ordered == many.cat.ordered
                one, among = one.astype(object), many.iloc[row : row + 1].astype(object)
            else:
                assert one.dtype == many.dtype
                among = many.iloc[row : row + 1]
            assert repr(one.iloc[0]) == repr(among.iloc[0])
