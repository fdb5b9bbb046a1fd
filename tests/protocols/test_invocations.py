"""`/invocations`: what `predict()` of the model gives, for the bodies that MLflow's and SageMaker's callers send."""

import asyncio
import io
import json
from typing import Any

import msgspec
import numpy as np
import pytest

from septet.errors import Invalid, Malformed, SeptetError, UnsupportedMediaType
from septet.model.manifest import Parity
from septet.model.signature import Column, Kind, Signature, Tensor
from septet.protocols.http.app import App
from septet.protocols.http.error_bodies import STATUS, refusal
from septet.protocols.http.http_messages import HttpReply, HttpRequest
from septet.protocols.mlflow.invocations import InvocationsRoute
from septet.service import Service
from tests.protocols import models

JSON = b"application/json"
NAMES = ["c0", "c1", "c2", "c3"]
FRAME: dict[str, list[Any]] = {"columns": NAMES, "index": [0, 1], "data": [[1, 2, 3, 4], [5, 6, 7, 8]]}


def request(body: Any, **headers: bytes) -> HttpRequest:
    encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-").encode(): value for name, value in headers.items()}
    return HttpRequest("POST", "/invocations", b"", named, encoded)


def post(service: Service, body: Any, **headers: bytes) -> HttpReply:
    decode = InvocationsRoute(models.request_factory(service)).predict
    return models.reply(service, decode, request(body, **headers))


def sent(service: Service, body: Any, **headers: bytes) -> Any:
    """The values that the model is given, one list per row."""
    _, made, _ = InvocationsRoute(models.request_factory(service)).predict(request(body, **headers))
    (tensor,) = made.tensors.values()
    return tensor.tolist()


def predictions(service: Service, rows: int) -> Any:
    width = len(service.signature.columns)
    body = {"instances": [[1] * width] * rows}
    return msgspec.json.decode(post(service, body, content_type=JSON).body)["predictions"]


@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_split": FRAME},
        {"dataframe_split": FRAME, "params": {"threshold": 0.5}},
        {"dataframe_split": FRAME, "params": None},
        {"dataframe_split": {"columns": NAMES[::-1], "data": [[4, 3, 2, 1], [8, 7, 6, 5]]}},
        {"dataframe_records": [dict(zip(NAMES, row, strict=True)) for row in FRAME["data"]]},
        {"instances": FRAME["data"]},
        {"inputs": FRAME["data"]},
        {"inputs": {"X": FRAME["data"]}},
    ],
)
def test_every_way_to_write_rows_is_the_same_rows(body: Any) -> None:
    assert sent(models.classifier(), body, content_type=JSON) == FRAME["data"]
    assert sent(models.classifier(), body) == FRAME["data"]
    assert sent(models.classifier(), body, content_type=b"application/json; charset=UTF-8") == FRAME["data"]


def test_the_frames_of_old_callers_are_the_body_itself() -> None:
    service = models.classifier()
    assert sent(service, FRAME, content_type=b"application/json; format=pandas-split") == FRAME["data"]
    records = [dict(zip(NAMES, row, strict=True)) for row in FRAME["data"]]
    assert sent(service, records, content_type=b'application/json;format="pandas-records"') == FRAME["data"]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"c0,c1,c2,c3\n1,2,3,4\n5,6,7,8\n", b"text/csv"),
        (b"c3,c1,c2,c0\n4,2,3,1\n8,6,7,5\n", b"text/csv; charset=utf-8"),
        (b"c0, c1, c2, c3\r\n1,2,3,4\r\n5,6,7,8\r\n", b"text/csv"),
        (b"1,2,3,4\n5,6,7,8\n", b"text/csv"),
        (b"1,2,3,4\n5,6,7,8", b"text/csv;label_size=0"),
        (b"1,2,3,4\n5,6,7,8", b"text/csv; header=absent"),
        (b"c0,c1,c2,c3\n1,2,3,4\n5,6,7,8", b"text/csv; header=present"),
    ],
)
def test_csv_is_read_with_and_without_a_header_row(body: bytes, kind: bytes) -> None:
    assert sent(models.classifier(), body, content_type=kind) == FRAME["data"]


