"""Who may ask a server: keys, their limits, pages of other origins, hosts; over every transport, in real processes."""

import contextlib
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tritonclient.grpc import service_pb2

import septet
from septet.errors import RateLimited, StartupError, Unauthenticated
from septet.remote.remote_service import remote_service
from tests.e2e.grpc_server import ROWS, grpc_address
from tests.e2e.process import IRIS, ServerProcess, children, septet_serve
from tests.waiting import until

STATED, FILED, FAST, NARROW, SHARED = (
    f"{name}-key-0123456789" for name in ("stated", "filed", "fast", "narrow", "all")
)
BODY = {"data": [[5.1, 3.5, 1.4, 0.2]]}
RATE = 5
ORIGIN = "https://app.example.com"


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def entry(name: str, key: str, more: str = "") -> str:
    return f'[[keys]]\nname = "{name}"\nsha256 = "{hashlib.sha256(key.encode()).hexdigest()}"\n{more}\n'


KEYS = "".join(
    (
        entry("filed", FILED),
        entry("fast", FAST, f"requests_per_second = {RATE}"),
        entry("narrow", NARROW, "in_flight = 2"),
        entry("shared", SHARED, "requests_per_second = 20\nin_flight = 3"),
    )
)


class Guarded:
    """A server with keys, whose requests can be held back."""

    def __init__(self, server: ServerProcess, folder: Path) -> None:
        self.server, self.folder, self.grpc = server, folder, grpc_address(server)
        self.client, self.barrier = server.client, folder / "held"

    def predict(self, key: str | None, client: httpx.Client | None = None) -> httpx.Response:
        return (client or self.client).post("/predict", json=BODY, headers={} if key is None else bearer(key))

    def replace_keys(self, text: str) -> None:
        """Put another key file in place, as `mv` does."""
        new = self.folder / "new.toml"
        new.write_text(text)
        new.replace(self.folder / "keys.toml")

    def metric(self, name: str, **labels: str) -> float:
        page = self.client.get("/metrics", headers=bearer(STATED)).text
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        found = [line for line in page.splitlines() if line.startswith(name) and all(each in line for each in wanted)]
        return sum(float(line.rpartition(" ")[2]) for line in found)


def serving_guarded(folder: Path, *options: str) -> tuple[ServerProcess, Path]:
    (folder / "keys.toml").write_text(KEYS)
    command = septet_serve(
        IRIS,
        *("--grpc-port", "0", "--api-keys-file", str(folder / "keys.toml"), "--access-log"),
        *("--middleware", "tests.e2e.services.held:held", "--admin-socket", "none", *options),
    )
    environment = {"SEPTET_API_KEYS": f"stated={STATED}", "HELD": str(folder / "held")}
    return ServerProcess(command, folder / "log", environment=environment), folder


@pytest.fixture(scope="module", params=[1, 2], ids=["one worker", "two workers"])
def guarded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    server, folder = serving_guarded(tmp_path_factory.mktemp("guarded"), "--workers", str(request.param))
    with server:
        yield Guarded(server, folder)
    for secret in (STATED, FILED, FAST, NARROW, SHARED):
        assert secret not in server.log


def infer(address: str, metadata: Sequence[tuple[str, str]] = (), method: str = "ModelInfer") -> Any:
    message = service_pb2.ModelInferRequest(model_name="iris")
    message.inputs.add(name="input", datatype="FP32", shape=[1, 4]).contents.fp32_contents.extend(ROWS[0].tolist())
    with grpc.insecure_channel(address) as channel:
        call = channel.unary_unary(f"/inference.GRPCInferenceService/{method}", _registered_method=False)
        try:
            call(message.SerializeToString(), metadata=list(metadata), timeout=30)
        except grpc.RpcError as error:
            return error
    return None


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


def test_a_rate_is_kept_and_says_when_to_come_back(guarded: Guarded) -> None:
    begun = time.monotonic()
    answers = [guarded.predict(FAST) for _ in range(4 * RATE)]
    seconds = time.monotonic() - begun
    refused = [each for each in answers if each.status_code == 429]
    assert RATE <= len(answers) - len(refused) <= RATE * (1 + seconds) + 1
    assert all(
        each.json()["error"]["code"] == "rate_limited" and each.headers["retry-after"] == "1" for each in refused
    )
    assert guarded.metric("septet_key_requests_total", key="fast", outcome="limited") == len(refused)


def test_a_rate_over_grpc_is_resource_exhausted(guarded: Guarded) -> None:
    metadata = [("x-api-key", FAST)]
    errors = [infer(guarded.grpc, metadata) for _ in range(4 * RATE)]
    codes = {error.code() for error in errors if error is not None}
    assert codes == {grpc.StatusCode.RESOURCE_EXHAUSTED}


