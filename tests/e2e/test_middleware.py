"""A middleware sees each request of every protocol and transport once, and its flags reach the caller."""

import asyncio
import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.grpc as triton

import septet
from septet.protocols.http.asgi import Asgi
from tests.e2e.grpc_server import iris_input
from tests.e2e.process import IRIS, ROOT, ServerProcess, free_port, septet_serve
from tests.e2e.services.counting import Counting
from tests.waiting import until

MIDDLEWARE = "tests.e2e.services.counting:Counting"
ROW = [5.1, 3.5, 1.4, 0.2]
TENSOR = {"name": "input", "shape": [1, 4], "datatype": "FP32", "data": ROW}


def _npy() -> bytes:
    out = io.BytesIO()
    np.save(out, np.array([ROW], np.float32))
    return out.getvalue()


def _v2_binary() -> tuple[bytes, dict[str, str]]:
    head = b'{"inputs":[{"name":"input","shape":[1,4],"datatype":"FP32","parameters":{"binary_data_size":16}}]}'
    return head + np.array(ROW, np.float32).tobytes(), {"inference-header-content-length": str(len(head))}


#: Each way to ask over HTTP: method, path below the model's, arguments of httpx.
WAYS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "data": ("POST", "/predict", {"json": {"data": [ROW]}}),
    "data, several rows": ("POST", "/predict", {"json": {"data": [ROW] * 3}}),
    "label": ("POST", "/predict/label", {"json": {"data": [ROW]}}),
    "npy": ("POST", "/predict", {"content": _npy(), "headers": {"content-type": "application/x-npy"}}),
    "self-test": ("GET", "/predict/test", {}),
    "self-test of the label": ("GET", "/predict/test/label", {}),
    "invocations": ("POST", "/invocations", {"json": {"instances": [ROW]}}),
    "V1": ("POST", "/v1/models/iris:predict", {"json": {"instances": [ROW]}}),
    "V2": ("POST", "/v2/models/iris/infer", {"json": {"inputs": [TENSOR]}}),
    "V2 binary": ("POST", "/v2/models/iris/infer", dict(zip(("content", "headers"), _v2_binary(), strict=True))),
}


class Counted:
    """How many requests the middleware has seen."""

    def __init__(self, file: Path) -> None:
        self.file = file
        file.touch()

    @property
    def requests(self) -> int:
        return self.file.stat().st_size

    def once(self, act: Callable[[], Any]) -> Any:
        """Do something that is one request."""
        before = self.requests
        found = act()
        assert self.requests == before + 1
        return found


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Counted:
    return Counted(tmp_path_factory.mktemp("counted") / "count")


@pytest.fixture(scope="module")
def served(counted: Counted, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServerProcess, str]]:
    port = free_port()
    command = septet_serve(IRIS, "--middleware", MIDDLEWARE, "--grpc-port", str(port))
    log = tmp_path_factory.mktemp("middleware") / "log"
    with ServerProcess(command, log, environment={"COUNTED": str(counted.file)}) as server:
        yield server, f"127.0.0.1:{port}"


@pytest.mark.parametrize("way", list(WAYS))
def test_each_request_over_http_is_seen_once_and_flagged(
    way: str, counted: Counted, served: tuple[ServerProcess, str]
) -> None:
    method, path, given = WAYS[way]
    reply = counted.once(lambda: served[0].client.request(method, path, **given))
    assert reply.status_code == 200, reply.text
    assert reply.headers["septet-flags"] == "counted"
    if path.startswith("/predict"):
        assert reply.json()["flags"] == ["counted"]


def test_each_call_is_seen_once_and_flagged(counted: Counted, served: tuple[ServerProcess, str]) -> None:
    with triton.InferenceServerClient(served[1]) as client:
        until(client.is_server_ready)
        call = counted.once(lambda: client.infer("iris", [iris_input()]))
        assert call.as_numpy("label") is not None
        counted.once(lambda: _streamed(client))


def _streamed(client: Any) -> None:
    found: list[Any] = []
    client.start_stream(lambda result, error: found.append(error or result))
    client.async_stream_infer("iris", [iris_input()])
    client.stop_stream()
    assert len(found) == 1


def test_each_question_of_the_client_is_seen_once(counted: Counted, served: tuple[ServerProcess, str]) -> None:
    for address in (f"http://127.0.0.1:{served[0].port}", f"grpc://{served[1]}"):
        with septet.Client(address, timeout=20.0) as client:
            counted.once(lambda: client.predict([ROW]))


def test_each_request_under_another_server_is_seen_once_and_flagged(
    counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COUNTED", str(counted.file))
    app = septet.asgi(IRIS, middleware=[Counting])
    for method, path, given in WAYS.values():
        reply = counted.once(lambda: asyncio.run(_ask(app, method, path, given)))  # noqa: B023 - called in the loop
        assert reply.status_code == 200, reply.text
        assert reply.headers["septet-flags"] == "counted"


async def _ask(app: Asgi, method: str, path: str, given: dict[str, Any]) -> httpx.Response:
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
        return await client.request(method, path, **given)


def test_the_command_that_predicts_asks_the_middleware(counted: Counted, tmp_path: Path) -> None:
    rows = tmp_path / "rows.json"
    rows.write_text('{"data": [[5.1, 3.5, 1.4, 0.2]]}')
    environment = {**os.environ, "COUNTED": str(counted.file), "SEPTET_MIDDLEWARE": MIDDLEWARE}
    command = [sys.executable, "-m", "septet", "predict", str(IRIS), "--data", str(rows)]
    done = counted.once(
        lambda: subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("[0.98")


def test_a_middleware_that_cannot_be_imported_stops_the_start() -> None:
    command = [sys.executable, "-m", "septet", "serve", str(IRIS), "--port", "0", "--middleware", "nowhere:Nothing"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "the middleware 'nowhere:Nothing' cannot be imported" in done.stderr
