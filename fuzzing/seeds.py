"""Inputs that every target begins with: good ones of each kind, from which others are made by changing them."""

import io
import json
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import hpack
import numpy as np

from fuzzing.served_model import NAMES, SIGNATURES
from septet.model.signature import Signature
from septet.protocols.openinference.datatypes import DATATYPES
from septet.protocols.rpc.descriptors import message
from septet.runtimes.onnx.onnx_wire import encode
from septet.server.h2 import h2_frames

CORPUS = Path(__file__).parent / "corpus"
_VALUES: dict[str, list[Any]] = {
    "float32": [5.1, -0.0, 1e-3, 7],
    "float64": [None, 2.5],
    "int64": [3, -9007199254740993],
    "int8": [-128, 127],
    "uint16": [65535, 0],
    "string": ["a \u00e9", None],
    "bool": [True, False],
    "datetime64[ms]": ["2026-01-31T12:00:00.25", None],
}


def kept(target: str) -> list[bytes]:
    """The inputs that are committed: one a line, escaped."""
    path = CORPUS / f"{target}.txt"
    if not path.exists():
        return []
    return [line.encode().decode("unicode_escape").encode("latin-1") for line in path.read_text().splitlines()]


def keep(target: str, inputs: Sequence[bytes]) -> None:
    """Write them."""
    lines = [data.decode("latin-1").encode("unicode_escape").decode() for data in inputs]
    (CORPUS / f"{target}.txt").write_text("".join(f"{line}\n" for line in lines))


def seeds(target: str) -> list[bytes]:
    """All inputs that a target begins with."""
    made = _MAKERS.get(target)
    return [*(made() if made is not None else ()), *kept(target)]


def _rows(signature: Signature) -> list[list[Any]]:
    values = [_VALUES[column.dtype] for column in signature.columns]
    return [[each[(row + at) % len(each)] for at, each in enumerate(values)] for row in range(2)]


def _bodies(kind: str) -> Iterator[bytes]:
    for at, name in enumerate(NAMES):
        for document in _documents(SIGNATURES[name], kind):
            yield bytes((at,)) + json.dumps(document).encode()


def _documents(signature: Signature, kind: str) -> Iterator[Any]:
    if not signature.columns:
        values = [[[0.5, 1], [2, -3]]]
        yield {{"native": "data", "v1": "instances"}.get(kind, "inputs"): values}
        return
    rows, names = _rows(signature), [column.name for column in signature.columns]
    records = [dict(zip(names, row, strict=True)) for row in rows]
    inputs = {names[0]: rows} if len(signature.inputs) == 1 else None
    if kind == "native":
        yield {"data": rows, "id": "an-id"}
        yield {"records": records}
    elif kind == "v1":
        yield {"instances": rows}
        yield {"instances": records, "signature_name": "serving_default"}
    else:
        yield {"dataframe_split": {"columns": names[::-1], "index": [0, 1], "data": [row[::-1] for row in rows]}}
        yield {"dataframe_records": records, "params": {}}
    if inputs is None:
        inputs = {name: [[row[at]] for row in rows] for at, name in enumerate(names)}
    else:
        inputs = {signature.inputs[0].name: rows}
    yield {"inputs": inputs}


def _csv() -> Iterator[bytes]:
    for at, name in enumerate(NAMES):
        signature = SIGNATURES[name]
        if signature.columns:
            lines = [[column.name for column in signature.columns], *_rows(signature)]
            text = "\r\n".join(",".join("" if each is None else str(each) for each in line) for line in lines)
            yield bytes((at,)) + text.encode()
            yield bytes((at,)) + text.replace("\r\n", "\n").replace("a", '"a, ""b"""').encode() + b"\n"


def _npy() -> Iterator[bytes]:
    arrays = {0: np.eye(4, dtype="<f4"), 2: np.ones((1, 2, 2), "<f8"), 3: np.ones((3, 2), "i1")}
    for at, array in arrays.items():
        for each in (array, np.asfortranarray(array), array.astype(">f4")):
            stream = io.BytesIO()
            np.save(stream, each)
            yield bytes((at,)) + stream.getvalue()


