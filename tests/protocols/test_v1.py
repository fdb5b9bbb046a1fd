"""`/v1`: what TensorFlow Serving and KServe answer, row by row and tensor by tensor."""

import asyncio
import base64
import json
from typing import Any

import msgspec
import pytest

from septet.errors import Invalid, Malformed, SeptetError
from septet.events import NullObserver
from septet.model.signature import Column, Kind, Signature, Tensor
from septet.protocols.http.app import App
from septet.protocols.http.health_routes import ServerState
from septet.protocols.http.http_messages import HttpReply, HttpRequest
from septet.protocols.http.routes import declared_routes
from septet.protocols.tfserving.v1_routes import V1Models, V1Routes
from septet.registry import Models
from septet.service import Service
from septet.settings import Limits
from tests.protocols import models

SCORES = pytest.approx([0.9, 0.07, 0.03])
IMAGE = [[1, 2, 3], [4, 5, 6]]
PASSENGER = {"age": 29, "fare": 7.5, "sex": "female", "deck": None, "alone": True}


def v1(service: Service, *, draining: bool = False) -> V1Routes:
    state = ServerState(Models())
    state.draining = draining
    return V1Routes(models.request_factory(service), state)


def post(service: Service, body: Any, **headers: bytes) -> HttpReply:
    encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-").encode(): value for name, value in headers.items()}
    return models.reply(service, v1(service).predict, HttpRequest("POST", "/v1", b"", named, encoded))


def answered(service: Service, body: Any) -> Any:
    return msgspec.json.decode(post(service, body).body)


def refused(service: Service, body: Any) -> SeptetError:
    with pytest.raises((Invalid, Malformed)) as caught:
        post(service, body)
    return caught.value


def served(service: Service, *, draining: bool = False) -> App:
    made = models.app(service, v1(service, draining=draining))
    made.install(
        lambda _: (v1(service, draining=draining),),
        (V1Models(made.models),),
        NullObserver(),
        Limits(max_body_bytes=1_000),
    )
    return made


def ask(made: App, path: str, method: str = "GET", body: bytes = b"") -> tuple[int, Any]:
    reply = asyncio.run(made(HttpRequest(method, path, b"", {}, body)))
    return reply.status, msgspec.json.decode(reply.body)


def texts() -> Service:
    """One text a row, one text out."""
    signature = Signature(
        Kind.TENSORS,
        (Tensor("text", "string", (None,), (Column("text", "string"),)),),
        (Tensor("out", "string", (None,)),),
    )
    return models.service(signature, {"text": ["a"]}, {"out": ["b"]})


@pytest.mark.parametrize(
    "body",
    [
        {"instances": [[1, 2, 3, 4]]},
        {"instances": [[1, 2, 3, 4]], "signature_name": "serving_default"},
        {"instances": [[1, 2, 3, 4]], "signature_name": ""},
        {"instances": [[1, 2, 3, 4]], "signature_name": None},
        {"instances": [{"X": [1, 2, 3, 4]}]},
        {"instances": [{"c3": 4, "c0": 1, "c1": 2, "c2": 3}]},
    ],
)
def test_several_outputs_of_rows_are_an_object_each(body: Any) -> None:
    assert answered(models.classifier(), body) == {"predictions": [{"label": 0, "probabilities": SCORES}]}


@pytest.mark.parametrize(
    "value",
    [
        [[1, 2, 3, 4], [5, 6, 7, 8]],
        {"X": [[1, 2, 3, 4], [5, 6, 7, 8]]},
        {"c0": [1, 5], "c1": [2, 6], "c2": [3, 7], "c3": [4, 8]},
    ],
)
def test_several_outputs_of_tensors_are_one_object(value: Any) -> None:
    assert answered(models.classifier(), {"inputs": value}) == {
        "outputs": {"label": [0, 0], "probabilities": [SCORES, SCORES]}
    }


@pytest.mark.parametrize("form", ["instances", "inputs"])
def test_a_text_that_is_no_moment_is_refused_with_its_row(form: str) -> None:
    column = Column("at", "datetime64[s]")
    signature = Signature(
        Kind.TENSORS, (Tensor("at", "datetime64[s]", (None,), (column,)),), (Tensor("out", "float32", (None,)),)
    )
    service = models.service(signature, {"at": ["2026-01-31T12:00:00"]}, {"out": [1]})
    error = refused(service, {form: ["2026-01-31T12:00:00", "yesterday"]})
    assert (error.problems[0].row, error.problems[0].column) == (1, "at")


@pytest.mark.parametrize("rows", [[1.0, 2.0, 5.0], [[1.0], [2.0], [5.0]]])
def test_a_single_output_is_answered_without_its_name(rows: Any) -> None:
    service = models.regressor()
    assert answered(service, {"instances": rows}) == {"predictions": [[7.25]] * 3}
    assert answered(service, {"inputs": rows}) == {"outputs": [[7.25]] * 3}


