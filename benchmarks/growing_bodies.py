"""Bodies of requests that grow; see `complexity`."""

import io
from typing import Any

import numpy as np

from benchmarks.complexity_inputs import (
    FOUR,
    FREE,
    FREE_WHOLES,
    GrowingInput,
    Work,
    as_json,
    asked,
    matrix,
    names_of,
    rows_of,
    separate,
    strange_keys,
    texts,
)
from septet.model.signature import Signature
from septet.protocols.http.http_messages import HttpRequest
from septet.protocols.openinference.grpc_service import GrpcService
from septet.protocols.rpc.descriptors import message
from septet.registry import Models
from septet.settings import Settings
from septet.testing import service

CSV = b"text/csv"
NPY = b"application/x-npy"
V2 = "/v2/models/model/infer"
V1 = "/v1/models/model:predict"
MLFLOW = "/invocations"


def _twice(count: int) -> bytes:
    return b"{%b}" % b",".join(b'"k%d":0' % (at % (count - 1)) for at in range(count))


def v2_body(*inputs: dict[str, Any], **more: object) -> bytes:
    """The body of an inference request."""
    return as_json({"inputs": inputs, **more})


def v2_tensor(name: str, shape: list[int], data: object, datatype: str = "FP32", **more: object) -> dict[str, Any]:
    """One of its inputs."""
    return {"name": name, "shape": shape, "datatype": datatype, "data": data, **more}


ONE_ROW = v2_tensor("x", [1, 4], [1.0, 2.0, 3.0, 4.0])


def _call(signature: Signature, given: Any) -> Work:
    models = Models()
    models.install(service(signature))
    owner = GrpcService(models, Settings().limits, lambda _: None, lambda: True)
    http = HttpRequest("POST", "", b"", {}, given.SerializeToString())
    return lambda: owner.infer(http)