def _v2(*, binary: bool = False) -> Iterator[bytes]:
    for at, name in enumerate(NAMES):
        signature = SIGNATURES[name]
        rows = _rows(signature) if signature.columns else [[0.5, 1, 2, -3]]
        inputs, tail, width = [], b"", 0
        for tensor in signature.inputs:
            count = max(len(tensor.columns), 1) if signature.columns else 4
            values = [each for row in rows for each in row[width : width + count]]
            width += count
            shape = [len(rows), *(size for size in tensor.shape[1:] if size is not None)]
            each: dict[str, Any] = {"name": tensor.name, "shape": shape, "datatype": DATATYPES[tensor.dtype]}
            texts = DATATYPES[tensor.dtype] == "BYTES"
            if texts and None in values:
                each["parameters"] = {"missing": ",".join(str(n) for n, value in enumerate(values) if value is None)}
            values = [("" if texts else 0) if value is None else value for value in values]
            if binary and not texts:
                raw = np.array(values).astype(np.dtype(tensor.dtype)).tobytes()
                each["parameters"] = {"binary_data_size": len(raw)}
                tail += raw
            else:
                each["data"] = values
            inputs.append(each)
        head = json.dumps({"inputs": inputs, "id": "7"}).encode()
        yield bytes((at,)) + (len(head).to_bytes(2) if binary else b"") + head + tail


def _calls() -> Iterator[bytes]:
    for at, name in enumerate(NAMES):
        for raw in (False, True):
            call = message("inference.ModelInferRequest")(model_name="model", id="7")
            for tensor in SIGNATURES[name].inputs:
                shape = [1, *(size for size in tensor.shape[1:] if size is not None)]
                count = int(np.prod(shape))
                given = call.inputs.add(name=tensor.name, datatype=DATATYPES[tensor.dtype], shape=shape)
                texts = given.datatype == "BYTES"
                moment = b"2026-01-31T12:00:00" if "date" in tensor.dtype else b"a"
                if raw and texts:
                    call.raw_input_contents.append(len(moment).to_bytes(4, "little") + moment)
                elif raw:
                    call.raw_input_contents.append(np.ones(count, tensor.dtype).tobytes())
                elif texts:
                    given.contents.bytes_contents.append(moment)
                else:
                    field = {"FP32": "fp32", "FP64": "fp64", "INT64": "int64", "BOOL": "bool", "UINT16": "uint"}
                    getattr(given.contents, f"{field.get(given.datatype, 'int')}_contents").extend([1] * count)
            yield bytes((at,)) + call.SerializeToString()


def _encodings() -> Iterator[bytes]:
    body = b'{"data": [[1, 2, 3, 4]]}'
    for mode in (2, 3, 6, 10, 11):
        yield bytes((0, mode, 12)) + body
    yield bytes((0, 1, 0)) + zlib.compress(body)


def _http1() -> Iterator[bytes]:
    post = b"POST /echo HTTP/1.1\r\nHost: here\r\n"
    for mode in (0, 1, 7):
        yield bytes((mode,)) + post + b"Content-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: here\r\n\r\n"
        yield bytes((mode,)) + post + b"Transfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nX: y\r\n\r\n"
        yield bytes((mode,)) + post + b"Expect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n\r\nab"
        yield (
            bytes((mode,)) + post + b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nContent-Length: 1\r\n\r\na"
        )
        yield (
            bytes((mode,))
            + b"GET /echo?a=b HTTP/1.0\r\nConnection: keep-alive\r\n\r\nPOST /predict HTTP/1.1\r\nHost: a\r\n"
        )
        yield bytes((mode,)) + b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\na" * 3
        yield bytes((mode,)) + b"HEAD /%65cho HTTP/1.1\r\nHost: [::1]:80\r\n\r\nGET /slow HTTP/1.1\r\nHost: a\r\n\r\n"


def _http2() -> Iterator[bytes]:
    for cut in (0, 1, 9):
        for path in range(7):
            # A head that goes on, a message, and the end.
            yield bytes((1, cut)) + bytes((0x40, path, 1, 0)) + bytes((0x80, 1, 1, 3)) + b"abc"
        yield (
            bytes((1, cut)) + bytes((0x40, 0x80, 1, 0, 0x40, 0, 3, 0, 3, 0, 3, 4, 0, 0, 0, 8, 6, 0, 0, 8)) + b"12345678"
        )
        yield bytes((1, cut)) + bytes((4, 0, 0, 6, 0, 4, 0, 0, 0, 0, 0x40, 0, 1, 0, 0x80, 1, 1, 1)) + b"a"
        yield bytes((1, cut)) + bytes((8, 0, 0, 4, 0, 0, 1, 0, 2, 0, 1, 5, 0, 0, 0, 0, 1, 7, 0, 0, 8)) + bytes(8)
        block = hpack.Encoder().encode([(":method", "POST"), (":path", "/t.T/Echo"), (":scheme", "http")])
        yield bytes((0, cut)) + h2_frames.headers(1, bytes(block), last=False)