def test_scalars_are_answered_for_an_output_of_one_axis() -> None:
    service = models.single_output(Kind.CLUSTERING, Tensor("out", "int32", (None,)), [2], label=True)
    assert answered(service, {"instances": [[1, 2], [3, 4]]}) == {"predictions": [2, 2]}


def test_several_inputs_go_by_name() -> None:
    service = models.tensors(rows=True)
    row = {"image": IMAGE, "mask": [True, False]}
    answer = {"features": [[0.5, 1.5]], "count": 3}
    assert answered(service, {"instances": [row, row]}) == {"predictions": [answer, answer]}
    tensors = {"image": [IMAGE], "mask": [[True, False]]}
    assert answered(service, {"inputs": tensors}) == {"outputs": {"features": [[[0.5, 1.5]]], "count": [3]}}


def test_a_model_without_rows_answers_its_outputs_whole() -> None:
    service = models.tensors(rows=False)
    outputs = {"features": [[[0.5, 1.5]]], "count": [3]}
    tensors = {"image": [IMAGE], "mask": [[True, False]]}
    assert answered(service, {"inputs": tensors}) == {"outputs": outputs}
    assert answered(service, {"instances": [{"image": IMAGE, "mask": [True, False]}]}) == {"predictions": outputs}


@pytest.mark.parametrize(
    "row",
    [
        PASSENGER,
        {**PASSENGER, "fare": float("nan")},
        {name: [value] for name, value in PASSENGER.items()},
        {**PASSENGER, "sex": {"b64": base64.b64encode(b"female").decode()}},
    ],
)
def test_one_input_per_column_takes_values_and_lists_of_one(row: Any) -> None:
    answer = answered(models.mixed(), {"instances": [row]})
    assert answer == {"predictions": [{"label": "survived", "p": pytest.approx([0.2, 0.8])}]}


@pytest.mark.parametrize("text", ["plain", "two words", "é😀", "??>>~~", ""])
def test_texts_may_be_written_in_base64_of_either_alphabet(text: str) -> None:
    service = texts()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        padded = encode(text.encode()).decode()
        for written in (padded, padded.rstrip("=")):
            for body in ({"instances": [{"b64": written}]}, {"inputs": {"text": [{"b64": written}]}}):
                _, request, _ = v1(service).predict(HttpRequest("POST", "/", b"", {}, json.dumps(body).encode()))
                assert request.tensors["text"].tolist() == [text]


@pytest.mark.parametrize("written", ["!", "a", "YWJj*", "/w==", 5, None, ["YQ=="]])
def test_what_is_no_text_in_base64_is_refused(written: Any) -> None:
    error = refused(texts(), {"instances": [{"b64": written}]})
    assert "b64" in error.message
    assert "'instances'" in error.message


def test_a_column_may_have_the_name_of_the_key_for_base64() -> None:
    signature = Signature(
        Kind.TENSORS, (Tensor("b64", "string", (None,), (Column("b64", "string"),)),), (Tensor("y", "int64", (None,)),)
    )
    service = models.service(signature, {"b64": ["a"]}, {"y": [1]})
    _, request, _ = v1(service).predict(HttpRequest("POST", "/", b"", {}, b'{"instances":[{"b64":"YQ=="}]}'))
    assert request.tensors["b64"].tolist() == ["YQ=="]


def test_the_content_type_is_not_looked_at() -> None:
    for kind in (b"application/json", b"application/x-www-form-urlencoded", b"text/plain"):
        assert post(models.regressor(), {"instances": [1.0]}, content_type=kind).status == 200


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "empty"),
        (b"{", "not JSON"),
        (b"[1]", "must be a JSON object"),
        (b"{}", "'instances' or 'inputs', and has none of them"),
        (b'{"instances":[[1,2,3,4]],"inputs":[[1,2,3,4]]}', "has 'instances' and 'inputs'"),
        (b'{"instances":[[1,2,3,4]],"instances":[[1,2,3,5]]}', "'instances' stands twice"),
        (b'{"instances":[[1,2,3,4]],"inst\\u0061nces":[[1,2,3,5]]}', "'instances' stands twice"),
        (b'{"instances":[{"c0":1,"c0":2,"c1":2,"c2":3,"c3":4}]}', "'c0' stands twice"),
        (b'{"instances":[[1,2,3,4]],"data":[[1]]}', "key 'data'"),
        (b'{"instances":3}', "key 'instances'"),
        (b'{"instances":[]}', "no rows"),
        (b'{"instances":[[1,2,3]]}', "row 0"),
        (b'{"instances":[[1,2,3,4],[1,2,3,"x"]]}', "row 1, column 'c3'"),
        (b'{"instances":[[1,2,3,NaN]]}', "row 0, column 'c3'"),
        (b'{"instances":[[1,2,3,Infinity]]}', "not finite"),
        (b'{"instances":[{"c0":1,"c1":2,"c2":3}]}', "row 0, column 'c3'"),
        (b'{"instances":[{"c0":1,"c1":2,"c2":3,"c3":4,"c4":5}]}', "column 'c4'"),
        (b'{"instances":[{"X":[1,2,3,4]},{"Y":[1,2,3,4]}]}', "row 1, input 'X'"),
        (b'{"instances":[{"X":[1,2,3,4]},5]}', "an object of input names"),
        (b'{"instances":[{"X":[1,2,3]}]}', "a list of 4"),
        (b'{"instances":[[1,2,3,4]],"signature_name":"other"}', "serving_default"),
        (b'{"instances":[[1,2,3,4]],"signature_name":5}', "serving_default"),
        (b'{"instances":[[1,2,3,4]],"signature_name":"\\ud800"}', "serving_default"),
        (b'{"inputs":{"X":[[1,2,3,4]],"Y":1}}', "input 'Y'"),
        (b'{"inputs":{"c0":[1],"c1":[2],"c2":[3]}}', "column 'c3'"),
        (b'{"inputs":{"c0":[1],"c1":[2],"c2":[3],"c3":[4,5]}}', "the same number of rows"),
        (b'{"inputs":{"c0":[1],"c1":[2],"c2":[3],"c3":4}}', "a list of values"),
        (b'{"inputs":5}', "shape"),
        (b'{"inputs":[[1,2,3,4]],"inputs":[[1,2,3,4]]}', "'inputs' stands twice"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"instances":' + b"[" * 100_000, "nested too deeply"),
    ],
)
def test_a_wrong_body_is_refused_in_words_of_its_own_keys(body: bytes, words: str) -> None:
    assert words in refused(models.classifier(), body).message


