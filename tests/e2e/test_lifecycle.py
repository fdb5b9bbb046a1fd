"""The life of a server process: loading, draining, interrupts, recycling, TLS, and what it says of itself."""

import hashlib
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import onnx
import pytest

from tests.e2e.process import IRIS, ROOT, ServerProcess, children, septet_serve
from tests.waiting import until

SERVICES = Path(__file__).parent / "services"
PATH = os.pathsep.join((str(SERVICES), str(ROOT / "src")))
ROW = {"data": [[5.1, 3.5, 1.4, 0.2]]}
CALLERS = 4


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An iris model whose steps wait for what the environment says."""
    path = tmp_path_factory.mktemp("slow") / "slow.joblib"
    code = f"""
import joblib, slow_steps
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
x, y = load_iris(return_X_y=True)
first, second = slow_steps.SlowToLoad(), FunctionTransformer(slow_steps.wait)
joblib.dump(make_pipeline(first, second, LogisticRegression(max_iter=1000)).fit(x, y), {str(path)!r})
"""
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": str(SERVICES)})
    return path


def serving(path: Path, log: Path, *options: str, environment: Mapping[str, str], ready: str) -> ServerProcess:
    trust = f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    command = septet_serve(path, "--trust", trust, *options)
    return ServerProcess(command, log, environment={"PYTHONPATH": PATH, **environment}, ready=ready)


def test_it_is_alive_but_not_ready_while_the_model_loads(slow: Path, tmp_path: Path) -> None:
    with serving(slow, tmp_path / "log", environment={"LOAD_SECONDS": "1.5"}, ready="/health/live") as server:
        client = server.client
        early = [client.get(f"/health/{name}").status_code for name in ("live", "ready", "startup")]
        refused = server.post("/predict", ROW)
        assert (early, refused.status_code, refused.headers["retry-after"]) == ([200, 503, 503], 503, "1")
        until(lambda: client.get("/health/ready").status_code == 200)
        assert client.get("/health/startup").status_code == 200
        assert server.post("/predict", ROW).status_code == 200


def test_it_need_not_finish_loading_to_stop(slow: Path, tmp_path: Path) -> None:
    with serving(slow, tmp_path / "log", environment={"LOAD_SECONDS": "60"}, ready="/health/live") as server:
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(30) == 0, server.log


@pytest.mark.parametrize(("number", "workers"), [(signal.SIGTERM, "1"), (signal.SIGINT, "1"), (signal.SIGTERM, "2")])
def test_every_request_in_flight_is_answered(slow: Path, tmp_path: Path, number: int, workers: str) -> None:
    options = ["--workers", workers, "--max-batch-rows", "16"]
    outcomes: Counter[object] = Counter()
    sent = threading.Semaphore(0)
    body = json.dumps(ROW).encode()
    request = b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)

    def ask(port: int) -> None:
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            connection.sendall(request)
            sent.release()
            try:
                answer = b""
                while part := connection.recv(65536):
                    answer += part
                    if b"\r\n\r\n" in answer:
                        break
                outcomes[answer[9:12].decode(), b"connection: close" in answer] += 1
            except OSError as error:
                outcomes[repr(error)] += 1

    barrier = tmp_path / "barrier"
    environment = {"RUN_SECONDS": "0.02", "RUN_BARRIER": str(barrier)}
    with serving(slow, tmp_path / "log", *options, environment=environment, ready="/health/ready") as server:
        barrier.touch()  # nothing is answered before the signal
        with ThreadPoolExecutor(60) as pool:
            asking = [pool.submit(ask, server.port) for _ in range(60)]
            for _ in asking:
                sent.acquire()
            # All are in the server's hands: it counts them.
            until(lambda: server.metric("septet_in_flight") >= 60)
            server.process.send_signal(number)
            until(lambda: refuses_connections(server.port))
            barrier.unlink()
            for each in asking:
                each.result()
        assert outcomes == {("200", True): 60}
        assert server.process.wait(60) == 0, server.log


def refuses_connections(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_second_interrupt_stops_at_once(tmp_path: Path) -> None:
    with (
        ServerProcess(septet_serve(IRIS, "--drain-delay-seconds", "60"), tmp_path / "log") as server,
        socket.create_connection(("127.0.0.1", server.port)) as waiting,
    ):
        waiting.sendall(b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: 900\r\n\r\n{")
        server.process.send_signal(signal.SIGINT)
        until(lambda: server.client.get("/health/ready").status_code == 503)
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(30) == 130, server.log


def ask_all(server: ServerProcess, stop: threading.Event) -> tuple[Counter[object], list[str]]:
    """Ask until told to stop, a connection each, a broken one tried once more: outcomes and ids."""
    outcomes: Counter[object] = Counter()
    ids: list[str] = []
    while not stop.is_set():
        for attempt in (1, 2):
            try:
                with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", trust_env=False, timeout=30) as client:
                    for _ in range(5):
                        answer = client.post("/predict", json=ROW)
                        outcomes[answer.status_code] += 1
                        ids.append(answer.headers["x-request-id"])
                        if answer.headers.get("connection") == "close":
                            break
                break
            except httpx.TransportError as error:
                outcomes["again" if attempt == 1 else repr(error)] += 1
    return outcomes, ids


def counted(server: ServerProcess) -> float:
    return server.metric("septet_requests_total", route="/predict")


def test_a_worker_killed_under_load_costs_nobody_an_answer(tmp_path: Path) -> None:
    with ServerProcess(septet_serve(IRIS, "--workers", "2"), tmp_path / "log") as server:
        stop = threading.Event()
        seen: list[float] = []
        with ThreadPoolExecutor(CALLERS) as pool:
            asking = [pool.submit(ask_all, server, stop) for _ in range(CALLERS)]
            until(lambda: counted(server) > 50)
            before = children(server.process.pid)
            os.kill(before[0], signal.SIGKILL)

            def replaced() -> bool:
                try:
                    seen.append(counted(server))
                except httpx.TransportError:
                    return False
                now = children(server.process.pid)
                return len(now) == 2 and before[0] not in now

            until(replaced)
            until(lambda: counted(server) > seen[-1] + 50)
            stop.set()
            results = [each.result() for each in asking]
        outcomes = sum((result[0] for result in results), Counter[object]())
        assert set(outcomes) <= {200, "again"}, outcomes
        ids = [each for result in results for each in result[1]]
        assert len(set(ids)) == len(ids)
        assert seen == sorted(seen)
        # A worker counts a turn of its loop as one, after the answers are written: of the turn that the signal cut
        # short each caller may have an answer that nobody counted. Answers that were counted may be lost with it.
        until(lambda: counted(server) >= outcomes[200] - CALLERS)
        assert counted(server) <= outcomes[200] + outcomes["again"]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_workers_are_recycled_without_a_failure(tmp_path: Path, workers: str) -> None:
    options = ["--workers", workers, "--max-requests", "40", "--max-requests-jitter", "10"]
    with ServerProcess(septet_serve(IRIS, *options), tmp_path / "log") as server:
        before = set(children(server.process.pid))
        stop = threading.Event()
        with ThreadPoolExecutor(3) as pool:
            asking = [pool.submit(ask_all, server, stop) for _ in range(3)]
            until(lambda: not before & set(children(server.process.pid)) or any(each.done() for each in asking))
            stop.set()
            results = [each.result() for each in asking]
        outcomes = sum((result[0] for result in results), Counter[object]())
        assert set(outcomes) == {200}, (outcomes, server.log)
        assert server.log.count("curl ") == 1


def test_workers_share_a_model_until_it_changes(tmp_path: Path) -> None:
    model = tmp_path / "model.onnx"
    shutil.copy(IRIS / "model.onnx", model)
    with ServerProcess(septet_serve(model, "--workers", "2", "--threads", "1"), tmp_path / "log") as server:
        before = children(server.process.pid)
        digest = server.client.get("/metadata").json()["digest"]
        # The weights stand in the parent's memory: the memory of its children is mostly the same.
        assert pss(before[0]) < 0.75 * rss(before[0])
        new = tmp_path / "new.onnx"
        new.write_bytes(onnx_with_metadata(model.read_bytes()))
        new.replace(model)
        server.process.send_signal(signal.SIGHUP)
        until(lambda: server.client.get("/metadata").json()["digest"] != digest)
        assert children(server.process.pid) == before
        assert server.prediction("/predict", ROW)


def onnx_with_metadata(image: bytes) -> bytes:
    model = onnx.load_model_from_string(image)
    model.metadata_props.add(key="edition", value="second")
    return bytes(model.SerializeToString())


def pss(pid: int) -> int:
    """The memory of a process in kB, what it shares divided by how many share it."""
    return memory(pid, "Pss:")


def rss(pid: int) -> int:
    """The same, what it shares counted whole."""
    return memory(pid, "Rss:")


def memory(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


def test_it_listens_on_this_machine_only(tmp_path: Path) -> None:
    with ServerProcess(septet_serve(IRIS), tmp_path / "log") as server:
        lines = Path("/proc/net/tcp").read_text().splitlines()
        listening = [line.split()[1] for line in lines if line.split()[3] == "0A"]
        assert [each for each in listening if each.endswith(f":{server.port:04X}")] == [f"0100007F:{server.port:04X}"]


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate")
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command, *names], check=True, capture_output=True)
    return certificate, key


def over_tls(tls: tuple[Path, Path], log: Path, *options: str) -> ServerProcess:
    certificate, key = tls
    command = septet_serve(IRIS, "--tls-certificate", str(certificate), "--tls-key", str(key), *options)
    server = ServerProcess(command, log)
    server.client.close()
    context = ssl.create_default_context(cafile=str(certificate))
    server.client = httpx.Client(
        base_url=f"https://127.0.0.1:{server.port}", verify=context, trust_env=False, timeout=30
    )
    return server


def test_it_serves_https(tls: tuple[Path, Path], tmp_path: Path) -> None:
    with over_tls(tls, tmp_path / "log") as server:
        assert server.prediction("/predict", ROW)
        too_large = server.client.post("/predict", content=b"x" * 20_000_000)
        assert too_large.status_code == 413
        assert f"https://127.0.0.1:{server.port}" in server.log
        server.client.close()
        assert server.stop() == 0


def refused(*options: str) -> str:
    """What a command that cannot start says, in one line."""
    done = subprocess.run(
        [sys.executable, "-m", "septet", "serve", str(IRIS), "--port", "0", *options],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2, done
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr
    return lines[0]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_certificate_that_cannot_be_used_is_told(tls: tuple[Path, Path], tmp_path: Path, workers: str) -> None:
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("no certificate")
    said = refused("--tls-certificate", str(garbage), "--tls-key", str(tls[1]), "--workers", workers)
    assert "garbage.pem" in said
    assert "tls_certificate" in refused("--tls-key", str(tls[1]), "--workers", workers)


def test_nobody_is_asked_for_the_password_of_a_key(tls: tuple[Path, Path], tmp_path: Path) -> None:
    secret = tmp_path / "secret.pem"
    command = ["openssl", "rsa", "-aes256", "-passout", "pass:s3cret", "-in", str(tls[1]), "-out", str(secret)]
    subprocess.run(command, check=True, capture_output=True)
    said = refused("--tls-certificate", str(tls[0]), "--tls-key", str(secret))
    assert "secret.pem" in said
    with over_tls((tls[0], secret), tmp_path / "log", "--tls-key-password", "s3cret") as server:
        assert server.prediction("/predict", ROW)


def test_an_access_line_has_the_id_of_header_and_body(tmp_path: Path) -> None:
    with ServerProcess(septet_serve(IRIS, "--access-log", "--log-format", "json"), tmp_path / "log") as server:
        answer = server.post("/predict", ROW)
        wrong = server.post("/predict", {}, **{"x-request-id": "mine"})
        assert answer.json()["id"] == answer.headers["x-request-id"]
        assert wrong.json()["error"]["id"] == wrong.headers["x-request-id"] == "mine"

        def logged() -> dict[str, dict[str, object]]:
            lines = [json.loads(line) for line in server.log.splitlines() if line.startswith("{")]
            return {line.get("id"): line for line in lines if line.get("route") == "/predict"}

        found = until(lambda: lines if len(lines := logged()) == 2 else None)
        assert found is not None
        assert found[answer.json()["id"]]["status"] == 200
        assert found["mine"]["status"] == 422


def test_a_413_reaches_a_client_that_is_still_sending(tmp_path: Path) -> None:
    with ServerProcess(septet_serve(IRIS), tmp_path / "log") as server:
        answers = [server.client.post("/predict", content=b"x" * 20_000_000).status_code for _ in range(5)]
        assert answers == [413] * 5
