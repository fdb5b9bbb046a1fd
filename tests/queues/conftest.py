"""Every store that there is, fresh for each test."""

import atexit
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from secrets import token_hex
from typing import TypeAlias
from urllib.parse import urlencode

import pytest

from septet.queues.job_store import JobStore, StoreLimits
from septet.queues.memory_store import MemoryStore
from septet.queues.redis_store import RedisStore
from septet.queues.sqlite_store import SqliteStore
from tests.redis_servers import RedisServer, needs_redis

#: Makes a store with limits; of one test all have the same jobs, where they can.
MakeStore: TypeAlias = Callable[..., JobStore]

STORES = ("memory", "sqlite", pytest.param("redis", marks=needs_redis))


@cache
def shared_redis() -> RedisServer:
    """A server that keeps nothing, for all tests of a process; each has a queue of its own."""
    server = RedisServer()
    server.start()
    atexit.register(server.end)
    return server


@pytest.fixture
def redis_server() -> RedisServer:
    """A server that keeps nothing, for all tests."""
    return shared_redis()


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """Of a queue without jobs."""
    return f"{redis_server.url}?queue={token_hex(4)}"


def open_new(kind: str, folder: Path, limits: StoreLimits | None = None) -> JobStore:
    """A store of a kind, in a folder if it is one that needs a place; of one folder all have the same jobs."""
    if kind == "memory":
        return MemoryStore(limits)
    if kind == "redis":
        return RedisStore(f"{shared_redis().url}?{urlencode({'queue': str(folder)})}", limits)
    # Nothing that a test finds depends on whether the disk is waited for.
    return SqliteStore(folder / "jobs.db", limits, "normal")


@pytest.fixture(params=STORES)
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeStore]:
    """Makes stores of one kind, and closes them."""
    with ExitStack() as opened:

        def make(limits: StoreLimits | None = None) -> JobStore:
            store = open_new(request.param, tmp_path, limits)
            opened.callback(store.close)
            return store

        yield make


@pytest.fixture
def store(make_store: MakeStore) -> JobStore:
    """A store without jobs, whose worker `w` takes those of `iris`."""
    made = make_store()
    made.join("w", ["iris"], 0.0)
    return made
