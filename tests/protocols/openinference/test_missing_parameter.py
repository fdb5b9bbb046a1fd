"""Missing texts and moments over the Open Inference Protocol: told by a parameter, and refused where it is wrong."""

import json
import struct
from typing import Any

import numpy as np
import pytest

from septet.errors import Invalid
from septet.model.signature import Column, Kind, Signature, Tensor
from septet.model.validation import problems
from septet.protocols.http.http_messages import HttpRequest
from septet.protocols.openinference.grpc_service import GrpcService
from septet.protocols.openinference.infer_request import InferRequestReader
from septet.protocols.rpc.descriptors import message
from septet.types import Request
from tests.protocols import bodies, models

TEXT = Tensor("sex", "string", (None, 1), (Column("sex", "string", nullable=True),))
PLAIN = Tensor("name", "string", (None, 1), (Column("name", "string"),))
MOMENT = Tensor("t", "datetime64[s]", (None, 1), (Column("t", "datetime64[s]", nullable=True),))
NUMBER = Tensor("x", "float32", (None, 1), (Column("x", "float32", nullable=True),))


def inference(tensor: Tensor) -> tuple[InferRequestReader, GrpcService]:
    signature = Signature(Kind.TENSORS, (tensor,), bodies.OUTPUTS)
    sample = {tensor.name: np.array([["2026-01-31"]] if tensor is MOMENT else [["1"]]).astype(_held(tensor))}
    service = models.service(signature, sample, {"y": [1.0]})
    return InferRequestReader(models.request_factory(service)), models.calls(service)


def _held(tensor: Tensor) -> Any:
    return object if tensor.dtype == "string" else tensor.dtype


def as_json(tensor: Tensor, values: list[Any], missing: Any) -> Request:
    entry = {"name": tensor.name, "shape": [len(values), 1], "datatype": "BYTES", "data": values}
    if tensor.dtype == "float32":
        entry["datatype"] = "FP32"
    body = json.dumps({"inputs": [{**entry, "parameters": {"missing": missing}}]}).encode()
    return inference(tensor)[0].infer(HttpRequest("POST", "/", b"", {}, body))[1]


def as_binary(tensor: Tensor, values: list[str], missing: Any) -> Request:
    raw = b"".join(struct.pack("<I", len(value.encode())) + value.encode() for value in values)
    parameters = {"binary_data_size": len(raw), "missing": missing}
    entry = {"name": tensor.name, "shape": [len(values), 1], "datatype": "BYTES", "parameters": parameters}
    text = json.dumps({"inputs": [entry]}).encode()
    headers = {b"inference-header-content-length": str(len(text)).encode()}
    return inference(tensor)[0].infer(HttpRequest("POST", "/", b"", headers, text + raw))[1]


def as_message(tensor: Tensor, values: list[str], missing: str, *, raw: bool) -> Request:
    asked = message("inference.ModelInferRequest")(model_name="iris")
    given = asked.inputs.add(name=tensor.name, shape=[len(values), 1], datatype="BYTES")
    given.parameters["missing"].string_param = missing
    if raw:
        parts = (struct.pack("<I", len(value.encode())) + value.encode() for value in values)
        asked.raw_input_contents.append(b"".join(parts))
    else:
        given.contents.bytes_contents.extend([value.encode() for value in values])
    return inference(tensor)[1].infer(HttpRequest("POST", "/", b"", {}, asked.SerializeToString()))[1]


def every_way(tensor: Tensor, values: list[str], missing: str) -> list[Request]:
    return [
        as_json(tensor, values, missing),
        as_binary(tensor, values, missing),
        as_message(tensor, values, missing, raw=True),
        as_message(tensor, values, missing, raw=False),
    ]


def test_the_places_that_are_listed_are_missing_and_other_empty_texts_are_texts() -> None:
    for request in every_way(TEXT, ["", "a", "", ""], "0,2"):
        assert request.tensors["sex"].tolist() == [[None], ["a"], [None], [""]]
    for request in every_way(TEXT, ["", "a"], ""):
        assert request.tensors["sex"].tolist() == [[""], ["a"]]


def test_a_missing_moment_is_told_in_the_same_way() -> None:
    for request in every_way(MOMENT, ["2026-01-31T12:00:00", ""], "1"):
        assert request.tensors["t"].dtype == np.dtype("datetime64[s]")
        assert np.isnat(request.tensors["t"]).tolist() == [[False], [True]]


def test_a_list_beside_a_number_that_must_be_read_with_care_is_followed_too() -> None:
    head = b'{"inputs":[{"name":"sex","shape":[2,1],"datatype":"BYTES"'
    body = head + b',"data":["\\u0061",""],"parameters":{"missing":"1"}}]}'
    _, request, _ = inference(TEXT)[0].infer(HttpRequest("POST", "/", b"", {}, body))
    assert request.tensors["sex"].tolist() == [["a"], [None]]


@pytest.mark.parametrize(
    ("missing", "message_text"),
    [
        ("2", "places from 0 to 1 in row-major order, joined by commas; received 2"),
        ("0,0", "each once"),
        ("0;1", 'received "0;1"'),
        ("-1", 'received "-1"'),
        (" 1", 'received " 1"'),
        ("x", 'received "x"'),
        (1, "received 1"),
        (True, "received true"),
    ],
)
def test_a_list_of_other_things_than_places_is_refused(missing: Any, message_text: str) -> None:
    for way in (as_json, as_binary):
        with pytest.raises(Invalid, match="The parameter 'missing' of 'sex' must list") as caught:
            way(TEXT, ["", ""], missing)
        assert message_text in caught.value.message
    if isinstance(missing, str):
        for raw in (True, False):
            with pytest.raises(Invalid, match="must list"):
                as_message(TEXT, ["", ""], missing, raw=raw)


def test_a_text_at_a_place_that_is_listed_is_refused_with_its_row() -> None:
    for way in (every_way, as_binary):
        with pytest.raises(Invalid, match="'sex' has a text at place 1, which its parameter 'missing'") as caught:
            way(TEXT, ["", "a"], "1")
        assert (caught.value.problems[0].row, caught.value.problems[0].received) == (1, '"a"')


def test_a_missing_text_of_a_column_that_takes_none_is_named_by_the_checks() -> None:
    for request in every_way(PLAIN, ["a", ""], "1"):
        signature = Signature(Kind.TENSORS, (PLAIN,), bodies.OUTPUTS)
        (problem,) = problems(signature, request.tensors)
        assert (problem.row, problem.column, problem.received) == (1, "name", "null")


def test_numbers_have_nan_and_no_such_parameter() -> None:
    with pytest.raises(Invalid, match="is FP32, which takes NaN: leave the parameter 'missing' out"):
        as_json(NUMBER, [1.5], "0")
    assert np.isnan(_json_null().tensors["x"]).tolist() == [[True], [False]]


def _json_null() -> Request:
    body = b'{"inputs":[{"name":"x","shape":[2,1],"datatype":"FP32","data":[null,1.5]}]}'
    return inference(NUMBER)[0].infer(HttpRequest("POST", "/", b"", {}, body))[1]


def test_an_empty_text_that_is_not_listed_is_no_moment() -> None:
    with pytest.raises(Invalid, match=r"a moment as ISO 8601 has it.* in row 1, column 't', received \"\""):
        every_way(MOMENT, ["2026-01-31", ""], "")
