"""Batches of a table become the tensors that a request with the same rows would have, and every bad row is named."""

import io
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from septet.columns.casting import Caster
from septet.columns.conversion import MOST_COLLECTED, TableConverter
from septet.errors import MOST_PROBLEMS, Invalid, SeptetError
from septet.model.signature import DTYPES, Column, Kind, Signature, Tensor
from septet.model.validation import Checker
from septet.protocols.codecs.csv_body import CsvBody
from septet.protocols.codecs.json_body import JsonBody
from septet.tables.column_batch import ColumnBatch, TableForm
from septet.tables.csv_table import CsvReader
from septet.tables.json_table import JsonReader
from septet.tables.jsonl_table import JsonlReader
from septet.tables.memory_table import MemoryReader
from septet.types import Array
from tests.budgets import examples

OUTPUT = (Tensor("y", "float32", (None,)),)
ABLE = [name for name in DTYPES if name == "string" or name.startswith(("float", "datetime"))]
COLUMNS = [
    *((Column(f"c_{name}", name), name) for name in DTYPES),
    *((Column(f"n_{name}", name, nullable=True), name) for name in ABLE),
    *((Column(f"o_{name}", name, optional=True, nullable=True), name) for name in ABLE),
    (Column("carried", "int64", nullable=True), "float32"),
    (Column("flag", "bool", nullable=True), "float32"),
]
PERSON = Signature(
    Kind.REGRESSION,
    (
        Tensor("x", "float32", (None, 2), (Column("fare", "float32"), Column("age", "int64", nullable=True))),
        Tensor("sex", "string", (None, 1), (Column("sex", "string"),)),
        Tensor("note", "string", (None,), (Column("note", "string", optional=True),)),
    ),
    OUTPUT,
)
DEEP = Signature(Kind.TENSORS, (Tensor("image", "float32", (None, 2, 3)), Tensor("id", "int64", (None,))), OUTPUT)
ONE = Signature(Kind.TENSORS, (Tensor("image", "float32", (None, 2, None)),), OUTPUT)


def signature(columns: list[tuple[Column, str]]) -> Signature:
    inputs = tuple(Tensor(column.name, carrier, (None, 1), (column,)) for column, carrier in columns)
    return Signature(Kind.TENSORS, inputs, OUTPUT)


NUMBERS = st.integers(-3, 300) | st.integers(-(2**66), 2**66) | st.floats(allow_nan=False, allow_infinity=False)
MOMENTS = st.sampled_from(["2026-01-31", "2026-01-31T12:00:00", "2026-01-31T12:00:00.5", "2026-02-31", "3000-01-01"])


def value(column: Column) -> st.SearchStrategy[Any]:
    usual: st.SearchStrategy[Any] = st.integers(0, 100) | st.floats(0, 100, width=16)
    if column.dtype == "string":
        usual = st.sampled_from(["a", "é", "", "x y"])
    elif column.dtype == "bool":
        usual = st.booleans()
    elif column.dtype.startswith("datetime"):
        usual = st.just("2026-01-31T12:00:00")
    odd = st.none() | st.booleans() | NUMBERS | MOMENTS | st.just([1]) | st.just("\udc80")
    return st.integers(0, 12).flatmap(lambda drawn: odd if drawn == 0 else usual)


@st.composite
def records(draw: st.DrawFn) -> tuple[Signature, list[dict[str, Any]]]:
    columns = draw(st.lists(st.sampled_from(COLUMNS), min_size=1, max_size=3, unique=True))
    rows = []
    for _ in range(draw(st.integers(1, 4))):
        row = {column.name: draw(value(column)) for column, _ in columns}
        if draw(st.integers(0, 9)) == 0:
            del row[draw(st.sampled_from(sorted(row)))]
        if draw(st.integers(0, 15)) == 0:
            row["more"] = 1
        rows.append(row)
    return signature(columns), rows


def outcome(taken: Signature, read: Any, content: bytes) -> Any:
    """The values as they would be written, or the problems by place; None for one that only the checker names."""
    try:
        found = dict(read(content))
    except SeptetError as error:
        return {(problem.row, problem.column): problem for problem in error.problems}
    wrong = Checker(taken)(found)
    if wrong:
        return {(problem.row, problem.column): None for problem in wrong}
    return {name: (array.dtype, repr(array.tolist())) for name, array in found.items()}


def same(got: Any, asked: Any) -> bool:
    """Whether all is found that is found in a request; a request names no values of a row that lacks others."""
    if not all(isinstance(place, tuple) for place in [*got, *asked]):
        return bool(got == asked)
    return all(asked[place] in (None, got[place]) for place in asked)


