"""Who may ask a server: keys over every transport, replaced while it runs, in real processes."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tritonclient.grpc import service_pb2

import septet
from septet.errors import StartupError, Unauthenticated
from septet.remote.remote_service import remote_service
from tests.e2e.grpc_server import ROWS
from tests.e2e.guarded import (
    BODY,
    FAST,
    FILED,
    KEYS,
    ORIGIN,
    RATE,
    STATED,
    Guarded,
    answers,
    bearer,
    entry,
    infer,
    serving_guarded,
)
from tests.e2e.process import IRIS, ServerProcess, children, septet_serve
from tests.waiting import until


def test_a_request_without_a_good_key_is_refused_in_the_words_of_its_protocol(guarded: Guarded) -> None:
    for headers in ({}, bearer("no-key-of-this-server"), {"x-api-key": "no-key"}, {"authorization": f"Basic {STATED}"}):
        answer = guarded.client.post("/predict", json=BODY, headers=headers)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert answer.json()["error"]["code"] == "unauthenticated"
    for path in ("/v2/models/iris/infer", "/v1/models/iris:predict"):
        answer = guarded.client.post(path, json={})
        assert (answer.status_code, list(answer.json())) == (401, ["error"])
    answer = guarded.client.post("/invocations", json={})
    assert (answer.status_code, answer.json()["error_code"]) == (401, "UNAUTHENTICATED")
    for path in ("/metadata", "/metrics", "/openapi.json", "/models", "/v2", "/no/such/path"):
        assert guarded.client.get(path).status_code == 401
    assert guarded.client.head("/metadata").status_code == 401
    assert guarded.client.options("/predict").status_code == 401


def test_a_large_body_is_not_read_from_whoever_has_no_key(guarded: Guarded) -> None:
    for length in (
        b"content-length: 10000000",
        b"transfer-encoding: chunked",
        b"content-length: 9\r\nexpect: 100-continue",
    ):
        with socket.create_connection(("127.0.0.1", guarded.server.port), 30) as connection:
            connection.sendall(b"POST /predict HTTP/1.1\r\nhost: localhost\r\n%b\r\n\r\n" % length)
            # No byte of the body is sent.
            assert connection.recv(65536).split(b" ")[1] == b"401"
    large = np.zeros((9000, 4), np.float32)
    with septet.Client(str(guarded.client.base_url), timeout=30, api_key=FILED) as client:
        assert client.predict(large).shape == (9000, 3)


def test_a_large_message_is_not_read_from_whoever_has_no_key(guarded: Guarded) -> None:
    with grpc.insecure_channel(guarded.grpc) as channel:
        call = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer", _registered_method=False)
        with pytest.raises(grpc.RpcError) as caught:
            call(b"\0" * 12_000_000, timeout=30)
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    large = np.zeros((9000, 4), np.float32)
    with septet.Client(f"grpc://{guarded.grpc}", timeout=30, api_key=FILED) as client:
        assert client.predict(large).shape == (9000, 3)


def test_either_header_lets_a_request_in(guarded: Guarded) -> None:
    for headers in (bearer(STATED), {"x-api-key": FILED}, {"authorization": f"bearer  {FILED}"}):
        assert guarded.client.post("/predict", json=BODY, headers=headers).status_code == 200
    both = {**bearer("key-of-a-proxy-before"), "x-api-key": FILED}
    assert guarded.client.post("/predict", json=BODY, headers=both).status_code == 200


def test_grpc_takes_the_key_as_metadata(guarded: Guarded) -> None:
    for metadata in ((), (("authorization", "Bearer wrong-key-0000000"),), (("x-api-key", "wrong"),)):
        error = infer(guarded.grpc, metadata)
        assert error.code() is grpc.StatusCode.UNAUTHENTICATED
        assert "API key" in error.details()
    assert infer(guarded.grpc, [("authorization", f"Bearer {STATED}")]) is None
    assert infer(guarded.grpc, [("x-api-key", FILED)]) is None


def test_a_stream_without_a_key_ends_unauthenticated(guarded: Guarded) -> None:
    with grpc.insecure_channel(guarded.grpc) as channel:
        call = channel.stream_stream("/inference.GRPCInferenceService/ModelStreamInfer", _registered_method=False)
        message = service_pb2.ModelInferRequest(model_name="iris").SerializeToString()
        with pytest.raises(grpc.RpcError) as caught:
            list(call(iter([message]), timeout=30))
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_whoever_asks_for_health_or_for_the_page_needs_no_key(guarded: Guarded) -> None:
    open_paths = ["/health", "/health/live", "/health/ready", "/health/startup", "/ping"]
    open_paths += ["/v2/health/live", "/v2/health/ready", "/", "/docs", "/static/page.js", "/static/service.js"]
    for path in open_paths:
        assert guarded.client.get(path).status_code == 200, path
    with grpc.insecure_channel(guarded.grpc) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        assert health.Check(health_pb2.HealthCheckRequest(), timeout=30).status == 1
        assert next(health.Watch(health_pb2.HealthCheckRequest(), timeout=30)).status == 1
        for method in ("ServerLive", "ServerReady"):
            channel.unary_unary(f"/inference.GRPCInferenceService/{method}", _registered_method=False)(b"", timeout=30)
        with pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary("/inference.GRPCInferenceService/ServerMetadata", _registered_method=False)(b"")
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_the_document_declares_how_to_send_a_key(guarded: Guarded) -> None:
    document = guarded.client.get("/openapi.json", headers=bearer(STATED)).json()
    assert set(document["components"]["securitySchemes"]) == {"bearer", "apiKey"}
    assert document["security"] == [{"bearer": []}, {"apiKey": []}]
    assert document["paths"]["/health/live"]["get"]["security"] == []
    predict = document["paths"]["/predict"]["post"]
    assert "security" not in predict
    assert {"401", "429"} <= set(predict["responses"])


def test_the_log_and_the_metrics_name_the_key(guarded: Guarded) -> None:
    assert guarded.predict(FILED).status_code == 200
    until(lambda: "key=filed" in guarded.server.log)
    assert guarded.metric("septet_key_requests_total", key="filed", outcome="admitted") > 0
    refused = guarded.metric("septet_requests_total", code="unauthenticated", route="/predict")
    assert guarded.predict(None).status_code == 401
    until(lambda: guarded.metric("septet_requests_total", code="unauthenticated", route="/predict") == refused + 1)


@pytest.mark.parametrize("workers", [1, 2])
def test_keys_are_replaced_while_connections_are_open(tmp_path: Path, workers: int) -> None:
    server, folder = serving_guarded(tmp_path, "--workers", str(workers))
    with server:
        _replaced_keys(Guarded(server, folder))


def _replaced_keys(guarded: Guarded) -> None:
    new = "new-key-0123456789"
    one = httpx.Limits(max_connections=1)
    clients = [
        httpx.Client(base_url=guarded.client.base_url, timeout=30, trust_env=False, limits=one) for _ in range(8)
    ]
    with grpc.insecure_channel(guarded.grpc) as channel, contextlib.ExitStack() as held:
        for client in clients:
            held.enter_context(client)
        call = channel.unary_unary("/inference.GRPCInferenceService/ServerMetadata", _registered_method=False)

        def allowed(key: str) -> bool:
            try:
                call(b"", metadata=[("x-api-key", key)], timeout=30)
            except grpc.RpcError as error:
                if error.code() is not grpc.StatusCode.UNAUTHENTICATED:
                    raise
                return False
            return True

        assert all(guarded.predict(FILED, client).status_code == 200 for client in clients)
        assert allowed(FILED)
        guarded.replace_keys(entry("new", new))
        os.kill(guarded.server.process.pid, signal.SIGHUP)
        until(lambda: all(guarded.predict(FILED, client).status_code == 401 for client in clients))
        assert all(guarded.predict(new, client).status_code == 200 for client in clients)
        until(lambda: not allowed(FILED))
        assert allowed(new)
        assert guarded.predict(STATED).status_code == 200
    guarded.replace_keys("[[ broken")
    until(lambda: "stay as they were" in guarded.server.log)
    # A worker that comes now has the keys of now, and not those of the start.
    os.kill(children(guarded.server.process.pid)[0], signal.SIGKILL)
    until(lambda: "replaced" in guarded.server.log)
    with httpx.Client(base_url=guarded.client.base_url, timeout=30, trust_env=False) as client:
        until(lambda: answers(lambda: guarded.predict(new, client).status_code == 200))
        assert guarded.predict(FILED, client).status_code == 401
    assert guarded.server.log.count("stay as they were") == 1


@pytest.mark.parametrize("transport", ["binary", "json", "grpc"])
def test_clients_send_a_key(guarded: Guarded, transport: Any) -> None:
    url = f"grpc://{guarded.grpc}" if transport == "grpc" else str(guarded.client.base_url)
    more: dict[str, Any] = {} if transport == "grpc" else {"transport": transport}
    with septet.Client(url, timeout=30, api_key=FILED, **more) as client:
        assert client.predict(ROWS).shape == (3, 3)
    with septet.Client(url, timeout=30, **more) as client, pytest.raises(Unauthenticated):
        client.predict(ROWS)
    service = remote_service(url, "iris", api_key=FILED, **more)
    assert FILED not in repr(service) + repr(vars(service.predictor))
    with pytest.raises(StartupError, match="API key"):
        remote_service(url, "iris", **more)


def test_a_key_that_cannot_be_one_is_refused_without_being_shown() -> None:
    for make in (septet.Client, septet.AsyncClient):
        with pytest.raises(ValueError, match="api_key") as caught:
            make("http://localhost:1", timeout=1, api_key="a b\r\nc")
        assert "a b" not in str(caught.value)


def test_the_bench_has_its_key_from_the_environment(guarded: Guarded) -> None:
    command = [sys.executable, "-m", "septet", "bench", str(guarded.client.base_url).rstrip("/")]
    command += ["--duration", "0.2", "--warmup", "0", "--connections", "1"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SEPTET_")}
    for key, code in ((FILED, 0), (None, 2)):
        more = {} if key is None else {"SEPTET_API_KEY": key}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env={**environment, **more})
        assert done.returncode == code, done.stderr
        assert FILED not in done.stdout + done.stderr


def test_a_server_with_a_broken_key_file_does_not_start(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    file.write_text(f"[[keys]]\nname = 'a'\nsha256 = '{STATED}'\n")
    command = [sys.executable, "-m", "septet", "serve", str(IRIS), "--port", "0", "--api-keys-file", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "keys.toml" in done.stderr
    assert STATED not in done.stderr + done.stdout


def test_no_command_shows_a_key_of_the_settings(tmp_path: Path) -> None:
    config = tmp_path / "septet-server.toml"
    config.write_text(f'[access]\napi_keys = ["a={STATED}"]\n')
    command = [sys.executable, "-m", "septet", "serve", str(IRIS), "--print-config"]
    done = subprocess.run([*command, "--config", str(config)], capture_output=True, text=True, check=True)
    assert "# api_keys = ********" in done.stdout
    environment = {**os.environ, "SEPTET_API_KEYS": f"short={STATED[:9]},{STATED}"}
    refused = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert refused.returncode == 2
    assert STATED[:9] not in done.stdout + done.stderr + refused.stdout + refused.stderr
    environment = {**os.environ, "SEPTET_API_KEY": STATED}
    refused = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert (refused.returncode, "SEPTET_API_KEYS" in refused.stderr, STATED in refused.stderr) == (2, True, False)


def test_septet_key_makes_what_the_server_takes(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    made = []
    for name, more in (("shop", ["--requests-per-second", "100", "--in-flight", "8"]), ("a.b-c", [])):
        command = [sys.executable, "-m", "septet", "key", name, *more]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        made.append(done.stderr.rpartition(" ")[2].strip())
        assert made[-1] not in done.stdout
        with file.open("a") as out:
            out.write(done.stdout)
    with ServerProcess(septet_serve(IRIS, "--api-keys-file", str(file)), tmp_path / "log") as server:
        for key in made:
            assert server.client.post("/predict", json=BODY, headers=bearer(key)).status_code == 200
        assert "Bearer $API_KEY" in server.log
    refused = subprocess.run(
        [sys.executable, "-m", "septet", "key", "a b"], capture_output=True, text=True, check=False
    )
    assert refused.returncode == 2


def test_another_server_asks_for_keys_too(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "uvicorn", "tests.e2e.services.iris_app:app", "--port", "{port}"]
    (tmp_path / "keys.toml").write_text(KEYS)
    environment = {
        "MODEL_UNDER_TEST": str(IRIS),
        "SEPTET_API_KEYS": f"stated={STATED}",
        "SEPTET_API_KEYS_FILE": str(tmp_path / "keys.toml"),
        "SEPTET_CORS_ORIGINS": ORIGIN,
    }
    with ServerProcess(command, tmp_path / "log", environment=environment) as server:
        client = server.client
        refused = client.post("/predict", json=BODY, headers={"origin": ORIGIN})
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
        assert refused.headers["access-control-allow-origin"] == ORIGIN
        for key in (STATED, FILED):
            assert client.post("/predict", json=BODY, headers=bearer(key)).status_code == 200
        statuses = [client.post("/predict", json=BODY, headers=bearer(FAST)).status_code for _ in range(4 * RATE)]
        assert set(statuses) == {200, 429}
        asking = {"origin": ORIGIN, "access-control-request-method": "POST"}
        assert client.options("/predict", headers=asking).status_code == 200
        new = tmp_path / "new.toml"
        new.write_text("keys = []")
        new.replace(tmp_path / "keys.toml")
        until(lambda: client.post("/predict", json=BODY, headers=bearer(FILED)).status_code == 401)
        assert client.post("/predict", json=BODY, headers=bearer(STATED)).status_code == 200
