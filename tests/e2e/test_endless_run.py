"""A run without an end, and values that end the process, over HTTP: everyone else is answered."""

import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import httpx
import numpy as np
import pytest

from septet.protocols.rpc.descriptors import message
from tests.e2e.process import ServerProcess, children, free_port, septet_serve
from tests.runtimes.onnx_models import FLOAT, INT64, TensorProto, constant, info, model, node, onnx, saved
from tests.waiting import until

GRACE_SECONDS = 3
#: More than any machine multiplies within the test, and less memory than any machine has.
HUGE = 12000


def body(x: list[float] | list[int]) -> dict[str, object]:
    return {"inputs": {"x": [x]}}


@pytest.fixture(scope="module")
def counting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that counts to the caller's number."""
    counted = onnx.helper.make_graph(
        [node("Identity", ["going"], ["still"]), node("Add", ["count", "one"], ["next"])],
        "body",
        [info("at", INT64, ()), info("going", TensorProto.BOOL, ()), info("count", FLOAT, ())],
        [info("still", TensorProto.BOOL, ()), info("next", FLOAT, ())],
    )
    nodes = [
        node("ReduceMax", ["x"], ["highest"], keepdims=0),
        node("Cast", ["highest"], ["times"], to=INT64),
        node("Loop", ["times", "go", "zero"], ["result"], body=counted),
        node("Add", ["x", "result"], ["y"]),
    ]
    constants = [constant("go", np.array(1, bool)), constant("zero", np.float32(0)), constant("one", np.float32(1))]
    made = model(nodes, [info("x", FLOAT, ("n", 2))], [info("y", FLOAT, ("n", 2))], constants)
    return saved(tmp_path_factory.mktemp("counting"), made)