@given(records())
@settings(max_examples=examples(130))
def test_records_of_a_table_are_read_as_those_of_a_request(drawn: tuple[Signature, list[dict[str, Any]]]) -> None:
    taken, rows = drawn
    convert = TableConverter(taken)
    body = JsonBody(taken, max_rows=9)
    for form, content in (("records", rows), ("data", [list(row.values()) for row in rows])):
        text = json.dumps({form: content}).encode("utf-8", "surrogatepass")
        asked = outcome(taken, lambda text: body(text).tensors, text)
        if form == "data" and set(map(len, content)) != {len(taken.columns)}:
            continue
        got = outcome(taken, lambda text: _of(convert, JsonReader(io.BytesIO(text))), text)
        assert same(got, asked), (got, asked)


def _of(convert: TableConverter, reader: Any) -> Any:
    (batch,) = reader.batches()
    return convert(batch).checked()


@given(records())
@settings(max_examples=examples(100))
def test_a_row_is_bad_in_a_table_where_it_is_bad_alone(drawn: tuple[Signature, list[dict[str, Any]]]) -> None:
    taken, rows = drawn
    convert = TableConverter(taken)
    lines = [json.dumps(row).encode() for row in rows]
    bad = []
    for at, line in enumerate(lines):
        try:
            _of(convert, JsonlReader([line]))
        except Invalid:
            bad.append(at)
    (batch,) = JsonlReader(lines).batches()
    conversion = convert(batch)
    assert sorted({problem.row for problem in conversion.problems if problem.row is not None}) == bad
    assert [problem.row for problem in conversion.problems] == sorted(
        problem.row or 0 for problem in conversion.problems
    )
    good = [at for at in range(len(rows)) if at not in bad]
    if good:
        (alone,) = JsonlReader([lines[at] for at in good]).batches()
        for name, array in convert(alone).checked().items():
            assert repr(conversion.tensors[name][good].tolist()) == repr(array.tolist())


CELLS = st.sampled_from(["1", "-0", "1.5", "true", "", "nan", "x", "2026-01-31T12:00:00", " 7", "1e3", "300", "1_0"])


@given(st.lists(st.sampled_from(COLUMNS), min_size=1, max_size=3, unique=True), st.data())
@settings(max_examples=examples(100))
def test_cells_of_a_table_are_read_as_those_of_a_request(
    columns: list[tuple[Column, str]], data: st.DataObject
) -> None:
    taken = signature(columns)
    rows = data.draw(st.lists(st.lists(CELLS, min_size=len(columns), max_size=len(columns)), min_size=1, max_size=4))
    for quote in ("", '"'):
        lines = [[column.name for column, _ in columns], *rows]
        text = "".join(",".join(f"{quote}{cell}{quote}" for cell in line) + "\n" for line in lines).encode()
        if text.endswith(b"\n\n") or b"\n\n" in text:
            continue
        asked = outcome(taken, lambda text: CsvBody(taken, max_rows=9)(text).tensors, text)
        got = outcome(taken, lambda text: _of(TableConverter(taken), CsvReader(io.BytesIO(text))), text)
        assert same(got, asked), (got, asked)


def test_the_first_of_many_bad_rows_are_named_with_their_places_in_the_table() -> None:
    rows = [{"fare": "x" if at % 2 else 1, "age": 3, "sex": None if at % 3 == 0 else "f"} for at in range(5000)]
    convert = TableConverter(PERSON)
    for batch in MemoryReader({name: [row[name] for row in rows] for name in rows[0]}).batches():
        named = [problem.row or 0 for problem in convert(batch).problems]
        assert len(named) == 2 * MOST_PROBLEMS
        wrong = [row for row in range(batch.first_row, batch.first_row + batch.rows) if row % 2 or row % 3 == 0]
        assert sorted(set(named))[:MOST_PROBLEMS] == wrong[:MOST_PROBLEMS]


def test_the_first_of_them_are_in_the_error() -> None:
    batch = ColumnBatch({"fare": ["x"] * 50, "age": [1] * 50, "sex": ["f"] * 50}, 50, 100)
    conversion = TableConverter(PERSON)(batch)
    with pytest.raises(Invalid, match="in row 100, column 'fare'") as caught:
        conversion.checked()
    assert [problem.row for problem in caught.value.problems] == list(range(100, 120))


@pytest.mark.parametrize("form", [TableForm.TEXTS, TableForm.RECORDS])
def test_of_a_table_without_a_good_value_no_more_than_a_number_of_problems_are_collected(form: TableForm) -> None:
    width = 2 * MOST_COLLECTED // MOST_PROBLEMS
    columns = tuple(Column(f"c{at}", "float32") for at in range(width))
    signature = Signature(Kind.TENSORS, (Tensor("x", "float32", (None, width), columns),), PERSON.outputs)
    batch = ColumnBatch({column.name: ["x"] * 30 for column in columns}, 30, 0, form)
    with pytest.raises(Invalid) as caught:
        TableConverter(signature)(batch)
    assert [problem.row for problem in caught.value.problems] == [0] * MOST_PROBLEMS


