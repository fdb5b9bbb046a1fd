"""What callers send, and what the server keeps to itself, is not written to the log."""

import itertools
import json
import os
import socket
import subprocess
from pathlib import Path

import grpc
import pytest
from tritonclient.grpc import service_pb2

from tests.e2e.certificates import Authority, tls_options
from tests.e2e.grpc_server import serving
from tests.e2e.process import IRIS, ServerProcess, septet_serve
from tests.waiting import until

SECRET = "hunter2-secret"
BAD_ID = f"{SECRET} with spaces"
CREDENTIALS = {
    "authorization": f"Bearer {SECRET}",
    "proxy-authorization": SECRET,
    "x-api-key": SECRET,
    "cookie": f"session={SECRET}",
    "x-other": SECRET,
}
PATHS = (
    "/predict", "/invocations", "/v1/models/iris:predict", "/v2/models/iris/infer", "/models/iris/predict", "/metadata",
    f"/{SECRET}", f"/predict/{SECRET}", f"/models/{SECRET}/predict", f"/v1/models/{SECRET}:predict",
    f"/v2/models/{SECRET}/infer", f"/v2/models/iris/versions/{SECRET}/infer",
)  # fmt: skip
BODIES = [
    *(json.dumps({"data": [[1, 2, 3, value]]}) for value in (4, SECRET)),
    json.dumps({"records": [{SECRET: SECRET}]}),
    json.dumps({"inputs": {SECRET: [SECRET]}}),
    json.dumps({"instances": [[SECRET]], "signature_name": SECRET}),
    json.dumps({"inputs": [{"name": SECRET, "datatype": SECRET, "shape": [1], "data": [SECRET]}], "id": BAD_ID}),
    json.dumps({"dataframe_split": {"columns": [SECRET], "data": [[SECRET]]}}),
    json.dumps({SECRET: SECRET, "id": BAD_ID}),
    f'{{"data": [[{SECRET}]]}}',
    f"{SECRET},b\n{SECRET},2\n",
]
HEADERS = ("content-type", "content-encoding", "septet-timeout", "x-request-id", "traceparent", "accept", "expect")
#: Requests that are refused before they have a route.
HEADS = (
    "GET / HTTP/1.1\r\nHost: {}/{}",
    "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: {}, {}",
    "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: {}{}",
    "{} / HTTP/1.1\r\n{}",
    "GET http://u:{}@x/?{} HTTP/1.1\r\nHost: a b",
    "GET / HTTP/1.1\r\nHost: a\r\nAuthorization {}: {}",
    "GET / HTTP/{}{}",
    "GET /\x01{}{} HTTP/1.1\r\nHost: a",
    "CONNECT {}:{} HTTP/1.1\r\nHost: a",
)


def send_raw(port: int, text: str) -> None:
    """Send bytes, and wait for the end of the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(text.encode())
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(4096):
            pass


def send_over_http(server: ServerProcess) -> None:
    """Secrets in headers, paths, queries and bodies."""
    for path, query, body in itertools.product(PATHS, ("", f"?token={SECRET}"), BODIES):
        kind = "text/csv" if body is BODIES[-1] else "application/json"
        server.client.post(path + query, content=body, headers={**CREDENTIALS, "content-type": kind})
    for path, method in itertools.product(PATHS, ("GET", "DELETE")):
        server.client.request(method, f"{path}?api_key={SECRET}", headers=CREDENTIALS)
    for header in HEADERS:
        server.client.post("/predict", content=BODIES[0], headers={**CREDENTIALS, header: BAD_ID})
    for head in HEADS:
        send_raw(server.port, f"{head.format(SECRET, SECRET)}\r\n\r\n")


def send_over_grpc(address: str) -> None:
    """Secrets in metadata, methods, names and values."""
    inference = "/inference.GRPCInferenceService/"
    named = service_pb2.ModelInferRequest(model_name="iris", id=BAD_ID)
    named.inputs.add(name=SECRET, datatype=SECRET, shape=[1])
    valued = service_pb2.ModelInferRequest(model_name="iris")
    valued.inputs.add(name="input", datatype="BYTES", shape=[1, 4]).contents.bytes_contents.extend(
        [SECRET.encode()] * 4
    )
    valued.parameters[SECRET].string_param = SECRET
    metadata = [*CREDENTIALS.items(), ("x-request-id", BAD_ID), ("traceparent", SECRET), ("septet-timeout", SECRET)]
    with grpc.insecure_channel(address) as channel:
        for path, body in (
            (f"/{SECRET}/{SECRET}", b""),
            (f"{inference}{SECRET}", b""),
            (f"{inference}ModelInfer", SECRET.encode()),
            (f"{inference}ModelInfer", service_pb2.ModelInferRequest(model_name=SECRET).SerializeToString()),
            (f"{inference}ModelInfer", named.SerializeToString()),
            (f"{inference}ModelInfer", valued.SerializeToString()),
            (f"{inference}ModelMetadata", service_pb2.ModelMetadataRequest(name=SECRET).SerializeToString()),
        ):
            with pytest.raises(grpc.RpcError):
                channel.unary_unary(path, _registered_method=False)(body, metadata=metadata, timeout=20)
    send_raw(int(address.rpartition(":")[2]), f"GET /?token={SECRET} HTTP/1.1\r\nAuthorization: {SECRET}\r\n\r\n")


@pytest.mark.parametrize(("level", "style"), [("debug", "text"), ("info", "json"), ("warning", "text")])
def test_nothing_that_a_caller_sends_is_logged(tmp_path: Path, level: str, style: str) -> None:
    options = ("--access-log", "--log-level", level, "--log-format", style)
    with serving(tmp_path / "log", *options) as (server, address):
        send_over_http(server)
        send_over_grpc(address)
        marked = server.client.get("/no/such/path", headers={"x-request-id": "the-last-one"})
        assert marked.status_code == 404
        if level != "warning":
            until(lambda: "the-last-one" in server.log)
            assert len(server.log.splitlines()) > len(PATHS) * len(BODIES)
        assert SECRET not in server.log
        for page in ("/metrics", "/openapi.json", "/metadata", "/health/ready"):
            assert SECRET not in server.client.get(page).text


def test_nothing_of_the_key_is_told(tmp_path: Path) -> None:
    pair = Authority(tmp_path / "authority", "ours").issue("served")
    command = [*septet_serve(IRIS, *tls_options(pair), "--log-level", "debug", "--workers", "2"), "--print-config"]
    environment = {**os.environ, "SEPTET_TLS_KEY_PASSWORD": SECRET}
    mismatch = [*command[:-1], "--tls-certificate", str(pair[1])]
    for asked in (command, mismatch):
        words = [word.format(port=0) for word in asked]
        done = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
        told = done.stdout + done.stderr
        assert done.returncode == (0 if asked is command else 2), told
        assert str(pair[1]) in told
        assert SECRET not in told
        assert all(line not in told for line in pair[1].read_text().splitlines())
