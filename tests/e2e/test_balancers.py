"""Three servers behind a real nginx and a real HAProxy, configured by `septet render`, while servers are killed."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import httpx
import numpy as np
import pytest
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from tests.e2e.process import IRIS, ServerProcess, free_port, septet_serve
from tests.waiting import until

ROW = [5.1, 3.5, 1.4, 0.2]
MOST_BYTES = 200_000
KILLS = 4
CALLS = 300


class Replica:
    """One server, which can be killed and started again on the same ports."""

    def __init__(self, folder: Path, number: int) -> None:
        self._log = folder / f"replica{number}.log"
        self.port, self.grpc_port = free_port(), free_port()
        self._stack = contextlib.ExitStack()
        self.start()

    def start(self) -> None:
        """Start it, on the same ports each time."""
        limits = ["--max-body-bytes", str(MOST_BYTES), "--admin-socket", "none"]
        command = [*septet_serve(IRIS), "--grpc-port", str(self.grpc_port), *limits]
        self.server = self._stack.enter_context(ServerProcess(command, self._log, port=self.port))

    def has_predicted(self) -> bool:
        """Whether the balancer has sent it a request since it was started."""
        return self.server.metric("septet_requests_total", route="/predict", code="ok") > 0

    def kill(self) -> None:
        """End it as a crash would, with its workers."""
        os.killpg(self.server.process.pid, signal.SIGKILL)
        self.server.process.wait()

    def stop(self) -> None:
        """End it."""
        self._stack.close()


class Balanced:
    """A balancer and what is behind it."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.port, self.grpc_port = free_port(), free_port()
        self.replicas: list[Replica] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def configuration(self) -> Path:
        """Render it by the command, with what the balancer needs around it to run as a test's own process."""
        file = self.folder / "rendered.conf"
        replicas = [word for each in self.replicas for word in ("--replica", f"127.0.0.1:{each.port}")]
        calls = [word for each in self.replicas for word in ("--grpc-replica", f"127.0.0.1:{each.grpc_port}")]
        ports = ["--listen", str(self.port), "--grpc-listen", str(self.grpc_port)]
        command = [sys.executable, "-m", "septet", "render", self.name, *replicas, *calls, *ports]
        subprocess.run([*command, "--max-body-bytes", str(MOST_BYTES), "--output", str(file)], check=True)
        return file

    def command(self) -> list[str]:
        file = self.configuration()
        if self.name == "haproxy":
            return ["haproxy", "-db", "-f", str(file)]
        whole = self.folder / "nginx.conf"
        paths = "".join(
            f"{kind}_temp_path {self.folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        whole.write_text(
            f"daemon off; pid {self.folder}/pid; error_log {self.folder}/error.log; worker_processes 1; events {{}}\n"
            f"http {{ access_log off; {paths} include {file}; }}\n"
        )
        return ["nginx", "-e", f"{self.folder}/error.log", "-c", str(whole)]


@pytest.fixture(scope="module", params=["nginx", "haproxy"])
def balanced(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Balanced]:
    name = str(request.param)
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    folder = tmp_path_factory.mktemp(name)
    balanced = Balanced(name, folder)
    with contextlib.ExitStack() as stack:
        for number in range(3):
            replica = Replica(folder, number)
            stack.callback(replica.stop)
            balanced.replicas.append(replica)
        with (folder / "balancer.log").open("wb") as log:
            process = subprocess.Popen(balanced.command(), stdout=log, stderr=log, start_new_session=True)
        try:
            until(lambda: answers(f"{balanced.url}/health/ready"))
            yield balanced
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def answers(url: str) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(url, trust_env=False).status_code == httpx.codes.OK
    return False


def ask(url: str, over: threading.Event) -> Counter[str]:
    """Ask without a pause; one that fails is asked once more, and what comes then is counted."""
    outcomes = Counter[str]()
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        while not over.is_set():
            for attempt in (1, 2):
                try:
                    reply = client.post("/predict", json={"data": [ROW]})
                except httpx.TransportError as error:
                    outcome = type(error).__name__
                else:
                    outcome = str(reply.status_code)
                if outcome == "200" or attempt == 2:
                    outcomes[outcome] += 1
                    break
                outcomes["again"] += 1
    return outcomes


