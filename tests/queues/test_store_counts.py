"""What every store of jobs counts: what it holds now, and what has happened in it."""

from septet.queues.job import JobState, Settlement
from septet.queues.job_counts import ENDINGS, JobCounts
from septet.queues.job_store import JobStore, StoreLimits
from tests.queues.samples import NOW, a_job, accept, begin, success


def test_what_is_stored_is_counted(store: JobStore) -> None:
    assert store.stats(NOW).states == dict.fromkeys(JobState, 0)
    accept(store, a_job(submitted_at=NOW - 5), a_job(submitted_at=NOW - 3), a_job(not_before=NOW + 9))
    stats = store.stats(NOW)
    assert (stats.states[JobState.QUEUED], stats.due, stats.oldest_at, stats.workers) == (3, 2, NOW - 5, 1)
    begin(store, 1)
    stats = store.stats(NOW)
    assert (stats.states[JobState.QUEUED], stats.states[JobState.RUNNING], stats.due) == (2, 1, 1)
    assert stats.oldest_at == NOW - 3


def test_what_waits_for_a_model_that_no_worker_has_is_counted(store: JobStore) -> None:
    mine, wine, later = a_job(), a_job(model="wine", sink="s"), a_job(model="wine", not_before=NOW + 9)
    accept(store, mine, wine, later)
    assert store.stats(NOW).unserved == {"wine": 2}
    store.join("v", ["wine", "digits"], NOW)
    assert store.stats(NOW).unserved == {}
    begin(store, worker="v")
    store.settle("v", [success(wine.id)], NOW)
    store.cancel(later.id, NOW)
    store.leave("v", NOW)
    assert store.stats(NOW).unserved == {"wine": 1}  # the delivery
    store.leave("w", NOW)
    assert store.stats(NOW).unserved == {"wine": 1, "iris": 1}
    store.cancel(mine.id, NOW)
    assert store.stats(NOW).unserved == {"wine": 1}


def test_what_has_happened_to_jobs_is_counted_and_outlives_them(store: JobStore) -> None:
    answered, retried, late = a_job(), a_job(not_before=NOW + 4, max_attempts=2, sink="s"), a_job(begin_by=NOW + 1)
    accept(store, answered, retried)
    begin(store, now=NOW + 2)
    store.settle("w", [success(answered.id)], NOW + 5)
    accept(store, late, now=NOW)
    begin(store, now=NOW + 5)  # the other one has waited for a second, and the late one expires
    store.settle("w", [Settlement(id=retried.id, attempt=1, outcome="retry", delay=2.0)], NOW + 8)
    begin(store, now=NOW + 16)
    store.settle("w", [Settlement(id=retried.id, attempt=2, outcome="retry")], NOW + 32)
    store.sweep(NOW + 10 * StoreLimits().keep_seconds, 10)
    counts = store.stats(NOW).counts
    ended = dict.fromkeys(ENDINGS, 0)
    happened = {"succeeded": 1, "attempts_exhausted": 1, "expired": 1}
    assert counts["predict"] == JobCounts(3, 2 + 1 + 6, 3 + 3 + 16, {**ended, **happened})
    assert counts["deliver"] == JobCounts()


def test_what_is_lost_or_handed_back_counts_as_begun_and_run(store: JobStore) -> None:
    accept(store, a_job(max_attempts=1))
    begin(store)
    store.leave("w", NOW + 2)
    store.join("v", ["iris"], NOW)
    begin(store, now=NOW + 2, worker="v")
    store.reap("v", 0, NOW + 5)
    ended = {**dict.fromkeys(ENDINGS, 0), "attempts_exhausted": 1}
    assert store.stats(NOW).counts["predict"] == JobCounts(2, 0.0, 5.0, ended)


def test_each_job_that_is_cancelled_or_fails_is_counted_by_its_reason(store: JobStore) -> None:
    waits, poison, old = a_job(), a_job(), a_job(max_age=1.0)
    accept(store, waits)
    store.cancel(waits.id, NOW)
    accept(store, poison, old)
    begin(store)
    failed = Settlement(id=poison.id, attempt=1, outcome="failed")
    store.settle("w", [failed, Settlement(id=old.id, attempt=1, outcome="retry")], NOW + 2)
    ended = {**dict.fromkeys(ENDINGS, 0), "cancelled": 1, "permanent": 1, "too_old": 1}
    assert store.stats(NOW).counts["predict"].ended == ended
