"""Signals at any time, workers that cannot start, and machines that have too little of something."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.e2e.process import IRIS, ROOT, ServerProcess, children, septet_serve
from tests.waiting import until

ROW = {"data": [[5.1, 3.5, 1.4, 0.2]]}
WAIT_SECONDS = 30
SHARED = ("--workers", "2", "--threads", "1")


@pytest.fixture(scope="module")
def endless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of a kilobyte that onnxruntime loads for minutes: it folds products of large constant matrices."""
    side, steps = 3000, 60
    value = helper.make_tensor("value", TensorProto.FLOAT, [1], [0.001])
    nodes = [helper.make_node("ConstantOfShape", ["shape"], ["m0"], value=value)]
    nodes += [helper.make_node("MatMul", [f"m{step}", "m0"], [f"m{step + 1}"]) for step in range(steps)]
    nodes += [
        helper.make_node("ReduceMean", [f"m{steps}"], ["k"], keepdims=0),
        helper.make_node("Mul", ["x", "k"], ["y"]),
    ]
    given, made = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 2]) for name in "xy")
    shape = numpy_helper.from_array(np.array([side, side], np.int64), "shape")
    path = tmp_path_factory.mktemp("endless") / "endless.onnx"
    graph = helper.make_graph(nodes, "endless", [given], [made], [shape])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def loads(pid: int) -> bool:
    """Whether this process, or a worker of it, has come to the engine."""
    with contextlib.suppress(OSError):
        return any("onnxruntime" in Path(f"/proc/{each}/maps").read_text() for each in (pid, *children(pid)))
    return False


def channels(pid: int) -> set[str]:
    """The pipes and sockets that a process has open."""
    found = set()
    for each in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):  # it has been closed meanwhile
            found.add(str(each.readlink()))
    return {each for each in found if each.startswith(("pipe:", "socket:"))}


@contextlib.contextmanager
def started(log: Path, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as out:
        # A shell starts commands in the background with SIGINT ignored, and the tests may be one.
        inherited = signal.signal(signal.SIGINT, signal.default_int_handler)
        process = subprocess.Popen([sys.executable, "-m", "septet", *words], stdout=out, stderr=out, cwd=ROOT)
        signal.signal(signal.SIGINT, inherited)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


SERVE, SERVE_SHARED = ("serve", "--port", "0"), ("serve", "--port", "0", *SHARED)


@pytest.mark.parametrize(
    ("words", "number", "code"),
    [
        (SERVE, signal.SIGTERM, 0),
        (SERVE_SHARED, signal.SIGTERM, 0),
        (SERVE_SHARED, signal.SIGINT, 130),
        (("check",), signal.SIGTERM, -signal.SIGTERM),
        (("inspect",), signal.SIGINT, 130),
    ],
)
def test_a_model_that_is_loaded_for_minutes_does_not_hold_up_the_end(
    endless: Path, tmp_path: Path, words: Sequence[str], number: int, code: int
) -> None:
    with started(tmp_path / "log", *words, str(endless)) as process:
        until(lambda: loads(process.pid))
        for request in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2) if words[0] == "serve" else ():
            process.send_signal(request)
        process.send_signal(number)
        assert process.wait(WAIT_SECONDS) == code, (tmp_path / "log").read_text()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_no_signal_but_those_for_the_end_harms_what_is_in_flight(tmp_path: Path, workers: str) -> None:
    body = json.dumps(ROW).encode()
    model = tmp_path / "iris"
    shutil.copytree(IRIS, model)
    with (
        ServerProcess(septet_serve(model, "--workers", workers), tmp_path / "log") as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=WAIT_SECONDS) as caller,
    ):
        before = children(server.process.pid)
        caller.sendall(b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body))
        (model / "note").touch()
        for pid in (server.process.pid, *before):
            for request in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGPIPE):
                os.kill(pid, request)
        for pid in before:
            os.kill(pid, signal.SIGINT)
            os.kill(pid, signal.SIGQUIT)
        until(lambda: "looking for models" in server.log)
        caller.sendall(body)
        assert caller.recv(12) == b"HTTP/1.1 200"
        assert children(server.process.pid) == before
        # What a worker has in common with its siblings and its parent: two listening sockets, and the parent's pipe.
        common = set.intersection(*(channels(pid) for pid in (server.process.pid, *before)))
        assert sorted(each.split(":")[0] for each in common) == ["pipe", "socket", "socket"]
        assert workers == "1" or channels(before[0]) & channels(before[1]) == common
        server.process.send_signal(signal.SIGQUIT)
        server.process.send_signal(signal.SIGHUP)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(WAIT_SECONDS) == 0, server.log


