"""Answers, descriptions and files that grow; see `complexity`."""

import io
import json
import tempfile
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import msgspec

from benchmarks.complexity_inputs import (
    FOUR,
    GrowingInput,
    Work,
    as_json,
    asked,
    classifier,
    matrix,
    refused,
    rows_of,
    server,
)
from benchmarks.growing_bodies import ONE_ROW, V1, V2, v2_body
from septet.assembly.composition import layout
from septet.errors import Malformed
from septet.model.label_files import with_labels_beside
from septet.model.labels import with_labels
from septet.model.signature import Signature
from septet.monitoring.metrics import ModelFacts, exposition
from septet.monitoring.shared_metrics import SharedMetrics
from septet.protocols.http.error_bodies import refusal
from septet.protocols.native.metadata import metadata
from septet.protocols.openapi.openapi_document import openapi
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
    return asked(signature, path, as_json({"data": [[0.0] * width] * rows}))


ANSWERS = (
    GrowingInput("rows of an answer", lambda n: _answer_of(matrix(1, outputs=100), rows=n), 200, 10_000),
    GrowingInput("values of a row of an answer", lambda n: _answer_of(matrix(1, outputs=n)), 10_000, 1 << 23),
    GrowingInput(
        "values of a row of a V2 answer", lambda n: asked(matrix(4, outputs=n), V2, v2_body(ONE_ROW)), 10_000, 1 << 23
    ),
    GrowingInput(
        "values of a row of a V1 answer",
        lambda n: asked(matrix(4, outputs=n), V1, as_json({"instances": rows_of(1)})),
        10_000,
        1 << 22,
    ),
    GrowingInput(
        "labels, best ones of a row", lambda n: _answer_of(classifier(n), "/predict/label?top=1000"), 10_000, 1 << 18
    ),
    GrowingInput(
        "labels, of the best of each row", lambda n: _answer_of(classifier(n), "/predict/label"), 1000, 1 << 18
    ),
    GrowingInput("labels of /metadata", lambda n: _described(classifier(n)), 1000, 1 << 18),
    GrowingInput("labels of /openapi.json", lambda n: _document(classifier(n)), 1000, 1 << 17),
    GrowingInput("columns of /openapi.json", lambda n: _document(matrix(n)), 500, 1 << 14),
    GrowingInput("columns of /metadata", lambda n: _described(matrix(n)), 500, 1 << 14),
    GrowingInput("metrics, by models", _page, 4, 1 << 9),
    GrowingInput("models that could not be loaded, in a 404", _missing_paths, 200, 1 << 12),
    GrowingInput(
        "characters of a path in an error",
        lambda n: partial(refusal, "/models/" + "a" * n, Malformed("no"), "id"),
        1 << 16,
    ),
)

FILES = (
    GrowingInput("labels by value", _labelled),
    GrowingInput("labels beside a model", _labelled_beside),
    GrowingInput(
        "bytes of zeros in an ONNX file",
        lambda n: refused(partial(onnx_graph.read, memoryview(b"\0" * n))),
        1 << 20,
        1 << 24,
    ),
    GrowingInput(
        "fields of an ONNX file",
        lambda n: refused(partial(onnx_graph.read, memoryview(b"\x08\x01" * n))),
        1 << 18,
        1 << 23,
    ),
    GrowingInput(
        "nodes of a graph without operators",
        lambda n: refused(partial(onnx_graph.read, _graph([b""] * n))),
        1 << 16,
        1 << 20,
    ),
    GrowingInput("nodes of a graph", _chain, 500, 1 << 15),
    GrowingInput("values that a graph joins", _joins, 500, 1 << 14),
    GrowingInput("joins of a value with itself", _doubled, 40, 1 << 12),
    GrowingInput(
        "CSV file, names that stand twice",
        lambda n: refused(_lines(b",".join([b"a%d" % (at % (n // 2)) for at in range(n)]) + b"\n")),
    ),
    GrowingInput(
        "CSV file, lines behind a quote", lambda n: _lines(b'a,b\n1,"' + b"\n" * n + b'"\n'), 1 << 14, 1 << 19
    ),
    GrowingInput("CSV file, rows", lambda n: _lines(b"a,b\n" + b"1,2\n" * n)),
    GrowingInput(
        "JSON file, rows", lambda n: lambda: list(JsonReader(io.BytesIO(as_json([{"a": 1, "b": 2}] * n))).batches())
    ),
    GrowingInput("JSON Lines file, rows", lambda n: lambda: list(JsonlReader(io.BytesIO(b'{"a":1}\n' * n)).batches())),
)
