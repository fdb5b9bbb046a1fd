"""The routes below `/v2`: what they say of the server and its model, in every state, and their one form of error."""

import asyncio
import gzip
import json
from typing import Any

import pytest

from septet.events import NullObserver
from septet.protocols.http.app import App
from septet.protocols.http.http_messages import HttpReply, HttpRequest
from septet.protocols.openinference.infer_request import InferRequestReader
from septet.protocols.openinference.infer_routes import InferRoutes, InferServer
from septet.protocols.openinference.model_statistics import Statistics
from septet.service import Service
from septet.settings import Limits
from tests.protocols import models

ROW = {"name": "X", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]}
COUNTED = Statistics(
    succeeded=3,
    failed=2,
    rows=30,
    runs=4,
    succeeded_seconds=0.5,
    failed_seconds=0.25,
    decode_seconds=0.001,
    queue_seconds=0.002,
    run_seconds=0.003,
    encode_seconds=0.004,
    last=1_700_000_000.5,
)


def app(service: Service) -> App:
    made, factory = models.app(service), models.request_factory(service)
    owners = (InferRequestReader(factory), InferRoutes(factory, lambda _: COUNTED, made.state))
    made.install(
        lambda _: owners, (InferServer(made.models, lambda _: COUNTED),), NullObserver(), Limits(max_body_bytes=1_000)
    )
    return made


def ask(made: App, method: str, path: str, body: Any = b"", **headers: str) -> HttpReply:
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    return asyncio.run(made(HttpRequest(method, path, b"", named, sent)))


def told(made: App, path: str) -> Any:
    reply = ask(made, "GET", path)
    assert reply.status == 200, reply.body
    return json.loads(reply.body)


def fault(reply: HttpReply) -> str:
    body = json.loads(reply.body)
    assert set(body) == {"error"}
    assert isinstance(body["error"], str)
    return str(body["error"])


def test_the_server_says_what_it_is_and_what_it_can_beyond_the_protocol() -> None:
    made = app(models.classifier())
    server = told(made, "/v2")
    assert server == told(made, "/v2/") == told(made, "/v2")
    assert server["name"] == "septet"
    assert server["version"][0].isdigit()
    assert server["extensions"] == ["binary_tensor_data", "classification", "model_configuration", "statistics"]


@pytest.mark.parametrize("path", ["/v2/models/iris", "/v2/models/iris/versions/1.2.0"])
def test_the_model_is_described_with_and_without_its_version(path: str) -> None:
    made = app(models.classifier())
    assert told(made, path) == {
        "name": "iris",
        "versions": ["1.2.0"],
        "platform": "onnx_onnxv1",
        "inputs": [{"name": "X", "datatype": "FP32", "shape": [-1, 4]}],
        "outputs": [
            {"name": "label", "datatype": "INT64", "shape": [-1]},
            {"name": "probabilities", "datatype": "FP32", "shape": [-1, 3]},
        ],
    }
    assert told(made, f"{path}/ready") == {"name": "iris", "version": "1.2.0", "ready": True}
    config = told(made, f"{path}/config")
    assert config["max_batch_size"] == models.LIMITS.max_rows
    assert config["input"] == [{"name": "X", "data_type": "TYPE_FP32", "dims": [4]}]
    assert config["output"][0] == {"name": "label", "data_type": "TYPE_INT64", "dims": []}
    assert "dynamic_batching" not in config
    assert ask(made, "POST", f"{path}/infer", {"inputs": [ROW]}).status == 200
    assert told(made, f"{path}/stats") == told(made, "/v2/models/stats")


def test_a_unit_has_no_batches_and_texts_are_strings() -> None:
    config = told(app(models.tensors(rows=False)), "/v2/models/iris/config")
    assert (config["max_batch_size"], config["input"][0]["dims"]) == (0, [1, 2, 3])
    assert config["input"][1] == {"name": "mask", "data_type": "TYPE_BOOL", "dims": [1, -1]}
    assert told(app(models.mixed()), "/v2/models/iris/config")["input"][2]["data_type"] == "TYPE_STRING"


