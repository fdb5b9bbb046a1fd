"""Values of bytes: base64 where JSON or CSV must hold them, as they are where a body or a tensor does."""

import base64
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from septet.errors import Invalid, SeptetError, UnsupportedMediaType
from septet.model.base64_text import from_base64, to_base64
from septet.model.signature import Column, Kind, Signature, Tensor
from septet.protocols.codecs.body_formats import BODY_FORMATS
from septet.protocols.codecs.csv_body import CsvBody
from septet.protocols.codecs.json_body import JsonBody
from septet.protocols.http.http_messages import HttpRequest
from septet.protocols.mlflow.invocations import InvocationsRoute
from septet.protocols.native.native_routes import NativeRoutes
from septet.protocols.openinference.infer_request import InferRequestReader
from septet.service import Service
from septet.settings import Limits
from tests.protocols import models
from tests.protocols.test_v1 import v1

PNG = b"\x89PNG\r\n\x1a\n\0\0"
JSON = "application/json"
OUT = (Tensor("y", "int64", (None,)),)


def signature(*columns: Column, rows: bool = True) -> Signature:
    inputs = tuple(Tensor(each.name, each.dtype, (None,), (each,)) for each in columns)
    return Signature(Kind.TENSORS, inputs, OUT, rows=rows)


def pictures(**more: Any) -> Service:
    """A model of one column of bytes."""
    return models.service(signature(Column("picture", "bytes", **more)), {"picture": [PNG]}, {"y": [1]})


def answering_bytes() -> Service:
    """A model that answers bytes, and a text."""
    outputs = (Tensor("small", "bytes", (None,)), Tensor("name", "string", (None,)))
    made = Signature(Kind.TENSORS, (Tensor("x", "float64", (None,), (Column("x", "float64"),)),), outputs)
    return models.service(made, {"x": [1.0]}, {"small": [PNG], "name": ["a"]})


def post(body: Any, kind: str = "application/json", **headers: str) -> HttpRequest:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    more = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    return HttpRequest("POST", "/", b"", {b"content-type": kind.encode(), **more}, content)


def taken(decoded: Any) -> list[Any]:
    """The values that a request has, of all its inputs."""
    return [value for array in decoded[1].tensors.values() for value in array.ravel().tolist()]


@given(st.binary(max_size=100))
def test_a_text_of_bytes_is_read_as_the_same_bytes(data: bytes) -> None:
    assert to_base64(data) == base64.b64encode(data).decode()
    assert from_base64(to_base64(data)) == data


@given(st.binary(max_size=9).map(to_base64) | st.text("AQgw9+/=- \n_é", max_size=9))
def test_the_compiled_reader_and_the_careful_one_take_the_same_texts(text: str) -> None:
    made = signature(Column("a", "bytes"))
    body = json.dumps({"data": [[text]]}).encode()
    try:
        wanted = base64.b64decode(text, validate=True)
    except ValueError:
        with pytest.raises(Invalid):
            JsonBody(made, max_rows=1)(body)
        return
    for each in (body, body.replace(b'"data"', b'"data" ').replace(b'"data" ', b'"\\u0064ata"')):
        assert JsonBody(made, max_rows=1)(each).tensors["a"].tolist() == [wanted]


@pytest.mark.parametrize("value", ["a", "YQ", "YQ==\n", "-_==", 1, True])
def test_what_is_no_base64_is_named_with_its_row_and_column(value: Any) -> None:
    with pytest.raises(Invalid) as caught:
        JsonBody(signature(Column("a", "bytes")), max_rows=9)(json.dumps({"data": [["YQ=="], [value]]}).encode())
    (problem,) = caught.value.problems
    assert (problem.row, problem.column, problem.expected) == (1, "a", "bytes as a text of base64")
    if isinstance(value, str) and "\n" not in value:
        with pytest.raises(Invalid) as caught:
            CsvBody(signature(Column("a", "bytes")), max_rows=9)(f"a\nYQ==\n{value}\n".encode())
        assert (caught.value.problems[0].row, caught.value.problems[0].column) == (1, "a")