def test_a_worker_that_cannot_start_is_tried_again_while_the_others_answer(tmp_path: Path) -> None:
    model, hidden = tmp_path / "iris", tmp_path / "hidden"
    shutil.copytree(IRIS, model)
    with ServerProcess(septet_serve(model, "--workers", "2"), tmp_path / "log") as server:
        server.wait_for_workers(2)
        victim, healthy = children(server.process.pid)
        model.rename(hidden)
        os.kill(victim, signal.SIGKILL)
        until(lambda: server.metric("septet_worker_restarts_total") >= 4)
        assert healthy in children(server.process.pid)
        assert server.prediction("/predict", ROW)
        assert server.log.count("could not start") == 1, server.log
        hidden.rename(model)
        until(lambda: ") has started" in server.log)
        assert len(children(server.process.pid)) == 2


STREAMS = ["<&-", ">&-", "2>&-", "<&- >&- 2>&-", ">/dev/full 2>&1"]


@pytest.mark.parametrize("streams", STREAMS)
def test_a_server_needs_no_standard_streams(tmp_path: Path, streams: str) -> None:
    command = ["sh", "-c", f'exec "$@" {streams}', "sh", *septet_serve(IRIS)]
    with ServerProcess(command, tmp_path / "log") as server:
        assert server.prediction("/predict", ROW)
        (victim,) = children(server.process.pid)
        os.kill(victim, signal.SIGKILL)  # which is said, to nobody
        until(lambda: len(pids := children(server.process.pid)) == 1 and pids != [victim])
        assert server.stop() == 0, server.log


def test_a_server_of_few_files_waits_for_those_that_are_open(tmp_path: Path) -> None:
    command = ["sh", "-c", 'ulimit -n 40; exec "$@"', "sh", *septet_serve(IRIS)]
    with ServerProcess(command, tmp_path / "log") as server:
        assert "only 40 files may be open" in server.log
        assert server.client.get("/health").status_code == 200
        with contextlib.ExitStack() as crowd:
            for _ in range(40):
                crowd.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            until(lambda: "no connection can be accepted" in server.log)
            for _ in range(20):
                assert server.client.get("/health").status_code == 200
                assert server.prediction("/predict", ROW)
        with socket.create_connection(("127.0.0.1", server.port), timeout=WAIT_SECONDS) as late:
            late.sendall(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
            assert late.recv(12) == b"HTTP/1.1 200"
        assert server.log.count("no connection can be accepted") == 1
        assert server.stop() == 0, server.log


@pytest.mark.parametrize(
    ("shell", "said"),
    [
        ("ulimit -n 16; exec {septet} serve {iris} --port 0", "error: only 16 files may be open at once"),
        ("exec {septet} inspect {iris} >&-", "error: standard output cannot be written"),
        ("exec {septet} inspect {iris} >/dev/full", "error: no space is left on the device"),
        ("exec {septet} predict {iris} --data - <&-", "error: standard input or output is closed"),
    ],
)
def test_what_is_lacking_is_one_sentence_and_exit_code_2(shell: str, said: str) -> None:
    command = shell.format(septet=f"{sys.executable} -m septet", iris=IRIS)
    done = subprocess.run(
        ["sh", "-c", command], stderr=subprocess.PIPE, text=True, timeout=WAIT_SECONDS, cwd=ROOT, check=False
    )
    assert (done.returncode, done.stderr.startswith(said), done.stderr.count("\n")) == (2, True, 1), done.stderr
