"""One matrix of floats with columns of numbers, whole numbers and booleans, and columns that may be left out."""

import json
from typing import Any

import msgspec
import numpy as np
import pytest

from septet.errors import Invalid, SeptetError, invalid
from septet.model.signature import Column, Kind, Signature, Tensor
from septet.model.validation import Checker
from septet.protocols.codecs import examples
from septet.protocols.codecs.csv_body import CsvBody
from septet.protocols.codecs.json_body import JsonBody
from septet.protocols.codecs.npy_body import NpyBody
from septet.protocols.http.health_routes import ServerState
from septet.protocols.http.http_messages import HttpRequest
from septet.protocols.native.metadata import metadata
from septet.protocols.native.native_routes import NativeRoutes
from septet.protocols.openinference.infer_request import InferRequestReader
from septet.protocols.tfserving.v1_routes import V1Routes
from septet.registry import Models
from septet.service import Service
from septet.types import Request
from tests.protocols import models
from tests.protocols.test_npy_body import saved

FARE, AGE, ALONE = Column("fare", "float32"), Column("age", "int64", nullable=True), Column("alone", "bool")
MATRIX = Tensor("x", "float32", (None, 3), (FARE, AGE, ALONE))
NOTE = Tensor("note", "string", (None, 1), (Column("note", "string", optional=True),))
WHEN = Tensor("when", "datetime64[s]", (None, 1), (Column("when", "datetime64[s]", timezone="UTC"),))
DAY = Tensor("day", "datetime64[s]", (None, 1), (Column("day", "datetime64[s]", pandas_dtype="date"),))
SIGNATURE = Signature(Kind.TENSORS, (MATRIX,), (Tensor("y", "float32", (None,)),))
WIDE = Signature(Kind.TENSORS, (MATRIX, NOTE, WHEN, DAY), (Tensor("y", "datetime64[s]", (None,)),))
WIDE_SAMPLE = {
    "x": np.array([[7.5, 30, 1]], np.float32),
    "note": np.array([[None]], object),
    "when": np.array([["2026-01-31T12:00:00"]], "datetime64[s]"),
    "day": np.array([["2026-01-31"]], "datetime64[s]"),
}
ROW = [7.5, 30, True, None, "2026-01-31T13:00:00+01:00", "2026-01-31"]


def service(signature: Signature = SIGNATURE) -> Service:
    sample = {"x": WIDE_SAMPLE["x"]} if signature is SIGNATURE else WIDE_SAMPLE
    answer: Any = [1.0] if signature is SIGNATURE else np.array(["2026-02-01T00:00:00"], "datetime64[s]")
    return models.service(signature, sample, {"y": answer})


def checked(request: Request, signature: Signature = SIGNATURE) -> Request:
    found = Checker(signature)(request.tensors)
    if found:
        raise invalid(found)
    return request


def ways(value: str) -> dict[str, bytes]:
    """A row whose fare is so written."""
    row = f"[{value},30,true]"
    return {
        "data": b'{"data":[[1,2,false],%b]}' % row.encode(),
        "records": b'{"records":[{"fare":1,"age":2,"alone":true},{"fare":%b,"age":30,"alone":true}]}' % value.encode(),
        "inputs": b'{"inputs":{"x":[[1,2,0],[%b,30,1]]}}' % value.encode(),
        "v2": b'{"inputs":[{"name":"x","shape":[2,3],"datatype":"FP32","data":[1,2,0,%b,30,1]}]}' % value.encode(),
        "v2 nested": b'{"inputs":[{"name":"x","shape":[2,3],"datatype":"FP32","data":[[1,2,0],[%b,30,1]]}]}'
        % value.encode(),
        "v1": b'{"instances":[[1,2,false],%b]}' % row.encode(),
        "csv": b"fare,age,alone\n1,2,false\n%b,30,true\n" % value.encode(),
        "numbers": b"fare,age,alone\n1,2,0\n%b,30,1\n" % value.encode(),
    }


