"""A request means the same in whatever form it comes, the first time and later, alone and joined with others."""

import csv
import io
import json
import math
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from septet.model.signature import DTYPES, Column, Kind, Signature, Tensor
from septet.protocols.dataplane import Dataplane
from septet.protocols.http import HttpRequest
from septet.protocols.native import Native
from septet.protocols.openinference.datatypes import DATATYPES, raw_bytes
from septet.protocols.openinference.inference import Inference
from septet.protocols.routes import Decode
from septet.tensors import joined, plain
from septet.types import Array, Tensors
from tests.protocols import models

# Of one request: the cells of each input as flat lists, and the number of rows.
Drawn: TypeAlias = tuple[dict[str, list[Any]], int]

CELLS: dict[str, st.SearchStrategy[Any]] = {
    "bool": st.booleans(),
    "string": st.sampled_from(["", "male", "é", 'a"b', "a\\b", "x,y", "null"]),
    **{
        name: st.sampled_from([0, 1, int(np.iinfo(name).max), int(np.iinfo(name).min)])
        for name in DTYPES
        if "int" in name
    },
    # Numbers that all floats have.
    **{name: st.sampled_from([0.0, -1.5, 0.25, 2048.0]) for name in DTYPES if name.startswith("float")},
}


@st.composite
def signatures(draw: st.DrawFn) -> Signature:
    inputs = []
    for at in range(draw(st.integers(1, 3))):
        dtype = draw(st.sampled_from(list(DTYPES)))
        shape = draw(st.sampled_from([(None,), (None, 1), (None, 3), (None, 2, 2), (None, 1, 2, 2)]))
        able = dtype == "string" or dtype.startswith("float")
        width = shape[1] if len(shape) == 2 else 1
        names = [f"c{at}{i}" for i in range(width or 1)] if len(shape) < 3 else []
        columns = tuple(Column(name, dtype, nullable=able and draw(st.booleans())) for name in names)
        inputs.append(Tensor(f"t{at}", dtype, shape, columns))
    return Signature(Kind.TENSORS, tuple(inputs), (Tensor("y", "float32", (None,)),))


@st.composite
def requests(draw: st.DrawFn, signature: Signature) -> Drawn:
    rows = draw(st.sampled_from([1, 1, 2, 3]))
    cells: dict[str, list[Any]] = {}
    for tensor in signature.inputs:
        width = width_of(tensor)
        cells[tensor.name] = [
            None
            if tensor.columns and tensor.columns[at % width].nullable and draw(st.integers(0, 3)) == 0
            else draw(CELLS[tensor.dtype])
            for at in range(rows * width)
        ]
    return cells, rows


def width_of(tensor: Tensor) -> int:
    return math.prod(size for size in tensor.shape if size is not None)


def shape_of(tensor: Tensor, rows: int) -> list[int]:
    return [rows, *(size for size in tensor.shape if size is not None)]


def array(tensor: Tensor, cells: list[Any], rows: int) -> Array:
    return np.array(cells, DTYPES[tensor.dtype]).reshape(shape_of(tensor, rows))


def nested(tensor: Tensor, cells: list[Any]) -> list[Any]:
    for size in reversed([size for size in tensor.shape if size is not None]):
        cells = [cells[at : at + size] for at in range(0, len(cells), size)]
    return cells