def test_arrays_are_cast_and_columns_that_are_not_read_are_completed() -> None:
    columns: dict[str, Array] = {
        "sex": np.array(["f", "m"]),
        "age": np.array([1, 2], np.int8),
        "fare": np.array([7, 8.5]),
    }
    tensors = TableConverter(PERSON)(ColumnBatch(columns, 2)).checked()
    assert {name: array.tolist() for name, array in tensors.items()} == {
        "x": [[7.0, 1.0], [8.5, 2.0]],
        "sex": [["f"], ["m"]],
        "note": [None, None],
    }


def test_tensors_become_columns_again() -> None:
    tensors = {
        "x": np.array([[7.5, 30], [8, 31]], np.float32),
        "sex": np.array([["f"], ["m"]], object),
        "note": np.array([None, "n"], object),
    }
    found = TableConverter(PERSON).columns(tensors)
    assert {name: array.tolist() for name, array in found.items()} == {
        "fare": [7.5, 8.0],
        "age": [30, 31],
        "sex": ["f", "m"],
        "note": [None, "n"],
    }
    assert found["age"].dtype == np.int64
    assert TableConverter(DEEP).columns(tensors) == tensors


@pytest.mark.parametrize(
    ("columns", "form", "text"),
    [
        ({"fare": ["1"], "sex": ["f"]}, TableForm.TEXTS, "a column in the header row in column 'age'"),
        ({"fare": [1], "sex": ["f"]}, TableForm.COLUMNS, "a column in column 'age'"),
        (
            {"fare": ["1"], " age": ["2"], "sex": ["f"], "z": ["1"]},
            TableForm.TEXTS,
            "only the model's columns in column 'z'",
        ),
        (
            {"fare": ["1"], "age": ["2"], "sex": ["f"], "age ": ["1"]},
            TableForm.TEXTS,
            "each column once in column 'age'",
        ),
        (
            {"x0": [1], "x1": [2]},
            TableForm.LISTS,
            r"a list of 4 values \(fare, age, sex, note\) in row 0, received a list of 2",
        ),
        (
            {"fare": np.array(["2026"], "M8[s]"), "age": [1], "sex": ["f"]},
            TableForm.COLUMNS,
            "received an array of datetime64",
        ),
    ],
)
def test_a_table_without_the_columns_of_the_model_is_refused(columns: Any, form: TableForm, text: str) -> None:
    with pytest.raises(Invalid, match=text):
        TableConverter(PERSON)(ColumnBatch(columns, 1, 0, form))


def test_columns_that_the_model_does_not_have_may_be_left_alone() -> None:
    convert = TableConverter(PERSON, extra_columns="ignore")
    for form, cells in ((TableForm.TEXTS, ["1"]), (TableForm.RECORDS, [1])):
        columns = {"fare": cells, "age": cells, "sex": ["f"], "more": [UNSET], "id": ["q"]}
        assert convert(ColumnBatch(columns, 1, 0, form)).problems == ()


def test_rows_of_another_make_are_no_further_problem() -> None:
    (batch,) = JsonlReader([b'[1, 2, "f", null]', b"[1]", b'["x", 2, "f", null]']).batches()
    conversion = TableConverter(PERSON)(batch)
    assert [(each.row, each.column, each.received) for each in conversion.problems] == [
        (1, None, "a list of 1"),
        (2, "fare", '"x"'),
    ]
    assert conversion.problems[0].expected == "a list of 4 values (fare, age, sex, note)"


@pytest.mark.parametrize("dtype", ["float64", "int8", "bool"])
def test_a_matrix_has_values_as_its_tensor_has_them(dtype: str) -> None:
    taken = signature([(Column("f", "float32"), "float32"), (Column("b", "bool"), "float32")])
    matrix = np.array([[1, 0], [0, 1]], dtype)
    columns = {f"x{at}": matrix[:, at] for at in range(2)}
    tensors = TableConverter(taken)(ColumnBatch(columns, 2, 0, TableForm.LISTS)).checked()
    assert np.concatenate(list(tensors.values()), axis=1).tolist() == [[1.0, 0.0], [0.0, 1.0]]


# Inputs without columns


IMAGE = [[1, 2, 3], [4, 5, 6]]


def test_inputs_of_any_shape_are_read_by_name() -> None:
    for images in ([IMAGE, IMAGE], np.array([IMAGE, IMAGE])):
        tensors = TableConverter(DEEP)(ColumnBatch({"id": [1, 2], "image": images}, 2)).checked()
        assert tensors["image"].dtype == np.float32
        assert tensors["image"].tolist() == [IMAGE, IMAGE]
        assert tensors["id"].tolist() == [1, 2]


