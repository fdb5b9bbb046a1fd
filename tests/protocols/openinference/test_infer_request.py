"""Inference requests over REST: every way to write values gives the same tensors, and every fault is named."""

import json
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from septet.errors import Invalid, Malformed, SeptetError, UnsupportedMediaType
from septet.model.signature import DTYPES, Column, Kind, Signature, Tensor
from septet.protocols.http.http_messages import HttpReply, HttpRequest
from septet.protocols.openinference.datatypes import DATATYPES, dtype_of, from_raw, raw_bytes
from septet.protocols.openinference.infer_request import InferRequestReader
from septet.service import Service
from septet.tensors import listed
from septet.types import Array, Request, Tensors
from tests.budgets import examples
from tests.protocols import bodies, models

LENGTH = "inference-header-content-length"
ROW = {"name": "X", "datatype": "FP32", "shape": [1, 4], "data": [1.5, 2, 3, 4]}
RAW = np.array([1.5, 2, 3, 4], np.float32).tobytes()
BINARY = {"name": "X", "datatype": "FP32", "shape": [1, 4], "parameters": {"binary_data_size": 16}}


def inference(service: Service) -> InferRequestReader:
    return InferRequestReader(models.request_factory(service))


def http(body: bytes | dict[str, Any], tail: bytes | None = None, **headers: str) -> HttpRequest:
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    more = {} if tail is None else {LENGTH: str(len(sent))}
    named = {name.replace("_", "-").encode(): value.encode("latin-1") for name, value in {**more, **headers}.items()}
    return HttpRequest("POST", "/v2/models/iris/infer", b"", named, sent + (tail or b""))


def request(service: Service, sent: HttpRequest) -> Request:
    return inference(service).infer(sent)[1]


def reply(service: Service, sent: HttpRequest) -> HttpReply:
    return models.reply(service, inference(service).infer, sent)