@pytest.fixture(scope="module")
def multiplying(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that multiplies matrices as large as the caller's number: one operator, which cannot be stopped."""
    nodes = [
        node("ReduceMax", ["x"], ["highest"], keepdims=0),
        node("Cast", ["highest"], ["number"], to=INT64),
        node("Unsqueeze", ["number", "first"], ["size"]),
        node("Concat", ["size", "size"], ["shape"], axis=0),
        node("ConstantOfShape", ["shape"], ["zeros"]),
        node("MatMul", ["zeros", "zeros"], ["product"]),
        node("ReduceSum", ["product"], ["sum"], keepdims=0),
        node("Add", ["x", "sum"], ["y"]),
    ]
    made = model(
        nodes, [info("x", FLOAT, ("n", 2))], [info("y", FLOAT, ("n", 2))], [constant("first", np.array([0], np.int64))]
    )
    return saved(tmp_path_factory.mktemp("multiplying"), made)


@pytest.fixture(scope="module")
def dividing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of whole numbers that divides the first by the second."""
    places = [constant(f"at{place}", np.array([place], np.int64)) for place in range(3)]
    nodes = [
        node("Slice", ["x", "at0", "at1", "at1"], ["above"]),
        node("Slice", ["x", "at1", "at2", "at1"], ["below"]),
        node("Div", ["above", "below"], ["y"]),
    ]
    made = model(nodes, [info("x", INT64, ("n", 2))], [info("y", INT64, ("n", 1))], places)
    return saved(tmp_path_factory.mktemp("dividing"), made)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_endless_run_is_told_of_at_its_deadline_and_holds_up_nobody(
    counting: Path, tmp_path: Path, workers: str
) -> None:
    options = ["--workers", workers, "--timeout-seconds", "60", "--grace-seconds", str(GRACE_SECONDS)]
    with ServerProcess(septet_serve(counting, *options), tmp_path / "log") as server:
        assert server.prediction("/predict", body([2, 0])) == [[4, 2]]
        with ThreadPoolExecutor(6) as pool:
            endless = [
                pool.submit(server.post, "/predict", body([1e18, 0]), **{"septet-timeout": "1"}) for _ in range(6)
            ]
            while not all(each.done() for each in endless):
                assert httpx.get(f"{server.client.base_url}/health/live", trust_env=False).status_code == 200
            answers = [each.result() for each in endless]
        assert {answer.status_code for answer in answers} <= {504, 429}
        assert 504 in {answer.status_code for answer in answers}
        assert server.prediction("/predict", body([3, 0])) == [[6, 3]]


def test_a_server_stops_within_its_grace_during_an_endless_run(counting: Path, tmp_path: Path) -> None:
    options = ["--timeout-seconds", "300", "--grace-seconds", str(GRACE_SECONDS)]
    with (
        ServerProcess(septet_serve(counting, *options), tmp_path / "log") as server,
        socket.create_connection(("127.0.0.1", server.port)) as waiting,
    ):
        text = b'{"inputs": {"x": [[1e18, 0]]}}'
        head = b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        waiting.sendall(head % len(text) + text)
        until(lambda: server.metric("septet_in_flight") >= 1)
        server.process.send_signal(signal.SIGTERM)
        begun = time.monotonic()
        assert server.process.wait(60) == 1
        assert time.monotonic() - begun < 10 * GRACE_SECONDS


def test_a_run_ends_when_its_caller_has_gone(counting: Path, tmp_path: Path) -> None:
    with ServerProcess(septet_serve(counting, "--timeout-seconds", "300"), tmp_path / "log") as server:
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"http://127.0.0.1:{server.port}/predict", json=body([1e18, 0]), timeout=0.5, trust_env=False)
        assert server.prediction("/predict", body([3, 0])) == [[6, 3]]


def test_a_run_ends_when_its_grpc_call_is_cancelled_or_past_its_deadline(counting: Path, tmp_path: Path) -> None:
    port = free_port()
    options = ["--timeout-seconds", "300", "--grpc-port", str(port)]
    ask = "/inference.GRPCInferenceService/ModelInfer"
    with (
        ServerProcess(septet_serve(counting, *options), tmp_path / "log") as server,
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        call = channel.unary_unary(ask)
        begun = time.monotonic()
        with pytest.raises(grpc.RpcError) as late:
            call(infer_request(1e18), timeout=0.5)
        assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert time.monotonic() - begun < 30
        asked = call.future(infer_request(1e18))
        until(lambda: server.metric("septet_in_flight") >= 1)
        asked.cancel()
        assert server.prediction("/predict", body([3, 0])) == [[6, 3]]


def infer_request(value: float) -> bytes:
    """A `ModelInferRequest` for the counting model."""
    request = message("inference.ModelInferRequest")(model_name="model")
    tensor = request.inputs.add(name="x", datatype="FP32", shape=[1, 2])
    tensor.contents.fp32_contents.extend([value, 0])
    return bytes(request.SerializeToString())


def test_a_worker_whose_run_cannot_be_stopped_is_replaced(multiplying: Path, tmp_path: Path) -> None:
    options = ["--stuck-run-seconds", "0.5", "--grace-seconds", str(GRACE_SECONDS)]
    with ServerProcess(septet_serve(multiplying, *options), tmp_path / "log") as server:
        before = children(server.process.pid)

        def stuck() -> bool:
            """Whether the operator was reached in time: on a busy machine the run may be stopped before it."""
            asked = server.post("/predict", body([HUGE, 0]), **{"septet-timeout": "2"})
            assert asked.status_code in (504, 429), asked.text
            return "has a run that does not end" in server.log

        until(stuck)
        until(lambda: len(children(server.process.pid)) == 1 and children(server.process.pid) != before)
        assert server.prediction("/predict", body([2, 0])) == [[2, 0]]
        assert server.stop() == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_values_that_end_the_process_are_soon_refused_and_all_others_answered(
    dividing: Path, tmp_path: Path, workers: str
) -> None:
    poison, good = body([-(2**63), -1]), body([6, 3])

    def ask(what: object) -> int:
        """The status, or 0 where the process ended first."""
        try:
            return httpx.post(f"http://127.0.0.1:{server.port}/predict", json=what, trust_env=False).status_code
        except httpx.TransportError:
            return 0

    with ServerProcess(septet_serve(dividing, "--workers", workers), tmp_path / "log") as server:
        poisoned, answered = [], []
        for _ in range(20):
            poisoned.append(ask(poison))
            answered.append(until(lambda: ask(good)))
        assert set(answered) == {200}
        # A worker that has not crashed yet learns of the others' crashes with its next heartbeat.
        assert poisoned.count(0) <= 4
        assert set(poisoned) == {0, 422}
        assert set(poisoned[-10:]) == {422}
        refused = server.post("/predict", poison)
        assert "ended the model's process more than once" in refused.json()["error"]["message"]
        assert server.process.poll() is None


def test_more_memory_than_there_is_is_refused_as_the_values_fault(multiplying: Path, tmp_path: Path) -> None:
    with ServerProcess(septet_serve(multiplying), tmp_path / "log") as server:
        before = children(server.process.pid)
        for size in (1e7, 1e15, -5.0):
            refused = server.post("/predict", body([size, size]))
            assert refused.status_code == 422, refused.text
        assert server.prediction("/predict", body([2, 0])) == [[2, 0]]
        assert children(server.process.pid) == before


def test_a_configured_answer_takes_the_place_of_a_late_one_in_every_protocol(counting: Path, tmp_path: Path) -> None:
    options = ["--timeout-seconds", "0.3", "--fallback", '{{"y": [7, 8]}}']
    with ServerProcess(septet_serve(counting, *options), tmp_path / "log") as server:
        tensor = {"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1e18, 0]}
        asked = {
            "/predict": body([1e18, 0]),
            "/v2/models/model/infer": {"inputs": [tensor]},
            "/v1/models/model:predict": body([1e18, 0]),
            "/invocations": body([1e18, 0]),
        }
        for path, document in asked.items():
            answer = server.post(path, document)
            assert (answer.status_code, answer.headers["septet-flags"]) == (200, "fallback"), answer.text
            assert "7.0" in answer.text
        assert server.post("/predict", body([1e18, 0])).json()["flags"] == ["fallback"]
        until(lambda: server.prediction("/predict", body([2, 0])) == [[4, 2]])
        answer = server.post("/predict", body([2, 0]), **{"septet-timeout": "60"})
        assert "septet-flags" not in answer.headers


def test_an_answer_that_the_model_cannot_give_stops_the_start(counting: Path) -> None:
    command = [word.format(port=0) for word in septet_serve(counting, "--fallback", '{{"y": [7]}}')]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert "the output 'y' of a row is float32 of shape [2], not [7]" in ended.stderr
