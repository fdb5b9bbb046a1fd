"""The forms of a request: rows to a body, and an answer back to the numbers it holds."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from benchmarks.models import BenchmarkModel
from septet.protocols.openinference.datatypes import raw_bytes

Array = NDArray[Any]
LENGTH = "inference-header-content-length"
DATATYPES = {"FP32": np.float32, "INT64": np.int64}


@dataclass(frozen=True)
class FormBody:
    """What is sent, ready."""

    path: str
    content: bytes
    headers: dict[str, str] = field(default_factory=dict)

    def save(self, folder: Path, name: str) -> Path:
        """Write the content, for a load generator, and return where."""
        place = folder / f"{name}.body"
        place.write_bytes(self.content)
        return place


@dataclass(frozen=True)
class Form:
    """One way to ask.

    Attributes:
        title: as tables show it.
        body: makes a body for a model and some of its rows.
        read: the numbers that are compared, of a model's answer: (model, content, headers of the answer).
    """

    title: str
    body: Callable[[BenchmarkModel, Array], FormBody]
    read: Callable[[BenchmarkModel, bytes, dict[str, str]], Array]


def _json(path: str, document: object, **headers: str) -> FormBody:
    return FormBody(path, json.dumps(document).encode(), {"content-type": "application/json", **headers})


def _data(_: BenchmarkModel, rows: Array) -> FormBody:
    return _json("/predict", {"data": _short(rows)})


def _records(model: BenchmarkModel, rows: Array) -> FormBody:
    names = _columns(model, rows)
    return _json("/predict", {"records": [dict(zip(names, row, strict=True)) for row in _short(rows)]})


def _tensors(_: BenchmarkModel, rows: Array) -> FormBody:
    return _json("/predict", {"inputs": {"input": _short(rows)}})


def _csv(model: BenchmarkModel, rows: Array) -> FormBody:
    lines = [",".join(_columns(model, rows)), *(",".join(map(str, row)) for row in _short(rows))]
    return FormBody("/predict", "\n".join(lines).encode() + b"\n", {"content-type": "text/csv"})


def _v2(model: BenchmarkModel, rows: Array) -> FormBody:
    tensors = [
        {
            "name": name,
            "shape": list(array.shape),
            "datatype": datatype,
            "data": [value for row in _short(array.reshape(len(array), -1)) for value in row],
        }
        for name, datatype, array in model.tensors(rows)
    ]
    return _json(f"/v2/models/{model.name}/infer", {"inputs": tensors})


def _v2_binary(model: BenchmarkModel, rows: Array) -> FormBody:
    tensors, tail = [], b""
    for name, datatype, array in model.tensors(rows):
        raw = bytes(raw_bytes(array, "string" if datatype == "BYTES" else array.dtype.name))
        size = {"binary_data_size": len(raw)}
        tensors.append({"name": name, "shape": list(array.shape), "datatype": datatype, "parameters": size})
        tail += raw
    document = json.dumps({"parameters": {"binary_data_output": True}, "inputs": tensors}).encode()
    headers = {"content-type": "application/octet-stream", LENGTH: str(len(document))}
    return FormBody(f"/v2/models/{model.name}/infer", document + tail, headers)


def _mlflow(_: BenchmarkModel, rows: Array) -> FormBody:
    return _json("/invocations", {"inputs": {"input": _short(rows)}})


def _short(rows: Array) -> list[Any]:
    """As few digits as mean the same float32: what a caller would write."""
    values: Array = rows
    if rows.dtype == np.float32:
        text: Any = np.array([str(value) for value in rows.ravel()], object)
        values = np.array([float(value) for value in text], object).reshape(rows.shape)
    found: list[Any] = values.tolist()
    return found


def _columns(model: BenchmarkModel, rows: Array) -> list[str]:
    return [name for name, _ in model.inputs] or [f"input_{index}" for index in range(rows.shape[1])]


def _prediction(_: BenchmarkModel, content: bytes, __: dict[str, str]) -> Array:
    return np.array(msgspec.json.decode(content)["prediction"], np.float32)


def _outputs(model: BenchmarkModel, content: bytes, _: dict[str, str]) -> Array:
    output = next(each for each in msgspec.json.decode(content)["outputs"] if each["name"] == model.output)
    return np.array(output["data"], np.float32).reshape(output["shape"])


def _binary_outputs(model: BenchmarkModel, content: bytes, headers: dict[str, str]) -> Array:
    length = int(headers[LENGTH])
    at = length
    for output in json.loads(content[:length])["outputs"]:
        size = output["parameters"]["binary_data_size"]
        if output["name"] == model.output:
            kind = np.dtype(DATATYPES[output["datatype"]])
            found = np.frombuffer(content, kind, size // kind.itemsize, at)
            return found.reshape(output["shape"])
        at += size
    raise ValueError(f"the answer has no output {model.output!r}")


def _predictions(model: BenchmarkModel, content: bytes, _: dict[str, str]) -> Array:
    return np.array(json.loads(content)["predictions"][model.output], np.float32)


FORMS = {
    "data": Form("`data`", _data, _prediction),
    "records": Form("`records`", _records, _prediction),
    "tensors": Form("`inputs`", _tensors, _prediction),
    "v2": Form("V2 JSON", _v2, _outputs),
    "v2-binary": Form("V2 binary", _v2_binary, _binary_outputs),
    "csv": Form("CSV", _csv, _prediction),
    "mlflow": Form("MLflow `inputs`", _mlflow, _predictions),
}