def texts(*names: str) -> Service:
    columns = tuple(Column(name, "string") for name in names)
    inputs = (Tensor("X", "string", (None, len(names)), columns),)
    signature = Signature(Kind.TENSORS, inputs, (Tensor("y", "int64", (None,)),))
    return models.service(signature, {"X": [["a"] * len(names)]}, {"y": [1]})


def test_the_first_row_is_a_header_where_it_has_the_name_of_a_column() -> None:
    service = texts("name", "city")
    assert sent(service, b"ada,london\n", content_type=b"text/csv") == [["ada", "london"]]
    assert sent(service, b"city,name\nlondon,ada\n", content_type=b"text/csv") == [["ada", "london"]]
    assert sent(service, b"name,london\n", content_type=b"text/csv; header=absent") == [["name", "london"]]
    with pytest.raises(Invalid, match="'city'"):
        sent(service, b"name,town\nada,london\n", content_type=b"text/csv")


def test_names_that_are_numbers_are_a_header_only_all_together() -> None:
    service = texts("0", "1")
    assert sent(service, b"0,7\n1,1\n", content_type=b"text/csv") == [["0", "7"], ["1", "1"]]
    assert sent(service, b"1,0\n1,7\n", content_type=b"text/csv") == [["7", "1"]]


def test_arrays_are_read_as_numpy_saves_them() -> None:
    saved = io.BytesIO()
    np.save(saved, np.array(FRAME["data"], np.float32))
    assert sent(models.classifier(), saved.getvalue(), content_type=b"application/x-npy") == FRAME["data"]


def test_an_answer_is_what_predict_of_the_model_gives() -> None:
    kinds = models.every_kind()
    assert predictions(kinds["classifier"], 2) == [0, 0]
    assert predictions(kinds["unnamed labels"], 2) == [4, 4]
    assert predictions(kinds["regressor"], 2) == [7.25, 7.25]
    assert predictions(kinds["several numbers"], 1) == [[1.0, 2.0, 3.0]]
    assert predictions(kinds["multilabel"], 2) == [[1, 0], [1, 0]]
    assert predictions(kinds["clustering"], 1) == [2]
    assert predictions(kinds["outliers"], 1) == [-1]
    assert predictions(kinds["transform"], 1) == [[1.0, 2.0, 3.0]]


def test_several_outputs_are_an_object_per_row() -> None:
    body = {"inputs": {"image": [[[1, 2, 3], [4, 5, 6]]], "mask": [[True]]}}
    answer = post(models.tensors(rows=True), body, content_type=JSON)
    assert msgspec.json.decode(answer.body) == {"predictions": [{"features": [[0.5, 1.5]], "count": 3}]}


@pytest.mark.parametrize("accept", [b"text/csv", b"text/csv;q=0.9, */*", b"TEXT/CSV"])
def test_csv_is_answered_to_who_asks_for_it(accept: bytes) -> None:
    answer = post(models.classifier(), b"1,2,3,4\n5,6,7,8", content_type=b"text/csv", accept=accept)
    assert (answer.media_type, answer.body) == (b"text/csv", b"0\n0\n")


@pytest.mark.parametrize("accept", [b"", b"*/*", b"application/json", b"application/json, text/csv"])
def test_json_is_answered_to_everybody_else(accept: bytes) -> None:
    assert post(models.classifier(), b"1,2,3,4", content_type=b"text/csv", accept=accept).media_type == JSON