def _typed(count: int) -> Work:
    given = message("inference.ModelInferRequest")(model_name="model")
    tensor = given.inputs.add(name="x", datatype="FP32", shape=[count // 4, 4])
    tensor.contents.fp32_contents.extend([0.5] * (count // 4 * 4))
    return _call(FOUR, given)


def _typed_wholes(count: int) -> Work:
    given = message("inference.ModelInferRequest")(model_name="model")
    tensor = given.inputs.add(name="x", datatype="INT64", shape=[1, count])
    tensor.contents.int64_contents.extend([300] * count)
    return _call(FREE_WHOLES, given)


def _calls_inputs(count: int) -> Work:
    given = message("inference.ModelInferRequest")(model_name="model")
    for name in names_of(count):
        given.inputs.add(name=name, datatype="FP32", shape=[1, 1]).contents.fp32_contents.append(0.5)
    return _call(separate(count), given)


def _npy(array: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def _npy_header(text: str) -> bytes:
    head = text.encode() + b"\n"
    return b"\x93NUMPY\x02\x00" + len(head).to_bytes(4, "little") + head


JSON_INPUTS = (
    GrowingInput("keys of which one stands twice", lambda n: asked(FOUR, "/predict", _twice(n), status=400)),
    GrowingInput("unknown keys of a body", lambda n: asked(FOUR, "/predict", as_json(strange_keys(n)), status=422)),
    GrowingInput(
        "unknown keys of a record",
        lambda n: asked(FOUR, "/predict", as_json({"records": [strange_keys(n)]}), status=422),
    ),
    GrowingInput("unknown inputs", lambda n: asked(FOUR, "/predict", as_json({"inputs": strange_keys(n)}), status=422)),
    GrowingInput(
        "columns of a record",
        lambda n: asked(matrix(n), "/predict", as_json({"records": [dict.fromkeys(names_of(n), 0.5)]})),
        500,
        1 << 14,
    ),
    GrowingInput(
        "columns that a record lacks",
        lambda n: asked(matrix(n), "/predict", as_json({"records": [{"c0": 1}]}), status=422),
        500,
        1 << 14,
    ),
    GrowingInput(
        "wrong values of a row",
        lambda n: asked(matrix(n), "/predict", as_json({"data": [["a"] * n]}), status=422),
        500,
        1 << 14,
    ),
    GrowingInput(
        "inputs",
        lambda n: asked(separate(n), "/predict", as_json({"inputs": {name: [[0.5]] for name in names_of(n)}})),
        500,
        1 << 13,
    ),
    GrowingInput("rows", lambda n: asked(FOUR, "/predict", as_json({"data": rows_of(n)})), 500, 10_000),
    GrowingInput(
        "rows of records",
        lambda n: asked(
            FOUR, "/predict", as_json({"records": [dict(zip(names_of(4), row, strict=True)) for row in rows_of(n)]})
        ),
        500,
        10_000,
    ),
    GrowingInput(
        "rows that must be read with care",
        lambda n: asked(matrix(4, dtype="int64"), "/predict", as_json({"data": [[1.0, 2.0, 3.0, 4.0]] * n})),
        100,
        10_000,
    ),
    GrowingInput(
        "wrong rows", lambda n: asked(FOUR, "/predict", as_json({"data": [[1]] * n}), status=422), 500, 10_000
    ),
    GrowingInput(
        "rows beyond the limit", lambda n: asked(FOUR, "/predict", as_json({"data": rows_of(n)}), status=422), 12_000
    ),
    GrowingInput("brackets in each other", lambda n: asked(FOUR, "/predict", b"[" * n, status=400)),
    GrowingInput(
        "characters of a text", lambda n: asked(texts(), "/predict", as_json({"data": [["a" * n]]})), 1 << 16, 1 << 22
    ),
    GrowingInput(
        "escaped characters", lambda n: asked(texts(), "/predict", as_json({"data": [['"' * n]]})), 1 << 14, 1 << 22
    ),
    GrowingInput(
        "digits of a number",
        lambda n: asked(FOUR, "/predict", b'{"data":[[1.%b,1,1,1]]}' % (b"1" * n)),
        1 << 14,
        1 << 19,
    ),
    GrowingInput(
        "digits of a number that is refused",
        lambda n: asked(FOUR, "/predict", b'{"data":[[1.%b,1,1,1]]}' % (b"1" * n), status=400),
        1 << 21,
        1 << 23,
    ),
    GrowingInput(
        "numbers of a free size", lambda n: asked(FREE, "/predict", b'{"data":[[%b0]]}' % (b"1," * n)), 1 << 14, 1 << 22
    ),
    GrowingInput(
        "rows of a number of a free size",
        lambda n: asked(FREE, "/predict", b'{"data":[%b[0]]}' % (b"[1]," * n), status=422 if n >= 10_000 else 200),
        1 << 16,
        1 << 21,
    ),
    GrowingInput(
        "numbers with a wrong one behind them",
        lambda n: asked(FREE, "/predict", b'{"inputs":{"x":[[%btrue]]}}' % (b"1," * n), status=422),
        1 << 17,
        1 << 22,
    ),
    GrowingInput(
        "digits of a whole number",
        lambda n: asked(FOUR, "/predict", b'{"data":[[%b,1,1,1]]}' % (b"1" * n), status=400),
        1 << 14,
        1 << 22,
    ),
    GrowingInput(
        "blanks between rows",
        lambda n: asked(FOUR, "/predict", b'{"data":[[1,2,3,4]%b,[1,2,3,4]]}' % (b" " * n)),
        1 << 16,
        1 << 22,
    ),
    GrowingInput(
        "a request id",
        lambda n: asked(FOUR, "/predict", as_json({"data": rows_of(1), "id": "a" * n}), status=422),
        1 << 14,
        1 << 22,
    ),
    GrowingInput(
        "texts of base64", lambda n: asked(texts(), V1, as_json({"instances": [{"b64": "YWI="}] * n})), 100, 10_000
    ),
    GrowingInput(
        "columns of a frame, in another order",
        lambda n: asked(
            matrix(n), MLFLOW, as_json({"dataframe_split": {"columns": names_of(n)[::-1], "data": [[0.5] * n]}})
        ),
        500,
        1 << 14,
    ),
    GrowingInput(
        "columns of a frame that the model lacks",
        lambda n: asked(
            matrix(n),
            MLFLOW,
            as_json({"dataframe_split": {"columns": [*names_of(n), *strange_keys(n)], "data": [[0.5] * 2 * n]}}),
        ),
        500,
        1 << 14,
    ),
    GrowingInput(
        "columns of a frame, each twice",
        lambda n: asked(
            matrix(n),
            MLFLOW,
            as_json({"dataframe_split": {"columns": names_of(n) * 2, "data": [[0.5] * 2 * n]}}),
            status=400,
        ),
        500,
        1 << 14,
    ),
    GrowingInput(
        "names of an instance",
        lambda n: asked(separate(n), V1, as_json({"instances": [{name: [0.5] for name in names_of(n)}]})),
        500,
        1 << 13,
    ),
    GrowingInput(
        "unknown names of an instance",
        lambda n: asked(separate(n), V1, as_json({"instances": [strange_keys(n, [1])]}), status=400),
        500,
        1 << 13,
    ),
    GrowingInput(
        "inputs by column",
        lambda n: asked(matrix(n), V1, as_json({"inputs": {name: [0.5] for name in names_of(n)}})),
        500,
        1 << 14,
    ),
)

V2_INPUTS = (
    GrowingInput(
        "V2 inputs",
        lambda n: asked(separate(n), V2, v2_body(*(v2_tensor(name, [1, 1], [0.5]) for name in names_of(n)))),
        200,
        1 << 12,
    ),
    GrowingInput(
        "V2 inputs that come twice", lambda n: asked(FOUR, V2, v2_body(*[ONE_ROW] * n), status=400), 200, 1 << 15
    ),
    GrowingInput(
        "V2 outputs as raw bytes",
        lambda n: asked(
            separate(n),
            V2,
            v2_body(*(v2_tensor(name, [1, 1], [0.5]) for name in names_of(n)), parameters={"binary_data_output": True}),
        ),
        200,
        1 << 12,
    ),
    GrowingInput(
        "V2 outputs that are asked for",
        lambda n: asked(
            separate(n),
            V2,
            v2_body(
                *(v2_tensor(name, [1, 1], [0.5]) for name in names_of(n)),
                outputs=[{"name": f"y{at}"} for at in range(n)],
            ),
        ),
        200,
        1 << 12,
    ),
    GrowingInput("V2 parameters", lambda n: asked(FOUR, V2, v2_body(ONE_ROW, parameters=strange_keys(n))), 500, 20_000),
    GrowingInput(
        "V2 values", lambda n: asked(FOUR, V2, v2_body(v2_tensor("x", [n // 4, 4], [0.5] * (n // 4 * 4)))), 2000, 40_000
    ),
    GrowingInput(
        "V2 nested values",
        lambda n: asked(FOUR, V2, v2_body(v2_tensor("x", [n // 4, 4], rows_of(n // 4)))),
        2000,
        40_000,
    ),
    GrowingInput(
        "V2 values that must be read with care",
        lambda n: asked(
            matrix(4, dtype="int64"), V2, v2_body(v2_tensor("x", [n // 4, 4], [1.0] * (n // 4 * 4), "INT64"))
        ),
        400,
        40_000,
    ),
    GrowingInput(
        "V2 sizes of a shape", lambda n: asked(FOUR, V2, v2_body(v2_tensor("x", [1] * n, [1.0])), status=400), 500
    ),
    GrowingInput(
        "V2 texts", lambda n: asked(texts(), V2, v2_body(v2_tensor("x", [n, 1], ["ab"] * n, "BYTES"))), 500, 10_000
    ),
    GrowingInput(
        "V2 missing texts",
        lambda n: asked(
            texts(),
            V2,
            v2_body(v2_tensor("x", [n, 1], [""] * n, "BYTES", parameters={"missing": ",".join(map(str, range(n)))})),
        ),
        500,
        10_000,
    ),
    GrowingInput("gRPC values", _typed, 2000, 40_000),
    GrowingInput("gRPC whole numbers", _typed_wholes, 1 << 14, 1 << 22),
    GrowingInput("gRPC inputs", _calls_inputs, 100, 1 << 12),
)

FILE_BODIES = (
    GrowingInput("CSV header cells", lambda n: asked(FOUR, "/predict", b"," * n, CSV, 422), 1 << 14, 1 << 24),
    GrowingInput(
        "CSV columns",
        lambda n: asked(
            matrix(n), "/predict", ",".join(names_of(n)[::-1]).encode() + b"\n" + b",".join([b"1"] * n), CSV
        ),
        500,
        1 << 14,
    ),
    GrowingInput(
        "CSV columns, each twice",
        lambda n: asked(matrix(n), "/predict", ",".join(names_of(n) * 2).encode() + b"\n1", CSV, 422),
        500,
        1 << 14,
    ),
    GrowingInput("CSV rows", lambda n: asked(FOUR, "/predict", b"c0,c1,c2,c3\n" + b"1,2,3,4\n" * n, CSV), 1000, 10_000),
    GrowingInput(
        "CSV rows in quotes",
        lambda n: asked(FOUR, "/predict", b"c0,c1,c2,c3\n" + b'"1",2,3,4\n' * n, CSV),
        1000,
        10_000,
    ),
    GrowingInput(
        "CSV rows beyond the limit",
        lambda n: asked(FOUR, "/predict", b"c0,c1,c2,c3\n" + b"1,2,3,4\n" * n, CSV, 422),
        12_000,
    ),
    GrowingInput(
        "CSV cells of one row",
        lambda n: asked(FOUR, "/predict", b"c0,c1,c2,c3\n" + b"," * n, CSV, 422),
        1 << 15,
        1 << 24,
    ),
    GrowingInput(
        "CSV behind a quote that is never closed",
        lambda n: asked(texts(), "/predict", b'x\n"' + b"a\n" * n, CSV, 400),
        1 << 14,
        1 << 22,
    ),
    GrowingInput("CSV field", lambda n: asked(texts(), "/predict", b'x\n"' + b"a" * n + b'"\n', CSV), 1 << 16, 1 << 22),
    GrowingInput("npy values", lambda n: asked(FOUR, "/predict", _npy(np.zeros((n, 4))), NPY), 500, 10_000),
    GrowingInput(
        "npy texts",
        lambda n: asked(texts(), "/predict", _npy(np.full((n, 1), "ab")), NPY),
        500,
        10_000,
    ),
    GrowingInput(
        "npy header, brackets in each other",
        lambda n: asked(FOUR, "/predict", _npy_header("(" * n), NPY, 400),
        200,
    ),
    GrowingInput(
        "npy header, sizes of a shape",
        lambda n: asked(
            FOUR,
            "/predict",
            _npy_header("{'descr':'<f4','fortran_order':False,'shape':(" + "1," * n + ")}"),
            NPY,
            400,
        ),
        5000,
    ),
)
