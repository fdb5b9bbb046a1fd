"""Every store that there is, fresh for each test."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TypeAlias

import pytest

from septet.queues.job_store import JobStore, StoreLimits
from septet.queues.memory_store import MemoryStore

#: Makes a store with limits; of one test all have the same jobs, where they can.
MakeStore: TypeAlias = Callable[..., JobStore]

STORES = ("memory",)


@pytest.fixture(params=STORES)
def make_store(request: pytest.FixtureRequest) -> Iterator[MakeStore]:
    """Makes stores of one kind, and closes them."""
    with ExitStack() as opened:

        def make(limits: StoreLimits | None = None) -> JobStore:
            assert request.param == "memory"
            store = MemoryStore(limits)
            opened.callback(store.close)
            return store

        yield make


@pytest.fixture
def store(make_store: MakeStore) -> JobStore:
    """A store without jobs, whose worker `w` takes those of `iris`."""
    made = make_store()
    made.join("w", ["iris"], 0.0)
    return made
