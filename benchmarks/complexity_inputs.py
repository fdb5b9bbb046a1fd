"""Inputs that grow: what a caller, or the author of a file, may send twice as much of; see `complexity`."""

import io
import json
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from septet.assembly.composition import application, layout
from septet.errors import Malformed, SeptetError
from septet.events import NullObserver
from septet.model.label_files import with_labels_beside
from septet.model.labels import with_labels
from septet.model.signature import Column, Kind, Signature, Tensor
from septet.monitoring.metrics import ModelFacts, exposition
from septet.monitoring.shared_metrics import SharedMetrics
from septet.protocols.http.app import App
from septet.protocols.http.error_bodies import refusal
from septet.protocols.http.http_messages import HttpReply, HttpRequest
from septet.protocols.native.metadata import metadata
from septet.protocols.openapi.openapi_document import openapi
from septet.protocols.rpc.descriptors import message
from septet.runtimes.onnx import onnx_graph
from septet.runtimes.onnx.onnx_categories import categories
from septet.runtimes.onnx.onnx_roles import roles
from septet.runtimes.onnx.onnx_rows import row_dependence
from septet.runtimes.onnx.onnx_wire import encode
from septet.settings import Settings
from septet.tables.csv_table import CsvReader
from septet.tables.json_table import JsonReader
from septet.tables.jsonl_table import JsonlReader
from septet.testing import service
from septet.types import Identity

#: Does the work once.
Work = Callable[[], object]


@dataclass(frozen=True)
class GrowingInput:
    """One kind of input.

    Attributes:
        name: what there is more and more of.
        of: makes the work for so many of it.
        least: how many of it the work is measured with at first.
        most: no more is measured, for beyond that it is refused unread.
    """

    name: str
    of: Callable[[int], Work]
    least: int = 1000
    most: int = 1 << 20


def matrix(width: int, *, outputs: int = 1, dtype: str = "float32") -> Signature:
    """A model of so many columns in one input, which answers so many numbers."""
    columns = tuple(Column(f"c{at}", dtype) for at in range(width))
    tensor = Tensor("x", dtype, (None, width), columns)
    return Signature(Kind.TRANSFORM, (tensor,), (Tensor("y", "float32", (None, outputs)),))


def separate(width: int, dtype: str = "float32") -> Signature:
    """A model of so many inputs of one column each, and as many outputs."""
    inputs = tuple(Tensor(f"c{at}", dtype, (None, 1), (Column(f"c{at}", dtype),)) for at in range(width))
    return Signature(Kind.TENSORS, inputs, tuple(Tensor(f"y{at}", "float32", (None, 1)) for at in range(width)))


def texts() -> Signature:
    """A model of one column of texts."""
    tensor = Tensor("x", "string", (None, 1), (Column("x", "string"),))
    return Signature(Kind.TRANSFORM, (tensor,), (Tensor("y", "float32", (None, 1)),))


def classifier(count: int) -> Signature:
    """A model of two columns and so many classes that are numbers."""
    tensor = Tensor("x", "float32", (None, 2), (Column("a", "float32"), Column("b", "float32")))
    outputs = (Tensor("label", "int64", (None,)), Tensor("scores", "float32", (None, count)))
    names = tuple(f"class {at}" for at in range(count))
    return Signature(
        Kind.CLASSIFICATION,
        (tensor,),
        outputs,
        label="label",
        scores="scores",
        labels=names,
        classes=tuple(range(count)),
    )


def server(signature: Signature) -> App:
    """An application that serves a model of this signature, which answers zeros."""
    app, made = App(), service(signature)
    app.models.install(made)
    shared = SharedMetrics(layout(1))
    shared.claim().count_models([made.identity.name])
    application(app, Settings(), NullObserver(), shared.snapshot, [made.identity.name])
    return app


