"""Bodies of requests, in every format, as the application reads them, beside the plainest reading of each."""

import gzip
import io
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from fuzzing import references
from fuzzing.promise import Check, require
from fuzzing.served_model import NAMES, SIGNATURES, Asked, ServedModel, same
from septet.model.signature import Signature, Tensor
from septet.protocols.openinference.datatypes import DATATYPES
from septet.protocols.rpc.descriptors import message
from septet.protocols.rpc.paths import INFER
from septet.types import Array, Tensors

JSON, CSV, NPY = b"application/json", b"text/csv", b"application/x-npy"
V2, V1 = "/v2/models/model/infer", "/v1/models/model:predict"
LENGTH = b"inference-header-content-length"
#: One input in so many is written in every other format, too, and asked again.
_ASKED_AGAIN = 32

Reference = Callable[[Signature, bytes], Tensors | None]


@cache
def served(name: str) -> ServedModel:
    """The application of this model; one for all targets."""
    return ServedModel(SIGNATURES[name])


def native() -> Check:
    """`POST /predict` with JSON."""
    return _posted("/predict", JSON, references.native_json)


def csv_cells() -> Check:
    """`POST /predict` with CSV."""
    return _posted("/predict", CSV, references.from_csv)


def npy() -> Check:
    """`POST /predict` with an array."""
    return _posted("/predict", NPY, references.from_npy)


def v1() -> Check:
    """TensorFlow Serving's protocol."""
    return _posted(V1, JSON, _rows_document)


def invocations() -> Check:
    """MLflow's protocol."""
    return _posted("/invocations", JSON, _rows_document)


def invocations_csv() -> Check:
    """MLflow's protocol with CSV, of which the first row may be names or not."""
    return _posted("/invocations", CSV, lambda _, __: None)


def v2() -> Check:
    """The Open Inference Protocol with JSON."""
    return _posted(V2, JSON, lambda signature, body: references.from_v2(signature, body, b""))


def v2_binary() -> Check:
    """The same with values behind the JSON; two bytes say where it ends."""

    def check(data: bytes) -> None:
        model, rest = _model(data)
        if len(rest) < 2:
            return
        length, body = int.from_bytes(rest[:2]), rest[2:]
        asked = model.ask(V2, body, {LENGTH: b"%d" % length})
        if asked.tensors is not None and length:
            expected = references.from_v2(model.signature, body[:length], body[length:])
            _agree(asked, expected, body)
        _again(model, asked, data)

    return check


def grpc_messages() -> Check:
    """The messages of `ModelInfer`."""
    kind = message("inference.ModelInferRequest")

    def check(data: bytes) -> None:
        model, body = _model(data)
        asked = model.ask(INFER, body, {}, grpc=True)
        if asked.tensors is not None:
            _agree(asked, references.from_message(model.signature, kind.FromString(body)), body)
        _again(model, asked, data)

    return check


def encodings() -> Check:
    """Compressed bodies: as they are, or the rest of the input compressed and then changed in one place."""

    def check(data: bytes) -> None:
        model, rest = _model(data)
        if len(rest) < 3:
            return
        mode, at, body = rest[0], rest[1], rest[2:]
        plain: bytes | None = None
        coding = b"deflate" if mode & 1 else b"gzip"
        if mode & 2:
            plain = body
            body = zlib.compress(body) if mode & 1 else gzip.compress(body, mtime=0)
            if mode & 4:
                coding, body = coding + b", gzip", gzip.compress(body, mtime=0)
            if mode & 8 and at < len(body):
                body = body[:at] + bytes((body[at] ^ (mode | 1),)) + body[at + 1 :]
                plain = None
        asked = model.ask("/predict", body, {b"content-encoding": coding, b"content-type": JSON})
        if plain is None and asked.tensors is not None:
            plain = _expanded(body, coding)
        if plain is not None:
            other = model.ask("/predict", plain, {b"content-type": JSON})
            require(asked.reply.status == other.reply.status, f"{asked.reply.status} for {other.reply.status}")
            if asked.tensors is not None:
                _agree(asked, other.tensors, plain)

    return check


def _posted(path: str, kind: bytes, reference: Reference) -> Check:
    def check(data: bytes) -> None:
        model, body = _model(data)
        asked = model.ask(path, body, {b"content-type": kind})
        if asked.tensors is not None:
            expected = reference(model.signature, body)
            if expected is not None:
                _agree(asked, expected, body)
            _again(model, asked, data)

    return check


def _model(data: bytes) -> tuple[ServedModel, bytes]:
    """The first byte says which model is asked."""
    return served(NAMES[data[0] % len(NAMES)] if data else "four"), data[1:]