def test_a_bare_tensor_for_several_inputs_is_refused() -> None:
    service = models.tensors(rows=True)
    assert "an object of input names" in refused(service, {"inputs": [[1]]}).message
    assert "'image', 'mask'" in refused(service, {"instances": [[1]]}).message


def test_no_more_problems_are_looked_for_than_are_told() -> None:
    error = refused(models.classifier(), {"instances": [{"X": [1, 2, 3, 4]}, *[{"Y": 1}] * 500]})
    assert len(error.problems) == 20


def test_too_many_rows_are_refused() -> None:
    assert "limit is 1000" in refused(models.regressor(), {"instances": [1.0] * 1001}).message


def test_status_is_what_both_protocols_say_of_a_model() -> None:
    made = served(models.classifier())
    expected = {
        "model_version_status": [
            {"version": "1.2.0", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
        ],
        "name": "iris",
        "ready": True,
    }
    assert ask(made, "/v1/models/iris") == (200, expected)
    assert ask(made, "/v1/models/iris/versions/1.2.0") == (200, expected)
    assert ask(made, "/v1/models") == (200, {"models": ["iris"]})


def test_a_draining_server_is_not_ready_but_answers() -> None:
    made = served(models.classifier(), draining=True)
    assert ask(made, "/v1/models/iris") == (503, {"error": "The server is draining."})
    assert ask(made, "/v1/models/iris:predict", "POST", b'{"instances":[[1,2,3,4]]}')[0] == 200


def test_metadata_is_a_signature_in_tensorflows_words() -> None:
    status, found = ask(served(models.tensors(rows=True)), "/v1/models/iris/versions/1.2.0/metadata")
    assert status == 200
    assert found["model_spec"] == {"name": "iris", "signature_name": "", "version": "1.2.0"}
    known = found["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert known["method_name"] == "tensorflow/serving/predict"
    assert known["inputs"]["mask"] == {
        "dtype": "DT_BOOL",
        "tensor_shape": {"dim": [{"size": "-1", "name": ""}, {"size": "-1", "name": ""}], "unknown_rank": False},
        "name": "mask",
    }
    assert [size["size"] for size in known["inputs"]["image"]["tensor_shape"]["dim"]] == ["-1", "2", "3"]
    assert {name: each["dtype"] for name, each in known["outputs"].items()} == {
        "features": "DT_FLOAT",
        "count": "DT_INT64",
    }


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/models/other", 404),
        ("GET", "/v1/models/iris/versions/2", 404),
        ("POST", "/v1/models/other:predict", 404),
        ("GET", "/v1/models/iris:predict", 405),
        ("POST", "/v1/models/iris:predict", 400),
    ],
)
def test_errors_are_a_message_under_one_key(method: str, path: str, status: int) -> None:
    found, body = ask(served(models.classifier()), path, method, b'{"instances":[[1]]}')
    assert found == status
    assert list(body) == ["error"]
    assert isinstance(body["error"], str)


def test_requests_are_counted_without_the_model_and_its_version() -> None:
    templates = {route.template for owner in (V1Routes, V1Models) for route in declared_routes(owner)}
    assert templates == {
        "/v1/models",
        "/v1/models/{model}",
        "/v1/models/{model}/metadata",
        "/v1/models/{model}:predict",
    }


def test_the_callers_id_is_kept() -> None:
    assert post(models.regressor(), {"instances": [1.0]}, x_request_id=b"abc").id == "abc"