def test_missing_bytes_are_null_or_an_empty_cell_where_a_column_takes_them() -> None:
    made = signature(Column("a", "bytes", nullable=True), Column("b", "float64"))
    assert JsonBody(made, max_rows=1)(b'{"data":[[null,1]]}').tensors["a"].tolist() == [None]
    assert CsvBody(made, max_rows=1)(b"a,b\n,1\n").tensors["a"].tolist() == [None]
    strict = signature(Column("a", "bytes"), Column("b", "float64"))
    assert CsvBody(strict, max_rows=1)(b"a,b\n,1\n").tensors["a"].tolist() == [b""]
    with pytest.raises(Invalid):
        JsonBody(strict, max_rows=1)(b'{"data":[[null,1]]}')


def test_a_cell_of_csv_may_be_as_long_as_a_body() -> None:
    picture = bytes(300_000)
    body = b"picture\n" + base64.b64encode(picture) + b"\n"
    assert CsvBody(signature(Column("picture", "bytes")), max_rows=1)(body).tensors["picture"].tolist() == [picture]


@pytest.mark.parametrize("kind", ["image/png", "image/jpeg", "application/octet-stream", "Image/PNG; q=1"])
def test_a_body_is_the_value_of_a_model_of_one_column_of_bytes(kind: str) -> None:
    assert taken(models.native(pictures()).predict(post(PNG, kind))) == [PNG]
    route = InvocationsRoute(models.request_factory(pictures()))
    assert taken(route.predict(post(PNG, kind))) == [PNG]


@pytest.mark.parametrize("shape", [(None,), (None, 1)])
def test_a_body_is_a_value_whatever_shape_the_one_row_has(shape: tuple[int | None, ...]) -> None:
    made = Signature(Kind.TENSORS, (Tensor("a", "bytes", shape),), OUT)
    service = models.service(made, {"a": np.array([PNG], object).reshape([size or 1 for size in shape])}, {"y": [1]})
    _, request, _ = models.native(service).predict(post(PNG, "image/png"))
    assert (request.rows, request.tensors["a"].shape) == (1, (1,) * len(shape))


def test_another_content_type_is_refused_with_what_the_model_takes() -> None:
    with pytest.raises(UnsupportedMediaType, match="or the value itself as application/octet-stream, image/jpeg"):
        models.native(pictures()).predict(post(b"x", "text/plain"))
    with pytest.raises(UnsupportedMediaType, match=r"takes bytes, which \.npy does not hold"):
        models.native(pictures()).predict(post(b"x", "application/x-npy"))
    with pytest.raises(UnsupportedMediaType, match=r"is not read here\. Send application/json .*x-npy\.$"):
        models.native(models.classifier()).predict(post(PNG, "image/png"))


def test_the_document_has_the_content_types_that_are_read() -> None:
    known = {media_type for each in BODY_FORMATS for media_type in each.media_types} - {b""}
    for service in (pictures(), models.classifier(), models.mixed()):
        paths, native = models.document(service)["paths"], models.native(service)
        read = {media_type for media_type in known if is_read(native, media_type.decode())}
        for path in ("/predict", "/invocations"):
            assert {media.encode() for media in paths[path]["post"]["requestBody"]["content"]} == read
    assert is_read(models.native(pictures()), "image/png")


def is_read(native: NativeRoutes, media_type: str) -> bool:
    try:
        native.decode(post(b"", media_type))
    except UnsupportedMediaType:
        return False
    except SeptetError:
        return True
    return True


def test_a_long_sample_stands_in_no_example() -> None:
    long = models.service(signature(Column("picture", "bytes")), {"picture": [bytes(20_000)]}, {"y": [1]})
    assert "examples" in models.document(pictures())["paths"]["/predict"]["post"]["requestBody"]["content"][JSON]
    assert len(json.dumps(models.document(long))) < 100_000


