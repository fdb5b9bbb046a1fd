"""A request means the same in whatever form it comes, the first time and later, alone and joined with others."""

import csv
import io
import json
import math
import sys
from base64 import b64decode
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from septet.client.input_adapter import InputAdapter
from septet.model.signature import DTYPES, Column, Kind, Signature, Tensor
from septet.protocols.http.health_routes import ServerState
from septet.protocols.http.http_messages import HttpRequest
from septet.protocols.http.request_factory import RequestFactory
from septet.protocols.http.routes import Decode
from septet.protocols.mlflow.invocations import InvocationsRoute
from septet.protocols.native.native_routes import NativeRoutes
from septet.protocols.openinference.datatypes import DATATYPES, raw_bytes
from septet.protocols.openinference.infer_request import InferRequestReader
from septet.protocols.openinference.typed_contents import FIELDS
from septet.protocols.rpc.descriptors import message
from septet.protocols.tfserving.v1_routes import V1Routes
from septet.registry import Models
from septet.remote.grpc_codec import GrpcCodec
from septet.remote.http_codec import HttpCodec
from septet.remote.remote_calls import InferCall
from septet.tensors import joined, plain
from septet.types import Array, Tensors
from tests.budgets import examples
from tests.protocols import models

# Of one request: the cells of each input as flat lists, as JSON has them in rows, and the number of rows.
Drawn: TypeAlias = tuple[dict[str, list[Any]], int]
Forms: TypeAlias = Callable[[Signature, Drawn], Iterator[tuple[str, HttpRequest]]]

WHOLE = {name for name in DTYPES if "int" in name}
# Whole numbers that each dtype of floating point holds, at the edges and beyond those that all are.
CARRIED = {"float16": [0, 1, 7, 100], "float32": [0, 1, 100, 2**24], "float64": [0, 1, 2**40, 2**53]}
MOMENTS = ["1969-12-31T23:59:59", "2026-01-31T12:00:00", "2024-02-29T00:00:00"]
CELLS: dict[str, st.SearchStrategy[Any]] = {
    "bool": st.booleans(),
    "string": st.sampled_from(["", "male", "é", 'a"b', "a\\b", "x,y", "null"]),
    "bytes": st.sampled_from(["", "AA==", "/9gA", "bnVsbA==", "1234"]),
    **{name: st.sampled_from([0, 1, int(np.iinfo(name).max), int(np.iinfo(name).min)]) for name in WHOLE},
    # Numbers that all floats have.
    **{name: st.sampled_from([0.0, -1.5, 0.25, 2048.0, 3]) for name in DTYPES if name.startswith("float")},
    # Beyond those of which each whole number is exact.
    **{name: st.sampled_from([0.0, -1.5, 0.25, 2.0**60, 3]) for name in ("float32", "float64")},
    **{name: st.sampled_from(MOMENTS) for name in DTYPES if name.startswith("datetime64")},
}


def cells_of(column: Column, carrier: str) -> st.SearchStrategy[Any]:
    if column.dtype in WHOLE and carrier in CARRIED:
        limits: np.iinfo[Any] = np.iinfo(column.dtype)
        return st.sampled_from([each for each in CARRIED[carrier] if limits.min <= each <= limits.max])
    if column.timezone is not None:
        return CELLS[column.dtype].map(lambda text: f"{text}Z")
    if column.pandas_dtype == "date":
        return CELLS[column.dtype].map(lambda text: text[:10])
    return CELLS[column.dtype]


@st.composite
def signatures(draw: st.DrawFn) -> Signature:
    inputs = []
    for at in range(draw(st.integers(1, 3))):
        dtype = draw(st.sampled_from(list(DTYPES)))
        shape = draw(st.sampled_from([(None,), (None, 1), (None, 3), (None, 2, 2), (None, 1, 2, 2)]))
        width = shape[1] if len(shape) == 2 else 1
        names = [f"c{at}{i}" for i in range(width or 1)] if len(shape) < 3 else []
        inputs.append(Tensor(f"t{at}", dtype, shape, tuple(draw(columns(name, dtype)) for name in names)))
    return Signature(Kind.TENSORS, tuple(inputs), (Tensor("y", "float32", (None,)),))


@st.composite
def columns(draw: st.DrawFn, name: str, carrier: str) -> Column:
    dtype, zone, kind = carrier, None, None
    if carrier in CARRIED and draw(st.booleans()):
        dtype = draw(st.sampled_from(["bool", "int64", "int8", "uint64"]))
    if carrier.startswith("datetime64"):
        zone = draw(st.sampled_from([None, "UTC", "Europe/Berlin"]))
        kind = "date" if zone is None and carrier == "datetime64[s]" and draw(st.booleans()) else None
    able = DTYPES[carrier].kind in "OfM"
    optional = able and draw(st.integers(0, 3)) == 0
    return Column(name, dtype, able and draw(st.booleans()), optional=optional, timezone=zone, pandas_dtype=kind)