def read(way: str, body: bytes) -> Request:
    plane = models.request_factory(service())
    media = b"text/csv" if way in ("csv", "numbers") else b"application/json"
    http = HttpRequest("POST", "/", b"", {b"content-type": media}, body)
    if way.startswith("v2"):
        return InferRequestReader(plane).infer(http)[1]
    return (V1Routes(plane, ServerState(Models())) if way == "v1" else NativeRoutes(plane)).predict(http)[1]


@pytest.mark.parametrize("way", ways("1"))
@pytest.mark.parametrize("value", ["20000001", "-16777217", "99999999999999999999999"])
def test_a_whole_number_that_would_become_another_is_refused_wherever_it_stands(way: str, value: str) -> None:
    with pytest.raises(Invalid, match=r"whole number that float32 holds exactly .* in row 1, column 'fare'") as caught:
        read(way, ways(value)[way])
    assert caught.value.problems[0].received.strip('"').startswith(value[:15])
    assert "with a decimal point is rounded" in caught.value.message


@pytest.mark.parametrize("way", ways("1"))
@pytest.mark.parametrize("value", ["16777216", "33554432", "20000001.0", "2.0000001e7", "-1048576000", "1e20"])
def test_a_decimal_is_rounded_and_a_whole_number_that_is_held_exactly_is_kept(way: str, value: str) -> None:
    assert read(way, ways(value)[way]).tensors["x"][1, 0] == np.float32(float(value))


@pytest.mark.parametrize("body", [b'{"data":[[9007199254740993]]}', b'{"inputs":{"x":[9007199254740993]}}'])
def test_no_double_takes_the_first_whole_number_that_it_cannot_hold(body: bytes) -> None:
    tensor = Tensor("x", "float64", (None,), (Column("n", "float64"),))
    decode = JsonBody(Signature(Kind.TENSORS, (tensor,), SIGNATURE.outputs), max_rows=9)
    with pytest.raises(Invalid, match=r"float64 holds exactly .* row 0, column 'n', received 9007199254740993"):
        decode(body)
    assert decode(body.replace(b"3]", b"2]")).tensors["x"].tolist() == [2.0**53]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([7.5, 30.5, True], "whole number.* in row 0, column 'age', received 30.5"),
        ([7.5, 20_000_001, True], "float32 holds exactly .* in row 0, column 'age'"),
        ([7.5, "30", True], "column 'age'"),
        ([7.5, True, True], "column 'age'"),
        ([7.5, 30, 1], "true or false in row 0, column 'alone', received 1"),
        ([7.5, 30, None], "true or false in row 0, column 'alone', received null"),
        ([True, 30, True], "column 'fare', received true"),
        ([None, 30, True], "column 'fare', received null"),
    ],
)
def test_every_column_is_told_by_its_own_dtype(row: list[Any], message: str) -> None:
    named = dict(zip(("fare", "age", "alone"), row, strict=True))
    for body in ({"data": [row]}, {"records": [named]}):
        with pytest.raises(Invalid, match=message):
            checked(read("data", json.dumps(body).encode()))


@pytest.mark.parametrize(("row", "message"), [([7.5, 30.5, 1], "'age', received 30.5"), ([7.5, 30, 2], "'alone'")])
def test_a_tensor_is_checked_against_its_columns(row: list[Any], message: str) -> None:
    bodies = [
        ("inputs", {"inputs": {"x": [row]}}),
        ("v2", {"inputs": [{"name": "x", "shape": [1, 3], "datatype": "FP32", "data": row}]}),
    ]
    for way, body in bodies:
        with pytest.raises(Invalid, match=f"in row 0, column {message}"):
            checked(read(way, json.dumps(body).encode()))
    problems = Checker(SIGNATURE)(NpyBody(SIGNATURE, max_rows=9)(saved(np.array([row]))).tensors)
    assert [(problem.row, problem.column) for problem in problems] == [(0, "age" if row[1] != 30 else "alone")]


