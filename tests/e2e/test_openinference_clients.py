"""Other people's clients of the Open Inference Protocol over REST, against a real server: they work unchanged."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.http as triton
from open_inference.openapi.client import OpenInferenceClient
from open_inference.openapi.errors.bad_request_error import BadRequestError
from open_inference.openapi.types import InferenceRequest, RequestInput, RequestOutput, TensorData
from tritonclient.utils import InferenceServerException

from septet.types import Array
from tests.e2e.process import IRIS, ServerProcess, septet_serve
from tests.runtimes.onnx_models import FLOAT, INT64, STRING, TensorProto, info, model, node, saved

KINDS = {"f": FLOAT, "n": INT64, "b": TensorProto.BOOL, "s": STRING, "h": TensorProto.FLOAT16}
DATATYPES = {"f": "FP32", "n": "INT64", "b": "BOOL", "s": "BYTES", "h": "FP16"}
# What each client is asked to send: Triton's own types for texts are arrays of objects.
VALUES: dict[str, Array] = {
    "f": np.array([[0.1, -2.5], [1e30, 3.0]], np.float32),
    "n": np.array([[2**62, -1], [0, 7]], np.int64),
    "b": np.array([[True, False], [False, True]]),
    "s": np.array([["schön", ""], ["a\nb", "😀"]], object),
    "h": np.array([[0.1, 2], [3, 65504]], np.float16),
}
ROWS = np.array([[5.1, 3.5, 1.4, 0.2], [6.7, 3.1, 4.7, 1.5], [7.2, 3.6, 6.1, 2.5]], np.float32)


def echo(folder: Path) -> Path:
    """A model that answers each of its inputs."""
    nodes = [node("Identity", [name], [f"{name}_out"]) for name in KINDS]
    inputs = [info(name, kind, ("rows", 2)) for name, kind in KINDS.items()]
    outputs = [info(f"{name}_out", kind, ("rows", 2)) for name, kind in KINDS.items()]
    return saved(folder, model(nodes, inputs, outputs))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("echo")
    command = septet_serve(echo(folder), "--name", "echo", "--version", "7", "--max-body-bytes", "100000")
    with ServerProcess(command, folder / "log", ready="/v2/health/ready") as running:
        yield running


@pytest.fixture(scope="module")
def iris(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("iris")
    with ServerProcess(septet_serve(IRIS), folder / "log", ready="/v2/health/ready") as running:
        yield running


def client(server: ServerProcess) -> triton.InferenceServerClient:
    return triton.InferenceServerClient(f"127.0.0.1:{server.port}")


def inputs(*, binary: bool) -> list[Any]:
    made = []
    for name, array in VALUES.items():
        given = triton.InferInput(name, list(array.shape), DATATYPES[name])
        # Triton's client sends FP16 as raw bytes only.
        given.set_data_from_numpy(array, binary_data=binary or name == "h")
        made.append(given)
    return made


def wanted(*, binary: bool) -> list[Any]:
    return [triton.InferRequestedOutput(f"{name}_out", binary_data=binary or name == "h") for name in VALUES]


def check(result: Any) -> None:
    for name, array in VALUES.items():
        found = result.as_numpy(f"{name}_out")
        if name == "s":
            texts = [text if isinstance(text, str) else text.decode() for text in found.ravel()]
            assert texts == array.ravel().tolist()
        else:
            assert found.dtype == array.dtype
            np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize("sent", [True, False])
@pytest.mark.parametrize("answered", [True, False])
def test_triton_values_come_back_as_json_and_raw(server: ServerProcess, *, sent: bool, answered: bool) -> None:
    with client(server) as asked:
        check(asked.infer("echo", inputs(binary=sent), outputs=wanted(binary=answered), request_id="a b"))
        check(asked.infer("echo", inputs(binary=sent), "7", outputs=wanted(binary=answered)))


def test_triton_defaults_send_and_receive_raw_tensors(server: ServerProcess) -> None:
    with client(server) as asked:
        result = asked.infer("echo", inputs(binary=True), request_id="42", timeout=5_000_000, priority=1)
    check(result)
    assert result.get_response()["id"] == "42"
    assert result.get_response()["model_version"] == "7"


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_triton_compresses_both_ways(server: ServerProcess, coding: str) -> None:
    with client(server) as asked:
        result = asked.infer(
            "echo",
            inputs(binary=True),
            request_compression_algorithm=coding,
            response_compression_algorithm=coding,
        )
        check(result)
    # And it was compressed: a client that decodes nothing by itself sees it.
    with httpx.Client(trust_env=False, timeout=30) as plain:
        body = {
            "inputs": [
                {"name": n, "shape": [2, 2], "datatype": DATATYPES[n], "data": v.tolist()} for n, v in VALUES.items()
            ]
        }
        answer = plain.post(
            f"{server.client.base_url}/v2/models/echo/infer", json=body, headers={"accept-encoding": coding}
        )
    assert answer.headers["content-encoding"] == coding
    assert len(answer.json()["outputs"]) == len(VALUES)


def test_triton_reads_what_the_server_says_of_itself_and_its_model(server: ServerProcess) -> None:
    with client(server) as asked:
        assert asked.is_server_live()
        assert asked.is_server_ready()
        assert asked.is_model_ready("echo")
        assert asked.is_model_ready("echo", "7")
        assert not asked.is_model_ready("other")
        assert not asked.is_model_ready("echo", "8")
        assert "statistics" in asked.get_server_metadata()["extensions"]
        metadata = asked.get_model_metadata("echo")
        assert [each["datatype"] for each in metadata["inputs"]] == list(DATATYPES.values())
        assert metadata["versions"] == ["7"]
        config = asked.get_model_config("echo", "7")
        assert config["input"][3] == {"name": "s", "data_type": "TYPE_STRING", "dims": [2]}
        assert asked.get_model_repository_index() == [{"name": "echo", "version": "7", "state": "READY", "reason": ""}]


def test_triton_statistics_grow_with_every_request(server: ServerProcess) -> None:
    with client(server) as asked:

        def counted() -> dict[str, Any]:
            (found,) = asked.get_inference_statistics("echo")["model_stats"]
            assert found == asked.get_inference_statistics()["model_stats"][0]
            return dict(found)

        before = counted()
        for _ in range(3):
            asked.infer("echo", inputs(binary=True))
        with pytest.raises(InferenceServerException):
            asked.infer("echo", inputs(binary=True)[1:])
        after = counted()
    assert after["inference_count"] - before["inference_count"] == 6
    assert after["execution_count"] - before["execution_count"] == 3
    assert after["last_inference"] >= before["last_inference"]
    spent, earlier = after["inference_stats"], before["inference_stats"]
    assert spent["success"]["count"] - earlier["success"]["count"] == 3
    assert spent["fail"]["count"] - earlier["fail"]["count"] == 1
    assert all(spent[part]["ns"] > earlier[part]["ns"] for part in ("success", "compute_infer", "compute_output"))


def test_a_raw_body_is_the_only_input(iris: ServerProcess) -> None:
    headers = {"Inference-Header-Content-Length": "0", "content-type": "application/octet-stream"}
    answer = iris.client.post("/v2/models/iris/infer", content=ROWS.tobytes(), headers=headers)
    assert answer.status_code == 200, answer.text
    length = int(answer.headers["inference-header-content-length"])
    result = triton.InferenceServerClient.parse_response_body(answer.content, header_length=length)
    with client(iris) as asked:
        given = triton.InferInput("input", [3, 4], "FP32")
        given.set_data_from_numpy(ROWS)
        other = asked.infer("iris", [given])
    for name in ("label", "probabilities"):
        assert result.as_numpy(name).tobytes() == other.as_numpy(name).tobytes()


def test_triton_classification_is_the_best_labels(iris: ServerProcess) -> None:
    with client(iris) as asked:
        given = triton.InferInput("input", [3, 4], "FP32")
        given.set_data_from_numpy(ROWS)
        result = asked.infer("iris", [given], outputs=[triton.InferRequestedOutput("probabilities", class_count=1)])
    found = [text.decode().split(":") for text in result.as_numpy("probabilities")[:, 0]]
    assert [label for _, _, label in found] == iris.prediction("/predict/label", {"data": ROWS.tolist()})


def test_every_way_gives_the_same_bits_as_the_native_route(iris: ServerProcess) -> None:
    native = np.array(iris.prediction("/predict", {"data": ROWS.tolist()}), np.float32)
    with client(iris) as asked:
        for binary in (True, False):
            given = triton.InferInput("input", [3, 4], "FP32")
            given.set_data_from_numpy(ROWS, binary_data=binary)
            result = asked.infer(
                "iris", [given], outputs=[triton.InferRequestedOutput("probabilities", binary_data=binary)]
            )
            assert result.as_numpy("probabilities").tobytes() == native.tobytes()


def generated(server: ServerProcess) -> OpenInferenceClient:
    return OpenInferenceClient(base_url=str(server.client.base_url), httpx_client=server.client)


def test_the_client_generated_from_the_specification_works(iris: ServerProcess) -> None:
    asked = generated(iris)
    asked.check_server_liveness()
    asked.check_server_readiness()
    asked.check_model_readiness("iris")
    assert asked.read_server_metadata().name == "septet"
    (version,) = asked.read_model_metadata("iris").versions or [""]
    asked.check_model_version_readiness("iris", version)
    assert asked.read_model_version_metadata("iris", version).inputs[0].shape == [-1, 4]
    values = TensorData.parse_obj(ROWS.ravel().tolist())
    row = RequestInput(name="input", shape=[3, 4], datatype="FP32", data=values)
    body = InferenceRequest(id="42", inputs=[row], outputs=[RequestOutput(name="label")])
    for answer in (
        asked.model_infer("iris", request=body),
        asked.model_version_infer("iris", version, request=body),
    ):
        assert (answer.id, answer.model_name) == ("42", "iris")
        assert [output.name for output in answer.outputs] == ["label"]
    with pytest.raises(BadRequestError):
        asked.model_infer("iris", request=InferenceRequest(id="42", inputs=[]))


FLOATS = {"name": "f", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v2/models/other/infer", {"inputs": [FLOATS]}, 404),
        ("/v2/models/echo/versions/8/infer", {"inputs": [FLOATS]}, 404),
        ("/v2/models/echo/infer", {"inputs": [{**FLOATS, "datatype": "FP64"}]}, 400),
        ("/v2/models/echo/infer", {"inputs": [{**FLOATS, "shape": [2]}]}, 400),
        ("/v2/models/echo/infer", {"inputs": [FLOATS]}, 400),
        ("/v2/models/echo/infer", {"inputs": [{**FLOATS, "data": [0] * 60_000}]}, 413),
    ],
)
def test_every_fault_is_an_error_with_a_text(server: ServerProcess, path: str, body: Any, status: int) -> None:
    answer = server.post(path, body)
    assert answer.status_code == status
    assert isinstance(answer.json()["error"], str)
    assert set(answer.json()) == {"error"}


def test_a_body_that_grows_beyond_the_limit_is_refused(server: ServerProcess) -> None:
    bomb = gzip.compress(json.dumps({"inputs": [{**FLOATS, "data": [0] * 5_000_000}]}).encode())
    assert len(bomb) < 100_000
    answer = server.client.post("/v2/models/echo/infer", content=bomb, headers={"content-encoding": "gzip"})
    assert answer.status_code == 413
    assert "when expanded" in answer.json()["error"]


def test_triton_shows_the_servers_own_text(server: ServerProcess) -> None:
    with client(server) as asked, pytest.raises(InferenceServerException) as refused:
        asked.infer("echo", inputs(binary=True)[1:])
    assert refused.value.message() == "The input 'f' is missing. The model takes 'f', 'n', 'b', 's', 'h'."