def test_csv_answers_have_a_cell_per_value() -> None:
    kinds = models.every_kind()
    assert post(kinds["several numbers"], {"instances": [[1, 2]]}, accept=b"text/csv").body == b"1.0,2.0,3.0\n"
    signature = kinds["several numbers"].signature
    missing = models.service(signature, {"X": [[1, 2]]}, {"out": [[1.5, np.nan, np.inf]]})
    assert post(missing, {"instances": [[1, 2]]}, accept=b"text/csv").body == b"1.5,,\n"
    flat = (Tensor("a", "int64", (None,)), Tensor("b", "string", (None,)))
    several = models.service(Signature(Kind.TENSORS, signature.inputs, flat), {"X": [[1, 2]]}, {"a": [1], "b": ["x,y"]})
    assert post(several, {"instances": [[1, 2]]}, accept=b"text/csv").body == b'1,"x,y"\n'


def test_values_of_higher_rank_are_the_cells_of_a_line_in_row_major_order() -> None:
    unit = {"inputs": {"image": [[[1, 2, 3], [4, 5, 6]]], "mask": [[True]]}}
    for rows in (True, False):
        answer = post(models.tensors(rows=rows), unit, accept=b"text/csv")
        assert (answer.media_type, answer.body) == (b"text/csv", b"0.5,1.5,3\n")


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (b"text/csv;q=0.5, application/json;q=0.4", b"text/csv"),
        (b"text/csv;q=0.4, application/json;q=0.5", JSON),
        (b"image/png, application/csv", b"text/csv"),
        (b"text/csv;q=0", JSON),
        (b"text/csv;q=much", JSON),
        (b"text/csv;header=absent", b"text/csv"),
    ],
)
def test_the_form_of_an_answer_is_what_the_caller_would_rather_have(accept: bytes, kind: bytes) -> None:
    assert post(models.classifier(), {"instances": [[1, 2, 3, 4]]}, accept=accept).media_type == kind


def chosen(classes: tuple[Any, ...], dtype: str, value: Any, width: int | None = None, **more: Any) -> Service:
    shape = (None,) if width is None else (None, width)
    signature = Signature(
        Kind.CLASSIFICATION if width is None else Kind.MULTILABEL,
        (Tensor("X", "float32", (None, 2), models.columns(2)),),
        (Tensor("label", dtype, shape),),
        label="label",
        labels=tuple(map(str, classes)),
        classes=classes,
    )
    return models.service(signature, {"X": [[1.0, 2.0]]}, {"label": value}, **more)


@pytest.mark.parametrize(
    ("classes", "dtype", "value", "written", "line"),
    [
        ((False, True), "bool", True, b"true", b"True"),
        ((False, True), "int64", 1, b"true", b"True"),
        ((-1, 7), "int64", 7, b"7", b"7"),
        ((0.0, 1.0), "float64", 1.0, b"1.0", b"1.0"),
        ((0.0, 1.0), "int64", 1, b"1.0", b"1.0"),
        ((), "string", 'a,"b"', b'"a,\\"b\\""', b'"a,""b"""'),
        ((), "string", "", b'""', b'""'),
    ],
)
def test_a_class_has_the_type_that_it_has_in_the_model(
    classes: tuple[Any, ...], dtype: str, value: Any, written: bytes, line: bytes
) -> None:
    service = chosen(classes, dtype, [value])
    body = {"instances": [[1, 2]]}
    assert post(service, body).body == b'{"predictions":[%b]}' % written
    assert post(service, body, accept=b"text/csv").body == line + b"\n"


def test_several_targets_are_rows_of_lists() -> None:
    body = {"instances": [[1, 2]] * 2}
    assert (
        post(chosen((False, True), "int64", [[1, 0]], 2), body).body == b'{"predictions":[[true,false],[true,false]]}'
    )
    several = Signature(
        Kind.TENSORS,
        (Tensor("X", "float32", (None, 2), models.columns(2)),),
        (
            Tensor("label_0", "int64", (None,)),
            Tensor("probabilities_0", "float64", (None, 2)),
            Tensor("label_1", "string", (None,)),
        ),
    )
    answer = {"label_0": [3], "probabilities_0": [[0.5, 0.5]], "label_1": ["x"]}
    service = models.service(several, {"X": [[1.0, 2.0]]}, answer)
    assert post(service, body).body == b'{"predictions":[[3,"x"],[3,"x"]]}'
    assert post(service, body, accept=b"text/csv").body == b"3,x\n3,x\n"


