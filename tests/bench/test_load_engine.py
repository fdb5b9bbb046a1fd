"""Loads on servers of known behaviour, on the test's own loop."""

import asyncio

import numpy as np
import pytest

from septet.bench.load import Load, LoadPlan, Payload, Target
from septet.bench.load_engine import run_load
from septet.bench.recording import Recording
from septet.errors import Unavailable
from tests.bench.servers import Behaviour, FakeServer, answer, at_once
from tests.e2e.process import free_port

STALL_SECONDS = 0.6
STALLED_REQUEST = 40
FEW = 3  # one by the server, and what the machine may add


def plan(port: int, *, payloads: int = 1) -> LoadPlan:
    made = (f"POST /{number} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n" for number in range(payloads))
    found = tuple(Payload(each.encode(), 0, rows=1) for each in made)
    return LoadPlan(Target("127.0.0.1", port, "fake"), found, "prediction")


def recorded(load: Load, behaviour: Behaviour = at_once, *, poll: bool = True) -> Recording:
    async def measured() -> Recording:
        async with FakeServer(behaviour) as server:
            return await run_load(load, plan(server.port), poll=poll)

    return asyncio.run(measured())


class Stalling:
    """Answers at once, but from its n-th request on nothing for a while, and then all that came meanwhile."""

    def __init__(self) -> None:
        self._until: float | None = None

    def __call__(self, number: int) -> tuple[float, bytes | None]:
        now = asyncio.get_running_loop().time()
        if number == STALLED_REQUEST:
            self._until = now + STALL_SECONDS
        return max(0.0, (self._until or now) - now), answer()


def test_a_stall_of_the_server_is_seen_by_all_who_would_have_come_in_an_open_loop() -> None:
    found = recorded(Load(1, 2.0, rate=100.0, timeout=30), Stalling())
    assert found.answered == 200
    # 60 requests were due during the stall, the n-th of which waited for the rest of it.
    assert np.count_nonzero(found.response > STALL_SECONDS / 2) >= 25
    assert np.quantile(found.response, 0.99) > STALL_SECONDS * 0.9
    # The time from sending alone would have hidden them: the only connection was busy, so one was sent.
    assert 1 <= np.count_nonzero(found.service > STALL_SECONDS / 2) <= FEW


def test_a_closed_loop_hides_the_same_stall() -> None:
    found = recorded(Load(1, 2.0, timeout=30), Stalling())
    assert found.answered > 200
    assert 1 <= np.count_nonzero(found.response > STALL_SECONDS / 2) <= FEW
    assert np.quantile(found.response, 0.98) < STALL_SECONDS / 2


@pytest.mark.parametrize("poll", [True, False])
def test_an_open_loop_sends_what_is_due_and_no_more(poll: bool) -> None:  # noqa: FBT001
    found = recorded(Load(4, 0.5, rate=100.0, warmup=0.2), poll=poll)
    assert found.answered == len(found.response) == len(found.service) == len(found.lag) == 50
    assert found.errors == {}
    assert found.elapsed >= 0.5


def test_requests_of_the_warm_up_are_sent_but_not_recorded() -> None:
    async def measured() -> tuple[Recording, int]:
        async with FakeServer() as server:
            found = await run_load(Load(2, 0.2, rate=100.0, warmup=0.3), plan(server.port))
            return found, len(server.targets)

    found, sent = asyncio.run(measured())
    assert (found.answered, sent) == (20, 50)


def test_random_arrivals_are_all_answered() -> None:
    found = recorded(Load(4, 0.5, rate=200.0, arrivals="poisson"))
    assert found.answered == len(found.lag) > 0


def test_each_connection_of_a_closed_loop_has_one_request_at_a_time() -> None:
    found = recorded(Load(3, 0.5), lambda _: (0.05, answer()))
    # 3 connections with an answer each 50 ms at best.
    assert 0 < found.answered <= 3 * 11
    assert found.response.min() >= 0.045
    assert found.lag.size == 0


def test_payloads_are_sent_in_turn() -> None:
    targets: list[bytes] = []

    async def measured() -> None:
        async with FakeServer() as server:
            await run_load(Load(1, 0.1, rate=50.0), plan(server.port, payloads=3), offset=2)
            targets.extend(server.targets)

    asyncio.run(measured())
    assert targets == [b"/2", b"/0", b"/1", b"/2", b"/0"]


