"""Processes that are killed or stand still under load: the server, its workers, one of them, all of them at once."""

import os
import signal
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.e2e.process import IRIS, ServerProcess, children, free_port, septet_serve
from tests.waiting import until

ROW = {"data": [[5.1, 3.5, 1.4, 0.2]]}
CALLERS = 3
LOADING = 503


def ask(server: ServerProcess, over: threading.Event) -> Counter[object]:
    """Ask until it is over: the statuses of the answers, `lost` where there was none, `wrong` where another came."""
    found: Counter[object] = Counter()
    expected = None
    while not over.is_set():
        with httpx.Client(base_url=server.client.base_url, timeout=30, trust_env=False) as client:
            try:
                while not over.is_set():
                    answer = client.post("/predict", json=ROW)
                    prediction = answer.json().get("prediction")
                    expected = expected or prediction
                    right = prediction == expected or answer.status_code == LOADING
                    found[answer.status_code if right else "wrong"] += 1
            except httpx.TransportError:
                found["lost"] += 1
    return found


@contextmanager
def load(server: ServerProcess) -> Iterator[list[Future[Counter[object]]]]:
    """Callers that ask without a pause; their results are there behind the block."""
    over = threading.Event()
    with ThreadPoolExecutor(CALLERS) as pool:
        asking = [pool.submit(ask, server, over) for _ in range(CALLERS)]
        try:
            yield asking
        finally:
            over.set()


def predicted(server: ServerProcess) -> bool:
    """Whether a new connection is answered."""
    try:
        return httpx.post(f"{server.client.base_url}/predict", json=ROW, timeout=30, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def test_all_workers_may_be_killed_at_once(tmp_path: Path) -> None:
    with ServerProcess(septet_serve(IRIS, "--workers", "2"), tmp_path / "log") as server:
        with load(server) as asking:
            before = children(server.process.pid)
            for pid in before:
                os.kill(pid, signal.SIGKILL)
            until(lambda: len(now := children(server.process.pid)) == 2 and not {*now} & {*before})
            until(lambda: predicted(server))
        seen = sum((each.result() for each in asking), Counter[object]())
        assert set(seen) <= {200, LOADING, "lost"}, seen
        assert server.metric("septet_worker_restarts_total") == 2
        assert server.stop() == 0, server.log


def test_a_worker_that_stands_still_is_replaced_while_the_other_answers(tmp_path: Path) -> None:
    command = septet_serve(IRIS, "--workers", "2", "--hang-seconds", "5")
    with ServerProcess(command, tmp_path / "log") as server:
        # One that stands still while it loads is not judged, for a model may take long.
        server.wait_for_workers(2)
        victim, healthy = children(server.process.pid)
        os.kill(victim, signal.SIGSTOP)
        answered = 0
        while victim in children(server.process.pid) and server.process.poll() is None:
            # A connection that is given to the one that stands still waits for its end.
            answered += predicted(server)
        assert answered
        until(lambda: len(children(server.process.pid)) == 2)
        assert healthy in children(server.process.pid)
        assert "stood still and was killed" in server.log
        assert server.stop() == 0, server.log


def test_workers_answer_while_their_parent_stands_still(tmp_path: Path) -> None:
    with ServerProcess(septet_serve(IRIS, "--workers", "2"), tmp_path / "log") as server:
        server.process.send_signal(signal.SIGSTOP)
        assert all(predicted(server) for _ in range(8))
        server.process.send_signal(signal.SIGCONT)
        assert server.stop() == 0, server.log


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_ports_of_a_killed_server_can_be_had_again_at_once(tmp_path: Path, workers: str) -> None:
    port, grpc_port = free_port(), free_port()
    command = septet_serve(IRIS, "--workers", workers, "--grpc-port", str(grpc_port))
    with ServerProcess(command, tmp_path / "first", port=port) as first, load(first) as asking:
        until(lambda: predicted(first))
        orphans = children(first.process.pid)
        first.process.kill()
        first.process.wait()
        until(lambda: not any(Path(f"/proc/{pid}/exe").exists() for pid in orphans))
        with ServerProcess(command, tmp_path / "second", port=port) as second:
            assert predicted(second)
            socket.create_connection(("127.0.0.1", grpc_port), timeout=30).close()
    seen = sum((each.result() for each in asking), Counter[object]())
    assert set(seen) <= {200, LOADING, "lost"}, seen
