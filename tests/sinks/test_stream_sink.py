"""Answers that are brought to a stream of a real Redis."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from septet.sinks.delivery import DeliveryFailed
from septet.sinks.open_sinks import OpenSinks
from septet.sinks.sink_policy import SinkPolicy
from septet.sinks.stream_sink import REMEMBERED_SECONDS
from tests.redis_servers import RedisServer, needs_redis
from tests.sinks.samples import BINARY_REPLY, DELIVERY_ID, JOB_ID, delivery

pytestmark = needs_redis


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    with RedisServer() as server:
        yield server.socket


@pytest.fixture
def client(place: Path) -> Iterator[Any]:
    with redis.Redis(unix_socket_path=str(place)) as client:
        client.flushall()
        yield client


@pytest.fixture
def sinks(place: Path) -> Iterator[OpenSinks]:
    opened = _opened(place, "&maxlen=100")
    yield opened
    opened.close()


def _opened(place: Path, more: str = "") -> OpenSinks:
    return OpenSinks(SinkPolicy(sinks=(f"stream=unix://{place}?stream=answers{more}",)))


def test_an_answer_is_one_entry_however_often_it_is_brought(client: Any, sinks: OpenSinks) -> None:
    for attempt in range(1, 4):
        sinks.deliver("stream", delivery(attempt=attempt))
    ((_, entry),) = client.xrange("answers")
    assert (entry[b"id"], entry[b"job_id"], entry[b"state"]) == (DELIVERY_ID.encode(), JOB_ID.encode(), b"succeeded")
    assert json.loads(entry[b"message"])["data"]["answer"]["body"] == {"predictions": [1, 2.5]}
    (remembered,) = set(client.keys()) - {b"answers"}
    assert 0 < client.ttl(remembered) <= REMEMBERED_SECONDS


def test_each_delivery_has_an_entry_and_the_stream_is_bounded(client: Any, sinks: OpenSinks) -> None:
    for number in range(500):
        sinks.deliver("stream", delivery(id=f"{number:032x}", reply=BINARY_REPLY))
    # Redis trims whole nodes of a hundred entries.
    assert 100 <= client.xlen("answers") <= 200
    assert client.xrevrange("answers", count=1)[0][1][b"id"] == f"{499:032x}".encode()


def test_what_is_not_added_is_not_remembered(client: Any, sinks: OpenSinks) -> None:
    client.set("answers", "no stream")
    with pytest.raises(DeliveryFailed, match="WRONGTYPE"):
        sinks.deliver("stream", delivery())
    client.delete("answers")
    used = client.info("memory")["used_memory"]
    client.config_set("maxmemory", used // 2)
    try:
        with pytest.raises(DeliveryFailed, match="maxmemory"):
            sinks.deliver("stream", delivery())
    finally:
        client.config_set("maxmemory", 0)
    assert client.keys() == []
    sinks.deliver("stream", delivery())
    assert client.xlen("answers") == 1


def test_a_server_that_is_away_may_come_back() -> None:
    with RedisServer() as server:
        server.kill()
        opened = _opened(server.socket)
        with pytest.raises(DeliveryFailed, match=r"unix://.*took no entry"):
            opened.deliver("stream", delivery())
        server.start()
        opened.deliver("stream", delivery())
        server.kill()
        with pytest.raises(DeliveryFailed):
            opened.deliver("stream", delivery())
        opened.close()


def test_a_wrong_password_is_not_told(place: Path) -> None:
    opened = OpenSinks(SinkPolicy(sinks=(f"stream=unix://user:hidden@{place}?stream=a",)))
    with pytest.raises(DeliveryFailed) as failed:
        opened.deliver("stream", delivery())
    assert "hidden" not in str(failed.value)
    opened.close()