def _hpack() -> Iterator[bytes]:
    encoder = hpack.Encoder()
    found = b""
    for huffman in (True, False):
        for _ in range(2):
            block = bytes(encoder.encode([(":method", "POST"), (":path", "/a"), ("x", "y" * 20)], huffman=huffman))
            found += bytes((len(block),)) + block
    yield found
    yield b"\x03\x3f\xe1\x1f" + b"\x01\x82" + b"\x05\x0f\x01\x01a\x82"


def _onnx() -> Iterator[bytes]:
    for name in ("examples/iris/model.onnx", "examples/bare/iris_svc.onnx"):
        yield (Path(__file__).parents[1] / name).read_bytes()
    shape = encode(1, encode(2, "N")) + encode(1, encode(1, 4))
    value = encode(2, encode(1, encode(1, 1) + encode(2, shape)))
    ends = encode(11, encode(1, "x") + value) + encode(12, encode(1, "y") + value)
    for op in ("Identity", "Softmax", "Gather", "Loop", "OneHotEncoder", "Reshape", "ZipMap"):
        axis = encode(1, "axis") + encode(3, 1) + encode(20, 2)
        node = encode(1, "x") + encode(1, "w") + encode(2, "y") + encode(4, op) + encode(5, axis)
        weights = encode(1, 2) + encode(2, 1) + encode(8, "w") + encode(9, bytes(8))
        yield encode(1, 8) + encode(7, encode(1, node) + encode(5, weights) + ends) + encode(8, encode(2, 17))
    place = encode(13, encode(1, "location") + encode(2, "w.bin")) + encode(14, 1) + encode(8, "w")
    yield encode(1, 8) + encode(7, encode(5, place) + ends) + encode(8, encode(2, 17))


def _packages() -> Iterator[bytes]:
    folder = Path(__file__).parents[1] / "examples" / "iris"
    manifest = (folder / "septet.toml").read_bytes()
    yield b"\0" + manifest
    yield b"\5" + manifest
    yield b"\1" + (folder / "golden.json").read_bytes()
    yield b"\2" + (folder / "profile.json").read_bytes()
    yield b'\3["a", "b"]'
    yield b'\3{"0": "a", "1": "b"}'
    yield b"\4a\nb\n"


def _skops() -> Iterator[bytes]:
    schema: dict[str, Any] = {"__class__": "LogisticRegression", "__module__": "sklearn.linear_model._logistic"}
    schema |= {"__loader__": "ObjectNode", "__id__": 1, "protocol": 2, "_skops_version": "0.13"}
    content = {"__class__": "dict", "__module__": "builtins", "__loader__": "DictNode", "__id__": 2, "content": {}}
    yield b"\x80" + json.dumps(schema | {"content": content}).encode()
    yield b"\0PK\x05\x06" + bytes(18)


def _releases() -> Iterator[bytes]:
    yield b'{"path": "/a", "name": "iris", "version": "2", "trust": ["sha256:%b"], "force": true}' % (b"0" * 64)


def _tables() -> Iterator[bytes]:
    for kind, body in enumerate(
        (b'[{"a": 1, "b": "x"}, {"a": 2}]', b'{"a": 1}\n{"a": null, "b": [1]}\n', b'a,b\n1,"x, y"\n2,\n')
    ):
        yield bytes((kind,)) + body
        yield bytes((kind | 0x80,)) + body
    yield b"\0" + b'{"inputs": {"x": [[1, 2]]}}'
    for array in (np.eye(3), np.array(["a", "b"]), np.asfortranarray(np.eye(2, 3))):
        stream = io.BytesIO()
        np.save(stream, array)
        yield b"\3" + stream.getvalue()


_MAKERS: dict[str, Any] = {
    "json": lambda: _bodies("native"),
    "csv": _csv,
    "npy": _npy,
    "v1": lambda: _bodies("v1"),
    "invocations": lambda: _bodies("mlflow"),
    "invocations_csv": _csv,
    "v2": _v2,
    "v2_binary": lambda: _v2(binary=True),
    "grpc": _calls,
    "encodings": _encodings,
    "http1": _http1,
    "http2": _http2,
    "hpack": _hpack,
    "onnx": _onnx,
    "packages": _packages,
    "skops": _skops,
    "releases": _releases,
    "tables": _tables,
}