def test_whole_numbers_and_booleans_may_come_as_libraries_write_them() -> None:
    rows = [[7.5, 30.0, True], [7, None, False]]
    for body in ({"data": rows}, {"inputs": {"x": [[7.5, 30, True], [7, None, 0]]}}):
        found = checked(read("data", json.dumps(body).encode())).tensors["x"]
        np.testing.assert_array_equal(found, np.array([[7.5, 30, 1], [7, np.nan, 0]], np.float32))
    text = b"fare,age,alone\n7.5,30.0,True\n7,,0\n"
    np.testing.assert_array_equal(CsvBody(SIGNATURE, max_rows=9)(text).tensors["x"], found)
    with pytest.raises(Invalid, match=r"in row 1, column 'age', received \"30\.5\""):
        CsvBody(SIGNATURE, max_rows=9)(b"fare,age,alone\n7.5,,true\n7,30.5,false\n")


def test_whole_numbers_in_npy_are_refused_where_they_would_be_changed() -> None:
    decode = NpyBody(SIGNATURE, max_rows=9)
    assert decode(saved(np.array([[7, 30, 1]]))).tensors["x"].dtype == np.float32
    with pytest.raises(Invalid, match=r"float32 holds exactly .* in row 1, column 'fare', received 20000001"):
        decode(saved(np.array([[7, 30, 1], [20_000_001, 30, 1]])))


def test_moments_in_npy_are_those_of_the_unit() -> None:
    decode = NpyBody(Signature(Kind.TENSORS, (DAY,), SIGNATURE.outputs), max_rows=9)
    for array in (np.array(["2026-01-31"], "datetime64[D]"), np.array([["2026-01-31"]])):
        assert decode(saved(array)).tensors["day"].tolist() == WIDE_SAMPLE["day"].tolist()
    with pytest.raises(Invalid, match="row 0, column 'day'"):
        decode(saved(np.array(["2026-01-31T00:00:00.5"], "datetime64[ms]")))


def wide(body: Any, media: bytes = b"application/json") -> Request:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    native = NativeRoutes(models.request_factory(service(WIDE)))
    return native.predict(HttpRequest("POST", "/", b"", {b"content-type": media}, content))[1]


def test_an_optional_column_may_be_left_out_and_a_needed_one_may_not() -> None:
    names = [column.name for column in WIDE.columns]
    full = dict(zip(names, ROW, strict=True))
    short = {name: value for name, value in full.items() if name != "note"}
    requests = [wide({"records": [full]}), wide({"records": [short, {**short, "note": "a"}]}), wide({"data": [ROW]})]
    requests.append(wide(b"fare,age,alone,when,day\n7.5,30,true,2026-01-31T12:00:00Z,2026-01-31\n", b"text/csv"))
    for request in requests:
        for name, array in WIDE_SAMPLE.items():
            assert request.tensors[name][:1].tolist() == array.tolist()
    assert requests[1].tensors["note"].tolist() == [[None], ["a"]]
    for missing in ("fare", "when"):
        with pytest.raises(Invalid, match=f"a value in row 0, column '{missing}', received no such key"):
            wide({"records": [{name: value for name, value in full.items() if name != missing}]})
    with pytest.raises(Invalid, match="a column in the header row in column 'when'"):
        wide(b"fare,age,alone,day\n7.5,30,true,2026-01-31\n", b"text/csv")
    with pytest.raises(SeptetError, match="The key 'fare' stands twice"):
        wide(json.dumps({"records": [short]}).replace('"fare"', '"fare": 1, "fare"').encode())


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (4, "2026-01-31T12:00:00", "with its offset.* in row 1, column 'when', received \"2026-01-31T12:00:00\""),
        (4, 1_767_225_600, "with its offset.* in row 1, column 'when', received 1767225600"),
        (4, None, "in row 1, column 'when', received null"),
        (5, "2026-01-31T12:00:00", "a date .* in row 1, column 'day'"),
        (5, "31.01.2026", "a date .* in row 1, column 'day'"),
    ],
)
def test_a_moment_that_is_none_is_refused_with_its_row_and_column(place: int, value: Any, message: str) -> None:
    row = [*ROW[:place], value, *ROW[place + 1 :]]
    names = [column.name for column in WIDE.columns]
    for body in ({"data": [ROW, row]}, {"records": [dict(zip(names, each, strict=True)) for each in (ROW, row)]}):
        with pytest.raises(Invalid, match=message):
            wide(body)
    if value is not None:
        text = "fare,age,alone,when,day\n7.5,30,true,2026-01-31T12:00:00Z,2026-01-31\n7.5,30,true,{},{}\n"
        with pytest.raises(Invalid, match=r"in row 1, column '(when|day)'"):
            wide(text.format(row[4], row[5]).encode(), b"text/csv")


