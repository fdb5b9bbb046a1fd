"""Servers that are not Septet: what they say of their models, and what they answer."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias

import grpc
import numpy as np
import pytest
from google.protobuf.json_format import ParseDict

from septet.errors import Invalid, ModelFailed, StartupError, Unavailable
from septet.model.signature import Kind, Signature, Tensor
from septet.protocols.native.metadata import metadata
from septet.protocols.rpc.descriptors import message
from septet.remote.remote_service import remote_service
from septet.service import Service
from septet.types import Request
from tests.protocols import models

#: From a method and path to a status and what is answered as JSON, or None for another path.
Paths: TypeAlias = dict[str, Any]

INPUTS = [{"name": "x", "datatype": "FP64", "shape": [-1, 2]}, {"name": "word", "datatype": "BYTES", "shape": [-1]}]
OUTPUTS = [{"name": "sum", "datatype": "FP64", "shape": [-1]}]
SUMS = {"name": "sums", "versions": ["v7"], "platform": "", "inputs": INPUTS, "outputs": OUTPUTS}
SERVER = {"name": "mlserver", "version": "1.7.1", "extensions": []}
INDEX = [{"name": "sums", "version": "v7", "state": "READY", "reason": ""}]
DESCRIBED = metadata(models.classifier(), limits=models.LIMITS)
SIGNATURE = Signature(
    Kind.REGRESSION,
    (Tensor("x", "float64", (None, 2)), Tensor("word", "string", (None,))),
    (Tensor("sum", "float64", (None,)),),
    label="sum",
)


def summed(body: bytes) -> dict[str, Any]:
    """What the model answers: the sum of each row."""
    asked = json.loads(body)
    x = next(each for each in asked["inputs"] if each["name"] == "x")
    sums = np.array(x["data"]).reshape(x["shape"]).sum(axis=1).tolist()
    output = {"name": "sum", "datatype": "FP64", "shape": [len(sums)], "data": sums, "parameters": None}
    return {"model_name": "sums", "id": asked.get("id"), "outputs": [output]}


@contextmanager
def foreign(paths: Paths, infer: Callable[[bytes], Any] = summed) -> Iterator[tuple[str, list[Any]]]:
    """A server of other make: its URL, and the inference requests that it was sent, as JSON."""
    asked: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(paths.get(f"GET {self.path}"))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if not self.path.endswith("/infer"):
                self._answer(paths.get(f"POST {self.path}"))
            elif self.headers["content-type"] != "application/json":
                self._answer((400, {"error": "This server reads JSON."}))
            else:
                asked.append(json.loads(body))
                self._answer(infer(body))

        def _answer(self, said: Any) -> None:
            status, content = (404, {"detail": "Not Found"}) if said is None else (200, said)
            if isinstance(said, tuple):
                status, content = said
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


PATHS: Paths = {"GET /v2": SERVER, "POST /v2/repository/index": INDEX, "GET /v2/models/sums": SUMS}


def request_of(rows: int = 2) -> Request:
    tensors = {"x": np.arange(2.0 * rows).reshape(rows, 2), "word": np.array(["a"] * rows, object)}
    return Request(tensors, rows, "an-id")


def predicted(service: Service, request: Request) -> Any:
    """The answer; afterwards the service is closed."""

    async def predict() -> Any:
        try:
            return await service.predictor.predict(request)
        finally:
            service.close()

    return asyncio.run(predict())


@pytest.mark.parametrize("name", [None, "sums"])
def test_the_model_of_any_server_of_the_protocol_is_a_service(name: str | None) -> None:
    with foreign(PATHS) as (url, asked):
        service = remote_service(url, name)
        assert (service.identity.name, service.identity.version, service.identity.digest) == ("sums", "v7", "")
        assert service.signature.kind is Kind.TENSORS
        assert service.signature.rows
        assert [each.shape for each in service.signature.inputs] == [(None, 2), (None,)]
        assert service.answer is not None
        assert service.answer["sum"].tolist() == [0.0]
        answer = predicted(service, request_of())
    assert answer.tensors["sum"].tolist() == [1.0, 5.0]
    assert answer.model == service.identity
    assert asked[-1]["id"] == "an-id"


def test_the_version_that_answers_is_the_version() -> None:
    unversioned = {**PATHS, "GET /v2/models/sums": {**SUMS, "versions": []}}
    with foreign(unversioned, lambda body: {**summed(body), "model_version": "v8"}) as (url, _):
        service = remote_service(url)
        assert service.identity.version == service.manifest.version == "v8"
        service.close()
    with foreign(unversioned) as (url, _):
        service = remote_service(url)
        assert service.identity.version == "0"
        service.close()


def test_a_column_is_taken_for_a_value_of_each_row() -> None:
    def column(body: bytes) -> dict[str, Any]:
        answer = summed(body)
        answer["outputs"][0]["shape"].append(1)
        return answer

    with foreign(PATHS, column) as (url, _):
        assert predicted(remote_service(url), request_of()).tensors["sum"].tolist() == [1.0, 5.0]


def test_a_server_of_grpc_is_a_service() -> None:
    def described(asked: Any) -> Any:
        return ParseDict({**SUMS, "name": asked.name}, message("inference.ModelMetadataResponse")())

    def infer(asked: Any) -> Any:
        x = np.frombuffer(asked.raw_input_contents[0]).reshape(asked.inputs[0].shape)
        answer = message("inference.ModelInferResponse")(model_name="sums", id=asked.id)
        output = answer.outputs.add(name="sum", datatype="FP64", shape=[len(x)])
        output.contents.fp64_contents.extend(x.sum(axis=1))
        return answer

    def index(_: Any) -> Any:
        return ParseDict({"models": INDEX}, message("inference.RepositoryIndexResponse")())

    kinds = {"ModelMetadata": described, "ModelInfer": infer, "RepositoryIndex": index}
    handlers = {
        name: grpc.unary_unary_rpc_method_handler(
            lambda asked, _, handle=handle: handle(asked),
            message(f"inference.{name}Request").FromString,
            lambda answer: answer.SerializeToString(),
        )
        for name, handle in kinds.items()
    }
    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("inference.GRPCInferenceService", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    service = remote_service(f"grpc://127.0.0.1:{port}")
    assert (service.identity.name, service.identity.version) == ("sums", "v7")
    assert predicted(service, request_of()).tensors["sum"].tolist() == [1.0, 5.0]
    server.stop(None).wait()


def test_tensors_of_fixed_size_are_no_rows() -> None:
    fixed = {**SUMS, "inputs": [{"name": "x", "datatype": "FP64", "shape": [3, 2]}]}
    with foreign({**PATHS, "GET /v2/models/sums": fixed}) as (url, _):
        service = remote_service(url)
        assert not service.signature.rows
        answer = predicted(service, Request({"x": np.ones((3, 2))}, 1, "an-id"))
    assert answer.tensors["sum"].tolist() == [2.0, 2.0, 2.0]


@pytest.mark.parametrize("missing", ["inputs", "outputs"])
def test_a_model_without_metadata_needs_a_signature(missing: str) -> None:
    bare = {key: value for key, value in SUMS.items() if key != missing}
    with foreign({**PATHS, "GET /v2/models/sums": bare}) as (url, _):
        with pytest.raises(StartupError, match=f"does not say which {missing} its model 'sums' has: give a signature"):
            remote_service(url)
        service = remote_service(url, signature=SIGNATURE)
        assert service.signature == SIGNATURE
        assert predicted(service, request_of()).tensors["sum"].tolist() == [1.0, 5.0]


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        ({}, "does not list its models: name one"),
        ({"POST /v2/repository/index": []}, r"has the models \(none\): name one"),
        ({"POST /v2/repository/index": [{"name": "a"}, {"name": "b"}]}, "has the models 'a', 'b': name one"),
        ({"POST /v2/repository/index": INDEX}, "404"),
        ({**PATHS, "GET /v2/models/sums": [1]}, "something else than the Open Inference Protocol"),
        ({**PATHS, "GET /v2/models/sums": {"name": 1}}, "not that of the Open Inference Protocol"),
        ({**PATHS, "GET /v2/models/sums": {**SUMS, "inputs": [{**INPUTS[0], "datatype": "BF16"}]}}, "BF16"),
        ({**PATHS, "GET /metadata": {"kind": "regression", "digest": ""}}, "not one that this version reads"),
        ({**PATHS, "GET /metadata": {**DESCRIBED, "training": 7}}, "not one that this version reads"),
        ({**PATHS, "GET /metadata": (500, {"error": "Broken."}), "GET /v2/models/sums": (500, {})}, "status 500"),
    ],
)
def test_a_server_that_does_not_say_enough_stops_the_start(paths: Paths, message: str) -> None:
    with foreign(paths) as (url, _), pytest.raises(StartupError, match=message):
        remote_service(url)


def test_a_row_that_the_model_refuses_leaves_it_without_a_sample() -> None:
    with foreign(PATHS, lambda _: (400, {"error": "No such word."})) as (url, _):
        service = remote_service(url)
        assert service.sample is None
        assert service.answer is None
        with pytest.raises(Invalid, match=r"No such word\."):
            predicted(service, request_of())


def test_a_failure_of_the_server_is_no_fault_of_the_caller() -> None:
    replies: list[Any] = [(400, {"error": "No."}), (502, {"error": "Bad gateway."}), (401, {"error": "Who?"})]
    with foreign(PATHS, lambda _: replies.pop(0)) as (url, _):
        service = remote_service(url)
        with pytest.raises(Unavailable, match="Bad gateway"):
            predicted(service, request_of())
        with pytest.raises(Unavailable, match=r"refused the call: .*Who"):
            predicted(service, request_of())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "other"}, "left out the output 'sum'"),
        ({"datatype": "FP32"}, "answered float32 for the output 'sum', which is float64"),
        ({"shape": [2, 1], "data": [1.0, 2.0]}, r"answered the shape \[2, 1\] for 1 rows"),
    ],
)
def test_an_answer_that_is_not_what_the_server_said_stops_the_start(change: dict[str, Any], message: str) -> None:
    def wrong(body: bytes) -> dict[str, Any]:
        answer = summed(body)
        answer["outputs"][0] |= change
        return answer

    with foreign(PATHS, wrong) as (url, _), pytest.raises(StartupError, match=message):
        remote_service(url)


def test_an_answer_that_is_not_what_the_server_said_later_is_a_fault_of_the_model() -> None:
    lies: list[bool] = []

    def turning(body: bytes) -> dict[str, Any]:
        answer = summed(body)
        if lies:
            answer["outputs"] = []
        return answer

    with foreign(PATHS, turning) as (url, _):
        service = remote_service(url)
        lies.append(True)
        with pytest.raises(ModelFailed, match="left out"):
            predicted(service, request_of())


@pytest.mark.parametrize("extensions", [["binary_tensor_data"], None])
def test_tensors_go_as_bytes_unless_the_server_says_that_it_knows_nothing_of_them(extensions: Any) -> None:
    server = SERVER if extensions is None else {**SERVER, "extensions": extensions}
    with foreign({**PATHS, "GET /v2": server}) as (url, asked):
        service = remote_service(url)
        assert (service.sample is None) == (extensions is not None)  # this server reads JSON, whatever it says
        assert bool(asked) == (extensions is None)
        service.close()
