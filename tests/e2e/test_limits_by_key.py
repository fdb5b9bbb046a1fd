"""What a key may ask for is bounded, over all workers and every transport, in real processes."""

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import grpc
import httpx
import numpy as np
import pytest
from tritonclient.grpc import service_pb2

import septet
from septet.errors import RateLimited
from tests.e2e.grpc_server import ROWS
from tests.e2e.guarded import BODY, FAST, NARROW, RATE, SHARED, Guarded, answers, infer, serving_guarded
from tests.e2e.process import children
from tests.waiting import until


def test_a_rate_is_kept_and_says_when_to_come_back(guarded: Guarded) -> None:
    before = guarded.metric("septet_key_requests_total", key="fast", outcome="limited")
    begun = time.monotonic()
    answers = [guarded.predict(FAST) for _ in range(4 * RATE)]
    seconds = time.monotonic() - begun
    refused = [each for each in answers if each.status_code == 429]
    assert RATE <= len(answers) - len(refused) <= RATE * (1 + seconds) + 1
    assert all(
        each.json()["error"]["code"] == "rate_limited" and each.headers["retry-after"] == "1" for each in refused
    )
    assert guarded.metric("septet_key_requests_total", key="fast", outcome="limited") == before + len(refused)


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
        assert guarded.metric("septet_key_in_flight", key="narrow") == 2
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


def test_a_worker_that_is_killed_holds_no_requests_in_flight(tmp_path: Path) -> None:
    server, folder = serving_guarded(tmp_path)
    with server:
        guarded = Guarded(server, folder)
        guarded.barrier.touch()
        ends = [abandoned_http(guarded), abandoned_http(guarded)]
        until(lambda: admitted(guarded) == 2)
        assert guarded.predict(NARROW).status_code == 429
        os.kill(children(server.process.pid)[0], signal.SIGKILL)
        guarded.barrier.unlink()
        for end in ends:
            end()
        until(lambda: answers(lambda: guarded.predict(NARROW).status_code == 200))
        assert admitted(guarded) == 3


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
