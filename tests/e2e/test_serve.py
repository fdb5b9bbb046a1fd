"""`septet serve` as its users meet it: the banner, many workers, a worker that dies, and the end."""

import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import onnxruntime
import pytest

from tests.e2e.process import IRIS, ROOT, ServerProcess, children, free_port, septet_serve
from tests.waiting import until

ROW = {"data": [[5.1, 3.5, 1.4, 0.2]]}
REPLACED_SECONDS = 60.0


def refused(*arguments: str, environment: dict[str, str] | None = None) -> tuple[int, str]:
    """Run a command that cannot start; its exit code and what it said."""
    command = [sys.executable, "-m", "septet", *arguments]
    env = {**os.environ, **(environment or {})}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=env, timeout=60)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stderr


def test_every_answer_is_the_number_that_the_engine_itself_computes(tmp_path: Path) -> None:
    artefact = next(IRIS.glob("*.onnx"))
    rows = np.random.default_rng(7).uniform([4.3, 2.0, 1.0, 0.1], [7.9, 4.4, 6.9, 2.5], (64, 4)).round(2)
    with ServerProcess(septet_serve(artefact), tmp_path / "log") as server:
        served = server.prediction("/predict", {"data": rows.tolist()})
        scores = server.client.get("/metadata").json()["labels"]
    session = onnxruntime.InferenceSession(str(artefact), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    answers = session.run(None, {name: rows.astype(np.float32)})
    wide = [answer for answer in answers if isinstance(answer, np.ndarray) and answer.ndim == 2]
    expected = wide[0] if wide else np.array([list(each.values()) for each in answers[1]])
    assert len(scores) in (0, expected.shape[1])
    np.testing.assert_array_equal(np.array(served, np.float32), expected.astype(np.float32))


def test_the_command_in_the_banner_works_when_pasted(tmp_path: Path) -> None:
    with ServerProcess(septet_serve(IRIS), tmp_path / "log") as server:
        # A server may be ready a moment before it has said so.
        line = until(lambda: next((line for line in server.log.splitlines() if line.strip().startswith("curl ")), ""))
        words = shlex.split(line)
        url = next(word for word in words if word.startswith("http"))
        if "-d" in words:
            kind = words[words.index("-H") + 1].partition(": ")[2]
            answer = httpx.post(url, content=words[words.index("-d") + 1], headers={"content-type": kind}, timeout=30)
        else:
            answer = httpx.get(url, timeout=30)
        assert answer.status_code == httpx.codes.OK, answer.text
        assert str(server.port) in url


def test_it_ends_with_0_when_it_is_told_to(tmp_path: Path) -> None:
    with ServerProcess(septet_serve(IRIS), tmp_path / "log") as server:
        server.prediction("/predict", ROW)
        assert server.stop() == 0


def test_every_request_sent_before_sigterm_is_answered(tmp_path: Path) -> None:
    early: Counter[object] = Counter()
    with ServerProcess(septet_serve(IRIS, "--drain-delay-seconds", "0.5"), tmp_path / "log") as server:
        stopping = threading.Event()

        def ask() -> None:
            with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", trust_env=False, timeout=30) as client:
                while not stopping.is_set():
                    try:
                        outcome: object = client.post("/predict", json=ROW).status_code
                    except httpx.TransportError as error:
                        outcome = repr(error)
                    early[outcome] += 1

        with ThreadPoolExecutor(8) as pool:
            asking = [pool.submit(ask) for _ in range(8)]
            while early.total() < 50:
                server.client.get("/health/live")
            stopping.set()
            assert server.stop() == 0
            for each in asking:
                each.result(30)
    assert set(early) == {200}, early


def test_a_killed_worker_is_replaced_while_the_others_answer(tmp_path: Path) -> None:
    with ServerProcess(septet_serve(IRIS, "--workers", "2"), tmp_path / "log") as server:
        server.wait_for_workers(2)
        before = children(server.process.pid)
        assert len(before) == 2
        os.kill(before[0], signal.SIGKILL)
        killed = time.monotonic()
        failures: list[str] = []
        while True:
            with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", trust_env=False, timeout=30) as client:
                try:
                    answer = client.post("/predict", json=ROW)
                except httpx.TransportError as error:
                    failures.append(repr(error))  # the connection was the dead worker's
                else:
                    assert answer.status_code == httpx.codes.OK, answer.text
            now = children(server.process.pid)
            replaced = len(now) == 2 and before[0] not in now and "signal 9" in server.log
            if replaced or time.monotonic() - killed > REPLACED_SECONDS:
                break
        assert replaced, server.log
        assert len(failures) <= 1, failures
        assert server.stop() == 0


def test_metrics_count_the_requests_of_all_workers(tmp_path: Path) -> None:
    with ServerProcess(septet_serve(IRIS, "--workers", "2"), tmp_path / "log") as server:
        for _ in range(30):
            with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", trust_env=False, timeout=30) as client:
                assert client.post("/predict", json=ROW).status_code == httpx.codes.OK
        # A worker counts a turn of its loop after it has answered, so the last one may be missing for a moment.
        until(lambda: server.metric("septet_requests_total", route="/predict") >= 30)
        assert server.metric("septet_requests_total", route="/predict") == 30


def test_a_port_that_is_taken_is_told_in_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, said = refused("serve", str(IRIS), "--port", str(port))
    assert code == 2
    assert str(port) in said


@pytest.mark.parametrize("name", ["missing.onnx", "missing/"])
def test_a_path_that_does_not_exist_is_told_by_name(name: str) -> None:
    code, said = refused("serve", name, "--port", str(free_port()))
    assert code == 2
    assert "missing" in said


def test_an_unknown_variable_stops_the_start_by_name() -> None:
    code, said = refused("serve", str(IRIS), environment={"SEPTET_PROT": "8000"})
    assert code == 2
    assert "SEPTET_PROT" in said


def test_a_truncated_model_is_not_served(tmp_path: Path) -> None:
    whole = next(IRIS.glob("*.onnx")).read_bytes()
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(whole[: len(whole) // 2])
    code, said = refused("serve", str(damaged), "--port", str(free_port()))
    assert code == 2
    assert "damaged.onnx" in said
