"""A client and a server that is loading, overloaded or too slow."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

import septet
from septet.errors import DeadlineExceeded, Unavailable
from tests.e2e.process import ROOT, ServerProcess, septet_serve
from tests.waiting import until

SERVICES = ROOT / "tests" / "e2e" / "services"
ROWS = [[0.0], [1.0]]


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose steps wait for what the environment says."""
    path = tmp_path_factory.mktemp("slow") / "slow.joblib"
    code = f"""
import joblib, slow_steps
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
steps = slow_steps.SlowToLoad(), FunctionTransformer(slow_steps.wait), LinearRegression()
joblib.dump(make_pipeline(*steps).fit([[0.0], [1.0]], [0.0, 2.0]), {str(path)!r})
"""
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": str(SERVICES)})
    return path


def serving(path: Path, log: Path, *options: str, ready: str, environment: Mapping[str, str]) -> ServerProcess:
    trust = f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    command = septet_serve(path, "--trust", trust, *options)
    return ServerProcess(command, log, environment={"PYTHONPATH": str(SERVICES), **environment}, ready=ready)


def client(server: ServerProcess, *, timeout: float = 30.0, retries: int = 0) -> septet.Client:
    return septet.Client(f"http://127.0.0.1:{server.port}", timeout=timeout, retries=retries)


def test_a_call_to_a_server_that_loads_is_answered_once_it_is_ready(slow: Path, tmp_path: Path) -> None:
    environment = {"LOAD_SECONDS": "1.5"}
    with serving(slow, tmp_path / "log", ready="/health/live", environment=environment) as server:
        with client(server) as hasty, pytest.raises(Unavailable):
            hasty.predict(ROWS)
        assert not hasty.ready()
        with client(server, retries=9) as patient:
            assert patient.predict(ROWS) == pytest.approx([0.0, 2.0])
            assert patient.ready()


def test_a_call_ends_at_its_deadline_and_others_at_theirs(slow: Path, tmp_path: Path) -> None:
    barrier = tmp_path / "barrier"
    environment = {"RUN_SECONDS": "0.02", "RUN_BARRIER": str(barrier)}
    with (
        serving(slow, tmp_path / "log", ready="/health/ready", environment=environment) as server,
        client(server) as patient,
        client(server, timeout=0.5) as hasty,
        ThreadPoolExecutor(1) as pool,
        closed(barrier),
    ):
        answer = pool.submit(patient.predict, ROWS)
        with pytest.raises(DeadlineExceeded):
            hasty.predict(ROWS)
        barrier.unlink()
        assert answer.result() == pytest.approx([0.0, 2.0])


def test_a_call_that_is_refused_for_load_is_asked_again_where_the_client_may(slow: Path, tmp_path: Path) -> None:
    barrier = tmp_path / "barrier"
    options = ("--max-pending", "1")
    environment = {"RUN_SECONDS": "0.02", "RUN_BARRIER": str(barrier)}
    with (
        serving(slow, tmp_path / "log", *options, ready="/health/ready", environment=environment) as server,
        client(server, retries=9) as patient,
        ThreadPoolExecutor(3) as pool,
        closed(barrier),
    ):
        # One runs, one may wait: the third is refused.
        waiting = [pool.submit(patient.predict, ROWS) for _ in range(3)]
        until(lambda: server.metric("septet_requests_total", code="overloaded") > 0)
        barrier.unlink()
        assert [each.result() for each in waiting] == [pytest.approx([0.0, 2.0])] * 3


@contextmanager
def closed(barrier: Path) -> Iterator[None]:
    """Nothing is answered as long as the barrier stands; whatever happens, it goes in the end."""
    barrier.touch()
    try:
        yield
    finally:
        barrier.unlink(missing_ok=True)