def _agree(asked: Asked, expected: Tensors | None, body: bytes) -> None:
    assert asked.tensors is not None
    tensors = {name: np.asarray(each) for name, each in asked.tensors.items()}
    require(expected is not None and same(tensors, expected), f"{tensors} were read, not {expected}: {body!r}")


def _again(model: ServedModel, asked: Asked, data: bytes) -> None:
    """Ask the same in every other format: each must give the model the same values."""
    if asked.tensors is None or zlib.crc32(data) % _ASKED_AGAIN:
        return
    tensors = {name: np.asarray(each) for name, each in asked.tensors.items()}
    if not all(array.size for array in tensors.values()):
        return
    for path, headers, body, grpc in _written(model.signature, tensors):
        other = model.ask(path, body, headers, grpc=grpc)
        require(other.tensors is not None, f"{body!r} was refused: {other.reply.message}")
        _agree(other, tensors, body)


def _written(signature: Signature, tensors: Tensors) -> Sequence[tuple[str, Mapping[bytes, bytes], bytes, bool]]:
    """The tensors in each format that can hold them."""
    found: list[tuple[str, Mapping[bytes, bytes], bytes, bool]] = []
    lists = {name: _listed(np.asarray(array)) for name, array in tensors.items()}
    finite = all(np.isfinite(array).all() for array in tensors.values() if np.asarray(array).dtype.kind == "f")
    if finite:
        body = json.dumps({"inputs": lists}).encode()
        found.append(("/predict", {b"content-type": JSON}, body, False))
    if finite and signature.columns:
        rows = [[value for part in row for value in part] for row in zip(*lists.values(), strict=True)]
        names = [column.name for column in signature.columns]
        records = [dict(zip(names, row, strict=True)) for row in rows]
        found.append(("/predict", {b"content-type": JSON}, json.dumps({"records": records}).encode(), False))
        found.append((V1, {}, json.dumps({"instances": rows}).encode(), False))
        split = {"dataframe_split": {"columns": names[::-1], "data": [row[::-1] for row in rows]}}
        found.append(("/invocations", {b"content-type": JSON}, json.dumps(split).encode(), False))
    if len(signature.inputs) == 1:
        stream = io.BytesIO()
        np.save(stream, next(iter(tensors.values())))
        found.append(("/predict", {b"content-type": NPY}, stream.getvalue(), False))
    if all(np.asarray(array).dtype.kind in "fiub" for array in tensors.values()):
        found += _raw(signature, tensors)
    return found


def _raw(signature: Signature, tensors: Tensors) -> Sequence[tuple[str, Mapping[bytes, bytes], bytes, bool]]:
    described, tail, call = [], b"", message("inference.ModelInferRequest")(model_name="model")
    for tensor in signature.inputs:
        array = np.ascontiguousarray(tensors[tensor.name])
        data = array.tobytes()
        facts: dict[str, Any] = {"name": tensor.name, "shape": list(array.shape), "datatype": _datatype(tensor)}
        described.append({**facts, "parameters": {"binary_data_size": len(data)}})
        call.inputs.add(**facts)
        call.raw_input_contents.append(data)
        tail += data
    head = json.dumps({"inputs": described}).encode()
    return (V2, {LENGTH: b"%d" % len(head)}, head + tail, False), (INFER, {}, call.SerializeToString(), True)


def _datatype(tensor: Tensor) -> str:
    found: str = DATATYPES[tensor.dtype]
    return found


def _listed(array: Array) -> Any:
    if array.dtype.kind == "M":
        return [[None if np.isnat(each) else str(each)] for (each,) in array]
    return array.tolist()


def _rows_document(signature: Signature, body: bytes) -> Tensors | None:
    document = json.loads(body)
    if "dataframe_split" in document and signature.columns:
        frame = document["dataframe_split"]
        known = [column.name for column in signature.columns]
        names = frame.get("columns") or known
        if names == list(range(len(known))):  # a frame of pandas without names
            names = known
        records = [dict(zip(names, row, strict=True)) for row in frame["data"]]
        return references.of_records(signature, records)
    if document.get("dataframe_records") is not None and signature.columns:
        return references.of_records(signature, document["dataframe_records"])
    return None


def _expanded(body: bytes, coding: bytes) -> bytes | None:
    for each in reversed(coding.split(b", ")):
        if each == b"gzip":
            body = gzip.decompress(body)
        else:
            try:
                body = zlib.decompress(body)
            except zlib.error:
                body = zlib.decompress(body, -15)
    return body
