"""A server whose package, callers and environment try to command terminals, to end lines and to add headers."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import grpc
import pytest
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from tests.cli.hostile import EVIL, hostile, is_clean
from tests.e2e.grpc_server import serving
from tests.e2e.process import ROOT, ServerProcess

ROW = {"data": [[5.1, 3.5, 1.4, 0.2]]}


def raw(server: ServerProcess, head: bytes, body: bytes = b"") -> bytes:
    """The head of the answer to bytes as they are."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(head + b"\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        answer = b""
        while more := connection.recv(65536):
            answer += more
    return answer


@pytest.mark.parametrize("style", ["text", "json"])
def test_no_text_commands_a_terminal_or_ends_a_line_or_a_header(style: str, tmp_path: Path) -> None:
    options = ("--log-format", style, "--log-level", "debug", "--access-log")
    with serving(tmp_path / "log", *options, model=hostile(tmp_path)) as (server, address):
        evil = EVIL.encode()
        assert server.post("/predict", ROW).status_code == 200
        answers = [
            raw(server, b"GET /\x9b2J%1b%0d%0aevil HTTP/1.1\r\nhost: x"),
            raw(server, b"GET /health HTTP/1.1\r\nhost: x\r\nx-request-id: \x9b\xc2\x9b"),
            raw(server, b"GET /health HTTP/1.1\r\nhost: x\r\ntraceparent: \x9b2J"),
            raw(server, b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-type: \x9b2J", evil),
            raw(server, b"POST /predict HTTP/1.1\r\nhost: x", json.dumps({"records": [{EVIL: EVIL}]}).encode()),
            raw(server, b"POST /predict HTTP/1.1\r\nhost: x", b'{"records": ["' + evil + b'"]}'),
            raw(server, b"POST /v2/models/iris/infer HTTP/1.1\r\nhost: x", json.dumps({"id": EVIL}).encode()),
            raw(server, b"POST /v2/models/%1b%9b/infer HTTP/1.1\r\nhost: x", b"{}"),
        ]
        for answer in answers:
            head, _, body = answer.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 "), answer
            assert all(line.isascii() and line.decode().isprintable() for line in head.split(b"\r\n")), head
            if head.startswith(b"HTTP/1.1 4"):
                message = json.loads(body)["error"]
                text = message["message"] if isinstance(message, dict) else message
                assert text.replace("\n", "").isprintable()
        with triton.InferenceServerClient(address) as client, pytest.raises(InferenceServerException) as caught:
            client.get_model_metadata(EVIL)
        assert is_clean(caught.value.message())
        with grpc.insecure_channel(address) as channel, pytest.raises(grpc.RpcError) as failed:
            channel.unary_unary(f"/inference.GRPCInferenceService/{EVIL.encode().hex()}")(b"", timeout=30)
        assert is_clean(failed.value.details())
        page = server.client.get("/metrics").text
        assert page.replace("\n", "").isprintable()
        assert server.stop() == 0
    log = server.log
    assert r"\x1b]0;owned\x07" in log
    assert is_clean(log), log
    if style == "json":
        lines = log.splitlines()
        assert [json.loads(line) for line in lines if line.startswith("{")]


def test_a_package_whose_version_adds_headers_is_not_served(tmp_path: Path) -> None:
    package = hostile(tmp_path)
    manifest = package / "septet.toml"
    manifest.write_text(manifest.read_text().replace('version = "1"', 'version = "1\\r\\nSet-Cookie: evil=1"', 1))
    command = [sys.executable, "-m", "septet", "serve", str(package), "--port", "0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=60)
    assert done.returncode == 2
    assert r"version is '1\r\nSet-Cookie: evil=1'; write 1 to 128 letters" in done.stderr
    assert is_clean(done.stdout + done.stderr)
