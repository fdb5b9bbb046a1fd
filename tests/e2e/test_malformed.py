"""Hundreds of malformed requests against one process: each is refused with the envelope, and nothing else happens."""

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.e2e import corpus
from tests.e2e.process import ROOT, ServerProcess, children, septet_serve
from tests.runtimes.onnx_models import FLOAT, INT64, STRING, constant, info, model, node, saved

SECONDS = 20.0
MOST_GROWTH_KB = 80_000
GOOD: dict[str, dict[str, Any]] = {
    "columns": {"data": [[5.1, 3.5, 1.4, 0.2]]},
    "mixed": {"inputs": {"age": [[3]], "city": [["here"]]}},
    "tensor": {"inputs": {"x": [[[[1.0, 2.0]], [[3.0, 4.0]]]]}},
}


def made(name: str, folder: Path) -> Path:
    """A model of each kind."""
    if name == "columns":
        return ROOT / "examples" / "iris"
    if name == "mixed":
        inputs = [info("age", INT64, ("rows", 1)), info("city", STRING, ("rows", 1))]
        nodes = [node("Identity", ["city"], ["where"]), node("Add", ["age", "one"], ["next"])]
        outputs = [info("where", STRING, ("rows", 1)), info("next", INT64, ("rows", 1))]
        return saved(folder, model(nodes, inputs, outputs, [constant("one", np.array([[1]], np.int64))]))
    shape = ("rows", 2, 1, 2)
    return saved(folder, model([node("Relu", ["x"], ["y"])], [info("x", FLOAT, shape)], [info("y", FLOAT, shape)]))


@pytest.fixture(scope="module", params=GOOD)
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, ServerProcess]]:
    folder = tmp_path_factory.mktemp("malformed")
    with ServerProcess(septet_serve(made(request.param, folder)), folder / "log") as server:
        yield request.param, server


def answer(connection: socket.socket) -> tuple[int, bytes, bool]:
    """The next answer: its status, its body, and whether the connection ends with it."""
    received = b""
    while b"\r\n\r\n" not in received:
        part = connection.recv(65536)
        assert part, received
        received += part
    head, _, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"\r\ncontent-length: (\d+)", head)
    assert length is not None
    while len(body) < int(length[1]):
        body += connection.recv(65536)
    return int(head[9:12]), body, b"\r\nconnection: close" in head


def check(status: int, body: bytes, sent: bytes) -> None:
    """Refused as the caller's fault, in the one envelope."""
    assert 400 <= status < 500, (status, body[:300], sent[:300])
    error = json.loads(body)["error"]
    assert set(error) == {"code", "message", "details", "id"}, sent[:300]
    assert "Traceback" not in error["message"]


def memory_kb(pid: int) -> int:
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1])


def send_all(server: ServerProcess, requests: list[bytes]) -> None:
    """Send each over one connection, a new one where the last was closed."""
    pending = iter(requests)
    last = True
    while last:
        last = False
        with socket.create_connection(("127.0.0.1", server.port), timeout=SECONDS) as connection:
            for sent in pending:
                connection.sendall(sent)
                status, body, last = answer(connection)
                check(status, body, sent)
                if last:
                    break


def test_every_malformed_request_is_refused(served: tuple[str, ServerProcess]) -> None:
    name, server = served
    good = GOOD[name]
    requests = [each for each in corpus.requests(good) if not allowed(each, good)]
    assert len(requests) >= 400
    (worker,) = children(server.process.pid)
    before = memory_kb(worker)
    for start in range(0, len(requests), 50):
        send_all(server, requests[start : start + 50])
        assert server.prediction("/predict", good)
    assert memory_kb(worker) - before < MOST_GROWTH_KB
    assert server.process.poll() is None
    assert "Traceback" not in server.log


def allowed(sent: bytes, good: dict[str, Any]) -> bool:
    """Whether the corpus happened upon a body that the model does take: of other texts for a text, or the good one."""
    body = sent.partition(b"\r\n\r\n")[2]
    if not sent.startswith(b"POST /predict HTTP/1.1") or b"\r\nContent-Type: application/json\r\n" not in sent:
        return False
    try:
        return bool(json.loads(body) == good)
    except (ValueError, RecursionError):
        return False


def test_what_is_not_http_is_refused_and_its_connection_closed(served: tuple[str, ServerProcess]) -> None:
    name, server = served
    for sent in corpus.not_http():
        with socket.create_connection(("127.0.0.1", server.port), timeout=SECONDS) as connection:
            connection.sendall(sent)
            status, body, last = answer(connection)
            check(status, body, sent)
            assert last
            assert connection.recv(1) == b""
    assert server.prediction("/predict", GOOD[name])


def test_half_a_request_holds_up_nobody(served: tuple[str, ServerProcess]) -> None:
    name, server = served
    whole = corpus.http(json.dumps(GOOD[name]).encode())
    waiting = [socket.create_connection(("127.0.0.1", server.port), timeout=SECONDS) for _ in range(50)]
    for index, connection in enumerate(waiting):
        connection.sendall(whole[: index * len(whole) // 50])
    assert server.prediction("/predict", GOOD[name])
    for connection in waiting:
        connection.close()
    assert server.prediction("/predict", GOOD[name])
