"""Files of a model that vanish or change under a running server: what it serves stays what it said it serves."""

import contextlib
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.e2e.process import IRIS, ServerProcess, children, septet_serve
from tests.waiting import until

ROW = {"data": [[5.1, 3.5, 1.4, 0.2]]}


def gone(model: Path) -> None:
    shutil.rmtree(model)


def truncated(model: Path) -> None:
    os.truncate(model / "model.onnx", 100)


def another(model: Path) -> None:
    path = model / "model.onnx"
    path.write_bytes(path.read_bytes().replace(b"iris", b"lily") + b"\0")


def answer(server: ServerProcess) -> tuple[int, str, object]:
    reply = server.post("/predict", ROW)
    return reply.status_code, reply.headers["septet-model-digest"], reply.json()["prediction"]


def restarted(server: ServerProcess) -> bool:
    """Whether a worker was replaced; the one that is killed may have taken the connection that asks."""
    with contextlib.suppress(httpx.TransportError):
        return server.metric("septet_worker_restarts_total", seconds=5.0) >= 1
    return False


@pytest.mark.parametrize("change", [gone, truncated, another])
def test_what_becomes_of_the_files_does_not_change_what_is_served(
    change: Callable[[Path], None], tmp_path: Path
) -> None:
    model = tmp_path / "iris"
    shutil.copytree(IRIS, model)
    with ServerProcess(septet_serve(model, "--workers", "2"), tmp_path / "log") as server:
        server.wait_for_workers(2)
        before = answer(server)
        change(model)
        assert [answer(server) for _ in range(10)] == [before] * 10
        victim, healthy = children(server.process.pid)
        server.client.close()
        os.kill(victim, signal.SIGKILL)
        # The new worker serves what the server has served, or does not serve: never anything else.
        until(lambda: restarted(server))
        with_new = ServerProcess(["true"], tmp_path / "none", port=server.port)
        with with_new.client:
            assert [answer(with_new) for _ in range(20)] == [before] * 20
        assert healthy in children(server.process.pid)
        assert server.stop() == 0, server.log
