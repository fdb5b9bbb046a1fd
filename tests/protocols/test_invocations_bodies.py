"""The bodies of MLflow's and TensorFlow's protocols mean what the native bodies of the same rows mean."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from septet.errors import Invalid, Malformed
from septet.model.signature import Column, Kind, Signature, Tensor
from septet.protocols.codecs.decoded_body import DecodedBody
from septet.protocols.codecs.json_body import JsonBody
from septet.protocols.codecs.rows_document import RowsDocument
from septet.protocols.mlflow.invocations import BODY_FORMAT
from septet.types import Tensors
from tests.protocols import bodies

TABLE = Signature(
    Kind.TENSORS,
    (
        Tensor("X", "float32", (None, 2), (Column("a", "float32"), Column("b", "float32", nullable=True))),
        Tensor("name", "string", (None, 1), (Column("name", "string", nullable=True),)),
    ),
    bodies.OUTPUTS,
)
NAMES = ["a", "b", "name"]
ROWS: list[Any] = [[1, 2.5, "x"], [3, None, None]]
GARBAGE: list[Any] = [None, True, 5, -1.5, "", "x", [], [[]], {}, {"a": 1}, 1e39, 10**30, [1, 2, "é"], '"', "\\"]


def decode(signature: Signature, body: bytes, max_rows: int = 10) -> DecodedBody:
    return RowsDocument(signature, BODY_FORMAT, max_rows=max_rows)(body)[1]


def split(signature: Signature, rows: Any, order: list[int] | None = None, **more: Any) -> Any:
    names = [column.name for column in signature.columns]
    order = list(range(len(names))) if order is None else order
    data = [[row[place] for place in order] for row in rows]
    return {"dataframe_split": {**more, "columns": [names[place] for place in order], "data": data}}


@given(bodies.with_rows(bodies.tabular()), st.data())
def test_a_frame_means_the_same_in_every_order(made: tuple[Signature, Tensors], data: st.DataObject) -> None:
    signature, tensors = made
    rows = bodies.rows_of(signature, tensors)
    order = data.draw(st.none() | st.permutations(range(len(signature.columns))))
    index: dict[str, Any] = data.draw(
        st.sampled_from([{}, {"index": list(range(len(rows)))}, {"index": ["r"]}, {"index": None}])
    )
    body = split(signature, rows, order, **index)
    bodies.same(tensors, decode(signature, json.dumps(body).encode()))
    bodies.same(tensors, decode(signature, json.dumps({**body, "params": {"a": ["b"]}}).encode()))


@given(bodies.with_rows(bodies.tabular()))
def test_a_frame_without_names_is_in_the_models_order(made: tuple[Signature, Tensors]) -> None:
    signature, tensors = made
    rows = bodies.rows_of(signature, tensors)
    for columns in ({}, {"columns": None}, {"columns": list(range(len(signature.columns)))}):
        bodies.same(tensors, decode(signature, json.dumps({"dataframe_split": {**columns, "data": rows}}).encode()))


@given(bodies.with_rows(bodies.tabular()))
def test_records_and_rows_are_those_of_the_native_body(made: tuple[Signature, Tensors]) -> None:
    signature, tensors = made
    forms = bodies.forms(signature, tensors)
    for key, value in (("dataframe_records", forms["records"]), ("instances", forms["data"])):
        bodies.same(tensors, decode(signature, json.dumps({key: value}).encode()))
        bodies.same(tensors, decode(signature, json.dumps({key: value}, ensure_ascii=False).encode()))


@given(bodies.with_rows(bodies.deep() | bodies.tabular()))
def test_tensors_are_those_of_the_native_body_by_name_by_row_and_bare(made: tuple[Signature, Tensors]) -> None:
    signature, tensors = made
    forms = bodies.forms(signature, tensors)
    if "inputs" not in forms:
        return
    bodies.same(tensors, decode(signature, json.dumps({"inputs": forms["inputs"]}).encode()))
    if len(signature.inputs) == 1:
        (bare,) = forms["inputs"].values()
        bodies.same(tensors, decode(signature, json.dumps({"inputs": bare}).encode()))
    if not signature.columns:
        rows = [dict(zip(tensors, row, strict=True)) for row in zip(*forms["inputs"].values(), strict=True)]
        bodies.same(tensors, decode(signature, json.dumps({"instances": rows}).encode()))


@given(bodies.with_rows(bodies.tabular()))
def test_columns_of_values_are_rows(made: tuple[Signature, Tensors]) -> None:
    signature, tensors = made
    names = [column.name for column in signature.columns]
    if set(names) & {tensor.name for tensor in signature.inputs}:
        return
    rows = bodies.rows_of(signature, tensors)
    columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    bodies.same(tensors, decode(signature, json.dumps({"inputs": columns}).encode()))


@given(
    st.sampled_from(["instances", "dataframe_records", "dataframe_split"]),
    st.sampled_from(GARBAGE),
    st.integers(0, 1),
    st.none() | st.integers(0, 2),
    st.none() | st.integers(0, 120),
)
def test_what_the_native_body_refuses_is_refused_and_nothing_else(
    key: str, wrong: Any, row: int, place: int | None, cut: int | None
) -> None:
    changed: list[Any] = [list(each) for each in ROWS]
    if place is None:
        changed[row] = wrong
    else:
        changed[row][place] = wrong
    values: Any = changed
    native = "data"
    if key == "dataframe_records":
        native = "records"
        values = [
            dict(zip(NAMES, each, strict=True)) if isinstance(each, list) and len(each) == 3 else each
            for each in changed
        ]
    ours = {key: {"columns": NAMES, "data": values} if key == "dataframe_split" else values}
    found = bodies.outcome(lambda body: decode(TABLE, body), json.dumps(ours).encode()[:cut])
    if cut is None:
        expected = bodies.outcome(JsonBody(TABLE, max_rows=10), json.dumps({native: values}).encode())
        assert (found is None) == (expected is None)
        if found is not None and expected is not None:
            bodies.same(expected.tensors, found)


@given(st.binary(max_size=30) | st.text(max_size=30).map(str.encode))
def test_any_bytes_are_refused_and_nothing_else_happens(body: bytes) -> None:
    assert bodies.outcome(lambda text: decode(TABLE, text), body) is None


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"dataframe_split":5}', "key 'dataframe_split'"),
        (b'{"dataframe_split":{"columns":["a","b","name"]}}', "key 'dataframe_split'"),
        (b'{"dataframe_split":{"columns":["a","b","name"],"data":5}}', "a list of rows"),
        (b'{"dataframe_split":{"data":[[1,2,"x"]],"rows":1}}', "key 'rows'"),
        (b'{"dataframe_split":{"data":[[1,2,"x"]],"index":1}}', "key 'index'"),
        (b'{"dataframe_split":{"columns":5,"data":[[1,2,"x"]]}}', "key 'columns'"),
        (b'{"dataframe_split":{"columns":[0,1],"data":[[1,2]]}}', "key 'columns'"),
        (b'{"dataframe_split":{"columns":["a","b","nmae"],"data":[[1,2,"x"]]}}', "column 'name'"),
        (b'{"dataframe_split":{"columns":["a","b"],"data":[[1,2]]}}', "column 'name'"),
        (b'{"dataframe_split":{"columns":["a","b","name","c"],"data":[[1,2,"x",3]]}}', "column 'c'"),
        (b'{"dataframe_split":{"columns":["b","a","name","a"],"data":[[1,2,"x",3]]}}', "each column once"),
        (b'{"dataframe_split":{"columns":["b","a","name"],"data":[[1,2]]}}', "row 0"),
        (b'{"dataframe_split":{"columns":["b","a","name"],"data":[[1,2,"x"],5]}}', "row 1"),
        (b'{"dataframe_split":{"columns":["b","a","name"],"data":[[1,"z","x"]]}}', "row 0, column 'a'"),
        (b'{"dataframe_split":{"columns":["a","b","name"],"data":[[1,2]]}}', "row 0"),
        (b'{"dataframe_split":{"data":[[1,2,"x"]],"data":[[1,3,"x"]]}}', "'data' stands twice"),
        (b'{"dataframe_split":{"data":[]}}', "no rows"),
        (b'{"dataframe_records":5}', "key 'dataframe_records'"),
        (b'{"dataframe_records":[{"a":1,"b":2}]}', "row 0, column 'name'"),
        (b'{"instances":[[1,2,"x"]],"params":5}', "key 'params'"),
        (b'{"instances":[[1,2,"x"]],"params":{"a":1,"a":2}}', "'a' stands twice"),
        (b'{"columns":["a","b","name"],"data":[[1,2,"x"]]}', "an unknown key"),
    ],
)
def test_a_wrong_frame_is_refused_in_words_of_its_own_keys(body: bytes, words: str) -> None:
    with pytest.raises((Invalid, Malformed)) as caught:
        decode(TABLE, body)
    assert words in str(caught.value)


def test_a_frame_of_wrong_rows_names_no_more_of_them_than_are_told() -> None:
    body = {"dataframe_split": {"columns": ["b", "a", "name"], "data": [[1]] * 100}}
    with pytest.raises(Invalid) as caught:
        decode(TABLE, json.dumps(body).encode(), max_rows=1000)
    assert len(caught.value.problems) == 20


def test_a_frame_for_a_model_without_columns_is_refused() -> None:
    signature = Signature(Kind.TENSORS, (Tensor("image", "uint8", (None, 2, 2)),), bodies.OUTPUTS)
    for form, value in (("dataframe_split", {"columns": ["a"], "data": [[1]]}), ("dataframe_records", [{"a": 1}])):
        with pytest.raises(Invalid, match="no named columns"):
            decode(signature, json.dumps({form: value}).encode())