class HeldRequests:
    """Requests that are sent by threads, and wait behind the barrier."""

    def __init__(self, guarded: Guarded, key: str) -> None:
        self._guarded, self._key = guarded, key
        self.statuses: list[int] = []
        self._threads: list[threading.Thread] = []

    def send(self) -> None:
        thread = threading.Thread(target=self._ask)
        thread.start()
        self._threads.append(thread)

    def _ask(self) -> None:
        with httpx.Client(base_url=self._guarded.client.base_url, timeout=60, trust_env=False) as client:
            self.statuses.append(self._guarded.predict(self._key, client).status_code)

    def join(self) -> list[int]:
        for thread in self._threads:
            thread.join()
        return self.statuses


def admitted(guarded: Guarded) -> float:
    """The requests of the key with a bound in flight that were let in."""
    return guarded.metric("septet_key_requests_total", key="narrow", outcome="admitted")


def test_requests_in_flight_are_bounded_over_all_workers(guarded: Guarded) -> None:
    guarded.barrier.touch()
    before = admitted(guarded)
    held = HeldRequests(guarded, NARROW)
    try:
        held.send()
        until(lambda: admitted(guarded) == before + 1)
        held.send()
        until(lambda: admitted(guarded) == before + 2)
        refused = guarded.predict(NARROW)
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limited")
        assert refused.headers["retry-after"] == "1"
    finally:
        guarded.barrier.unlink()
    assert held.join() == [200, 200]
    assert guarded.predict(NARROW).status_code == 200


def abandoned_http(guarded: Guarded) -> Callable[[], None]:
    sender = socket.create_connection(("127.0.0.1", guarded.server.port))
    body = json.dumps(BODY).encode()
    sender.sendall(
        b"POST /predict HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nx-api-key: %b\r\n"
        b"content-length: %d\r\n\r\n%b" % (NARROW.encode(), len(body), body)
    )
    # The end is a reset: who has only ended sending may still read.
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    return sender.close


def abandoned_grpc(guarded: Guarded) -> Callable[[], None]:
    message = service_pb2.ModelInferRequest(model_name="iris")
    message.inputs.add(name="input", datatype="FP32", shape=[1, 4]).contents.fp32_contents.extend(ROWS[0].tolist())
    channel = grpc.insecure_channel(guarded.grpc)
    method = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer", _registered_method=False)
    future = method.future(message.SerializeToString(), metadata=[("x-api-key", NARROW)])

    def cancel() -> None:
        future.cancel()
        channel.close()

    return cancel


@pytest.mark.parametrize("begin", [abandoned_http, abandoned_grpc])
def test_a_request_that_its_client_gives_up_is_in_flight_no_longer(
    guarded: Guarded, begin: Callable[[Guarded], Callable[[], None]]
) -> None:
    guarded.barrier.touch()
    held = HeldRequests(guarded, NARROW)
    try:
        before, cancelled = admitted(guarded), guarded.metric("septet_requests_total", code="cancelled")
        ends = [begin(guarded), begin(guarded)]
        until(lambda: admitted(guarded) == before + 2)
        assert guarded.predict(NARROW).status_code == 429
        for end in ends:
            end()
        until(lambda: guarded.metric("septet_requests_total", code="cancelled") == cancelled + 2)
        # There is room for two again, while what was given up would still be held.
        held.send()
        held.send()
        until(lambda: admitted(guarded) == before + 4)
        assert guarded.predict(NARROW).status_code == 429
    finally:
        guarded.barrier.unlink()
    assert held.join() == [200, 200]


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
        until(lambda: _answers(lambda: guarded.predict(new, client).status_code == 200))
        assert guarded.predict(FILED, client).status_code == 401
    assert guarded.server.log.count("stay as they were") == 1


def _answers(ask: Callable[[], bool]) -> bool:
    try:
        return ask()
    except httpx.TransportError:
        return False


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


def test_a_client_comes_back_when_its_key_may_ask_again(guarded: Guarded) -> None:
    with septet.Client(str(guarded.client.base_url), timeout=60, api_key=FAST, retries=3) as client:
        for _ in range(RATE + 3):
            assert np.asarray(client.predict(ROWS)).shape == (3, 3)
    with septet.Client(str(guarded.client.base_url), timeout=60, api_key=FAST, retries=0) as client:

        def ask_too_often() -> None:
            while True:
                client.predict(ROWS)

        with pytest.raises(RateLimited):
            ask_too_often()


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


def test_a_rate_holds_over_all_workers_under_load(tmp_path: Path) -> None:
    server, folder = serving_guarded(tmp_path, "--workers", "3")
    with server:
        guarded = Guarded(server, folder)
        begun = time.monotonic()
        counts: list[int] = []

        def ask() -> None:
            with httpx.Client(base_url=guarded.client.base_url, timeout=60, trust_env=False) as client:
                counts.append(sum(guarded.predict(SHARED, client).status_code == 200 for _ in range(60)))

        threads = [threading.Thread(target=ask) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.monotonic() - begun
        # A count may be lost where two workers count at once.
        assert 20 - 6 <= sum(counts) <= 20 * (1 + seconds) * 1.2 + 1
        assert guarded.metric("septet_key_requests_total", key="shared", outcome="admitted") == sum(counts)


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
