"""gRPC in the life of a server: workers, draining, deadlines, TLS, and what stops a start."""

import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import grpc
import pytest
import tritonclient.grpc as triton
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tritonclient.grpc import service_pb2

from tests.e2e.grpc_server import ROWS, grpc_address, iris_input, serving
from tests.e2e.process import IRIS, ServerProcess, septet_serve
from tests.waiting import until

INFER = "/inference.GRPCInferenceService/ModelInfer"
#: Each channel with this has a connection of its own.
ALONE = (("grpc.use_local_subchannel_pool", 1),)


def one_row() -> bytes:
    message = service_pb2.ModelInferRequest(model_name="iris", raw_input_contents=[ROWS[0].tobytes()])
    message.inputs.add(name="input", datatype="FP32", shape=[1, 4])
    return bytes(message.SerializeToString())


def start(*options: str) -> subprocess.CompletedProcess[str]:
    """Start a server that is to refuse."""
    command = [word.format(port=0) for word in septet_serve(IRIS, *options)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_no_call_is_lost_when_the_server_is_told_to_stop(tmp_path: Path, workers: str) -> None:
    outcomes: Counter[str] = Counter()
    answered = threading.Semaphore(0)
    row = one_row()
    with serving(tmp_path / "log", "--workers", workers) as (server, address):

        def ask_until_it_is_gone() -> None:
            with grpc.insecure_channel(address, options=ALONE) as channel:
                infer = channel.unary_unary(INFER, _registered_method=False)
                while True:
                    try:
                        infer(row, timeout=20)
                    except grpc.RpcError as error:
                        outcomes[f"{error.code().name}: {error.details()}"] += 1
                        return
                    answered.release()

        callers = [threading.Thread(target=ask_until_it_is_gone) for _ in range(8)]
        for caller in callers:
            caller.start()
        for _ in range(200):
            assert answered.acquire(timeout=20)
        code = server.stop()
        for caller in callers:
            caller.join(30)
        assert code == 0, server.log
    # Nobody listens any more: the only thing that a caller may meet.
    assert sum(outcomes.values()) == 8
    assert all(outcome.startswith("UNAVAILABLE: failed to connect") for outcome in outcomes), outcomes


def test_both_workers_answer_and_a_crashed_one_is_replaced_on_the_same_port(tmp_path: Path) -> None:
    with serving(tmp_path / "log", "--workers", "2") as (server, address):

        def processes() -> set[str]:
            found = subprocess.run(
                ["ps", "-o", "pid=", "--ppid", str(server.process.pid)], capture_output=True, text=True, check=True
            )
            return set(found.stdout.split())

        before = processes()
        subprocess.run(["kill", "-KILL", min(before)], check=True)
        until(lambda: len(processes() - {min(before)}) == 2)
        for _ in range(8):
            with grpc.insecure_channel(address, options=ALONE) as channel:
                assert channel.unary_unary(INFER, _registered_method=False)(one_row(), timeout=20, wait_for_ready=True)


def test_health_is_told_to_who_watches_before_the_server_stops(tmp_path: Path) -> None:
    with (
        serving(tmp_path / "log", "--drain-delay-seconds", "1") as (server, address),
        grpc.insecure_channel(address) as channel,
    ):
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert next(watch).status == 1
        server.process.send_signal(signal.SIGTERM)
        assert next(watch).status == 2
        infer = channel.unary_unary(INFER, _registered_method=False)
        assert infer(one_row(), timeout=20)
        assert not service_pb2.ServerReadyResponse.FromString(
            channel.unary_unary("/inference.GRPCInferenceService/ServerReady", _registered_method=False)(b"")
        ).ready
        assert list(watch) == []
        assert server.process.wait(30) == 0


def test_an_idle_stream_does_not_hold_up_the_end(tmp_path: Path) -> None:
    errors: list[Any] = []
    with serving(tmp_path / "log") as (server, address), triton.InferenceServerClient(address) as client:
        answered = threading.Semaphore(0)

        def note(result: Any, error: Any) -> None:  # noqa: ARG001 - called by keyword
            errors.extend([error] if error is not None else [])
            answered.release()

        client.start_stream(note)
        client.async_stream_infer("iris", [iris_input()])
        assert answered.acquire(timeout=20)
        assert server.stop() == 0, server.log
        assert answered.acquire(timeout=20)
        assert "draining" in str(errors[0])


@pytest.mark.parametrize("password", [None, "secret"])
def test_grpc_is_served_with_the_certificate_of_https(tmp_path: Path, password: str | None) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-days", "2"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    secret = ["-nodes"] if password is None else ["-passout", f"pass:{password}"]
    subprocess.run([*make, *names, *secret, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    tls = ["--tls-certificate", str(certificate), "--tls-key", str(key)]
    more = [] if password is None else ["--tls-key-password", password]
    command = septet_serve(IRIS, "--grpc-port", "0", *tls, *more)
    log = tmp_path / "log"
    with log.open("wb") as out:
        process = subprocess.Popen([word.format(port=0) for word in command], stdout=out, stderr=out)
    try:
        until(lambda: "Ctrl+C stops." in log.read_text(), 60)
        address = log.read_text().partition("gRPC at")[2].split()[0]
        trusted = grpc.ssl_channel_credentials(certificate.read_bytes())
        with grpc.secure_channel(address, trusted) as channel:
            assert channel.unary_unary(INFER, _registered_method=False)(one_row(), timeout=20)
        with grpc.insecure_channel(address) as channel, pytest.raises(grpc.RpcError):
            channel.unary_unary(INFER, _registered_method=False)(one_row(), timeout=20)
    finally:
        process.terminate()
        assert process.wait(30) == 0
    assert "Traceback" not in log.read_text()


def test_a_port_that_is_taken_stops_the_start(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        refused = start("--grpc-port", str(taken.getsockname()[1]))
        assert refused.returncode == 2
        assert "choose another --grpc-port" in refused.stderr
    with serving(tmp_path / "log") as (_, address):
        refused = start("--grpc-port", address.rpartition(":")[2])
        assert "choose another --grpc-port" in refused.stderr


def test_without_the_libraries_the_extra_is_named() -> None:
    code = (
        "import importlib.util as u, sys; found = u.find_spec;"
        "import septet.cli.main as main, septet.assembly.serving as serving;"
        "serving.find_spec = lambda name: None if name == 'hpack' else found(name);"
        f"sys.exit(main.main(['serve', {str(IRIS)!r}, '--port', '0', '--grpc-port', '0']))"
    )
    refused = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert refused.returncode == 2
    assert "pip install 'septet[grpc]'" in refused.stderr


def test_a_server_that_serves_no_grpc_imports_none(tmp_path: Path) -> None:
    with ServerProcess(septet_serve(IRIS, python=["-X", "importtime"]), tmp_path / "log") as server:
        assert server.post("/predict", {"data": ROWS.tolist()}).status_code == 200
        names = {line.rpartition("|")[2].strip().split(".")[0] for line in server.log.splitlines() if "|" in line}
    assert "onnxruntime" in names
    assert not names & {"grpc", "hpack", "google"}


def test_the_address_is_shown_and_answers(tmp_path: Path) -> None:
    with serving(tmp_path / "log", "--host", "localhost") as (server, address):
        assert grpc_address(server) == address
        with grpc.insecure_channel(address) as channel:
            assert channel.unary_unary(INFER, _registered_method=False)(one_row(), timeout=20)