def test_statistics_are_in_nanoseconds_and_the_time_in_milliseconds() -> None:
    (model,) = told(app(models.classifier()), "/v2/models/stats")["model_stats"]
    spent = model.pop("inference_stats")
    assert model == {
        "name": "iris",
        "version": "1.2.0",
        "last_inference": 1_700_000_000_500,
        "inference_count": 30,
        "execution_count": 4,
        "batch_stats": [],
    }
    assert spent == {
        "success": {"count": 3, "ns": 500_000_000},
        "fail": {"count": 2, "ns": 250_000_000},
        "queue": {"count": 3, "ns": 2_000_000},
        "compute_input": {"count": 3, "ns": 1_000_000},
        "compute_infer": {"count": 3, "ns": 3_000_000},
        "compute_output": {"count": 3, "ns": 4_000_000},
        "cache_hit": {"count": 0, "ns": 0},
        "cache_miss": {"count": 0, "ns": 0},
    }


@pytest.mark.parametrize("body", [b"", b"{}", b'{"ready": true}', b" "])
def test_the_index_has_the_one_model(body: bytes) -> None:
    reply = ask(app(models.classifier()), "POST", "/v2/repository/index", body)
    assert json.loads(reply.body) == [{"name": "iris", "version": "1.2.0", "state": "READY", "reason": ""}]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/v2/models/rose", b"", 404),
        ("GET", "/v2/models/rose/ready", b"", 404),
        ("GET", "/v2/models/rose/config", b"", 404),
        ("GET", "/v2/models/iris/versions/2", b"", 404),
        ("GET", "/v2/models/iris/versions/2/stats", b"", 404),
        ("POST", "/v2/models/rose/infer", {"inputs": [ROW]}, 404),
        ("POST", "/v2/models/iris/versions/2/infer", {"inputs": [ROW]}, 404),
        ("GET", "/v2/nothing", b"", 404),
        ("GET", "/v2/models/iris/infer", b"", 405),
        ("POST", "/v2/models/iris", b"", 405),
        ("GET", "/v2/repository/index", b"", 405),
        ("POST", "/v2/repository/index", b"[]", 400),
        ("POST", "/v2/repository/index", b"{", 400),
        ("POST", "/v2/models/iris/infer", b"", 400),
        ("POST", "/v2/models/iris/infer", {"inputs": [{**ROW, "datatype": "FP16"}]}, 400),
        ("POST", "/v2/models/iris/infer", {"inputs": [{**ROW, "data": [1, 2, 3, "x"]}]}, 400),
    ],
)
def test_every_fault_is_one_text(method: str, path: str, body: Any, status: int) -> None:
    reply = ask(app(models.classifier()), method, path, body)
    assert reply.status == status
    assert fault(reply)


def test_an_unknown_model_is_told_which_one_is_here() -> None:
    text = fault(ask(app(models.classifier()), "POST", "/v2/models/rose/infer", {"inputs": [ROW]}))
    assert "This server has the model 'iris', version '1.2.0'" in text


def test_the_state_of_the_server_is_told_while_it_loads_serves_and_drains() -> None:
    loading = App()
    assert told(loading, "/v2/health/live") == {"live": True}
    reply = ask(loading, "GET", "/v2/health/ready")
    assert (reply.status, reply.code) == (503, "unavailable")
    assert json.loads(reply.body) == {"live": True, "ready": False, "error": "The model is loading."}
    assert ask(loading, "POST", "/v2/models/iris/infer", {"inputs": [ROW]}).status == 503
    serving = app(models.classifier())
    assert told(serving, "/v2/health/ready") == {"live": True, "ready": True}
    serving.draining = True
    assert ask(serving, "GET", "/v2/health/ready").status == 503
    assert fault(ask(serving, "GET", "/v2/models/iris/ready")) == "The server is draining."
    assert told(serving, "/v2/health/live") == {"live": True}
    assert ask(serving, "POST", "/v2/models/iris/infer", {"inputs": [ROW]}).status == 200


def test_compressed_bodies_are_read_and_answers_compressed_on_request() -> None:
    made = app(models.classifier())
    body = gzip.compress(json.dumps({"inputs": [ROW]}).encode())
    plain = ask(made, "POST", "/v2/models/iris/infer", {"inputs": [ROW]})
    zipped = ask(made, "POST", "/v2/models/iris/infer", body, content_encoding="gzip", accept_encoding="gzip")
    assert gzip.decompress(zipped.body) == plain.body
    assert ask(made, "POST", "/v2/models/iris/infer", body, content_encoding="br").status == 415
    bomb = gzip.compress(b" " * 1_001)
    assert ask(made, "POST", "/v2/models/iris/infer", bomb, content_encoding="gzip").status == 413
    assert ask(made, "POST", "/v2/repository/index", bomb, content_encoding="gzip").status == 413
    assert ask(made, "POST", "/v2/repository/index", gzip.compress(b"{}"), content_encoding="gzip").status == 200