def test_refusals_are_counted_by_status_with_an_example_and_do_not_flatter_the_times() -> None:
    refusal = answer(b"too busy", "503 Service Unavailable")
    found = recorded(Load(2, 0.4, rate=50.0), lambda number: (0.0, refusal if number % 2 else answer()))
    assert found.errors == {"status 503": 10}
    assert found.examples == {"status 503": "too busy"}
    assert found.answered == len(found.response) == 10


def test_an_answer_with_too_few_rows_is_an_error() -> None:
    found = recorded(Load(1, 0.1, rate=50.0), lambda _: (0.0, answer(b'{"prediction":[]}')))
    assert found.errors == {"wrong answer": 5}
    assert "1 rows were asked for" in found.examples["wrong answer"]


def test_a_server_that_never_answers_ends_in_timeouts() -> None:
    found = recorded(Load(2, 0.4, timeout=0.2), lambda _: (0.0, None))
    assert found.answered == 0
    assert set(found.errors) == {"timeout"}
    assert found.response.min() >= 0.2


def test_requests_that_wait_for_a_hung_server_in_vain_count_with_their_wait() -> None:
    found = recorded(Load(1, 0.3, rate=20.0, timeout=2.0), lambda _: (0.0, None))
    assert found.answered == 0
    assert found.errors == {"not sent": 5, "timeout": 1}
    assert len(found.response) == 6
    assert found.response.min() > 1.0


def test_a_server_that_closes_each_connection_is_connected_to_again() -> None:
    closing = answer(head="connection: close\r\n")
    found = recorded(Load(2, 0.3), lambda _: (0.0, closing))
    assert found.answered > 2
    assert found.errors == {}


def test_a_connection_that_breaks_is_an_error_and_replaced() -> None:
    found = recorded(Load(2, 0.4, rate=50.0), lambda number: (0.0, b"" if number == 3 else answer()))
    assert found.errors == {"connection lost": 1}
    assert found.answered == 19


def test_what_is_not_http_is_an_error() -> None:
    found = recorded(Load(1, 0.2, rate=20.0), lambda _: (0.0, b"220 mail.example ESMTP\r\n\r\n"))
    assert found.errors == {"connection lost": 4}
    assert "not HTTP/1.1" in found.examples["connection lost"]


def test_an_answer_that_nobody_asked_for_ends_the_connection() -> None:
    found = recorded(Load(1, 0.3, rate=20.0), lambda _: (0.0, answer() + answer()))
    assert found.answered == 6


def test_an_interim_answer_is_not_the_answer() -> None:
    interim = b"HTTP/1.1 103 Early Hints\r\n\r\n"
    found = recorded(Load(1, 0.2, rate=20.0), lambda _: (0.0, interim + answer()))
    assert (found.answered, found.errors) == (4, {})


def test_a_body_in_chunks_is_read_whole() -> None:
    chunks = b'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\n{"predict\r\na\r\nion": [1]}\r\n0\r\n\r\n'
    found = recorded(Load(1, 0.2, rate=20.0), lambda _: (0.0, chunks))
    assert (found.answered, found.errors) == (4, {})


def test_a_server_that_is_not_there_is_told_at_once() -> None:
    with pytest.raises(Unavailable, match="fake: cannot be connected to"):
        asyncio.run(run_load(Load(2, 0.2), plan(free_port())))


@pytest.mark.parametrize("rate", [None, 50.0])
def test_a_server_that_goes_away_ends_in_errors_and_not_in_a_hang(rate: float | None) -> None:
    async def measured() -> Recording:
        async with FakeServer() as server:

            def leaving(number: int) -> tuple[float, bytes | None]:
                if number >= 5:
                    server.close()
                    return 0.0, b""
                return 0.0, answer()

            server.behaviour = leaving
            return await run_load(Load(2, 0.5, rate=rate, timeout=0.5), plan(server.port))

    found = asyncio.run(measured())
    assert found.answered == 5
    assert found.errors["cannot connect"] > 0


def test_progress_is_told_while_a_load_runs() -> None:
    told: list[tuple[int, int]] = []

    async def measured() -> None:
        async with FakeServer() as server:
            await run_load(Load(1, 1.2, rate=20.0), plan(server.port), progress=lambda *each: told.append(each))

    asyncio.run(measured())
    assert told[0] == (0, 0)
    assert told[-1][0] > 0


def test_a_generator_that_polls_until_a_request_is_due_counts_as_idle() -> None:
    assert recorded(Load(1, 0.5, rate=400.0)).cpu_share < 0.7
