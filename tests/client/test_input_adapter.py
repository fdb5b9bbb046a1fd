"""Arrays, frames, records and rows become the model's tensors, and what does not fit is refused with its place."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest

from septet.client.input_adapter import InputAdapter, InputKind, ModelInputs
from septet.errors import Invalid
from septet.model.signature import Column, Kind, Signature, Tensor
from tests.protocols import models

CLASSIFIER = models.classifier().signature
MIXED = models.mixed().signature
TENSORS = models.tensors(rows=True).signature
NAMES = ["c0", "c1", "c2", "c3"]
PERSON = {"age": 29, "fare": 7.5, "sex": "female", "deck": "A", "alone": True}


def take(data: Any, signature: Signature = CLASSIFIER) -> ModelInputs:
    return InputAdapter(signature, max_rows=100)(data)


def refused(data: Any, signature: Signature = CLASSIFIER) -> Invalid:
    with pytest.raises(Invalid) as told:
        take(data, signature)
    return told.value


def one_column(dtype: str, *, nullable: bool = False) -> Signature:
    column = Column("x", dtype, nullable)
    return Signature(Kind.TENSORS, (Tensor("X", dtype, (None,), (column,)),), (Tensor("y", "float32", (None,)),))


def equal(tensors: Mapping[str, Any], expected: Mapping[str, Any]) -> bool:
    return list(tensors) == list(expected) and all(
        tensors[name].dtype == expected[name].dtype and np.array_equal(tensors[name], expected[name])
        for name in expected
    )


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int64", "uint8", ">f8", "object"])
def test_an_array_is_sent_in_the_dtype_of_the_model(dtype: str) -> None:
    given = np.arange(8).reshape(2, 4)
    taken = take(given.astype(dtype))
    assert taken.kind is InputKind.ARRAY
    assert equal(taken.tensors, {"X": given.astype(np.float32)})


def test_an_array_is_split_into_inputs_where_each_column_is_one() -> None:
    columns = tuple(Column(name, "float32") for name in "ab")
    inputs = (Tensor("a", "float32", (None, 1), columns[:1]), Tensor("b", "float32", (None,), columns[1:]))
    signature = Signature(Kind.REGRESSION, inputs, (Tensor("y", "float32", (None,)),))
    taken = take(np.array([[1.0, 2.0], [3.0, 4.0]]), signature)
    assert equal(taken.tensors, {"a": np.array([[1], [3]], np.float32), "b": np.array([2, 4], np.float32)})


def test_arrays_by_name_may_come_in_any_order() -> None:
    image, mask = np.zeros((2, 2, 3), np.uint8), [[True], [False]]
    taken = take({"mask": mask, "image": image}, TENSORS)
    assert taken.kind is InputKind.TENSORS
    assert equal(taken.tensors, {"image": image, "mask": np.array(mask)})


def test_a_frame_is_read_by_the_names_of_its_columns() -> None:
    frame = pd.DataFrame({"c2": [3, 7], "c0": [1.0, 5.0], "c3": [4, 8], "c1": [2, 6]}, index=["a", "b"])
    taken = take(frame)
    assert taken.kind is InputKind.FRAME
    assert list(taken.index) == ["a", "b"]
    assert equal(taken.tensors, {"X": np.arange(1, 9, dtype=np.float32).reshape(2, 4)})


def test_a_frame_of_mixed_types_becomes_one_input_a_column() -> None:
    frame = pd.DataFrame([PERSON, PERSON])
    frame["sex"] = frame["sex"].astype("category")
    taken = take(frame, MIXED)
    assert [array.dtype.name for array in taken.tensors.values()] == ["int64", "float64", "object", "object", "bool"]
    assert [array.tolist()[0] for array in taken.tensors.values()] == [[29], [7.5], ["female"], ["A"], [True]]


@pytest.mark.parametrize("dtype", ["Int64", "Float64", "object", "float64"])
def test_what_is_missing_in_a_frame_is_nan_for_a_number(dtype: str) -> None:
    frame = pd.DataFrame({"x": pd.Series([1, None], dtype=dtype)})
    (array,) = take(frame, one_column("float32", nullable=True)).tensors.values()
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, [1.0, np.nan])


@pytest.mark.parametrize("dtype", ["Int64", "boolean", "string", "int64", "bool"])
def test_pandas_own_dtypes_are_read(dtype: str) -> None:
    plain = {"string": "string", "boolean": "bool", "bool": "bool"}.get(dtype, "int64")
    values: Any = {"string": ["a", "b"], "bool": [True, False]}.get(plain, [1, 2])
    (array,) = take(pd.DataFrame({"x": pd.Series(values, dtype=dtype)}), one_column(plain)).tensors.values()
    assert array.tolist() == values


@pytest.mark.parametrize(
    "rows", [[[1, 2.5, 3, 4]], [(1, 2.5, 3, 4)], [np.array([1, 2.5, 3, 4])], [list(map(np.float32, (1, 2.5, 3, 4)))]]
)
def test_rows_are_lists_of_values_in_the_order_of_the_columns(rows: list[Any]) -> None:
    taken = take(rows)
    assert taken.kind is InputKind.ROWS
    assert equal(taken.tensors, {"X": np.array([[1, 2.5, 3, 4]], np.float32)})


def test_records_are_dicts_with_the_columns_in_any_order() -> None:
    taken = take([{"c3": 4, "c1": 2, "c0": 1, "c2": np.int64(3)}])
    assert taken.kind is InputKind.ROWS
    assert equal(taken.tensors, {"X": np.array([[1, 2, 3, 4]], np.float32)})


def test_a_missing_number_in_a_record_is_none_or_nan() -> None:
    for missing in (None, float("nan"), pd.NA):
        taken = take([{**PERSON, "fare": missing}], MIXED)
        assert np.isnan(taken.tensors["fare"]).all()


def test_columns_that_are_missing_or_unknown_are_named() -> None:
    told = refused(pd.DataFrame([[1, 2, 3]], columns=["c0", "c1", "id"]))
    assert told.message.startswith("The data lacks the columns 'c2', 'c3' and has the columns 'id'")
    assert [problem.column for problem in told.problems] == ["c2", "c3", "id"]


def test_a_column_that_comes_twice_is_refused() -> None:
    told = refused(pd.DataFrame([[1, 2, 3, 4, 5]], columns=[*NAMES, "c0"]))
    assert [problem.column for problem in told.problems] == ["c0"]


def test_inputs_that_are_missing_or_unknown_are_named() -> None:
    told = refused({"image": np.zeros((1, 2, 3)), "masks": [[True]]}, TENSORS)
    assert told.message.startswith("The data lacks the inputs 'mask' and has the inputs 'masks'")


def test_many_names_are_cut_short() -> None:
    told = refused({f"n{i}": 0 for i in range(30)}, TENSORS)
    assert "and 20 more" in told.message


@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        ("int64", [1.5]),
        ("int64", [float("nan")]),
        ("int64", [2.0**63]),
        ("int64", ["1"]),
        ("int64", [True]),
        ("uint8", [-1]),
        ("uint8", [256]),
        ("uint8", [256.0]),
        ("uint64", [-1]),
        ("int8", [2**40]),
        ("float32", [1e39]),
        ("float16", [70_000]),
        ("float32", ["1.0"]),
        ("float32", [True]),
        ("bool", [1]),
        ("bool", ["true"]),
        ("string", [1]),
        ("string", [None]),
        ("string", [b"a"]),
    ],
)
def test_a_value_that_is_not_the_models_is_refused_with_its_row_and_column(dtype: str, values: list[Any]) -> None:
    signature = one_column(dtype)
    for each in (np.array(values), np.array(values, object)):
        told = refused(each, signature)
        assert [(problem.row, problem.column) for problem in told.problems] == [(0, "x")]
        assert "in row 0, column 'x'" in told.message


@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        ("int64", [3.0]),
        ("uint64", [2**64 - 1]),
        ("uint8", [255]),
        ("int8", [-128.0]),
        ("float32", [np.inf, -np.inf]),
        ("float64", [1e300]),
        ("string", ["a", "ß", ""]),
        ("bool", [True, False]),
    ],
)
def test_a_value_that_the_dtype_can_hold_is_kept(dtype: str, values: list[Any]) -> None:
    for each in (np.array(values), np.array(values, object)):
        (array,) = take(each, one_column(dtype)).tensors.values()
        assert array.tolist() == values


def test_whole_numbers_beyond_64_bits_are_refused() -> None:
    assert refused(np.array([2**70], object), one_column("int64")).problems[0].row == 0


def test_a_value_of_a_wide_input_is_refused_by_the_name_of_its_column() -> None:
    told = refused(np.array([[1, 2, 3, 4], [1, 2, "x", 4]], object))
    assert [(problem.row, problem.column) for problem in told.problems] == [(1, "c2")]


def test_a_value_of_an_input_without_columns_is_refused_by_the_name_of_the_input() -> None:
    told = refused({"image": np.full((1, 2, 3), 256), "mask": [[True]]}, TENSORS)
    assert {(problem.row, problem.column) for problem in told.problems} == {(0, "image")}
    assert "input 'image'" in told.message


def test_problems_are_no_more_than_twenty() -> None:
    assert len(refused(np.full(50, "x"), one_column("int64")).problems) == 20


@pytest.mark.parametrize("shape", [(4,), (1, 3), (1, 4, 1), (0, 4), (101, 4)])
def test_an_array_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    refused(np.zeros(shape, np.float32))


def test_an_array_for_several_inputs_without_columns_is_refused() -> None:
    assert "a dict of arrays" in refused(np.zeros((1, 2)), TENSORS).message


def test_an_array_of_another_width_than_the_columns_of_several_inputs_is_refused() -> None:
    assert "an array of 5 columns" in refused(np.zeros((1, 4)), MIXED).message


def test_a_frame_for_inputs_without_columns_is_refused() -> None:
    assert "not a DataFrame" in refused(pd.DataFrame([[1]]), TENSORS).message


@pytest.mark.parametrize(
    ("dtype", "given", "values"),
    [("int64", "Int64", [None, 1]), ("bool", "boolean", [None, True]), ("string", "string", [None, "a"])],
)
def test_a_missing_value_that_has_no_number_to_stand_for_it_is_refused(
    dtype: str, given: str, values: list[Any]
) -> None:
    told = refused(pd.DataFrame({"x": pd.Series(values, dtype=given)}), one_column(dtype))
    assert [(problem.row, problem.received) for problem in told.problems] == [(0, "null")]


def test_a_missing_value_does_not_hide_a_wrong_one() -> None:
    frame = pd.DataFrame({"x": pd.Series([None, "a"], dtype="object")})
    assert refused(frame, one_column("float32", nullable=True)).problems[-1].row == 1


def test_a_missing_text_is_taken_where_the_column_is_nullable_and_refused_elsewhere() -> None:
    for given in ([{**PERSON, "deck": None}], pd.DataFrame([{**PERSON, "deck": None}])):
        assert take(given, MIXED).tensors["deck"].tolist() == [[None]]
    told = refused(pd.DataFrame([{**PERSON, "sex": None}]), MIXED)
    assert [(each.row, each.column, each.received) for each in told.problems] == [(0, "sex", "null")]


TRIP = Signature(
    Kind.TENSORS,
    (
        Tensor(
            "x",
            "float32",
            (None, 3),
            (Column("fare", "float32"), Column("age", "int64", nullable=True), Column("alone", "bool", nullable=True)),
        ),
        Tensor("note", "string", (None, 1), (Column("note", "string", optional=True),)),
        Tensor("when", "datetime64[ms]", (None,), (Column("when", "datetime64[ms]", timezone="UTC", nullable=True),)),
        Tensor("day", "datetime64[s]", (None, 1), (Column("day", "datetime64[s]", pandas_dtype="date"),)),
    ),
    (Tensor("y", "float32", (None,)),),
)
DAY = dt.date(2026, 1, 31)


def trips(**columns: Any) -> pd.DataFrame:
    table = {
        "fare": [1.5, 2],
        "age": pd.array([30, None], dtype="Int64"),
        "alone": pd.array([True, None], dtype="boolean"),
        "note": pd.array(["a", None], dtype="string"),
        "when": pd.to_datetime(pd.Series(["2026-01-31T12:00:00.25", None])).dt.tz_localize("Europe/Berlin"),
        "day": [DAY, DAY],
    }
    return pd.DataFrame({**table, **columns})


def shown(tensors: Mapping[str, Any]) -> dict[str, str]:
    return {name: repr(array.tolist()) for name, array in tensors.items()}


EXPECTED = {
    "x": "[[1.5, 30.0, 1.0], [2.0, nan, nan]]",
    "note": "[['a'], [None]]",
    "when": "['2026-01-31T11:00:00.25Z', None]",
    "day": "[['2026-01-31'], ['2026-01-31']]",
}


@pytest.mark.parametrize(
    "frame",
    [
        trips(),
        trips().convert_dtypes(),
        trips().astype({"note": "category", "when": object}),
        trips(age=[30.0, np.nan], alone=[True, None], note=["a", np.nan], day=pd.to_datetime([DAY, DAY])),
        trips(when=["2026-01-31T12:00:00.25+01:00", pd.NaT], note=["a", pd.NA], day=["2026-01-31"] * 2),
    ],
)
def test_every_type_that_pandas_has_for_a_column_means_the_same(frame: pd.DataFrame) -> None:
    assert shown(take(frame, TRIP).tensors) == EXPECTED
    records = frame.astype(object).to_dict("records")
    assert shown(take(records, TRIP).tensors) == EXPECTED


def test_an_optional_column_may_be_left_out_of_frames_records_and_arrays() -> None:
    frame = trips().drop(columns="note")
    for given in (frame, frame.astype(object).to_dict("records")):
        assert shown(take(given, TRIP).tensors) == {**EXPECTED, "note": "[[None], [None]]"}
    arrays = {
        "x": np.array([[1.5, 30, 1]]),
        "when": np.array(["2026-01-31T11:00"], "datetime64[m]"),
        "day": np.array([["2026-01-31"]], "datetime64[D]"),
    }
    assert take(arrays, TRIP).tensors["note"].tolist() == [[None]]
    assert take(arrays, TRIP).tensors["when"].tolist() == ["2026-01-31T11:00:00Z"]
    assert "lacks the columns 'age'" in refused(trips().drop(columns="age"), TRIP).message


@pytest.mark.parametrize(
    ("columns", "row", "column"),
    [
        ({"when": pd.to_datetime(["2026-01-31"] * 2)}, 0, "when"),
        ({"when": ["2026-01-31T12:00:00Z", "2026-01-31"]}, 1, "when"),
        ({"day": pd.to_datetime(["2026-01-31"] * 2).tz_localize("UTC")}, 0, "day"),
        ({"day": pd.to_datetime(["2026-01-31", "2026-01-31 12:00"], format="mixed")}, 1, "day"),
        ({"day": [DAY, None]}, 1, "day"),
        ({"age": [30, 20_000_001]}, 1, "age"),
        ({"age": [30, 30.5]}, 1, "age"),
        ({"fare": [1, 20_000_001]}, 1, "fare"),
        ({"alone": [True, 1]}, 1, "alone"),
        ({"note": ["a", 1]}, 1, "note"),
    ],
)
def test_a_value_of_another_type_than_its_columns_is_refused(columns: dict[str, Any], row: int, column: str) -> None:
    told = refused(trips(**columns), TRIP)
    assert [(problem.row, problem.column) for problem in told.problems] == [(row, column)]


def test_infinities_in_records_are_no_missing_values() -> None:
    for rows in ([{"x": 1.0}, {"x": np.inf}], [[None], [-np.inf]]):
        told = refused(rows, one_column("float32", nullable=True))
        assert [(problem.row, problem.column) for problem in told.problems] == [(1, "x")]


def test_rows_are_refused_in_the_words_of_the_server() -> None:
    told = refused([[1, 2, 3, 4], [1, "long", 3, 4]])
    assert told.message == "Expected a finite number (float32) in row 1, column 'c1', received \"long\"."


@pytest.mark.parametrize("data", [None, "text", 7, b"bytes", {1, 2}])
def test_what_is_no_data_is_a_type_error(data: Any) -> None:
    with pytest.raises(TypeError, match="a pandas DataFrame"):
        take(data)


def test_a_row_with_something_that_is_no_value_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="A row holds a complex"):
        take([[1, 2, 3, 4j]])


def test_bytes_are_taken_as_such_or_as_base64_wherever_they_can_keep_their_zeros() -> None:
    signature = Signature(
        Kind.TENSORS, (Tensor("x", "bytes", (None,), (Column("x", "bytes"),)),), (Tensor("y", "int64", (None,)),)
    )
    values = [b"a\0", b""]
    frame = pd.DataFrame({"x": [b"a\0", bytearray()]})
    for data in (
        np.array(values, object),
        np.array(["YQA=", ""], object),
        {"x": values},
        [[each] for each in values],
        [{"x": bytearray(each)} for each in values],
        frame,
    ):
        assert take(data, signature).tensors["x"].tolist() == values
    assert "an array of objects that are bytes" in refused(np.array(values), signature).message
    assert refused(np.array(["YQ"], object), signature).problems[0].expected == "bytes as a text of base64"


@pytest.mark.parametrize("row", [[b"a"], {"x": bytearray(b"a")}])
def test_bytes_in_a_row_are_no_text(row: Any) -> None:
    (problem,) = refused([row], one_column("string")).problems
    assert (problem.row, problem.column, problem.expected, problem.received) == (0, "x", "a text", "1 bytes")