def answer(service: Service, body: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(reply(service, http(body)).body)
    return found


def data_of(array: Array) -> Any:
    return bodies.plain(listed(array.ravel()))


def entry(tensor: Tensor, array: Array, data: Any) -> dict[str, Any]:
    return {"name": tensor.name, "datatype": DATATYPES[tensor.dtype], "shape": list(array.shape), "data": data}


def same(tensors: Tensors, made: Request) -> None:
    assert list(made.tensors) == list(tensors)
    for name, array in tensors.items():
        assert made.tensors[name].dtype == array.dtype
        np.testing.assert_array_equal(made.tensors[name], array)


def of(signature: Signature, tensors: Tensors) -> Service:
    row = {name: array[:1] for name, array in tensors.items()}
    return models.service(signature, row, {"y": [0.0]})


@given(bodies.with_rows(bodies.tabular() | bodies.deep()), st.data())
@settings(max_examples=examples(75))
def test_flat_nested_and_binary_values_are_the_same_tensors(
    made: tuple[Signature, Tensors], data: st.DataObject
) -> None:
    signature, tensors = made
    service = of(signature, tensors)
    order = data.draw(st.permutations(signature.inputs))
    flat = [entry(each, tensors[each.name], data_of(tensors[each.name])) for each in order]
    nested = [entry(each, tensors[each.name], bodies.plain(listed(tensors[each.name]))) for each in order]
    same(tensors, request(service, http({"inputs": flat})))
    same(tensors, request(service, http({"inputs": nested})))
    # NaN as Python's json writes it
    tokens = [
        entry(each, array, data_of(array) if each.dtype == "bytes" else listed(array.ravel()))
        for each in order
        for array in (tensors[each.name],)
    ]
    same(tensors, request(service, http({"inputs": tokens})))


@given(bodies.with_rows(bodies.tabular() | bodies.deep()), st.data())
@settings(max_examples=examples(50))
def test_raw_tensors_behind_the_json_are_the_same_beside_values_within_it(
    made: tuple[Signature, Tensors], data: st.DataObject
) -> None:
    signature, full = made
    # BYTES has no null: which texts are missing is told by a parameter, and has tests of its own.
    empty = {each.name: b"" if each.dtype == "bytes" else "" for each in signature.inputs}
    tensors = {
        name: np.array([empty[name] if t is None else t for t in array.flat], object).reshape(array.shape)
        if array.dtype == object
        else np.where(np.isnat(array), np.array(0, array.dtype), array)
        if array.dtype.kind == "M"
        else array
        for name, array in full.items()
    }
    tail, inputs = b"", []
    for each in signature.inputs:
        item = entry(each, tensors[each.name], data_of(tensors[each.name]))
        if data.draw(st.booleans()):
            raw = bytes(raw_bytes(tensors[each.name], each.dtype))
            del item["data"]
            item["parameters"] = {"binary_data_size": len(raw)}
            tail += raw
        inputs.append(item)
    same(tensors, request(of(signature, tensors), http({"inputs": inputs}, tail)))


def test_an_answer_names_the_model_and_repeats_the_id_that_it_was_given() -> None:
    body = {"id": "42", "inputs": [ROW]}
    assert answer(models.classifier(), body) == {
        "model_name": "iris",
        "model_version": "1.2.0",
        "id": "42",
        "outputs": [
            {"name": "label", "datatype": "INT64", "shape": [1], "data": [0]},
            {
                "name": "probabilities",
                "datatype": "FP32",
                "shape": [1, 3],
                "data": np.array([0.9, 0.07, 0.03], np.float32).tolist(),
            },
        ],
    }
    assert "id" not in answer(models.classifier(), {"inputs": [ROW]})


@pytest.mark.parametrize(
    ("own", "header", "request_id"),
    [("a", "b", "a"), (None, "b", "b"), ("not for a header", "b", "b"), ("", "b", "b"), ("é", "b", "b")],
)
def test_the_id_of_a_request_is_its_own_where_a_header_can_hold_it(
    own: str | None, header: str, request_id: str
) -> None:
    sent = http({"id": own, "inputs": [ROW]}, x_request_id=header)
    made = reply(models.classifier(), sent)
    assert made.id == request_id
    assert json.loads(made.body).get("id") == own


def test_outputs_come_in_the_callers_order_and_no_others() -> None:
    wanted = [{"name": "probabilities"}, {"name": "label", "parameters": None}]
    assert [each["name"] for each in answer(models.classifier(), {"inputs": [ROW], "outputs": wanted})["outputs"]] == [
        "probabilities",
        "label",
    ]
    made = answer(models.classifier(), {"inputs": [ROW], "outputs": [{"name": "label"}]})
    assert [each["name"] for each in made["outputs"]] == ["label"]
    assert len(answer(models.classifier(), {"inputs": [ROW], "outputs": []})["outputs"]) == 2


def raw_outputs(made: HttpReply) -> tuple[list[dict[str, Any]], dict[str, Array]]:
    """The entries of the outputs, and the arrays of those that are raw."""
    length = int(dict(made.headers)[LENGTH.encode()])
    entries = json.loads(made.body[:length])["outputs"]
    arrays, start = {}, length
    for each in entries:
        size = each.get("parameters", {}).get("binary_data_size")
        if size is not None:
            raw = made.body[start : start + size]
            arrays[each["name"]] = from_raw(raw, dtype_of(each["datatype"], ""), each["shape"], each["name"])
            start += size
    assert start == len(made.body)
    assert made.media_type == b"application/octet-stream"
    return entries, arrays


def test_an_output_says_itself_whether_it_is_raw_and_the_request_for_all_others() -> None:
    wanted = [{"name": "label", "parameters": {"binary_data": False}}, {"name": "probabilities"}]
    body = {"inputs": [BINARY], "outputs": wanted, "parameters": {"binary_data_output": True}}
    entries, arrays = raw_outputs(reply(models.classifier(), http(body, RAW)))
    assert entries[0] == {"name": "label", "datatype": "INT64", "shape": [1], "data": [0]}
    assert arrays["probabilities"].tolist() == np.array([[0.9, 0.07, 0.03]], np.float32).tolist()
    body = {"inputs": [BINARY], "outputs": [{"name": "label", "parameters": {"binary_data": True}}]}
    assert raw_outputs(reply(models.classifier(), http(body, RAW)))[1]["label"].tolist() == [0]
    body = {"inputs": [ROW], "parameters": {"binary_data_output": True}}
    assert set(raw_outputs(reply(models.classifier(), http(body)))[1]) == {"label", "probabilities"}


def test_a_body_without_json_is_the_only_input_and_all_outputs_are_raw() -> None:
    made = reply(models.classifier(), HttpRequest("POST", "/", b"", {LENGTH.encode(): b"0"}, RAW * 3))
    assert {name: array.shape for name, array in raw_outputs(made)[1].items()} == {
        "label": (3,),
        "probabilities": (3, 3),
    }
    text = Signature(Kind.TENSORS, (Tensor("t", "string", (None, 1)),), (Tensor("y", "float32", (None,)),))
    body = "schön".encode()
    (array,) = request(of(text, {"t": np.array([["a"]], object)}), http(b"", body)).tensors.values()
    assert array.tolist() == [["schön"]]


@pytest.mark.parametrize(
    ("tensor", "size", "message"),
    [
        (Tensor("t", "float32", (None, 4)), 17, "a body of 17 bytes does not fit it"),
        (Tensor("t", "float32", (None, 0)), 0, "a body of 0 bytes does not fit it"),
        (Tensor("t", "float32", (None, None)), 16, "only one size can follow from the size of a body"),
        (Tensor("t", "string", (None, 2)), 16, "a body is one text"),
    ],
)
def test_a_body_without_json_that_gives_no_shape_is_refused(tensor: Tensor, size: int, message: str) -> None:
    signature = Signature(Kind.TENSORS, (tensor,), (Tensor("y", "float32", (None,)),))
    service = of(signature, {"t": np.zeros((1, 2), DTYPES[tensor.dtype])})
    with pytest.raises(Invalid, match=message):
        request(service, http(b"", b"x" * size))
    with pytest.raises(Invalid, match="this model has 5"):
        request(models.mixed(), http(b"", b"x" * size))


def test_a_classification_is_the_best_classes_of_each_row_with_their_labels() -> None:
    wanted = [{"name": "probabilities", "parameters": {"classification": 2}}]
    made = answer(models.classifier(), {"inputs": [{**ROW, "shape": [2, 4], "data": [[1] * 4] * 2}], "outputs": wanted})
    texts = ["0.900000:0:setosa", "0.070000:1:versicolor"] * 2
    assert made["outputs"] == [{"name": "probabilities", "datatype": "BYTES", "shape": [2, 2], "data": texts}]
    wanted = [{"name": "label", "parameters": {"classification": 5, "binary_data": True}}]
    entries, arrays = raw_outputs(reply(models.classifier(), http({"inputs": [ROW], "outputs": wanted})))
    assert (entries[0]["datatype"], arrays["label"].tolist()) == ("BYTES", [["0:0"]])


def test_equal_values_keep_their_order_and_nan_comes_last() -> None:
    tensor = Tensor("out", "float32", (None, 4))
    service = models.single_output(Kind.TENSORS, tensor, [[2.0, np.nan, 2.0, 5.0]])
    row = {"name": "X", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}
    body = {"inputs": [row], "outputs": [{"name": "out", "parameters": {"classification": 4}}]}
    texts = answer(service, body)["outputs"][0]["data"]
    assert texts == ["5.000000:3", "2.000000:0", "2.000000:2", "nan:1"]


def test_without_rows_the_whole_output_has_one_list_of_best_classes() -> None:
    service = models.tensors(rows=False)
    inputs = [
        {"name": "image", "datatype": "UINT8", "shape": [1, 2, 3], "data": list(range(6))},
        {"name": "mask", "datatype": "BOOL", "shape": [1, 2], "data": [True, False]},
    ]
    body = {"inputs": inputs, "outputs": [{"name": "features", "parameters": {"classification": 1}}]}
    (output,) = answer(service, body)["outputs"]
    assert (output["shape"], output["data"]) == ([1], ["1.500000:1"])


def test_numbers_that_are_not_finite_are_written_as_triton_does_and_only_they_are() -> None:
    values = [np.nan, np.inf, -np.inf, 0.5]
    service = models.single_output(Kind.TENSORS, Tensor("out", "float32", (None, 4)), [values])
    row = {"name": "X", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}
    assert b'"data":[NaN,Infinity,-Infinity,0.5]' in reply(service, http({"inputs": [row]})).body


def test_the_timeout_is_in_microseconds_and_0_is_none() -> None:
    service = models.classifier()
    default = request(service, http({"inputs": [ROW]})).deadline
    for microseconds, seconds in ((0, 30.0), (5_000_000, 5.0), (10**12, 300.0)):
        body = {"inputs": [ROW], "parameters": {"timeout": microseconds, "priority": 1, "anything": "else"}}
        deadline = request(service, http(body)).deadline
        assert deadline is not None
        assert default is not None
        assert abs(deadline - default - (seconds - 30.0)) < 2.0


def test_what_the_protocol_does_not_know_is_passed_over() -> None:
    body = {"inputs": [{**ROW, "note": "x"}], "model_name": "another", "id": None, "outputs": None, "parameters": None}
    assert request(models.classifier(), http(body)).rows == 1


@pytest.mark.parametrize("shape", [[], [1]])
def test_a_tensor_without_axes_is_one_value_with_or_without_brackets(shape: list[int]) -> None:
    signature = Signature(
        Kind.TENSORS, (Tensor("t", "float32", tuple(shape)),), (Tensor("y", "float32", (1,)),), rows=False
    )
    service = models.service(signature, {"t": np.zeros(shape)}, {"y": [0.0]})
    data: tuple[object, ...] = (2.5, [2.5]) if not shape else ([2.5],)
    for written in data:
        body = {"inputs": [{"name": "t", "datatype": "FP32", "shape": shape, "data": written}]}
        assert request(service, http(body)).tensors["t"].tolist() == ([2.5] if shape else 2.5)


def of_column(dtype: str, **more: Any) -> Service:
    signature = Signature(
        Kind.TENSORS, (Tensor("c", dtype, (None, 2), (Column("a", dtype, **more), Column("b", dtype))),), bodies.OUTPUTS
    )
    return of(signature, {"c": np.zeros((1, 2), DTYPES[dtype])})


@pytest.mark.parametrize(
    ("dtype", "data", "message"),
    [
        ("uint8", [1, 256], "Expected a whole number from 0 to 255 in row 0, column 'b', received 256."),
        ("uint64", [1, 2**64], "Expected a whole number from 0 to 18446744073709551615"),
        ("int8", [1.5, 1], "Expected a whole number from -128 to 127 in row 0, column 'a', received 1.5."),
        ("bool", [True, 1], "Expected true or false in row 0, column 'b', received 1."),
        ("float32", [1, 1e39], "Expected a finite number (float32) in row 0, column 'b', received 1e39."),
        ("float16", [1, "2"], "Expected a finite number (float16) in row 0, column 'b', received \"2\"."),
        ("float32", [True, 1], "in row 0, column 'a', received true."),
        ("float32", [None, 1], "in row 0, column 'a', received null."),
        ("string", ["a", 1], "Expected a text in row 0, column 'b', received 1."),
        ("string", ["a", None], "Expected a text in row 0, column 'b', received null."),
        ("int64", [[1, 2], [3]], "Expected a list of 1, as its shape [1, 2] says, in 'c.data', received a list of 2."),
        ("int64", [[1, [2]]], "Expected a whole number"),
        ("int64", [1], "Expected a list of 2, as its shape [1, 2] says, in 'c.data', received a list of 1."),
        ("int64", [[1]], "Expected a list of 2, as its shape [1, 2] says, in 'c.data[0]', received a list of 1."),
        ("int64", 7, "received 7."),
        ("int64", {"a": 1}, "received an object of 1 keys."),
    ],
)
def test_a_value_at_fault_is_named_with_its_place(dtype: str, data: Any, message: str) -> None:
    body = {"inputs": [{"name": "c", "datatype": DATATYPES[dtype], "shape": [1, 2], "data": data}]}
    with pytest.raises(Invalid) as refused:
        request(of_column(dtype), http(body))
    assert message in refused.value.message


def test_integral_floats_are_integers_and_null_is_missing_where_a_column_takes_it() -> None:
    body = {"inputs": [{"name": "c", "datatype": "INT8", "shape": [1, 2], "data": [1.0, 2]}]}
    assert request(of_column("int8"), http(body)).tensors["c"].tolist() == [[1, 2]]
    body = {"inputs": [{"name": "c", "datatype": "FP32", "shape": [1, 2], "data": [[None, 2]]}]}
    assert np.isnan(request(of_column("float32", nullable=True), http(body)).tensors["c"][0, 0])


def test_at_most_20_values_at_fault_are_told() -> None:
    body = {"inputs": [{"name": "c", "datatype": "INT8", "shape": [50, 2], "data": ["x"] * 100}]}
    with pytest.raises(Invalid, match="19 more in details") as refused:
        request(of_column("int8"), http(body))
    assert len(refused.value.problems) == 20


def of_row(**changes: Any) -> dict[str, Any]:
    made = {**ROW, **changes}
    return {"inputs": [{key: value for key, value in made.items() if value is not ...}]}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "The body is empty"),
        (b"[]", "Expected `object`, got `array`"),
        (b"{", "The body is not JSON"),
        (b"\xff", "The body is not UTF-8"),
        (b'{"inputs":[],"inputs":[]}', "The key 'inputs' stands twice"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"id":"\\ud800","inputs":[]}', "unpaired surrogates"),
        (b'"\\ud800"', "unpaired surrogates"),
        (b'{"inputs":[],"parameters":"\\ud800"}', "unpaired surrogates"),
        (b'{"inputs":[{"name":"\\ud800","shape":[],"datatype":"FP32","data":[]}]}', "no input"),
        (json.dumps(of_row()).replace('"name"', '"name":"Y","name"').encode(), "The key 'name' stands twice"),
        (json.dumps(of_row()).replace("1.5", '{"a":1,"a":2}').encode(), "The key 'a' stands twice"),
        ({}, "missing required field `inputs`"),
        ({"inputs": []}, "The input 'X' is missing"),
        ({"inputs": [ROW, ROW]}, "The input 'X' comes twice"),
        (of_row(name=...), "missing required field `name` - at `$.inputs[0]`"),
        (of_row(shape="4"), "Expected `array`, got `str` - at `$.inputs[0].shape`"),
        (of_row(shape=[1, 4.5]), "Expected `int`, got `float`"),
        (of_row(shape=[4]), "The input 'X' takes the shape [-1, 4], received [4]"),
        (of_row(shape=[10**30, 4]), "takes the shape [-1, 4], received [1000000000000000000000000000000, 4]"),
        (of_row(datatype="FP64"), "The input 'X' takes the datatype FP32, received FP64"),
        (of_row(data=...), "The input 'X' has no 'data', and no 'binary_data_size' among its parameters"),
        (of_row(data=[]), "received a list of 0"),
        (of_row(shape=[0, 4], data=[]), "The request has no rows"),
        (of_row(shape=[1001, 4], data=[0] * 4004), "The request has 1001 rows and the limit is 1000"),
        (of_row(parameters={"a": [1]}), "got `array` - at `$.inputs[0].parameters[...]`"),
        (
            of_row(parameters={"shared_memory_region": "r"}),
            "shared memory (shared_memory_region), which is not supported",
        ),
        (of_row(parameters={"binary_data_size": 16}), "needs the header Inference-Header-Content-Length"),
        ({**of_row(), "outputs": [{"name": "z"}]}, "The model has no output 'z'"),
        ({**of_row(), "outputs": [{"name": "label"}] * 2}, "asked for twice"),
        ({**of_row(), "parameters": {"timeout": -1}}, "'timeout' must be a whole number of at least 0"),
        ({**of_row(), "parameters": {"timeout": True}}, "'timeout' must be a whole number"),
        ({**of_row(), "parameters": {"binary_data_output": 1}}, "'binary_data_output' must be true or false"),
        (
            {**of_row(), "outputs": [{"name": "label", "parameters": {"classification": 0}}]},
            "'classification' must be a whole number of at least 1",
        ),
        (
            {**of_row(), "outputs": [{"name": "label", "parameters": {"shared_memory_region": "r"}}]},
            "'label' asks for shared memory",
        ),
    ],
)
def test_a_body_at_fault_is_refused_with_the_reason(body: bytes | dict[str, Any], message: str) -> None:
    with pytest.raises((Malformed, Invalid)) as refused:
        request(models.classifier(), http(body))
    assert message in refused.value.message
    msgspec.json.encode([refused.value.message, refused.value.problems])  # what is refused can be answered