def test_a_single_input_is_read_from_rows_and_from_arrays() -> None:
    (batch,) = JsonlReader([json.dumps(IMAGE).encode()] * 2).batches()
    assert TableConverter(ONE)(batch).checked()["image"].tolist() == [IMAGE, IMAGE]
    columns = {f"x{at}": np.array([IMAGE, IMAGE])[:, at] for at in range(2)}
    tensors = TableConverter(ONE)(ColumnBatch(columns, 2, 0, TableForm.LISTS)).checked()
    assert tensors["image"].tolist() == [IMAGE, IMAGE]


def test_rows_that_are_too_short_for_a_single_input_are_named_once() -> None:
    (batch,) = JsonlReader([json.dumps(IMAGE).encode(), b"[[1, 2, 3]]"]).batches()
    (problem,) = TableConverter(ONE)(batch).problems
    assert (problem.row, problem.expected, problem.received) == (1, "a list of 2 values", "a list of 1")


def test_rows_of_another_shape_are_named() -> None:
    rows = [IMAGE, IMAGE[:1], [[1], [2]], 5, IMAGE, [[1, 2, 3], [4, 5, "x"]], [[1, 2], [3]]]
    conversion = TableConverter(ONE)(ColumnBatch({"image": rows}, 7, 10))
    assert [(each.row, each.column) for each in conversion.problems] == [(row, "image") for row in (11, 12, 13, 16)]
    regular = TableConverter(ONE)(ColumnBatch({"image": [IMAGE, [[1, 2, 3], [4, 5, "x"]]]}, 2, 10))
    assert [(each.row, each.received) for each in regular.problems] == [(11, '"x"')]
    with pytest.raises(Invalid, match="in row 11, input 'image'"):
        regular.checked()


@pytest.mark.parametrize(
    ("columns", "form", "text"),
    [
        ({"image": [IMAGE]}, TableForm.COLUMNS, "a value in input 'id', received no such key"),
        ({"image": [IMAGE], "id": [1], "z": [1]}, TableForm.COLUMNS, "one of image, id in input 'z'"),
        ({"image": [IMAGE], "id": [1]}, TableForm.RECORDS, "no named columns; send 'inputs'"),
        ({"x0": [1], "x1": [2]}, TableForm.LISTS, "no named columns; send 'inputs'"),
        ({"image": np.zeros((1, 3, 2)), "id": [1]}, TableForm.COLUMNS, r"shape is \[1, 3, 2\] and the model takes"),
        ({"image": np.zeros((1, 2, 3), "M8[s]"), "id": [1]}, TableForm.COLUMNS, "dtype is datetime64"),
    ],
)
def test_tables_that_are_not_of_the_inputs_are_refused(columns: Any, form: TableForm, text: str) -> None:
    with pytest.raises(Invalid, match=text):
        TableConverter(DEEP)(ColumnBatch(columns, 1, 0, form))


def test_inputs_of_a_model_with_columns_may_be_given_as_such() -> None:
    columns: dict[str, Any] = {"x": [[1, 2], [3, None]], "sex": ["f", "m"]}
    tensors = TableConverter(PERSON)(ColumnBatch(columns, 2, form=TableForm.INPUTS)).checked()
    assert repr(tensors["x"].tolist()) == "[[1.0, 2.0], [3.0, nan]]"
    assert tensors["sex"].tolist() == [["f"], ["m"]]
    assert tensors["note"].tolist() == [None, None]


def test_a_column_of_an_input_of_the_same_name_is_one_of_its_tensor() -> None:
    taken = signature([(Column("flag", "bool"), "float32")])
    for values in ([[1], [0]], [1, 0], [True, False]):
        (batch,) = JsonReader(io.BytesIO(json.dumps({"inputs": {"flag": values}}).encode())).batches()
        assert TableConverter(taken)(batch).checked()["flag"].tolist() == [[1.0], [0.0]]


# The caster


class CarefulCaster(Caster):
    """Never takes the short way."""

    def quick(self, cells: Sequence[Any]) -> Array | None:  # noqa: ARG002
        return None


@given(st.sampled_from(COLUMNS), st.data())
@settings(max_examples=examples(130))
def test_lists_are_cast_in_the_short_way_as_in_the_careful_one(column: tuple[Column, str], data: st.DataObject) -> None:
    own, carrier = column
    cells = data.draw(st.lists(value(own) | NUMBERS, max_size=4))
    short, careful = Caster(carrier, (own,)), CarefulCaster(carrier, (own,))
    found, wrong = short.listed(cells, (len(cells),))
    expected, named = careful.listed(cells, (len(cells),))
    assert wrong == named
    assert found.dtype == expected.dtype
    assert repr(found.tolist()) == repr(expected.tolist())
