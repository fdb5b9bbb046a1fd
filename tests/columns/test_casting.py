"""Arrays of other dtypes than the model's: a value stays what it is, or is refused with its place."""

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from septet.columns.casting import cast, cast_tensor, inexact
from septet.errors import Invalid
from septet.model.signature import Column, Tensor
from septet.model.values import Mismatch, is_exact, read

PERSON = Tensor(
    "x",
    "float32",
    (None, 3),
    (Column("fare", "float32"), Column("age", "int64", nullable=True), Column("alone", "bool", nullable=True)),
)
MISSING = [None, np.nan, pd.NA, pd.NaT, np.datetime64("NaT")]


def refused(array: Any, column: Column, carrier: str) -> tuple[int | None, str | None, str, str]:
    with pytest.raises(Invalid) as caught:
        cast(np.asarray(array), column, carrier)
    (problem,) = caught.value.problems
    return problem.row, problem.column, problem.expected, problem.received


@given(
    st.integers(-(2**63), 2**64 - 1) | st.integers(0, 63).map(lambda power: 2**power),
    st.sampled_from(["float16", "float32", "float64"]),
)
@settings(deadline=None)
def test_a_whole_number_is_inexact_where_the_float_is_another_one(value: int, dtype: str) -> None:
    with np.errstate(over="ignore"):
        nearest = float(np.dtype(dtype).type(value))
    same = np.isfinite(nearest) and int(nearest) == value
    assert is_exact(value, dtype) == same
    array = np.array([value], np.uint64 if value > 2**63 - 1 else np.int64)
    assert inexact(array, dtype).tolist() == [not same]


@pytest.mark.parametrize(
    ("values", "carrier", "place"),
    [
        ([1, 20_000_001], "float32", 1),
        ([2**53 + 1, 1], "float64", 0),
        ([-(2**24) - 1], "float32", 0),
        ([2**63 - 1], "float64", 0),
        ([2049], "float16", 0),
    ],
)
def test_a_whole_number_that_would_be_changed_is_refused(values: list[int], carrier: str, place: int) -> None:
    for dtype in (carrier, "int64"):
        for array in (np.array(values), np.array(values, object)):
            row, column, expected, received = refused(array, Column("n", dtype), carrier)
            assert (row, column, received) == (place, "n", str(values[place]))
            assert f"{carrier} holds exactly" in expected


def test_a_decimal_is_rounded_and_a_whole_number_that_is_one_is_kept() -> None:
    assert cast(np.array([20_000_001.0]), Column("n", "float32"), "float32").tolist() == [20_000_000.0]
    assert cast(np.array([2**25, -(2**40)]), Column("n", "float32"), "float32").tolist() == [2**25, -(2**40)]
    # In a column of whole numbers nothing is rounded.
    assert refused([20_000_001.0], Column("n", "int64"), "float32")[0] == 0


@pytest.mark.parametrize("missing", MISSING)
@pytest.mark.parametrize(
    ("column", "carrier", "value"),
    [
        (Column("c", "string", nullable=True), "string", "a"),
        (Column("c", "float64", nullable=True), "float64", 1.5),
        (Column("c", "int64", nullable=True), "float64", 3),
        (Column("c", "bool", nullable=True), "float32", True),
        (Column("c", "float32", optional=True), "float32", 2.5),
        (Column("c", "datetime64[ms]", nullable=True), "datetime64[ms]", dt.datetime.fromisoformat("2026-01-31")),
    ],
)
def test_every_missing_value_means_the_same(missing: Any, column: Column, carrier: str, value: Any) -> None:
    got = cast(np.array([missing, value], object), column, carrier)
    assert pd.isna(got).tolist() == [True, False]
    assert got.dtype == (object if carrier == "string" else np.dtype(carrier))
    assert got[1] == (np.datetime64(value) if isinstance(value, dt.datetime) else value)


def test_a_missing_text_of_a_column_that_takes_none_is_refused() -> None:
    assert refused(np.array(["a", pd.NA], object), Column("c", "string"), "string") == (1, "c", "a text", "null")


@pytest.mark.parametrize(
    ("values", "column"),
    [
        ([1.5], Column("n", "int64")),
        ([np.inf], Column("n", "int64")),
        ([300], Column("n", "uint8")),
        ([-1], Column("n", "uint64")),
        ([1], Column("n", "bool")),
        ([True], Column("n", "int64")),
        (["1"], Column("n", "int64")),
        ([1e300], Column("n", "float32")),
    ],
)
def test_a_value_that_is_not_the_columns_is_refused(values: list[Any], column: Column) -> None:
    for array in (np.array(values), np.array(values, object)):
        assert refused(array, column, "float64")[:2] == (0, "n")


def test_numbers_of_a_matrix_are_those_of_the_tensor_and_objects_those_of_their_columns() -> None:
    for array in (np.array([[7.5, 30.0, 1.0]]), np.array([[7.5, 30, True]], object)):
        assert cast_tensor(array, PERSON).tolist() == [[7.5, 30.0, 1.0]]
    assert cast_tensor(np.array([[True]]), Tensor("x", "float32", (None, 1), (Column("b", "bool"),))).tolist() == [[1]]
    with pytest.raises(Invalid, match="true or false in row 0, column 'alone', received 1"):
        cast_tensor(np.array([[7.5, 30, 1]], object), PERSON)
    with pytest.raises(Invalid, match="row 0, column 'age', received 20000001"):
        cast_tensor(np.array([[7, 20_000_001, 1]]), PERSON)


def test_moments_of_any_unit_and_kind_become_those_of_the_column() -> None:
    column = Column("t", "datetime64[s]")
    expected = np.array(["2026-01-31T12:00:00"], "datetime64[s]")
    moments: list[Any] = [
        np.array(["2026-01-31T12:00:00"]),
        np.array(["2026-01-31T12:00:00"], "datetime64[ns]"),
        np.array([dt.datetime.fromisoformat("2026-01-31T12:00:00")], object),
        np.array([pd.Timestamp("2026-01-31T12:00:00")], object),
    ]
    for each in moments:
        assert cast(each, column, "datetime64[s]").tolist() == expected.tolist()
    assert cast(np.array([dt.date(2026, 1, 31)], object), column, "datetime64[s]").tolist()[0].day == 31
    for wrong in (np.array(["2026-01-31T12:00:00.5"], "datetime64[ms]"), np.array([5]), np.array(["soon"])):
        assert refused(wrong, column, "datetime64[s]")[:2] == (0, "t")
    day = Column("t", "datetime64[s]", pandas_dtype="date")
    assert "a date" in refused(np.array(["2026-01-31T12:00:00"], "datetime64[s]"), day, "datetime64[s]")[2]
    both = Tensor("x", "datetime64[s]", (None, 2), (day, column))
    noon = np.array([["2026-01-31", "2026-01-31T12:00:00"]], "datetime64[s]")
    assert cast_tensor(noon, both).tolist() == noon.tolist()
    far = np.array(["2500-01-01"], "datetime64[s]")
    assert "datetime64[ns] can hold" in refused(far, Column("t", "datetime64[ns]"), "datetime64[ns]")[2]


def test_a_whole_number_that_the_model_does_not_read_need_not_be_exact() -> None:
    unread = Column("id", "int64", nullable=True, optional=True)
    large = 2**60 + 1
    assert read(unread, "float32", large) == large
    assert cast(np.array([large]), unread, "float32").tolist() == [float(np.float32(large))]
    with pytest.raises(Mismatch):
        read(Column("id", "int64"), "float64", large)