@pytest.mark.parametrize(
    ("body", "tail", "message"),
    [
        ({"inputs": [BINARY]}, RAW + b"x", "The inputs take 16 bytes behind the JSON, which has 17 there"),
        ({"inputs": [BINARY]}, RAW[:-1], "The input 'X' has binary_data_size 16, but 15 bytes are left"),
        ({"inputs": [{**ROW, **BINARY}]}, RAW, "has both 'data' and 'binary_data_size'"),
        ({"inputs": [ROW]}, RAW, "The inputs take 0 bytes behind the JSON"),
        ({"inputs": [{**BINARY, "shape": [2, 4]}]}, RAW, "needs 32 bytes, received 16"),
        ({"inputs": [{**BINARY, "parameters": {"binary_data_size": -1}}]}, RAW, "must be a whole number of at least 0"),
        ({"inputs": [{**BINARY, "parameters": {"binary_data_size": 16.0}}]}, RAW, "must be a whole number"),
    ],
)
def test_sizes_that_do_not_add_up_are_refused(body: dict[str, Any], tail: bytes, message: str) -> None:
    with pytest.raises(Invalid) as refused:
        request(models.classifier(), http(body, tail))
    assert message in refused.value.message


@pytest.mark.parametrize(
    ("header", "message"),
    [("x", "must be a whole number"), ("-1", "must be a whole number"), ("1" * 13, "whole number"), ("999", "is 999")],
)
def test_a_length_of_json_that_cannot_be_is_refused(header: str, message: str) -> None:
    sent = HttpRequest("POST", "/", b"", {LENGTH.encode(): header.encode()}, b"{}" + RAW)
    with pytest.raises(Malformed, match=message):
        request(models.classifier(), sent)