@st.composite
def requests(draw: st.DrawFn, signature: Signature) -> Drawn:
    rows = draw(st.sampled_from([1, 1, 2, 3]))
    cells: dict[str, list[Any]] = {}
    for tensor in signature.inputs:
        width = width_of(tensor)
        given = tensor.columns or (Column(tensor.name, tensor.dtype),) * width
        cells[tensor.name] = [
            None
            if (column.nullable or column.optional) and draw(st.integers(0, 3)) == 0
            else draw(cells_of(column, tensor.dtype))
            for _ in range(rows)
            for column in given
        ]
    return cells, rows


def width_of(tensor: Tensor) -> int:
    return math.prod(size for size in tensor.shape if size is not None)


def shape_of(tensor: Tensor, rows: int) -> list[int]:
    return [rows, *(size for size in tensor.shape if size is not None)]


def array(tensor: Tensor, cells: list[Any], rows: int) -> Array:
    """The tensor that a request means: of moments those of UTC."""
    if tensor.dtype.startswith("datetime64"):
        cells = [np.datetime64("NaT" if cell is None else cell.rstrip("Z")) for cell in cells]
    elif tensor.dtype == "bytes":
        cells = [None if cell is None else b64decode(cell) for cell in cells]
    return np.array(cells, DTYPES[tensor.dtype]).reshape(shape_of(tensor, rows))


def nested(tensor: Tensor, cells: list[Any]) -> list[Any]:
    for size in reversed([size for size in tensor.shape if size is not None]):
        cells = [cells[at : at + size] for at in range(0, len(cells), size)]
    return cells


def carried(tensor: Tensor, cells: list[Any]) -> list[Any]:
    """The cells as the tensor's dtype has them."""
    return [int(cell) if isinstance(cell, bool) and tensor.dtype != "bool" else cell for cell in cells]


def table_of(signature: Signature, drawn: Drawn) -> tuple[list[str], list[list[Any]]]:
    cells, rows = drawn
    widths = {tensor.name: width_of(tensor) for tensor in signature.inputs}
    table = [
        [cell for name, width in widths.items() for cell in cells[name][row * width : (row + 1) * width]]
        for row in range(rows)
    ]
    return [column.name for column in signature.columns], table


def optional_of(signature: Signature) -> set[str]:
    return {column.name for column in signature.columns if column.optional}


def records_of(signature: Signature, drawn: Drawn, *, full: bool) -> list[dict[str, Any]]:
    """The rows by name; unless `full`, without what may be left out and is missing."""
    names, table = table_of(signature, drawn)
    free = set() if full else optional_of(signature)
    return [
        {name: cell for name, cell in zip(names, row, strict=True) if cell is not None or name not in free}
        for row in table
    ]


def inputs_of(signature: Signature, drawn: Drawn) -> dict[str, list[Any]]:
    """The tensors as lists; without those that may be left out and have nothing."""
    cells, _ = drawn
    lists = {
        tensor.name: nested(tensor, carried(tensor, cells[tensor.name]))
        for tensor in signature.inputs
        if not is_left_out(tensor, cells[tensor.name])
    }
    first = signature.inputs[0]
    return lists or {first.name: nested(first, cells[first.name])}


def is_left_out(tensor: Tensor, cells: list[Any]) -> bool:
    free = bool(tensor.columns) and all(column.optional for column in tensor.columns)
    return free and all(cell is None for cell in cells)


def native(signature: Signature, drawn: Drawn) -> Iterator[tuple[str, HttpRequest]]:
    """The forms of `/predict`."""
    cells, rows = drawn
    lists = {tensor.name: nested(tensor, carried(tensor, cells[tensor.name])) for tensor in signature.inputs}
    yield "inputs", post({"inputs": lists})
    yield "some inputs", post({"inputs": inputs_of(signature, drawn)})
    if signature.columns:
        names, table = table_of(signature, drawn)
        yield "data", post({"data": table})
        yield "records", post({"records": records_of(signature, drawn, full=True)})
        yield "short records", post({"records": records_of(signature, drawn, full=False)})
        # An empty text and a missing one look alike in CSV.
        if not any(cell == "" for row in table for cell in row):
            yield "csv", post(csv_of(names, table), "text/csv")
            free = {
                at
                for at, name in enumerate(names)
                if name in optional_of(signature) and all(row[at] is None for row in table)
            }
            kept = [[cell for at, cell in enumerate(row) if at not in free] for row in (names, *table)]
            if kept[0]:
                yield "short csv", post(csv_of(kept[0], kept[1:]), "text/csv")
    elif len(signature.inputs) == 1:
        yield "data", post({"data": lists[signature.inputs[0].name]})
    tensor = signature.inputs[0]
    if len(signature.inputs) == 1 and DTYPES[tensor.dtype].kind != "O":
        saved = io.BytesIO()
        np.save(saved, array(tensor, cells[tensor.name], rows))
        yield "npy", post(saved.getvalue(), "application/x-npy")


