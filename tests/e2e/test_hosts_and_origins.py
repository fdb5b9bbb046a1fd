"""Which hosts a server answers for, and pages of which origins, in real processes."""

import socket
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.e2e.grpc_server import grpc_address
from tests.e2e.guarded import BODY, ORIGIN, STATED, bearer, infer, serving_guarded
from tests.e2e.process import IRIS, ServerProcess, septet_serve


def test_pages_of_other_origins_and_other_hosts(tmp_path: Path) -> None:
    options = ("--cors-origins", ORIGIN, "--allowed-hosts", "api.example.com", "--allowed-hosts", "*.example.org:8000")
    server, _ = serving_guarded(tmp_path, *options)
    host = {"host": "api.example.com"}
    with server:
        grpc_at, client = grpc_address(server), server.client
        answer = client.post("/predict", json=BODY, headers={**host, **bearer(STATED), "origin": ORIGIN})
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert "septet-model" in answer.headers["access-control-expose-headers"]
        assert answer.headers["vary"].lower() == "origin"
        for origin in ("https://evil.com", "null", ORIGIN + ".evil.com", "http://app.example.com"):
            answer = client.post("/predict", json=BODY, headers={**host, **bearer(STATED), "origin": origin})
            assert answer.status_code == 200
            assert not [name for name in answer.headers if name.startswith("access-control")]
        asking = {**host, "origin": ORIGIN, "access-control-request-method": "POST"}
        answer = client.options("/predict", headers=asking)
        assert (answer.status_code, answer.headers["access-control-allow-methods"]) == (200, "POST")
        assert {"authorization", "x-api-key"} <= set(answer.headers["access-control-allow-headers"].split(", "))
        assert client.options("/no/such", headers=asking).status_code == 401
        assert client.options("/predict", headers={**asking, "origin": "https://evil.com"}).status_code == 401
        # A page reads why it was refused.
        refused = client.post("/predict", json=BODY, headers={**host, "origin": ORIGIN})
        assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, ORIGIN)
        for name in ("evil.com", "127.0.0.1", "x.example.org"):
            answer = client.post("/predict", json=BODY, headers={**bearer(STATED), "host": name})
            assert (answer.status_code, answer.json()["error"]["code"]) == (421, "misdirected"), name
        assert client.post("/predict", json=BODY, headers={**bearer(STATED), "host": "x.example.org:8000"}).is_success
        assert client.get("/health/live").status_code == 200
        assert client.get("/health/live", headers={"host": "evil.com"}).status_code == 421
        assert infer(grpc_at, [("x-api-key", STATED)]).code() is grpc.StatusCode.PERMISSION_DENIED
        with grpc.insecure_channel(grpc_at, [("grpc.default_authority", "api.example.com")]) as channel:
            call = channel.unary_unary("/inference.GRPCInferenceService/ServerMetadata", _registered_method=False)
            call(b"", metadata=[("x-api-key", STATED)], timeout=30)
        with grpc.insecure_channel(grpc_at) as channel:
            assert health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=30).status == 1


@pytest.mark.parametrize(
    ("target", "host", "status"),
    [
        ("http://evil.com/metadata", "api.example.com", 421),
        ("http://api.example.com:80/metadata", "evil.com", 200),
        ("http://[::1]:80/metadata", "api.example.com", 421),
        ("/metadata", "api.example.com", 200),
    ],
)
def test_the_host_of_an_absolute_target_counts(named: ServerProcess, target: str, host: str, status: int) -> None:
    with socket.create_connection(("127.0.0.1", named.port), 30) as connection:
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while part := connection.recv(65536):
            answer += part
    assert int(answer.split(b" ")[1]) == status


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that knows its name, and asks for no keys."""
    command = septet_serve(IRIS, "--allowed-hosts", "api.example.com", "--admin-socket", "none")
    with ServerProcess(command, tmp_path_factory.mktemp("named") / "log") as server:
        yield server
