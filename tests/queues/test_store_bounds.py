"""How much a store of jobs takes, and how long it keeps it: every store, whatever it is made of."""

import msgspec

from septet.errors import Overloaded
from septet.queues.job import JobState
from septet.queues.job_store import Accepted, Forgotten, StoreLimits
from tests.queues.conftest import MakeStore
from tests.queues.samples import NOW, REPLY, a_job, accept, begin, found, success


def test_a_full_store_takes_no_more(make_store: MakeStore) -> None:
    store = make_store(StoreLimits(max_waiting=2))
    store.join("w", ["iris"], NOW)
    outcomes = store.accept([a_job() for _ in range(4)], NOW)
    assert [type(each) for each in outcomes] == [Accepted, Accepted, Overloaded, Overloaded]
    assert isinstance(outcomes[2], Overloaded)
    assert 1 <= outcomes[2].retry_after <= 60
    begin(store, 1)
    assert [type(each) for each in store.accept([a_job(), a_job()], NOW)] == [Accepted, Overloaded]


def test_a_store_has_a_most_of_bytes(make_store: MakeStore) -> None:
    store = make_store(StoreLimits(max_bytes=1000, keep_seconds=10.0))
    store.join("w", ["iris"], NOW)
    big = [a_job(body=bytes(600)) for _ in range(2)]
    assert [type(each) for each in store.accept(big, NOW)] == [Accepted, Overloaded]
    assert store.stats(NOW).stored_bytes == 600
    begin(store)
    store.settle("w", [success(big[0].id, reply=msgspec.structs.replace(REPLY, body=bytes(300)))], NOW)
    assert store.stats(NOW).stored_bytes == 900
    assert store.sweep(NOW + 11, 10) == 1
    assert store.stats(NOW).stored_bytes == 0
    assert [type(each) for each in store.accept(big[1:], NOW)] == [Accepted]


def test_a_store_in_which_a_job_waits_too_long_takes_no_more(make_store: MakeStore) -> None:
    store = make_store(StoreLimits(max_waiting_seconds=100.0))
    accept(store, a_job())
    assert [type(each) for each in store.accept([a_job()], NOW + 99)] == [Accepted]
    assert [type(each) for each in store.accept([a_job()], NOW + 101)] == [Overloaded]


def test_what_is_over_is_kept_for_a_time_and_known_as_over_for_as_long_again(make_store: MakeStore) -> None:
    store = make_store(StoreLimits(keep_seconds=60.0))
    store.join("w", ["iris"], NOW)
    job, waits = a_job(), a_job(not_before=NOW + 1e6)
    accept(store, job, waits)
    begin(store)
    store.settle("w", [success(job.id)], NOW)
    assert found(store, job.id).keep_until == NOW + 60
    assert store.sweep(NOW + 59, 100) == 0
    assert store.sweep(NOW + 60, 100) == 1
    assert store.find([job.id]) == [Forgotten()]
    assert store.reply(job.id) is None
    assert store.body(job.id) is None
    store.sweep(NOW + 121, 100)
    assert store.find([job.id]) == [None]
    assert found(store, waits.id).state is JobState.QUEUED


def test_a_sweep_does_as_much_as_it_is_told(make_store: MakeStore) -> None:
    store = make_store(StoreLimits(keep_seconds=1.0))
    store.join("w", ["iris"], NOW)
    ids = accept(store, *(a_job() for _ in range(10)))
    begin(store)
    store.settle("w", [success(each) for each in ids], NOW)
    assert [store.sweep(NOW + 2, 4) for _ in range(4)] == [4, 4, 2, 0]