def csv_of(names: list[Any], table: list[list[Any]]) -> bytes:
    written = io.StringIO()
    csv.writer(written).writerows([names, *table])
    return written.getvalue().encode()


def v1(signature: Signature, drawn: Drawn) -> Iterator[tuple[str, HttpRequest]]:
    """The forms of `/v1`."""
    if signature.columns:
        names, table = table_of(signature, drawn)
        yield "rows", post({"instances": table})
        yield "records", post({"instances": records_of(signature, drawn, full=True)})
        if set(names) - optional_of(signature):
            yield "short records", post({"instances": records_of(signature, drawn, full=False)})
    yield "inputs", post({"inputs": inputs_of(signature, drawn)})


def mlflow(signature: Signature, drawn: Drawn) -> Iterator[tuple[str, HttpRequest]]:
    """The forms of `/invocations` that name columns."""
    if signature.columns:
        names, table = table_of(signature, drawn)
        yield "records", post({"dataframe_records": records_of(signature, drawn, full=False)})
        order = [at for at, name in enumerate(names) if not all(row[at] is None for row in table)][::-1]
        order = [at for at in range(len(names)) if at in order or names[at] not in optional_of(signature)][::-1]
        split = {"columns": [names[at] for at in order], "data": [[row[at] for at in order] for row in table]}
        yield "split", post({"dataframe_split": split})


def open_inference(signature: Signature, drawn: Drawn) -> Iterator[tuple[str, HttpRequest]]:
    """The forms of `/v2`: null in JSON, or the places of missing texts as a parameter."""
    cells, rows = drawn
    for form in ("flat", "nested", "binary", "told"):
        inputs: list[dict[str, Any]] = []
        tail = b""
        for tensor in signature.inputs:
            values = carried(tensor, cells[tensor.name])
            entry: dict[str, Any] = {"name": tensor.name, "shape": shape_of(tensor, rows), "parameters": {}}
            entry["datatype"] = DATATYPES[tensor.dtype]
            if form in ("binary", "told"):
                entry["parameters"] |= told(tensor, values)
            if form == "binary":
                raw = raw_of(tensor, values, rows)
                entry["parameters"]["binary_data_size"] = len(raw)
                tail += raw
            elif form == "told" and DATATYPES[tensor.dtype] == "BYTES":
                entry["data"] = [value or "" for value in values]
            else:
                entry["data"] = nested(tensor, values) if form == "nested" else values
            inputs.append(entry)
        text = json.dumps({"inputs": inputs}).encode()
        yield form, post(text + tail, length=str(len(text)).encode() if form == "binary" else None)


def told(tensor: Tensor, values: list[Any]) -> dict[str, str]:
    places = [str(at) for at, value in enumerate(values) if value is None]
    return {"missing": ",".join(places)} if places and DATATYPES[tensor.dtype] == "BYTES" else {}


def raw_of(tensor: Tensor, values: list[Any], rows: int) -> bytes:
    if DATATYPES[tensor.dtype] == "BYTES" and tensor.dtype != "bytes":
        return bytes(raw_bytes(np.array(values, object), "string"))
    return bytes(raw_bytes(array(tensor, values, rows), tensor.dtype))


def calls(signature: Signature, drawn: Drawn) -> Iterator[tuple[str, HttpRequest]]:
    """The forms of gRPC."""
    cells, rows = drawn
    for form in ("raw", "typed"):
        asked = message("inference.ModelInferRequest")(model_name="iris")
        for tensor in signature.inputs:
            values = carried(tensor, cells[tensor.name])
            given_input = asked.inputs.add(
                name=tensor.name, datatype=DATATYPES[tensor.dtype], shape=shape_of(tensor, rows)
            )
            for key, value in told(tensor, values).items():
                given_input.parameters[key].string_param = value
            if form == "raw":
                asked.raw_input_contents.append(raw_of(tensor, values, rows))
            elif tensor.dtype in FIELDS:
                cells_of_it = [
                    b64decode(value or "")
                    if tensor.dtype == "bytes"
                    else (value or "").encode()
                    if DATATYPES[tensor.dtype] == "BYTES"
                    else math.nan
                    if value is None
                    else value
                    for value in values
                ]
                getattr(given_input.contents, FIELDS[tensor.dtype]).extend(cells_of_it)
        if form == "raw" or all(tensor.dtype in FIELDS for tensor in signature.inputs):
            yield form, HttpRequest("POST", "/", b"", {}, asked.SerializeToString())