def asked(signature: Signature, path: str, body: bytes, kind: bytes = b"application/json", status: int = 200) -> Work:
    """Ask a server; the answer must have this status, or the work would be another one."""
    app, headers = server(signature), {b"content-type": kind}

    def work() -> None:
        replies: list[HttpReply] = []
        target, _, query = path.partition("?")
        app.answer(HttpRequest("POST", target, query.encode(), headers, body), replies.append)
        if replies[0].status != status:
            raise AssertionError(f"{replies[0].status}, not {status}: {replies[0].body[:300]!r}")

    return work


def refused(work: Callable[[], object]) -> Work:
    """Work that ends in an error of Septet's own."""

    def refusing() -> None:
        try:
            work()
        except SeptetError:
            return
        raise AssertionError("it was not refused")

    return refusing


def js(value: object) -> bytes:
    """JSON."""
    return json.dumps(value).encode()


FOUR = matrix(4)
CSV = b"text/csv"
V2 = "/v2/models/model/infer"
V1 = "/v1/models/model:predict"
MLFLOW = "/invocations"


def _rows(count: int, width: int = 4) -> list[list[float]]:
    return [[0.5 * at for at in range(width)]] * count


def _names(count: int) -> list[str]:
    return [f"c{at}" for at in range(count)]


def _twice(count: int) -> bytes:
    return b"{%b}" % b",".join(b'"k%d":0' % (at % (count - 1)) for at in range(count))


def _keys(count: int, value: object = 0) -> dict[str, object]:
    return {f"k{at}": value for at in range(count)}


def _v2(*inputs: dict[str, Any], **more: object) -> bytes:
    return js({"inputs": inputs, **more})


def _tensor(name: str, shape: list[int], data: object, datatype: str = "FP32", **more: object) -> dict[str, Any]:
    return {"name": name, "shape": shape, "datatype": datatype, "data": data, **more}


_X = _tensor("x", [1, 4], [1.0, 2.0, 3.0, 4.0])


def _call(signature: Signature, given: Any) -> Work:
    from septet.protocols.http.routes import server_paths
    from septet.protocols.openinference.grpc_service import GrpcService
    from septet.registry import Models

    models = Models()
    models.install(service(signature))
    owner = GrpcService(models, Settings().limits, lambda _: None, lambda: True)
    http = HttpRequest("POST", "", b"", {}, given.SerializeToString())
    assert server_paths(owner)
    return lambda: owner.infer(http)


