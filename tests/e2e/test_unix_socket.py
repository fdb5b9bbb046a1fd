"""A server on a Unix socket: found by curl, by nginx and by its owner, and gone when it ends."""

import asyncio
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

import septet
from septet.errors import Unavailable
from tests.e2e.certificates import Authority, tls_options
from tests.e2e.process import IRIS, ServerProcess, children, free_port, septet_serve
from tests.waiting import until

BODY = {"data": [[5.1, 3.5, 1.4, 0.2]]}


# The client's library leaves a socket open that nobody listened on.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def on_socket(path: Path, log: Path, *options: str) -> ServerProcess:
    """A server of iris at this path."""
    server = ServerProcess(septet_serve(IRIS, "--unix-socket", str(path), *options), log)
    server.client.close()
    server.client = asking(path)
    return server


def asking(path: Path) -> httpx.Client:
    """A client whose host is any."""
    return httpx.Client(base_url="http://localhost", transport=httpx.HTTPTransport(uds=str(path)), timeout=30)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "iris.sock"


@pytest.fixture
def server(path: Path, tmp_path: Path) -> Iterator[ServerProcess]:
    with on_socket(path, tmp_path / "log", "--workers", "2") as server:
        until(lambda: "Ctrl+C stops." in server.log)
        yield server


def test_workers_answer_on_the_socket_and_on_no_port(server: ServerProcess, path: Path) -> None:
    assert server.prediction("/predict", BODY)
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", server.port)) != 0
    assert f"at        unix:{path}\n" in server.log
    assert "try out" not in server.log
    line = next(line for line in server.log.splitlines() if line.strip().startswith("curl "))
    assert f"--unix-socket {path} " in line
    if shutil.which("curl") is not None:
        done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True)
        assert '"prediction"' in done.stdout
    server.client.close()
    assert server.stop() == 0
    assert not path.exists()


def test_the_file_of_a_killed_server_is_replaced_and_that_of_a_living_one_refused(
    server: ServerProcess, path: Path, tmp_path: Path
) -> None:
    command = [word.format(port=0) for word in septet_serve(IRIS, "--unix-socket", str(path))]
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "another server has the Unix socket" in refused.stderr
    assert server.prediction("/predict", BODY)
    os.killpg(server.process.pid, signal.SIGKILL)
    server.process.wait()
    assert path.is_socket()
    with on_socket(path, tmp_path / "second", "--unix-socket-mode", "600") as second:
        assert second.prediction("/predict", BODY)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_worker_that_crashes_is_replaced_on_the_same_socket(server: ServerProcess, path: Path) -> None:
    (first, second), before = children(server.process.pid), path.stat().st_ino
    os.kill(first, signal.SIGKILL)
    until(lambda: len(children(server.process.pid)) == 2 and first not in children(server.process.pid))
    with asking(path) as client:
        assert client.post("/predict", json=BODY).status_code == httpx.codes.OK
    assert second in children(server.process.pid)
    assert path.stat().st_ino == before


def test_its_owner_releases_by_the_same_path(server: ServerProcess, path: Path) -> None:
    release = [sys.executable, "-m", "septet", "release", str(IRIS), "--to", f"unix:{path}"]
    done = subprocess.run(release, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert server.client.post("/release", json={}).status_code == httpx.codes.NOT_FOUND


def test_a_certificate_holds_on_the_socket_as_well(path: Path, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority", "ours")
    server = on_socket(path, tmp_path / "log", *tls_options(authority.issue("served")))
    server.client.close()
    transport = httpx.HTTPTransport(uds=str(path), verify=authority.trusting())
    server.client = httpx.Client(base_url="https://localhost", transport=transport, timeout=30)
    with server:
        assert server.prediction("/predict", BODY)
        until(lambda: f"curl --unix-socket {path} https://localhost/predict" in server.log)
        with asking(path) as plain, pytest.raises(httpx.TransportError):
            plain.get("/health/live")


def test_nginx_finds_the_socket(server: ServerProcess, path: Path, tmp_path: Path) -> None:
    if shutil.which("nginx") is None:
        pytest.skip("nginx is not installed")
    port, rendered, whole = free_port(), tmp_path / "rendered.conf", tmp_path / "nginx.conf"
    render = [sys.executable, "-m", "septet", "render", "nginx", "--replica", f"unix:{path}", "--listen", str(port)]
    subprocess.run([*render, "--output", str(rendered)], check=True)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "".join(f"{kind}_temp_path {tmp_path}/{kind};" for kind in kinds)
    user = "user root; " if os.getuid() == 0 else ""
    whole.write_text(
        f"{user}daemon off; pid {tmp_path}/pid; error_log {tmp_path}/error.log; worker_processes 1; events {{}}\n"
        f"http {{ access_log off; {paths} include {rendered}; }}\n"
    )
    nginx = subprocess.Popen(["nginx", "-e", f"{tmp_path}/error.log", "-c", str(whole)], start_new_session=True)

    def answer() -> int | None:
        try:
            return httpx.post(f"http://127.0.0.1:{port}/predict", json=BODY, trust_env=False).status_code
        except httpx.TransportError:
            return None

    try:
        assert until(answer) == httpx.codes.OK
    finally:
        os.killpg(nginx.pid, signal.SIGKILL)
        nginx.wait()
    assert server.process.poll() is None


def test_the_client_calls_it_there(server: ServerProcess, path: Path) -> None:
    rows, url = np.array(BODY["data"], np.float32), f"unix:{path}"

    async def ask() -> Any:
        async with septet.AsyncClient(url, timeout=20.0) as client:
            return await client.predict(rows), await client.predict(rows)

    for transport in ("binary", "json"):
        with septet.Client(url, timeout=20.0, transport=transport) as client:
            assert client.predict(rows).shape == client.predict(rows).shape
    assert asyncio.run(ask())
    assert server.stop() == 0
    with septet.Client(url, timeout=20.0) as client, pytest.raises(Unavailable, match="could not be reached"):
        client.predict(rows)
