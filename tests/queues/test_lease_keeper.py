"""Who beats keeps its jobs; who does not loses them, but for what nobody could have told."""

from collections.abc import Sequence

import pytest

from septet.queues.job import JobState
from septet.queues.job_store import StoreFailed
from septet.queues.lease_keeper import KeeperOrder, LeaseKeeper
from septet.queues.memory_store import MemoryStore
from septet.queues.store_address import StoreAddress
from tests.queues.samples import NOW, a_job, accept, begin

LEASE = 8.0


class FailingStore(MemoryStore):
    """A store that is away while it is told to be."""

    away = False

    def beat(self, worker: str, now: float) -> Sequence[str] | None:
        if self.away:
            raise StoreFailed("it is away")
        return super().beat(worker, now)


class Clock:
    """Seconds that go on when they are told to."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store() -> FailingStore:
    """A store in which the worker `a` has begun a job, and `b` has joined."""
    store = FailingStore()
    for name in ("a", "b"):
        store.join(name, ["iris"], NOW)
    accept(store, a_job())
    assert begin(store, worker="a")
    return store


def keeper(store: FailingStore, name: str, clock: Clock) -> LeaseKeeper:
    return LeaseKeeper(store, KeeperOrder(StoreAddress(""), name, 0, (), LEASE), lambda _: False, clock)


def names(store: FailingStore) -> list[str]:
    return [each.id for each in store.workers()]


def test_a_worker_that_does_not_beat_for_the_time_of_a_lease_loses_its_jobs(store: FailingStore) -> None:
    clock = Clock()
    other = keeper(store, "b", clock)
    for _ in range(4):
        other.look()
        clock.now += LEASE / 4
    assert names(store) == ["a", "b"]
    for _ in range(2):
        other.look()
        clock.now += LEASE / 4
    assert names(store) == ["b"]
    assert store.stats(NOW).states[JobState.QUEUED] == 1


def test_an_outage_of_the_store_takes_no_job_from_a_worker_that_lives(store: FailingStore) -> None:
    clock = Clock()
    own, other = keeper(store, "a", clock), keeper(store, "b", clock)
    own.look()
    other.look()
    store.away = True
    for _ in range(10):
        clock.now += LEASE / 4
        for each in (own, other):
            with pytest.raises(StoreFailed):
                each.look()
    store.away = False
    # The one that looks first has had no sign of the other for the time of several leases.
    assert other.look() == own.look() == []
    assert names(store) == ["a", "b"]
    assert store.stats(NOW).states[JobState.RUNNING] == 1


def test_a_keeper_that_stood_still_judges_nobody_by_what_it_saw_before(store: FailingStore) -> None:
    clock = Clock()
    other = keeper(store, "b", clock)
    other.look()
    clock.now += 3600.0
    other.look()
    assert names(store) == ["a", "b"]