def clients(signature: Signature, drawn: Drawn) -> Iterator[tuple[str, Any]]:
    """What a client is given."""
    cells, rows = drawn
    yield "arrays", {tensor.name: array(tensor, cells[tensor.name], rows) for tensor in signature.inputs}
    if signature.columns:
        names, table = table_of(signature, drawn)
        yield "records", records_of(signature, drawn, full=False)
        yield "rows", table
        yield "frame", pd.DataFrame(table, columns=names, dtype=object)


def post(body: Any, media_type: str = "application/json", length: bytes | None = None) -> HttpRequest:
    headers = {b"content-type": media_type.encode()}
    if length is not None:
        headers = {b"inference-header-content-length": length}
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpRequest("POST", "/", b"", headers, content)


def shown(tensors: Tensors) -> dict[str, Any]:
    return {name: (each.dtype, each.shape, repr(each.tolist())) for name, each in tensors.items()}


def request_factory(data: st.DataObject, signature: Signature) -> RequestFactory:
    sample = {
        tensor.name: array(
            tensor,
            [
                data.draw(cells_of(column, tensor.dtype))
                for column in tensor.columns or (Column("", tensor.dtype),) * width_of(tensor)
            ],
            1,
        )
        for tensor in signature.inputs
    }
    return models.request_factory(models.service(signature, sample, {"y": [1.0]}))


def tensors_of(signature: Signature, drawn: Drawn) -> dict[str, Array]:
    cells, rows = drawn
    return {tensor.name: array(tensor, cells[tensor.name], rows) for tensor in signature.inputs}


@given(st.data())
@settings(max_examples=examples(60))
def test_all_forms_of_a_request_mean_the_same(data: st.DataObject) -> None:
    signature = data.draw(signatures())
    drawn = data.draw(st.lists(requests(signature), min_size=2, max_size=3))
    made = request_factory(data, signature)
    ways: list[tuple[Decode, Forms]] = [
        (NativeRoutes(made).predict, native),
        (InferRequestReader(made).infer, open_inference),
        (models.calls(made.service).infer, calls),
        (V1Routes(made, ServerState(Models())).predict, v1),
        (InvocationsRoute(made).predict, mlflow),
    ]
    expected = [tensors_of(signature, one) for one in drawn]
    for decode, forms in ways:
        read: dict[str, list[tuple[Tensors, Tensors]]] = {}
        for _ in range(2):
            for one, right in zip(drawn, expected, strict=True):
                for form, http in forms(signature, one):
                    _, request, _ = decode(http)
                    assert request.rows == one[1]
                    assert shown(request.tensors) == shown(right), form
                    # Looked at, it is made; what was not yet looked at is joined as it came.
                    read.setdefault(form, []).append((decode(http)[1].tensors, right))
        for form, pairs in read.items():
            together = joined([tensors for tensors, _ in pairs])
            right = {name: np.concatenate([each[name] for _, each in pairs]) for name in plain(pairs[0][1])}
            assert shown(together) == shown(right), form


@given(st.data())
@settings(max_examples=examples(50))
def test_what_a_client_is_given_means_the_same_on_every_wire(data: st.DataObject) -> None:
    signature = data.draw(signatures())
    drawn = data.draw(requests(signature))
    made, right = request_factory(data, signature), tensors_of(signature, drawn)
    intake = InputAdapter(signature, max_rows=sys.maxsize)
    wires: list[tuple[Any, Decode]] = [
        (HttpCodec("here", "", binary=False), InferRequestReader(made).infer),
        (HttpCodec("here", "", binary=True), InferRequestReader(made).infer),
        (GrpcCodec("here"), models.calls(made.service).infer),
    ]
    for form, given_data in clients(signature, drawn):
        taken = intake(given_data)
        for codec, decode in wires:
            written = codec.write(InferCall("iris", taken.tensors, None), 1.0)
            headers = {name.lower().encode(): value.encode() for name, value in written.headers.items()}
            _, request, _ = decode(HttpRequest("POST", "/", b"", headers, written.body))
            assert shown(request.tensors) == shown(right), form