def native(signature: Signature, drawn: Drawn) -> Iterator[tuple[str, HttpRequest]]:
    """The forms of `/predict`."""
    cells, rows = drawn
    lists = {tensor.name: nested(tensor, cells[tensor.name]) for tensor in signature.inputs}
    yield "inputs", post({"inputs": lists})
    if signature.columns:
        widths = {tensor.name: width_of(tensor) for tensor in signature.inputs}
        table = [
            [cell for name, width in widths.items() for cell in cells[name][row * width : (row + 1) * width]]
            for row in range(rows)
        ]
        names = [column.name for column in signature.columns]
        yield "data", post({"data": table})
        yield "records", post({"records": [dict(zip(names, row, strict=True)) for row in table]})
        # An empty text and a missing one look alike in CSV.
        if not any(cell == "" for row in table for cell in row):
            written = io.StringIO()
            csv.writer(written).writerows([names, *table])
            yield "csv", post(written.getvalue().encode(), "text/csv")
    elif len(signature.inputs) == 1:
        yield "data", post({"data": lists[signature.inputs[0].name]})
    tensor = signature.inputs[0]
    if len(signature.inputs) == 1 and tensor.dtype != "string":
        saved = io.BytesIO()
        np.save(saved, array(tensor, cells[tensor.name], rows))
        yield "npy", post(saved.getvalue(), "application/x-npy")


def open_inference(signature: Signature, drawn: Drawn) -> Iterator[tuple[str, HttpRequest]]:
    """The forms of `/v2`."""
    cells, rows = drawn
    for form in ("flat", "nested", "binary"):
        inputs: list[dict[str, Any]] = []
        tail = b""
        for tensor in signature.inputs:
            values = cells[tensor.name]
            entry: dict[str, Any] = {"name": tensor.name, "shape": shape_of(tensor, rows)}
            entry["datatype"] = DATATYPES[tensor.dtype]
            if form == "binary":
                raw = bytes(raw_bytes(array(tensor, values, rows), tensor.dtype))
                entry["parameters"] = {"binary_data_size": len(raw)}
                tail += raw
            else:
                entry["data"] = values if form == "flat" else nested(tensor, values)
            inputs.append(entry)
        # No text is missing in raw bytes: it would be empty.
        missing = any(None in cells[tensor.name] for tensor in signature.inputs if tensor.dtype == "string")
        if form != "binary" or not missing:
            text = json.dumps({"inputs": inputs}).encode()
            length = str(len(text)).encode() if form == "binary" else None
            yield form, post(text + tail, length=length)


def post(body: Any, media_type: str = "application/json", length: bytes | None = None) -> HttpRequest:
    headers = {b"content-type": media_type.encode()}
    if length is not None:
        headers = {b"inference-header-content-length": length}
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpRequest("POST", "/", b"", headers, content)


def shown(tensors: Tensors) -> dict[str, Any]:
    return {name: (each.dtype.kind, each.itemsize, each.shape, repr(each.tolist())) for name, each in tensors.items()}


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_all_forms_of_a_request_mean_the_same(data: st.DataObject) -> None:
    signature = data.draw(signatures())
    drawn = data.draw(st.lists(requests(signature), min_size=2, max_size=3))
    service = models.service(
        signature,
        {
            tensor.name: array(tensor, [data.draw(CELLS[tensor.dtype])] * width_of(tensor), 1)
            for tensor in signature.inputs
        },
        {"y": [1.0]},
    )
    dataplane = Dataplane(service, models.LIMITS)
    ways: list[tuple[Decode, Callable[[Signature, Drawn], Iterator[tuple[str, HttpRequest]]]]] = [
        (Native(dataplane).predict, native),
        (Inference(dataplane), open_inference),
    ]
    expected = [
        {tensor.name: array(tensor, cells[tensor.name], rows) for tensor in signature.inputs} for cells, rows in drawn
    ]
    for decode, forms in ways:
        read: dict[str, list[tuple[Tensors, Tensors]]] = {}
        for _ in range(2):
            for one, right in zip(drawn, expected, strict=True):
                for form, http in forms(signature, one):
                    request, _ = decode(http)
                    assert request.rows == one[1]
                    assert shown(request.tensors) == shown(right), form
                    # Looked at, it is made; what was not yet looked at is joined as it came.
                    read.setdefault(form, []).append((decode(http)[0].tensors, right))
        for form, pairs in read.items():
            together = joined([tensors for tensors, _ in pairs])
            right = {name: np.concatenate([each[name] for _, each in pairs]) for name in plain(pairs[0][1])}
            assert shown(together) == shown(right), form