def _typed(count: int) -> Work:
    given = message("inference.ModelInferRequest")(model_name="model")
    tensor = given.inputs.add(name="x", datatype="FP32", shape=[count // 4, 4])
    tensor.contents.fp32_contents.extend([0.5] * (count // 4 * 4))
    return _call(FOUR, given)


def _calls_inputs(count: int) -> Work:
    given = message("inference.ModelInferRequest")(model_name="model")
    for name in _names(count):
        given.inputs.add(name=name, datatype="FP32", shape=[1, 1]).contents.fp32_contents.append(0.5)
    return _call(separate(count), given)


def _npy(array: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def _npy_header(text: str) -> bytes:
    head = text.encode() + b"\n"
    return b"\x93NUMPY\x02\x00" + len(head).to_bytes(4, "little") + head


def _labelled(count: int) -> Work:
    bare = msgspec.structs.replace(classifier(count), labels=tuple(map(str, range(count))))
    names = {str(at): f"name {at}" for at in reversed(range(count))}
    return lambda: with_labels(bare, names, "labels.json")


def _labelled_beside(count: int) -> Work:
    bare = msgspec.structs.replace(classifier(count), labels=tuple(map(str, range(count))))
    folder = Path(tempfile.mkdtemp())
    (folder / "labels.json").write_text(json.dumps([f"name {at}" for at in range(count)]))
    return lambda: with_labels_beside(bare, folder)


def _document(signature: Signature) -> Work:
    app, made = server(signature), service(signature)
    operated = list(app.operations())
    limits = Settings().limits
    return lambda: msgspec.json.encode(openapi(operated, [made], limits=limits, root_path=""))


def _described(signature: Signature) -> Work:
    made = service(signature)
    return lambda: msgspec.json.encode(metadata(made, limits=Settings().limits))


def _graph(nodes: Iterable[bytes]) -> memoryview:
    value = encode(1, "x") + encode(
        2, encode(1, encode(1, 1) + encode(2, encode(1, encode(2, "N")) + encode(1, encode(1, 4))))
    )
    graph = b"".join(encode(1, node) for node in nodes) + encode(11, value) + encode(12, encode(1, "y") + value[3:])
    return memoryview(encode(1, 8) + encode(7, graph) + encode(8, encode(2, 17)))


def _node(op: str, inputs: Iterable[str], output: str, *attributes: bytes) -> bytes:
    parts = [
        *(encode(1, name) for name in inputs),
        encode(2, output),
        encode(4, op),
        *(encode(5, each) for each in attributes),
    ]
    return b"".join(parts)


def _followed(nodes: Iterable[bytes]) -> Work:
    image = _graph(nodes)

    def work() -> None:
        graph = onnx_graph.read(image)
        row_dependence(graph, threads=1)
        categories(graph, FOUR.inputs)
        roles(graph, FOUR.outputs, {})

    return work


def _chain(count: int) -> Work:
    return _followed(_node("Relu", [f"v{at}" if at else "x"], f"v{at + 1}") for at in range(count))


def _joins(count: int) -> Work:
    axis = encode(1, "axis") + encode(3, 1) + encode(20, 2)
    names = [f"v{at}" for at in range(count)]
    return _followed(
        [
            *(_node("Relu", ["x"], name) for name in names),
            _node("Concat", names, "y", axis),
            _node("OneHotEncoder", ["y"], "z", encode(1, "cats_int64s") + encode(8, 3) + encode(20, 7)),
        ]
    )


def _doubled(count: int) -> Work:
    axis = encode(1, "axis") + encode(3, 1) + encode(20, 2)
    return _followed(
        [
            *(_node("Concat", [f"v{at}" if at else "x"] * 2, f"v{at + 1}", axis) for at in range(count)),
            _node("OneHotEncoder", ["x"], "z", encode(1, "cats_int64s") + encode(8, 3) + encode(20, 7)),
        ]
    )


def _page(count: int) -> Work:
    names = [f"m{at}" for at in range(count)]
    shared = SharedMetrics(layout(count))
    shared.claim().count_models(names)
    facts = [ModelFacts(Identity(name, "1", ""), "onnx", "regression") for name in names]
    snapshot = shared.snapshot()
    return lambda: exposition(snapshot, names, facts, None)


def _missing_paths(count: int) -> Work:
    app = server(FOUR)
    for at in range(count):
        app.models.fail(f"m{at}", "it is gone")
    return lambda: app._unknown("/nowhere")  # noqa: SLF001 - the answer 404 is a task of an event loop


def _lines(text: bytes) -> Work:
    return lambda: list(CsvReader(io.BytesIO(text)).batches())


def _answer_of(signature: Signature, path: str = "/predict", rows: int = 1) -> Work:
    width = len(signature.columns)
    return asked(signature, path, js({"data": [[0.0] * width] * rows}))


JSON_INPUTS = (
    GrowingInput("keys of which one stands twice", lambda n: asked(FOUR, "/predict", _twice(n), status=400)),
    GrowingInput("unknown keys of a body", lambda n: asked(FOUR, "/predict", js(_keys(n)), status=422)),
    GrowingInput("unknown keys of a record", lambda n: asked(FOUR, "/predict", js({"records": [_keys(n)]}), status=422)),
    GrowingInput("unknown inputs", lambda n: asked(FOUR, "/predict", js({"inputs": _keys(n)}), status=422)),
    GrowingInput("columns of a record", lambda n: asked(matrix(n), "/predict", js({"records": [dict.fromkeys(_names(n), 0.5)]})), 500, 1 << 14),
    GrowingInput("columns that a record lacks", lambda n: asked(matrix(n), "/predict", js({"records": [{"c0": 1}]}), status=422), 500, 1 << 14),
    GrowingInput("wrong values of a row", lambda n: asked(matrix(n), "/predict", js({"data": [["a"] * n]}), status=422), 500, 1 << 14),
    GrowingInput("inputs", lambda n: asked(separate(n), "/predict", js({"inputs": {name: [[0.5]] for name in _names(n)}})), 500, 1 << 13),
    GrowingInput("rows", lambda n: asked(FOUR, "/predict", js({"data": _rows(n)})), 500, 10_000),
    GrowingInput("rows of records", lambda n: asked(FOUR, "/predict", js({"records": [dict(zip(_names(4), row, strict=True)) for row in _rows(n)]})), 500, 10_000),
    GrowingInput("rows that must be read with care", lambda n: asked(matrix(4, dtype="int64"), "/predict", js({"data": [[1.0, 2.0, 3.0, 4.0]] * n})), 100, 10_000),
    GrowingInput("wrong rows", lambda n: asked(FOUR, "/predict", js({"data": [[1]] * n}), status=422), 500, 10_000),
    GrowingInput("rows beyond the limit", lambda n: asked(FOUR, "/predict", js({"data": _rows(n)}), status=422), 12_000),
    GrowingInput("brackets in each other", lambda n: asked(FOUR, "/predict", b"[" * n, status=400)),
    GrowingInput("characters of a text", lambda n: asked(texts(), "/predict", js({"data": [["a" * n]]})), 1 << 16, 1 << 23),
    GrowingInput("escaped characters", lambda n: asked(texts(), "/predict", js({"data": [['"' * n]]})), 1 << 14, 1 << 22),
    GrowingInput("digits of a number", lambda n: asked(FOUR, "/predict", b'{"data":[[1.%b,1,1,1]]}' % (b"1" * n)), 1 << 14, 1 << 23),
    GrowingInput("digits of a whole number", lambda n: asked(FOUR, "/predict", b'{"data":[[%b,1,1,1]]}' % (b"1" * n), status=400), 1 << 14, 1 << 22),
    GrowingInput("blanks between rows", lambda n: asked(FOUR, "/predict", b'{"data":[[1,2,3,4]%b,[1,2,3,4]]}' % (b" " * n)), 1 << 16, 1 << 23),
    GrowingInput("a request id", lambda n: asked(FOUR, "/predict", js({"data": _rows(1), "id": "a" * n}), status=422), 1 << 14, 1 << 22),
    GrowingInput("texts of base64", lambda n: asked(texts(), V1, js({"instances": [{"b64": "YWI="}] * n})), 100, 10_000),
    GrowingInput("columns of a frame, in another order", lambda n: asked(matrix(n), MLFLOW, js({"dataframe_split": {"columns": _names(n)[::-1], "data": [[0.5] * n]}})), 500, 1 << 14),
    GrowingInput("columns of a frame that the model lacks", lambda n: asked(matrix(n), MLFLOW, js({"dataframe_split": {"columns": [*_names(n), *_keys(n)], "data": [[0.5] * 2 * n]}})), 500, 1 << 14),
    GrowingInput("columns of a frame, each twice", lambda n: asked(matrix(n), MLFLOW, js({"dataframe_split": {"columns": _names(n) * 2, "data": [[0.5] * 2 * n]}}), status=400), 500, 1 << 14),
    GrowingInput("names of an instance", lambda n: asked(separate(n), V1, js({"instances": [{name: [0.5] for name in _names(n)}]})), 500, 1 << 13),
    GrowingInput("unknown names of an instance", lambda n: asked(separate(n), V1, js({"instances": [_keys(n, [1])]}), status=400), 500, 1 << 13),
    GrowingInput("inputs by column", lambda n: asked(matrix(n), V1, js({"inputs": {name: [0.5] for name in _names(n)}})), 500, 1 << 14),
)  # fmt: skip

V2_INPUTS = (
    GrowingInput("V2 inputs", lambda n: asked(separate(n), V2, _v2(*(_tensor(name, [1, 1], [0.5]) for name in _names(n)))), 200, 1 << 12),
    GrowingInput("V2 inputs that come twice", lambda n: asked(FOUR, V2, _v2(*[_X] * n), status=400), 200, 1 << 15),
    GrowingInput("V2 outputs that are asked for", lambda n: asked(separate(n), V2, _v2(*(_tensor(name, [1, 1], [0.5]) for name in _names(n)), outputs=[{"name": f"y{at}"} for at in range(n)])), 200, 1 << 12),
    GrowingInput("V2 parameters", lambda n: asked(FOUR, V2, _v2(_X, parameters=_keys(n))), 500),
    GrowingInput("V2 values", lambda n: asked(FOUR, V2, _v2(_tensor("x", [n // 4, 4], [0.5] * (n // 4 * 4)))), 2000, 40_000),
    GrowingInput("V2 nested values", lambda n: asked(FOUR, V2, _v2(_tensor("x", [n // 4, 4], _rows(n // 4)))), 2000, 40_000),
    GrowingInput("V2 values that must be read with care", lambda n: asked(matrix(4, dtype="int64"), V2, _v2(_tensor("x", [n // 4, 4], [1.0] * (n // 4 * 4), "INT64"))), 400, 40_000),
    GrowingInput("V2 sizes of a shape", lambda n: asked(FOUR, V2, _v2(_tensor("x", [1] * n, [1.0])), status=400), 500),
    GrowingInput("V2 texts", lambda n: asked(texts(), V2, _v2(_tensor("x", [n, 1], ["ab"] * n, "BYTES"))), 500, 10_000),
    GrowingInput("V2 missing texts", lambda n: asked(texts(), V2, _v2(_tensor("x", [n, 1], [""] * n, "BYTES", parameters={"missing": ",".join(map(str, range(n)))})), status=200), 500, 10_000),
    GrowingInput("gRPC values", _typed, 2000, 40_000),
    GrowingInput("gRPC inputs", _calls_inputs, 100, 1 << 12),
)  # fmt: skip

FILE_BODIES = (
    GrowingInput("CSV header cells", lambda n: asked(FOUR, "/predict", b"," * n, CSV, 422), 1 << 14, 1 << 24),
    GrowingInput("CSV columns", lambda n: asked(matrix(n), "/predict", ",".join(_names(n)[::-1]).encode() + b"\n" + b",".join([b"1"] * n), CSV), 500, 1 << 14),
    GrowingInput("CSV columns, each twice", lambda n: asked(matrix(n), "/predict", ",".join(_names(n) * 2).encode() + b"\n1", CSV, 422), 500, 1 << 14),
    GrowingInput("CSV rows", lambda n: asked(FOUR, "/predict", b"c0,c1,c2,c3\n" + b"1,2,3,4\n" * n, CSV), 1000, 10_000),
    GrowingInput("CSV rows in quotes", lambda n: asked(FOUR, "/predict", b"c0,c1,c2,c3\n" + b'"1",2,3,4\n' * n, CSV), 1000, 10_000),
    GrowingInput("CSV rows beyond the limit", lambda n: asked(FOUR, "/predict", b"c0,c1,c2,c3\n" + b"1,2,3,4\n" * n, CSV, 422), 12_000),
    GrowingInput("CSV cells of one row", lambda n: asked(FOUR, "/predict", b"c0,c1,c2,c3\n" + b"," * n, CSV, 422), 1 << 15, 1 << 24),
    GrowingInput("CSV behind a quote that is never closed", lambda n: asked(texts(), "/predict", b'x\n"' + b"a\n" * n, CSV, 400), 1 << 14, 1 << 22),
    GrowingInput("CSV field", lambda n: asked(texts(), "/predict", b'x\n"' + b"a" * n + b'"\n', CSV), 1 << 16, 1 << 23),
    GrowingInput("npy values", lambda n: asked(FOUR, "/predict", _npy(np.zeros((n, 4))), b"application/x-npy"), 500, 10_000),
    GrowingInput("npy texts", lambda n: asked(texts(), "/predict", _npy(np.full((n, 1), "ab")), b"application/x-npy"), 500, 10_000),
    GrowingInput("npy header, brackets in each other", lambda n: asked(FOUR, "/predict", _npy_header("(" * n), b"application/x-npy", 400), 200),
    GrowingInput("npy header, sizes of a shape", lambda n: asked(FOUR, "/predict", _npy_header("{'descr':'<f4','fortran_order':False,'shape':(" + "1," * n + ")}"), b"application/x-npy", 400), 5000),
)  # fmt: skip

ANSWERS = (
    GrowingInput("rows of an answer", lambda n: _answer_of(matrix(1, outputs=100), rows=n), 200, 10_000),
    GrowingInput("values of a row of an answer", lambda n: _answer_of(matrix(1, outputs=n)), 10_000, 1 << 23),
    GrowingInput("values of a row of a V2 answer", lambda n: asked(matrix(4, outputs=n), V2, _v2(_X)), 10_000, 1 << 23),
    GrowingInput("values of a row of a V1 answer", lambda n: asked(matrix(4, outputs=n), V1, js({"instances": _rows(1)})), 10_000, 1 << 22),
    GrowingInput("labels, best ones of a row", lambda n: _answer_of(classifier(n), "/predict/label?top=1000"), 10_000, 1 << 18),
    GrowingInput("labels, of the best of each row", lambda n: _answer_of(classifier(n), "/predict/label"), 1000, 1 << 18),
    GrowingInput("labels of /metadata", lambda n: _described(classifier(n)), 1000, 1 << 18),
    GrowingInput("labels of /openapi.json", lambda n: _document(classifier(n)), 1000, 1 << 17),
    GrowingInput("columns of /openapi.json", lambda n: _document(matrix(n)), 500, 1 << 14),
    GrowingInput("columns of /metadata", lambda n: _described(matrix(n)), 500, 1 << 14),
    GrowingInput("metrics, by models", _page, 4, 1 << 9),
    GrowingInput("models that could not be loaded, in a 404", _missing_paths, 200, 1 << 12),
    GrowingInput("characters of a path in an error", lambda n: partial(refusal, "/models/" + "a" * n, Malformed("no"), "id"), 1 << 16),
)  # fmt: skip

FILES = (
    GrowingInput("labels by value", _labelled),
    GrowingInput("labels beside a model", _labelled_beside),
    GrowingInput("bytes of zeros in an ONNX file", lambda n: refused(partial(onnx_graph.read, memoryview(b"\0" * n))), 1 << 20, 1 << 24),
    GrowingInput("fields of an ONNX file", lambda n: refused(partial(onnx_graph.read, memoryview(b"\x08\x01" * n))), 1 << 18, 1 << 23),
    GrowingInput("nodes of a graph without operators", lambda n: refused(partial(onnx_graph.read, _graph([b""] * n))), 1 << 16, 1 << 20),
    GrowingInput("nodes of a graph", _chain, 500, 1 << 15),
    GrowingInput("values that a graph joins", _joins, 500, 1 << 14),
    GrowingInput("joins of a value with itself", _doubled, 40, 1 << 12),
    GrowingInput("CSV file, names that stand twice", lambda n: refused(_lines(b",".join([b"a%d" % (at % (n // 2)) for at in range(n)]) + b"\n"))),
    GrowingInput("CSV file, lines behind a quote", lambda n: _lines(b'a,b\n1,"' + b"\n" * n + b'"\n'), 1 << 14, 1 << 19),
    GrowingInput("CSV file, rows", lambda n: _lines(b"a,b\n" + b"1,2\n" * n)),
    GrowingInput("JSON file, rows", lambda n: lambda: list(JsonReader(io.BytesIO(js([{"a": 1, "b": 2}] * n))).batches())),
    GrowingInput("JSON Lines file, rows", lambda n: lambda: list(JsonlReader(io.BytesIO(b'{"a":1}\n' * n)).batches())),
)  # fmt: skip

EVERY: tuple[GrowingInput, ...] = (*JSON_INPUTS, *V2_INPUTS, *FILE_BODIES, *ANSWERS, *FILES)
