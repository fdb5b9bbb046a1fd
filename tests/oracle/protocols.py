"""The same rows asked over every protocol, in process, and the answers as arrays by output."""

import asyncio
import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np

from septet.assembly.composition import application, layout
from septet.events import NullObserver
from septet.monitoring.shared_metrics import SharedMetrics
from septet.protocols.codecs.json_body import JsonBody
from septet.protocols.codecs.prediction_format import PredictionFormatter
from septet.protocols.http.app import App
from septet.protocols.http.http_messages import HttpReply, HttpRequest
from septet.protocols.openinference.datatypes import DATATYPES, raw_bytes
from septet.protocols.openinference.grpc_service import GrpcService
from septet.protocols.rpc.descriptors import message
from septet.protocols.rpc.paths import INFER
from septet.service import Service
from septet.settings import Limits, Settings
from septet.types import Tensors

#: What is answered: values by output, or under "predict" what `predict()` gives.
Read = Callable[[bytes], dict[str, Any]]
PREDICT = "predict"


class Way(NamedTuple):
    """One way to ask for rows: by which path, with which body, and how its answer is read."""

    name: str
    path: str
    headers: dict[bytes, bytes]
    body: bytes
    read: Read


class Asking:
    """Every way to ask one service for rows of JSON values."""

    def __init__(self, service: Service) -> None:
        self._signature = service.signature
        self._names = [column.name for column in service.signature.columns]
        self._decode = JsonBody(service.signature, max_rows=1000)
        self._model = service.identity.name
        answer = PredictionFormatter(service.signature).outputs
        self._shown = PREDICT if answer is None else answer[0]
        self.app = App()
        self.app.models.install(service)
        snapshot = SharedMetrics(layout(1)).snapshot
        application(self.app, Settings(), NullObserver(), snapshot, [service.identity.name])
        self.calls = App(self.app.models)
        calls = GrpcService(self.app.models, Settings().limits, self.app.find, lambda: True)
        self.calls.install(lambda _: (), (calls,), NullObserver(), Limits(max_body_bytes=1 << 24))

    def ask(self, way: Way) -> dict[str, Any] | str:
        """The answer, or what an error says."""
        app = self.calls if way.path == INFER else self.app

        async def story() -> HttpReply:
            return await app(HttpRequest("POST", way.path, b"", way.headers, way.body))

        reply = asyncio.run(story())
        if reply.status != 200:
            return f"{reply.status} {reply.body[:300]!r}"
        return way.read(reply.body)

    def ways(self, rows: Sequence[Sequence[Any]]) -> Iterator[Way]:
        """Each way that can carry these rows."""
        tensors = self._decode(msgspec.json.encode({"data": rows})).tensors
        records = [dict(zip(self._names, row, strict=True)) for row in rows]
        frame = {"columns": self._names[::-1], "index": list(range(len(rows))), "data": [row[::-1] for row in rows]}
        native = self._native
        yield self._json("data", "/predict", {"data": rows}, native)
        yield self._json("records", "/predict", {"records": records[:]}, native)
        yield Way("csv", "/predict", {b"content-type": b"text/csv"}, self._csv(rows), native)
        yield from self._npy(rows)
        yield self._json("split", "/invocations", {"dataframe_split": frame}, _predictions)
        yield self._json("frame records", "/invocations", {"dataframe_records": records}, _predictions)
        yield self._json("instances", "/invocations", {"instances": rows}, _predictions)
        beside = [{**record, "not of the model": "x"} for record in records]
        yield self._json("extra columns", "/invocations", {"dataframe_records": beside}, _predictions)
        yield Way("frame csv", "/invocations", {b"content-type": b"text/csv"}, self._csv(rows), _predictions)
        accepting = {b"content-type": b"application/json", b"accept": b"text/csv"}
        yield Way("as csv", "/invocations", accepting, json.dumps({"instances": rows}).encode(), _lines)
        yield self._json("v1", f"/v1/models/{self._model}:predict", {"instances": records}, self._v1)
        yield from self._open_inference(tensors, len(rows))

    def _json(self, name: str, path: str, body: Any, read: Read) -> Way:
        return Way(name, path, {b"content-type": b"application/json"}, json.dumps(body).encode(), read)

    def _csv(self, rows: Sequence[Sequence[Any]]) -> bytes:
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(self._names)
        writer.writerows(rows)
        return text.getvalue().encode()

    def _npy(self, rows: Sequence[Sequence[Any]]) -> Iterator[Way]:
        dtypes = {column.dtype for column in self._signature.columns}
        if len(dtypes) != 1 or not dtypes <= {"float32", "float64", "int64", "bool"}:
            return
        saved = io.BytesIO()
        cells = [[np.nan if cell is None else cell for cell in row] for row in rows]
        np.save(saved, np.array(cells, dtypes.pop()))
        headers = {b"content-type": b"application/x-npy"}
        yield Way("npy", "/predict", headers, saved.getvalue(), self._native)

    def _open_inference(self, tensors: Tensors, rows: int) -> Iterator[Way]:
        path, inputs, raw = f"/v2/models/{self._model}/infer", [], []
        for tensor in self._signature.inputs:
            array = tensors[tensor.name]
            if array.dtype.kind == "M" or (array.dtype == object and any(cell is None for cell in array.flat)):
                return  # how these travel is tested where it is decided
            described = {"name": tensor.name, "datatype": DATATYPES[tensor.dtype], "shape": list(array.shape)}
            inputs.append({**described, "data": array.ravel().tolist()})
            raw.append(bytes(raw_bytes(array, tensor.dtype)))
        assert rows
        yield self._json("v2", path, {"inputs": inputs}, _v2)
        sized = [
            {**{key: each[key] for key in each if key != "data"}, "parameters": {"binary_data_size": len(data)}}
            for each, data in zip(inputs, raw, strict=True)
        ]
        head = json.dumps({"inputs": sized}).encode()
        length = {b"inference-header-content-length": str(len(head)).encode()}
        yield Way("v2 binary", path, length, head + b"".join(raw), _v2)
        asked = message("inference.ModelInferRequest")(model_name=self._model, raw_input_contents=raw)
        for each in inputs:
            asked.inputs.add(**{key: each[key] for key in ("name", "datatype", "shape")})
        yield Way("grpc", INFER, {}, asked.SerializeToString(), self._grpc)

    def _native(self, body: bytes) -> dict[str, Any]:
        found = msgspec.json.decode(body)["prediction"]
        if self._shown == PREDICT:
            return {name: [row[name] for row in found] for name in found[0]}
        return {self._shown: found}

    def _v1(self, body: bytes) -> dict[str, Any]:
        found = msgspec.json.decode(body)["predictions"]
        names = [output.name for output in self._signature.outputs]
        return {names[0]: found} if len(names) == 1 else {name: [row[name] for row in found] for name in names}

    def _grpc(self, body: bytes) -> dict[str, Any]:
        answer = message("inference.ModelInferResponse").FromString(body)
        dtypes = {output.name: output.dtype for output in self._signature.outputs}
        found = {}
        for output, data in zip(answer.outputs, answer.raw_output_contents, strict=True):
            dtype = dtypes[output.name]
            cells = _texts(data) if dtype == "string" else np.frombuffer(data, dtype)
            found[output.name] = np.array(cells).reshape(list(output.shape))
        return found


def _texts(data: bytes) -> list[str]:
    found, at = [], 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "little")
        found.append(data[at + 4 : at + 4 + size].decode())
        at += 4 + size
    return found


def _predictions(body: bytes) -> dict[str, Any]:
    return {PREDICT: msgspec.json.decode(body)["predictions"]}


def _lines(body: bytes) -> dict[str, Any]:
    return {"lines": list(csv.reader(io.StringIO(body.decode())))}


def _v2(body: bytes) -> dict[str, Any]:
    answer = json.loads(body)
    return {each["name"]: np.array(each["data"]).reshape(each["shape"]) for each in answer["outputs"]}