def test_a_moment_is_answered_as_text() -> None:
    plane = models.request_factory(service(WIDE))
    http = HttpRequest("POST", "/", b"", {}, json.dumps({"data": [ROW]}).encode())
    native = models.reply(plane.service, NativeRoutes(plane).predict, http)
    assert msgspec.json.decode(native.body)["prediction"] == ["2026-02-01T00:00:00"]
    inputs = [
        {"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [7.5, 30, 1]},
        {"name": "when", "shape": [1, 1], "datatype": "BYTES", "data": ["2026-01-31T12:00:00Z"]},
        {"name": "day", "shape": [1, 1], "datatype": "BYTES", "data": ["2026-01-31"]},
    ]
    for wanted, held in (([], b'"data":["2026-02-01T00:00:00"]'), (["y"], b"\x13\0\0\0" + b"2026-02-01T00:00:00")):
        outputs = [{"name": name, "parameters": {"binary_data": True}} for name in wanted]
        asked = HttpRequest("POST", "/", b"", {}, json.dumps({"inputs": inputs, "outputs": outputs}).encode())
        assert held in models.reply(plane.service, InferRequestReader(plane).infer, asked).body


def test_examples_are_written_as_a_caller_writes_them() -> None:
    assert examples.data(WIDE, WIDE_SAMPLE) == [[7.5, 30, True, None, "2026-01-31T12:00:00Z", "2026-01-31"]]
    assert json.dumps(examples.data(WIDE, WIDE_SAMPLE)).startswith("[[7.5, 30, true")
    assert examples.inputs(WIDE, WIDE_SAMPLE)["when"] == [["2026-01-31T12:00:00Z"]]
    text = examples.csv_text(WIDE, WIDE_SAMPLE)
    assert text is not None
    assert wide(text.encode(), b"text/csv").tensors["when"].tolist() == WIDE_SAMPLE["when"].tolist()


def test_the_documents_say_what_a_column_takes() -> None:
    made = models.document(service(WIDE))
    record = made["components"]["schemas"]["Record"]
    assert record["required"] == ["fare", "age", "alone", "when", "day"]
    assert record["properties"]["age"]["type"] == ["integer", "null"]
    assert (record["properties"]["age"]["minimum"], record["properties"]["age"]["maximum"]) == (-(2**24), 2**24)
    assert record["properties"]["alone"] == {"type": "boolean"}
    assert record["properties"]["note"]["type"] == ["string", "null"]
    assert record["properties"]["when"]["format"] == "date-time"
    assert "with its offset" in record["properties"]["when"]["description"]
    assert record["properties"]["day"] == {"type": "string", "format": "date"}
    told = {each["name"]: each for each in metadata(service(WIDE), limits=models.LIMITS)["columns"]}
    assert (told["note"]["optional"], told["when"]["timezone"], told["day"]["pandas_dtype"]) == (True, "UTC", "date")
