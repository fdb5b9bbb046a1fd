"""Machines that lack what a start needs: told in a sentence, without a traceback, and nothing is left running."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.process import IRIS, ROOT, free_port

WAIT_SECONDS = 120


def started(command: list[str], **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
        cwd=ROOT,
        env={**os.environ, **environment},
        check=False,
    )


SERVE = [sys.executable, "-m", "septet", "serve", str(IRIS), "--port", "0"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not bound the memory of a process so")
def test_too_little_memory_to_load_a_model_ends_the_start() -> None:
    done = started(["sh", "-c", 'ulimit -v 180000; exec "$@"', "sh", *SERVE])
    # Where a library ends the process for want of memory, its workers are tried a few times.
    assert done.returncode in (1, 2), done.stderr
    assert done.stderr
    assert "Traceback" not in done.stderr


def test_a_library_that_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "onnxruntime.py").write_text("import a_library_that_is_not_there\n")
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = started(SERVE, PYTHONPATH=path)
    assert done.returncode == 2, done.stderr
    assert "a_library_that_is_not_there" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_told_for_every_transport() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", free_port()))
        holder.listen()
        taken = str(holder.getsockname()[1])
        for options in (["--port", taken], ["--port", "0", "--grpc-port", taken]):
            done = started([*SERVE[:5], *options])
            assert (done.returncode, taken in done.stderr) == (2, True), done.stderr
            assert "Traceback" not in done.stderr