def test_classes_of_texts_are_refused() -> None:
    values: list[Any] = [1, 1.0, "male", "A", True]
    body = {
        "inputs": [
            {"name": each.name, "datatype": DATATYPES[each.dtype], "shape": [1, 1], "data": [value]}
            for each, value in zip(models.mixed().signature.inputs, values, strict=True)
        ],
        "outputs": [{"name": "label", "parameters": {"classification": 1}}],
    }
    with pytest.raises(Invalid, match="The output 'label' has texts"):
        request(models.mixed(), http(body))


def test_an_error_after_the_body_is_read_carries_the_id_in_it() -> None:
    with pytest.raises(SeptetError) as refused:
        request(models.classifier(), http({"id": "42", "inputs": [ROW, ROW]}))
    assert refused.value.request_id == "42"


@pytest.mark.parametrize(
    "kind", ["application/json", "application/json; charset=utf-8", "application/octet-stream", ""]
)
def test_json_is_read_as_json_or_octets_or_nothing(kind: str) -> None:
    assert request(models.classifier(), http({"inputs": [ROW]}, content_type=kind)).rows == 1


def test_other_content_types_are_refused() -> None:
    with pytest.raises(UnsupportedMediaType, match=r"'text/csv' is not read here\. Send application/json"):
        request(models.classifier(), http({"inputs": [ROW]}, content_type="text/csv"))


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode), st.none() | st.integers(0, 250))
@settings(max_examples=examples(150))
def test_any_bytes_are_read_or_refused(body: bytes, length: int | None) -> None:
    headers = {} if length is None else {LENGTH.encode(): str(length).encode()}
    try:
        request(models.classifier(), HttpRequest("POST", "/", b"", headers, body))
    except (Malformed, Invalid) as error:
        msgspec.json.encode([error.message, error.problems])


