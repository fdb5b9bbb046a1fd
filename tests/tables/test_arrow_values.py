"""Columns of Arrow as values, and back: nothing is rounded, and a null is never a number."""

import datetime as dt
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from septet.tables.arrow_values import is_readable, python_values, values_of

LARGE = 2**53 + 1


@pytest.mark.parametrize(
    ("array", "dtype", "values"),
    [
        (pa.array([1, 2], pa.int8()), "int8", [1, 2]),
        (pa.array([LARGE, None], pa.int64()), "object", [LARGE, None]),
        (pa.array([True, None]), "object", [True, None]),
        (pa.array([False, True]), "bool", [False, True]),
        (pa.array([2**64 - 1], pa.uint64()), "uint64", [2**64 - 1]),
        (pa.array(["a", None, ""]), "object", ["a", None, ""]),
        (pa.array([b"\0", None]), "object", [b"\0", None]),
        (pa.array(["b", "a", None, "b"]).dictionary_encode(), "object", ["b", "a", None, "b"]),
        (pa.array([3, 1, 3]).dictionary_encode(), "int64", [3, 1, 3]),
        (pa.array([None, None], pa.null()), "object", [None, None]),
        (pa.array([Decimal("1.50"), Decimal("2.00"), None]), "object", [1.5, 2, None]),
        (pa.array([LARGE], pa.decimal128(38, 0)), "object", [LARGE]),
        (pa.chunked_array([[1], [2]]), "int64", [1, 2]),
    ],
)
def test_values_are_what_the_column_holds(array: Any, dtype: str, values: list[Any]) -> None:
    found = values_of(array)
    assert isinstance(found, np.ndarray)
    assert str(found.dtype) == dtype
    assert found.tolist() == values
    assert list(map(type, found.tolist())) == list(map(type, values))


def test_a_missing_float_is_nan_and_a_missing_moment_nat() -> None:
    assert np.isnan(np.asarray(values_of(pa.array([1.5, None], pa.float32())))[1])
    found = np.asarray(values_of(pa.array([np.datetime64("2026-01-31T12:00", "ms"), None], pa.timestamp("ms"))))
    assert str(found[0]) == "2026-01-31T12:00:00.000"
    assert np.isnat(found[1])


def test_a_moment_with_a_zone_is_in_utc() -> None:
    zoned = pa.array(
        [dt.datetime(2026, 1, 31, 12, tzinfo=dt.timezone(dt.timedelta(hours=2)))], pa.timestamp("us", "Asia/Tokyo")
    )
    assert str(np.asarray(values_of(zoned))[0]) == "2026-01-31T10:00:00.000000"
    assert python_values(zoned) == ["2026-01-31T10:00:00Z"]


def test_lists_of_one_length_are_an_axis() -> None:
    fixed = values_of(pa.array([[1.0, 2.0], [3.0, 4.0]], pa.list_(pa.float32(), 2)))
    assert isinstance(fixed, np.ndarray)
    assert (fixed.shape, str(fixed.dtype)) == ((2, 2), "float32")
    nested = values_of(pa.array([[[1], [2]], [[3], [4]]], pa.list_(pa.list_(pa.int64()))))
    assert isinstance(nested, np.ndarray)
    assert nested.shape == (2, 2, 1)
    assert values_of(pa.array([[1.0], [2.0, 3.0]])) == [[1.0], [2.0, 3.0]]
    assert values_of(pa.array([[1.0], None])) == [[1.0], None]


def test_part_of_a_list_column_is_that_part() -> None:
    column = pa.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], pa.list_(pa.float32(), 2))
    assert np.asarray(values_of(column.slice(1, 2))).tolist() == [[3.0, 4.0], [5.0, 6.0]]


@pytest.mark.parametrize(
    "kind", [pa.duration("s"), pa.time32("s"), pa.struct([("a", pa.int8())]), pa.map_(pa.string(), pa.int8())]
)
def test_what_no_model_takes_is_not_read(kind: pa.DataType) -> None:
    assert not is_readable(kind)
    assert not is_readable(pa.list_(kind))
    assert is_readable(pa.dictionary(pa.int32(), pa.string()))


@given(st.lists(st.none() | st.integers(-(2**63), 2**63 - 1)))
def test_whole_numbers_are_kept_whatever_is_missing(values: list[int | None]) -> None:
    assert np.asarray(values_of(pa.array(values, pa.int64()))).tolist() == values
    assert python_values(pa.array(values, pa.int64())) == values


def test_values_for_text_files() -> None:
    assert python_values(pa.array([dt.date(2026, 1, 31), None])) == ["2026-01-31", None]
    assert python_values(pa.array([Decimal("1.50"), None])) == ["1.50", None]
    assert python_values(pa.array([0.5, None])) == [0.5, None]