def test_no_request_fails_while_servers_are_killed(balanced: Balanced) -> None:
    chooser, over = random.Random(1), threading.Event()
    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(ask, balanced.url, over) for _ in range(4)]
        try:
            for _ in range(KILLS):
                victim = chooser.choice(balanced.replicas)
                victim.kill()
                victim.start()
                # Else the next one would be killed while the balancer still takes this one for dead.
                until(victim.has_predicted)
        finally:
            over.set()
        outcomes = sum((each.result() for each in asking), Counter[str]())
    again = outcomes.pop("again", 0)
    assert set(outcomes) == {"200"}, outcomes
    assert again <= outcomes["200"] / 10


def calls(address: str, count: int) -> None:
    with triton.InferenceServerClient(address) as client:
        (described,) = client.get_model_metadata("iris").inputs
        tensor = triton.InferInput(described.name, [1, 4], described.datatype)
        tensor.set_data_from_numpy(np.array([ROW], np.float32))
        for _ in range(count):
            client.infer("iris", [tensor])


def test_calls_over_one_grpc_channel_reach_every_server(balanced: Balanced) -> None:
    address = f"127.0.0.1:{balanced.grpc_port}"
    grpc.channel_ready_future(grpc.insecure_channel(address)).result(60)
    # A balancer may still leave alone a server that was killed before.
    until(lambda: served_by_all(balanced, address, 9))
    before = [served_calls(each) for each in balanced.replicas]

    calls(address, CALLS)

    shares = [(served_calls(each) - start) / CALLS for each, start in zip(balanced.replicas, before, strict=True)]
    assert sum(shares) == pytest.approx(1)
    assert all(0.2 < share < 0.5 for share in shares), shares


def served_by_all(balanced: Balanced, address: str, count: int) -> bool:
    """Make `count` calls, and say whether each server was reached."""
    before = [served_calls(each) for each in balanced.replicas]
    calls(address, count)
    return all(served_calls(each) > start for each, start in zip(balanced.replicas, before, strict=True))


def served_calls(replica: Replica) -> float:
    return replica.server.metric("septet_requests_total", route="/inference.GRPCInferenceService/ModelInfer")


def test_a_body_over_the_limit_is_refused_in_the_words_of_the_server(balanced: Balanced) -> None:
    reply = httpx.post(f"{balanced.url}/predict", content=b" " * (MOST_BYTES + 1), trust_env=False)

    assert reply.status_code == httpx.codes.REQUEST_ENTITY_TOO_LARGE
    assert reply.json()["error"]["code"] == "too_large"


def test_an_id_that_would_end_a_text_of_json_breaks_no_body_of_the_balancer(balanced: Balanced) -> None:
    headers = {"x-request-id": 'mine","code":"evil'}
    reply = httpx.post(f"{balanced.url}/predict", content=b" " * (MOST_BYTES + 1), headers=headers, trust_env=False)

    assert reply.json()["error"]["code"] == "too_large"


def test_the_metrics_of_one_server_are_not_published(balanced: Balanced) -> None:
    assert httpx.get(f"{balanced.url}/metrics", trust_env=False).status_code == httpx.codes.NOT_FOUND


def test_a_request_keeps_its_id_and_has_one(balanced: Balanced) -> None:
    named = httpx.get(f"{balanced.url}/health", headers={"x-request-id": "mine"}, trust_env=False)
    unnamed = httpx.get(f"{balanced.url}/health", trust_env=False)

    assert named.headers["x-request-id"] == "mine"
    assert len(unnamed.headers["x-request-id"]) >= 32


def test_where_no_server_answers_callers_are_told_so(balanced: Balanced) -> None:
    for each in balanced.replicas:
        each.kill()

    reply = until(lambda: gone(balanced))
    assert reply is not None
    assert reply.headers["retry-after"] == "1"
    assert reply.json()["error"]["code"] == "unavailable"
    with pytest.raises(InferenceServerException, match="UNAVAILABLE"):
        calls(f"127.0.0.1:{balanced.grpc_port}", 1)

    for each in balanced.replicas:
        each.start()
    until(lambda: answers(f"{balanced.url}/health/ready"))


def gone(balanced: Balanced) -> httpx.Response | None:
    reply = httpx.post(f"{balanced.url}/predict", json={"data": [ROW]}, trust_env=False)
    return reply if reply.status_code == httpx.codes.SERVICE_UNAVAILABLE else None