@pytest.mark.parametrize("nested", [True, False])
def test_numbers_beside_nan_are_the_same_as_without_it_and_one_too_large_is_named(*, nested: bool) -> None:
    rows: list[list[float]] = [[0.1, 2**60], [float("nan"), -5]]
    data: Any = rows if nested else [value for row in rows for value in row]
    body = {"inputs": [{"name": "c", "datatype": "FP32", "shape": [2, 2], "data": data}]}
    np.testing.assert_array_equal(request(of_column("float32"), http(body)).tensors["c"], np.array(rows, np.float32))
    rows[0][0] = 1e39
    body["inputs"][0]["data"] = rows
    with pytest.raises(Invalid, match="in row 0, column 'a', received 1e39"):
        request(of_column("float32"), http(body))
    rows[0][0] = 10**400
    with pytest.raises(Invalid, match="in row 0, column 'a', received 1000"):
        request(of_column("float32"), http(body))


@pytest.mark.parametrize("first", ["a", "b"])
def test_nan_within_the_json_stands_beside_a_raw_tensor_behind_it(first: str) -> None:
    inputs = (Tensor("a", "float32", (None, 2)), Tensor("b", "float32", (None, 2)))
    service = of(Signature(Kind.TENSORS, inputs, bodies.OUTPUTS), dict.fromkeys("ab", np.zeros((1, 2), np.float32)))
    raw = np.array([[1, 2]], np.float32)
    entries: dict[str, dict[str, Any]] = {
        "a": {"name": "a", "datatype": "FP32", "shape": [1, 2], "data": [float("nan"), 4]},
        "b": {"name": "b", "datatype": "FP32", "shape": [1, 2], "parameters": {"binary_data_size": 8}},
    }
    order = [entries.pop(first), *entries.values()]
    made = request(service, http({"inputs": order}, raw.tobytes()))
    np.testing.assert_array_equal(made.tensors["a"], np.array([[np.nan, 4]], np.float32))
    np.testing.assert_array_equal(made.tensors["b"], raw)
    # The same where it is only a value, not the JSON, that must be read with care.
    order[[each["name"] for each in order].index("a")]["data"] = [[3.0], [4.0]]
    with pytest.raises(Invalid, match="Expected a list of 1, as its shape"):
        request(service, http({"inputs": order}, raw.tobytes()))