def test_the_schema_says_base64_and_how_long_it_may_be() -> None:
    record = models.document(pictures(max_bytes=4))["components"]["schemas"]["Record"]
    picture = record["properties"]["picture"]
    assert (picture["type"], picture["contentEncoding"], picture["maxLength"]) == ("string", "base64", 8)


@pytest.mark.parametrize("form", ["json", "nested", "binary"])
def test_open_inference_carries_bytes_as_base64_in_json_and_as_they_are_behind_it(form: str) -> None:
    reader = InferRequestReader(models.request_factory(pictures()))
    for picture in (PNG, b"", b"\xff\0"):  # the second and third time by the cache
        entry: dict[str, Any] = {"name": "picture", "shape": [1], "datatype": "BYTES"}
        raw = len(picture).to_bytes(4, "little") + picture
        if form == "binary":
            entry["parameters"] = {"binary_data_size": len(raw)}
            text = json.dumps({"inputs": [entry]}).encode()
            sent = post(text + raw, inference_header_content_length=str(len(text)))
        else:
            sent = post({"inputs": [{**entry, "data": [to_base64(picture)]}]})
        assert taken(reader.infer(sent)) == [picture]
    whole = post(PNG, "application/octet-stream", inference_header_content_length="0")
    assert taken(reader.infer(whole)) == [PNG]


def test_open_inference_says_that_an_answer_is_base64() -> None:
    service = answering_bytes()
    reader = InferRequestReader(models.request_factory(service))
    inputs = [{"name": "x", "shape": [1], "datatype": "FP64", "data": [1.0]}]
    outputs = json.loads(models.reply(service, reader.infer, post({"inputs": inputs})).body)["outputs"]
    assert outputs[0] == {
        "name": "small",
        "datatype": "BYTES",
        "shape": [1],
        "parameters": {"content_type": "base64"},
        "data": [to_base64(PNG)],
    }
    assert "parameters" not in outputs[1]


def test_answers_of_bytes_are_base64_in_every_protocol() -> None:
    service, rows = answering_bytes(), {"data": [[1.0]]}
    native = json.loads(models.reply(service, models.native(service).predict, post(rows)).body)
    assert native["prediction"] == [{"small": to_base64(PNG), "name": "a"}]
    v1_body = json.loads(models.reply(service, v1(service).predict, post({"instances": [1.0]})).body)
    assert v1_body["predictions"] == [{"small": {"b64": to_base64(PNG)}, "name": "a"}]
    route = InvocationsRoute(models.request_factory(service))
    table = models.reply(service, route.predict, post({"inputs": [1.0]}, accept="text/csv"))
    assert table.body.decode().strip() == f"{to_base64(PNG)},a"


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_version_1_takes_objects_of_base64_beside_texts(encode: Any) -> None:
    made = signature(Column("picture", "bytes"), Column("note", "string"))
    service = models.service(made, {"picture": [PNG], "note": ["a"]}, {"y": [1]})
    written = {"b64": encode(PNG).decode().rstrip("=")}
    for note in ("é", {"b64": base64.b64encode("é".encode()).decode()}):
        for body in (
            {"instances": [{"picture": written, "note": note}]},
            {"inputs": {"picture": [written], "note": [note]}},
        ):
            assert taken(v1(service).predict(post(body))) == [PNG, "é"]
    with pytest.raises(SeptetError) as caught:
        v1(service).predict(post({"instances": [{"picture": written, "note": {"b64": "/w=="}}]}))
    assert "UTF-8" in caught.value.message


def test_a_body_over_the_columns_own_limit_is_refused() -> None:
    from septet.model.validation import problems

    made = pictures(max_bytes=4)
    _, request, _ = models.native(made, Limits(max_rows=1)).predict(post(PNG, "image/png"))
    (problem,) = problems(made.signature, request.tensors)
    assert (problem.row, problem.column, problem.expected, problem.received) == (
        0,
        "picture",
        "at most 4 bytes",
        "10 bytes",
    )
