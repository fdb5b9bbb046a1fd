"""Several models side by side in one server, asked by every protocol's own clients."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
import tritonclient.grpc as triton
import tritonclient.http as triton_http
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tritonclient.grpc import service_pb2
from tritonclient.utils import InferenceServerException

from tests.e2e.grpc_server import iris_input
from tests.e2e.process import IRIS, ROOT, ServerProcess, free_port, septet_serve
from tests.packing.saving import save
from tests.waiting import until

BARE = ROOT / "examples" / "bare" / "iris_svc.onnx"
ROW = [5.1, 3.5, 1.4, 0.2]
NAMES = ["iris", "iris_svc", "sum"]


def rows_sum(folder: Path) -> Path:
    """A model of another shape: two columns, their sum."""
    from sklearn.linear_model import LinearRegression

    x = np.arange(20, dtype=np.float64).reshape(10, 2)
    save(LinearRegression().fit(x, x.sum(axis=1)), folder / "sum", data=x)
    return folder / "sum"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServerProcess, str]]:
    folder, port = tmp_path_factory.mktemp("several"), free_port()
    command = [*septet_serve(IRIS), str(BARE), str(rows_sum(folder)), "--grpc-port", str(port)]
    with ServerProcess(command, folder / "log") as server:
        yield server, f"127.0.0.1:{port}"


@pytest.fixture
def client(served: tuple[ServerProcess, str]) -> httpx.Client:
    return served[0].client


def test_each_model_answers_under_its_own_name(client: httpx.Client) -> None:
    for name, row, width in (("iris", ROW, 3), ("iris_svc", ROW, 3), ("sum", [1.0, 2.0], None)):
        reply = client.post(f"/models/{name}/predict", json={"data": [row]})
        assert reply.status_code == 200, reply.text
        assert reply.headers["septet-model"] == reply.json()["model"]["name"] == name
        (found,) = reply.json()["prediction"]
        assert len(found) == width if width else found == pytest.approx(3.0)
        for path in ("/predict/test", "/metadata"):
            described = client.get(f"/models/{name}{path}")
            assert (described.status_code, described.headers["septet-model"]) == (200, name)
    assert client.post("/models/sum/predict", json={"data": [ROW]}).status_code == 422


def test_short_paths_say_whom_to_ask(client: httpx.Client) -> None:
    reply = client.post("/predict", json={"data": [ROW]})
    assert reply.status_code == 404
    assert "so ask /models/NAME/predict for one of them" in reply.json()["error"]["message"]
    assert "septet-model" not in reply.headers


def test_the_routes_of_other_protocols_name_the_model(client: httpx.Client) -> None:
    assert client.get("/v1/models").json() == {"models": ["iris", "iris_svc", "sum"]}
    found = client.post("/v1/models/sum:predict", json={"instances": [[1.0, 2.0]]})
    assert np.ravel(found.json()["predictions"]) == pytest.approx([3.0])
    found = client.post("/models/sum/invocations", json={"instances": [[1.0, 2.0]]})
    assert np.ravel(found.json()["predictions"]) == pytest.approx([3.0])
    index = client.post("/v2/repository/index").json()
    assert [(each["name"], each["state"]) for each in index] == [(name, "READY") for name in NAMES]
    assert client.get("/v2/models/sum/ready").json()["ready"]
    assert client.get("/v2/models/other/ready").status_code == 404


def test_a_client_of_the_protocol_asks_each(served: tuple[ServerProcess, str]) -> None:
    with triton_http.InferenceServerClient(f"127.0.0.1:{served[0].port}") as http:
        assert http.is_server_ready()
        for name in ("iris", "iris_svc"):
            entry = http.get_model_metadata(name)["inputs"][0]
            given = triton_http.InferInput(entry["name"], [1, 4], "FP32")
            given.set_data_from_numpy(np.array([ROW], np.float32))
            assert http.infer(name, [given]).get_response()["model_name"] == name
    with triton.InferenceServerClient(served[1]) as calls:
        until(calls.is_server_ready)
        assert calls.infer("iris", [iris_input()]).get_response().model_name == "iris"
        assert [each.name for each in calls.get_model_repository_index().models] == NAMES
        assert {each.name for each in calls.get_inference_statistics().model_stats} == set(NAMES)
        with pytest.raises(InferenceServerException, match="only 'iris', 'iris_svc', 'sum'"):
            calls.infer("other", [iris_input()])


def test_health_over_calls_knows_each_model(served: tuple[ServerProcess, str]) -> None:
    with grpc.insecure_channel(served[1]) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for name in ("", *NAMES):
            assert (
                health.Check(health_pb2.HealthCheckRequest(service=name), wait_for_ready=True, timeout=20).status == 1
            )


def test_calls_that_describe_a_model_end_with_its_name(served: tuple[ServerProcess, str]) -> None:
    with grpc.insecure_channel(served[1]) as channel:
        for method in ("ModelMetadata", "ModelConfig"):
            call = channel.unary_unary(
                f"/inference.GRPCInferenceService/{method}",
                request_serializer=service_pb2.ModelMetadataRequest.SerializeToString,
            )
            _, ended = call.with_call(service_pb2.ModelMetadataRequest(name="sum"), wait_for_ready=True, timeout=20)
            assert dict(ended.trailing_metadata())["septet-model"] == "sum"


def test_what_is_counted_is_counted_for_the_model(client: httpx.Client, served: tuple[ServerProcess, str]) -> None:
    server = served[0]
    before = {name: server.metric("septet_rows_total", model=name) for name in NAMES}
    client.post("/models/sum/predict", json={"data": [[1.0, 2.0]] * 3})
    until(lambda: server.metric("septet_rows_total", model="sum") == before["sum"] + 3)
    assert server.metric("septet_rows_total", model="iris_svc") == before["iris_svc"]
    assert server.metric("septet_requests_total", model="sum", route="/predict", code="ok") >= 1
    assert client.get("/v2/models/sum/stats").json()["model_stats"][0]["inference_count"] >= 3


def test_readiness_names_every_model(client: httpx.Client) -> None:
    assert [each["name"] for each in client.get("/health/ready").json()["models"]] == NAMES


def serve(*options: str) -> Any:
    command = [sys.executable, "-m", "septet", "serve", *options, "--port", "0"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


def test_one_that_cannot_be_loaded_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"nonsense")
    done = serve(str(IRIS), str(tmp_path / "broken.onnx"))
    assert (done.returncode, "broken.onnx" in done.stderr) == (2, True)


def test_two_of_one_name_stop_the_start() -> None:
    done = serve(str(IRIS), str(IRIS))
    assert (done.returncode, "two models have the name 'iris'" in done.stderr) == (2, True)


def test_a_setting_for_one_model_is_refused_for_several() -> None:
    done = serve(str(IRIS), str(BARE), "--name", "mine")
    assert (done.returncode, "name is for one model, and 2 are given" in done.stderr) == (2, True)


def test_one_that_may_be_missing_is_told_of(tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"nonsense")
    command = [*septet_serve(IRIS), str(broken), "--allow-missing"]
    with ServerProcess(command, tmp_path / "log") as server:
        described = server.client.get("/health/ready").json()
        assert [each["name"] for each in described["models"]] == ["iris"]
        assert "broken.onnx" in described["missing"]["broken"]
        assert server.client.post("/models/iris/predict", json={"data": [ROW]}).status_code == 200
        reply = server.client.post("/models/broken/predict", json={"data": [ROW]})
        assert reply.status_code == 503
        assert "The model 'broken' could not be loaded" in reply.json()["error"]["message"]
        index = server.client.post("/v2/repository/index", content=json.dumps({})).json()
        assert [(each["name"], each["state"]) for each in index] == [("iris", "READY"), ("broken", "UNAVAILABLE")]


def test_several_workers_serve_the_same_models(tmp_path: Path) -> None:
    command = [*septet_serve(IRIS), str(BARE), "--workers", "2"]
    with ServerProcess(command, tmp_path / "log") as server:
        for name in ("iris", "iris_svc"):
            for _ in range(4):
                url = f"http://127.0.0.1:{server.port}/models/{name}/predict"
                reply = httpx.post(url, json={"data": [ROW]}, trust_env=False, timeout=30)
                assert reply.headers["septet-model"] == name
        until(lambda: server.metric("septet_rows_total", model="iris") == 4)
        assert server.metric("septet_rows_total", model="iris_svc") == 4


def test_a_damaged_package_is_missing_under_its_own_name_and_no_other(tmp_path: Path) -> None:
    package = tmp_path / "v3"
    shutil.copytree(IRIS, package)
    (package / "model.onnx").write_bytes(b"nonsense")
    unreadable = tmp_path / f"{'x' * 300}.onnx"
    with ServerProcess(
        [*septet_serve(BARE), str(package), str(unreadable), "--allow-missing"], tmp_path / "log"
    ) as server:
        missing = server.client.get("/models").json()["missing"]
        assert "File name too long" in missing.pop(unreadable.stem[:128])
        assert list(missing) == ["iris"]
        for path in ("/models/iris/predict", "/v1/models/iris:predict", "/v2/models/iris/infer"):
            assert server.client.post(path, content=b"{}").status_code == 503
        for path in ("/models/iris2/predict", "/v2/models/irises", "/here/models/iris"):
            assert server.client.get(path).status_code == 404


def test_a_model_hides_no_route_of_the_server(tmp_path: Path) -> None:
    for name in ("stats", "health"):
        shutil.copy(BARE, tmp_path / f"{name}.onnx")
    with ServerProcess(
        [*septet_serve(tmp_path / "stats.onnx"), str(tmp_path / "health.onnx")], tmp_path / "log"
    ) as server:
        counted = server.client.get("/v2/models/stats").json()["model_stats"]
        assert [each["name"] for each in counted] == ["stats", "health"]
        assert server.client.get("/v2/models/stats/ready").json()["name"] == "stats"
