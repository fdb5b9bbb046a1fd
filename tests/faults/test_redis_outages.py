"""What callers and workers see while Redis is away: 503 with what to do, then everything goes on by itself."""

from collections.abc import Iterator

import pytest

from tests.e2e.process import ServerProcess
from tests.e2e.services.misbehaving import SLEEPS
from tests.faults.job_servers import MISBEHAVING, ended, refused, serving, submit
from tests.redis_servers import RedisServer, needs_redis
from tests.waiting import until

pytestmark = needs_redis
#: Longer than a lease, which is of a second.
OUTAGE_SECONDS = 2.5


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    with RedisServer(appendonly="yes", appendfsync="always") as server:
        yield server


@pytest.fixture(scope="module")
def server(redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    log = tmp_path_factory.mktemp("outages") / "log"
    with serving(redis_server.url, log, "--job-workers", "2", *MISBEHAVING) as server:
        yield server
        assert "Traceback" not in server.log


def test_while_redis_is_down_submitting_is_refused_and_no_job_is_lost(
    server: ServerProcess, redis_server: RedisServer
) -> None:
    accepted = [submit(server) for _ in range(20)]
    redis_server.kill()
    reason = refused(server)
    assert "cannot be reached" in reason
    asked = server.client.get(f"/job/{accepted[0]}")
    assert (asked.status_code, asked.json()["error"]["message"]) == (503, reason)
    assert server.prediction("/predict", {"data": [[5.1, 3.5, 1.4, 0.2]]})
    redis_server.start()
    accepted.append(submit(server))
    assert {each["state"] for each in ended(server, accepted)} == {"succeeded"}


def test_a_redis_that_stands_still_for_longer_than_a_lease_costs_no_job_an_attempt(
    server: ServerProcess, redis_server: RedisServer
) -> None:
    slow = submit(server, SLEEPS)  # for 3.5 seconds
    until(lambda: server.client.get(f"/job/{slow}").json()["state"] == "running")
    redis_server.client.client_pause(int(OUTAGE_SECONDS * 1000), all=True)
    quick = submit(server)  # answered once Redis goes on
    assert [(each["state"], each["attempts"]) for each in ended(server, [slow, quick])] == [("succeeded", 1)] * 2


def test_while_redis_has_no_memory_submitting_is_refused_and_what_waits_is_answered(
    server: ServerProcess, redis_server: RedisServer
) -> None:
    accepted = [submit(server) for _ in range(20)]
    redis_server.client.config_set("maxmemory", "1mb")
    assert "out of memory" in refused(server)
    assert {each["state"] for each in ended(server, accepted)} == {"succeeded"}
    redis_server.client.config_set("maxmemory", "0")
    assert refused(server) == ""