def test_a_target_that_is_a_column_in_predict_is_a_list_of_one() -> None:
    parity = Parity(1, 1e-5, 1e-4, 0.0)
    signature = models.regressor().signature
    service = models.service(signature, {"X": [[2.5]]}, {"y": [[7.25]]}, parity=parity)
    assert predictions(service, 2) == [[7.25], [7.25]]


def test_the_best_class_is_answered_where_the_model_chooses_none() -> None:
    scores = Tensor("scores", "float32", (None, 2))
    inputs = (Tensor("X", "float32", (None, 2), models.columns(2)),)
    signature = Signature(Kind.CLASSIFICATION, inputs, (scores,), scores="scores", labels=("no", "yes"))
    assert predictions(models.service(signature, {"X": [[1.0, 2.0]]}, {"scores": [[0.25, 0.75]]}), 1) == ["yes"]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"dataframe_split": {"columns": [*NAMES, "day"], "data": [[1, 2, 3, 4, "x"], [5, 6, 7, 8, None]]}}, JSON),
        ({"dataframe_split": {"columns": ["day", *NAMES], "data": [[{}, 1, 2, 3, 4], [0, 5, 6, 7, 8]]}}, JSON),
        ({"dataframe_records": [dict(zip([*NAMES, "day"], [*row, "x"], strict=True)) for row in FRAME["data"]]}, JSON),
        ({"instances": [dict(zip([*NAMES, "day"], [*row, "x"], strict=True)) for row in FRAME["data"]]}, JSON),
        ({"inputs": {"c0": [1, 5], "c1": [2, 6], "c2": [3, 7], "c3": [4, 8], "day": ["x", "y"]}}, JSON),
        (b",c0,c1,c2,c3\n0,1,2,3,4\n1,5,6,7,8\n", b"text/csv"),
        (b'c3,c2,day,c1,c0\n4,3,"a,b",2,1\n8,7,,6,5\n', b"text/csv"),
    ],
)
def test_columns_that_the_model_does_not_have_are_passed_over(body: Any, kind: bytes) -> None:
    assert sent(models.classifier(), body, content_type=kind) == FRAME["data"]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"dataframe_records": [{"c0": 1, "c1": 2, "c2": 3, "day": 4}]}, JSON),
        ({"dataframe_split": {"columns": ["c0", "c1", "c2", "day"], "data": [[1, 2, 3, 4]]}}, JSON),
        ({"inputs": {"c0": [1], "c1": [2], "c2": [3], "day": [4]}}, JSON),
        (b"c0,c1,c2,day\n1,2,3,4\n", b"text/csv"),
    ],
)
def test_a_column_that_the_model_needs_is_missed_whatever_stands_beside(body: Any, kind: bytes) -> None:
    with pytest.raises(Invalid, match="'c3'"):
        sent(models.classifier(), body, content_type=kind)


def test_a_line_of_another_width_than_its_header_is_refused() -> None:
    with pytest.raises(Invalid, match="5 cells"):
        sent(models.classifier(), b"c0,c1,c2,c3,day\n1,2,3,4\n", content_type=b"text/csv")


def test_a_key_that_stands_twice_is_refused_beside_a_column_that_is_passed_over() -> None:
    body = b'{"dataframe_records":[{"c0":1,"c0":2,"c1":2,"c2":3,"c3":4,"day":5}]}'
    with pytest.raises(Malformed, match="c0"):
        sent(models.classifier(), body, content_type=JSON)


