"""Every store that there is, fresh for each test."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from secrets import token_hex
from typing import TypeAlias

import pytest

from septet.queues.job_store import JobStore, StoreLimits
from septet.queues.memory_store import MemoryStore
from septet.queues.redis_store import RedisStore
from septet.queues.sqlite_store import SqliteStore
from tests.redis_servers import RedisServer, needs_redis

#: Makes a store with limits; of one test all have the same jobs, where they can.
MakeStore: TypeAlias = Callable[..., JobStore]

STORES = ("memory", "sqlite", pytest.param("redis", marks=needs_redis))


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A server that keeps nothing, for all tests; each has a queue of its own."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """Of a queue without jobs."""
    return f"{redis_server.url}?queue={token_hex(4)}"


def open_new(kind: str, place: Path | str, limits: StoreLimits | None = None) -> JobStore:
    """A store of a kind: in a folder, or at the URL of Redis; of one place all have the same jobs."""
    if kind == "memory":
        return MemoryStore(limits)
    if isinstance(place, str):
        return RedisStore(place, limits)
    # Nothing that a test finds depends on whether the disk is waited for.
    return SqliteStore(place / "jobs.db", limits, "normal")


@pytest.fixture(params=STORES)
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeStore]:
    """Makes stores of one kind, and closes them."""
    with ExitStack() as opened:

        def make(limits: StoreLimits | None = None) -> JobStore:
            place = request.getfixturevalue("redis_url") if request.param == "redis" else tmp_path
            store = open_new(request.param, place, limits)
            opened.callback(store.close)
            return store

        yield make


@pytest.fixture
def store(make_store: MakeStore) -> JobStore:
    """A store without jobs, whose worker `w` takes those of `iris`."""
    made = make_store()
    made.join("w", ["iris"], 0.0)
    return made