def test_other_routes_pass_columns_over_only_where_the_server_is_told_so() -> None:
    service, record = models.classifier(), dict(zip([*NAMES, "day"], [1, 2, 3, 4, "x"], strict=True))
    bodies = [
        (b"application/json", json.dumps({"records": [record]}).encode()),
        (b"text/csv", b"day,c0,c1,c2,c3\nx,1,2,3,4\n"),
    ]
    ignoring = msgspec.structs.replace(models.LIMITS, extra_columns="ignore")
    for kind, body in bodies:
        http = HttpRequest("POST", "/predict", b"", {b"content-type": kind}, body)
        with pytest.raises(Invalid, match="'day'"):
            models.native(service).predict(http)
        _, made, _ = models.native(service, ignoring).predict(http)
        assert [tensor.tolist() for tensor in made.tensors.values()] == [[[1, 2, 3, 4]]]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (b"text/plain", "application/json"),
        (b"application/json; format=pandas-table", "pandas-table"),
        (b"application/json; charset=latin-1", "UTF-8"),
        (b"application/jsonlines", "text/csv"),
    ],
)
def test_another_content_type_is_refused(kind: bytes, words: str) -> None:
    with pytest.raises(UnsupportedMediaType, match=words):
        post(models.classifier(), FRAME, content_type=kind)


def test_csv_is_refused_where_columns_have_no_names() -> None:
    with pytest.raises(UnsupportedMediaType):
        post(models.tensors(rows=True), b"1,2", content_type=b"text/csv")


def served(service: Service) -> App:
    return models.app(service, InvocationsRoute(models.request_factory(service)))


@pytest.mark.parametrize(
    ("method", "body", "status", "code"),
    [
        ("POST", b"{", 400, "BAD_REQUEST"),
        ("POST", b"{}", 400, "INVALID_PARAMETER_VALUE"),
        ("POST", b'{"instances":[[1]]}', 400, "INVALID_PARAMETER_VALUE"),
        ("GET", b"", 405, "BAD_REQUEST"),
    ],
)
def test_errors_have_a_code_and_a_message(method: str, body: bytes, status: int, code: str) -> None:
    reply = asyncio.run(served(models.classifier())(HttpRequest(method, "/invocations", b"", {}, body)))
    found = msgspec.json.decode(reply.body)
    assert (reply.status, found["error_code"], sorted(found)) == (status, code, ["error_code", "message"])


def test_every_error_has_a_code_of_mlflow_with_the_status_that_it_has_there() -> None:
    known: dict[str, set[int]] = {}
    for code in STATUS:
        status, body = refusal("/invocations", type("Made", (SeptetError,), {"code": code})("why"), "id")
        known.setdefault(msgspec.json.decode(body)["error_code"], set()).add(status)
    assert known.pop("BAD_REQUEST") == {400, 405, 408, 410, 413, 415, 421, 431}
    assert known == {
        "INVALID_PARAMETER_VALUE": {400},
        "UNAUTHENTICATED": {401},
        "ENDPOINT_NOT_FOUND": {404},
        "RESOURCE_CONFLICT": {409},
        "REQUEST_LIMIT_EXCEEDED": {429},
        "NOT_IMPLEMENTED": {501},
        "CANCELLED": {499},
        "INTERNAL_ERROR": {500},
        "TEMPORARILY_UNAVAILABLE": {503},
        "DEADLINE_EXCEEDED": {504},
    }


def test_a_ping_is_answered_once_the_model_is_ready_and_until_it_drains() -> None:
    ping = HttpRequest("GET", "/ping", b"", {}, b"")
    assert asyncio.run(App()(ping)).status == 503
    made = served(models.classifier())
    assert asyncio.run(made(ping)).status == 200
    made.draining = True
    assert asyncio.run(made(ping)).status == 503


def test_damaged_csv_is_refused() -> None:
    with pytest.raises(Malformed):
        post(models.classifier(), b"", content_type=b"text/csv")
