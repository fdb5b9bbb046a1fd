"""What every store of jobs does, whatever it is made of."""

import msgspec
import pytest

from septet.errors import Conflict
from septet.queues.job import LONGEST_DELAY_SECONDS, JobError, JobState, ProgressReport, Settlement
from septet.queues.job_store import Accepted, JobFilter, JobStore, StoreLimits
from tests.queues.conftest import MakeStore
from tests.queues.samples import MODEL, NOW, REPLY, a_job, accept, begin, found, success

WRONG = JobError("invalid", "Expected a number.")


def test_what_is_accepted_is_given_to_a_worker_as_it_was(store: JobStore) -> None:
    job = a_job(
        digest="sha256:" + "1" * 64,
        query=b"a=1",
        headers=((b"content-type", b"application/x-npy"), (b"accept", b"*/*")),
        body=bytes(range(256)),
        caller="ci",
        key="user/1",
        priority=3,
        not_before=NOW - 1,
        begin_by=NOW + 10,
        max_attempts=5,
        max_age=60.0,
        sink="https://example.org/hook",
        trace="00-1-2-01",
    )
    accept(store, job)
    (leased,) = store.lease("w", 5, NOW)
    assert leased.job == job
    assert leased.attempt == 1
    assert store.body(job.id) == job


def test_a_job_is_queued_then_runs_then_has_its_answer(store: JobStore) -> None:
    job = a_job()
    accept(store, job)
    queued = found(store, job.id)
    assert (queued.state, queued.attempts, queued.worker, queued.body_bytes) == (JobState.QUEUED, 0, None, 11)
    assert begin(store, now=NOW + 1) == [(job.id, 1)]
    running = found(store, job.id)
    assert (running.state, running.attempts, running.worker) == (JobState.RUNNING, 1, "w")
    assert running.started_at == NOW + 1
    assert store.reply(job.id) is None
    assert store.settle("w", [success(job.id)], NOW + 2) == [True]
    done = found(store, job.id)
    assert (done.state, done.ended_at, done.answered_by) == (JobState.SUCCEEDED, NOW + 2, MODEL)
    assert done.reply_bytes == len(REPLY.body)
    assert store.reply(job.id) == REPLY
    assert begin(store) == []


def test_unknown_ids_are_told_from_known_ones(store: JobStore) -> None:
    job = a_job()
    accept(store, job)
    unknown = "f" * 32
    assert [each if each is None else each.id for each in store.find([unknown, job.id])] == [None, job.id]  # type: ignore[union-attr]
    assert store.body(unknown) is None
    assert store.reply(unknown) is None
    assert store.cancel(unknown, NOW) is None
    assert store.find([]) == []


def test_jobs_come_in_the_order_in_which_they_were_accepted(store: JobStore) -> None:
    ids = accept(store, *(a_job() for _ in range(20)))
    assert [job for job, _ in begin(store, 7)] == ids[:7]
    assert [job for job, _ in begin(store, 100)] == ids[7:]


def test_a_higher_priority_comes_earlier_but_none_waits_for_ever(store: JobStore) -> None:
    low, high = a_job(priority=0, submitted_at=NOW), a_job(priority=1, submitted_at=NOW + 59)
    later = a_job(priority=1, submitted_at=NOW + 61)
    accept(store, low, later, high)
    assert [job for job, _ in begin(store)] == [high.id, low.id, later.id]


def test_what_may_not_begin_yet_waits(store: JobStore) -> None:
    soon, now = a_job(not_before=NOW + 5), a_job()
    accept(store, soon, now)
    assert store.next_due(NOW) == NOW + 5
    assert [job for job, _ in begin(store)] == [now.id]
    assert begin(store, now=NOW + 4.9) == []
    assert [job for job, _ in begin(store, now=NOW + 5)] == [soon.id]
    assert store.next_due(NOW) is None


def test_what_was_to_begin_earlier_expires(store: JobStore) -> None:
    late, swept, good = a_job(begin_by=NOW), a_job(begin_by=NOW), a_job(begin_by=NOW + 2)
    accept(store, late, good)
    assert [job for job, _ in begin(store, now=NOW + 1)] == [good.id]
    assert found(store, late.id).state is JobState.EXPIRED
    accept(store, swept)
    assert store.sweep(NOW + 1, 100) == 1
    assert found(store, swept.id).state is JobState.EXPIRED
    assert found(store, swept.id).ended_at == NOW + 1


def test_what_was_begun_in_time_does_not_expire_when_it_is_tried_again(store: JobStore) -> None:
    job = a_job(begin_by=NOW + 1)
    accept(store, job)
    begin(store)
    store.settle("w", [Settlement(id=job.id, attempt=1, outcome="retry", error=WRONG)], NOW)
    assert store.sweep(NOW + 2, 10) == 0
    assert begin(store, now=NOW + 2) == [(job.id, 2)]


def test_a_worker_takes_jobs_of_its_models_only(store: JobStore) -> None:
    other = a_job(model="wine")
    accept(store, other)
    assert begin(store) == []
    store.join("v", ["wine", "digits"], NOW)
    assert [job for job, _ in begin(store, worker="v")] == [other.id]


def test_jobs_of_one_key_run_one_after_the_other(store: JobStore) -> None:
    first, second, third, free = a_job(key="k"), a_job(key="k"), a_job(key="k", priority=9), a_job()
    accept(store, first, second, third, free)
    assert [job for job, _ in begin(store)] == [first.id, free.id]
    store.settle("w", [Settlement(id=first.id, attempt=1, outcome="retry", error=WRONG, delay=5.0)], NOW)
    assert begin(store) == []
    assert begin(store, now=NOW + 6) == [(first.id, 2)]
    store.settle("w", [success(first.id, 2)], NOW + 6)
    assert begin(store, now=NOW + 6) == [(second.id, 1)]
    store.settle("w", [Settlement(id=second.id, attempt=1, outcome="failed", error=WRONG)], NOW + 6)
    assert begin(store, now=NOW + 6) == [(third.id, 1)]


def test_a_key_goes_on_when_its_first_job_is_cancelled_or_expires(store: JobStore) -> None:
    first, second, third = a_job(key="k"), a_job(key="k", begin_by=NOW), a_job(key="k")
    accept(store, first, second, third)
    store.cancel(first.id, NOW)
    assert begin(store, now=NOW + 1) in ([], [(third.id, 1)])
    assert found(store, second.id).state is JobState.EXPIRED
    begin(store, now=NOW + 1)
    assert found(store, third.id).state is JobState.RUNNING


def test_an_attempt_that_fails_is_tried_again_until_there_have_been_enough(store: JobStore) -> None:
    job = a_job(max_attempts=3)
    accept(store, job)
    for attempt in (1, 2):
        assert begin(store) == [(job.id, attempt)]
        retry = Settlement(id=job.id, attempt=attempt, outcome="retry", error=WRONG, delay=0.0)
        assert store.settle("w", [retry], NOW) == [True]
        assert found(store, job.id).state is JobState.QUEUED
    begin(store)
    store.settle("w", [Settlement(id=job.id, attempt=3, outcome="retry", error=WRONG, reply=REPLY)], NOW)
    failed = found(store, job.id)
    assert (failed.state, failed.reason, failed.error) == (JobState.FAILED, "attempts_exhausted", WRONG)
    assert failed.attempts == 3
    assert store.reply(job.id) == REPLY
    assert begin(store) == []


def test_what_is_too_old_is_not_tried_again(store: JobStore) -> None:
    job = a_job(max_age=10.0)
    accept(store, job)
    begin(store)
    store.settle("w", [Settlement(id=job.id, attempt=1, outcome="retry", error=WRONG)], NOW + 9)
    begin(store, now=NOW + 9)
    assert (found(store, job.id).started_at, found(store, job.id).first_started_at) == (NOW + 9, NOW)
    store.settle("w", [Settlement(id=job.id, attempt=2, outcome="retry", error=WRONG)], NOW + 11)
    assert (found(store, job.id).state, found(store, job.id).reason) == (JobState.FAILED, "too_old")


@pytest.mark.parametrize("given_back", [False, True])
def test_the_time_in_a_backlog_takes_no_attempt_from_a_job(store: JobStore, *, given_back: bool) -> None:
    job = a_job(max_age=10.0)
    accept(store, job)
    if given_back:
        begin(store, now=NOW + 1)
        store.settle("w", [Settlement(id=job.id, attempt=1, outcome="returned")], NOW + 2)
    (leased,) = store.lease("w", 9, NOW + 1000)
    assert (leased.attempt, leased.first_started_at) == (1, NOW + 1000)
    store.reap("w", 0, NOW + 1009)
    assert found(store, job.id).state is JobState.QUEUED
    store.join("v", ["iris"], NOW)
    (leased,) = store.lease("v", 9, NOW + 1009 + LONGEST_DELAY_SECONDS)
    assert (leased.attempt, leased.first_started_at) == (2, NOW + 1000)
    store.reap("v", 0, NOW + 1009 + LONGEST_DELAY_SECONDS)
    assert (found(store, job.id).state, found(store, job.id).reason) == (JobState.FAILED, "too_old")


def test_what_can_never_succeed_fails_at_once(store: JobStore) -> None:
    job = a_job()
    accept(store, job)
    begin(store)
    store.settle("w", [Settlement(id=job.id, attempt=1, outcome="failed", error=WRONG, reply=REPLY)], NOW)
    failed = found(store, job.id)
    assert (failed.state, failed.reason, failed.error, failed.attempts) == (JobState.FAILED, "permanent", WRONG, 1)


def test_what_was_returned_is_no_attempt(store: JobStore) -> None:
    job = a_job(max_attempts=1)
    accept(store, job)
    begin(store)
    assert store.settle("w", [Settlement(id=job.id, attempt=1, outcome="returned")], NOW) == [True]
    assert found(store, job.id).attempts == 0
    assert begin(store) == [(job.id, 1)]


def test_only_the_attempt_that_runs_can_be_settled(store: JobStore) -> None:
    job = a_job()
    accept(store, job)
    store.join("v", ["iris"], NOW)
    assert store.settle("w", [success(job.id)], NOW) == [False]
    begin(store)
    assert store.settle("v", [success(job.id)], NOW) == [False]
    assert store.settle("w", [success(job.id, 2), success("f" * 32)], NOW) == [False, False]
    assert store.settle("w", [success(job.id)], NOW) == [True]
    assert store.settle("w", [success(job.id, reply=msgspec.structs.replace(REPLY, body=b"other"))], NOW) == [False]
    assert store.reply(job.id) == REPLY


def test_what_a_worker_that_is_gone_had_begun_is_begun_again(store: JobStore) -> None:
    job = a_job()
    accept(store, job)
    begin(store)
    (info,) = store.workers()
    assert (info.id, info.running, info.models) == ("w", 1, ("iris",))
    assert list(store.reap("w", info.beat, NOW + 1)) == [job.id]
    waits = found(store, job.id)
    assert (waits.state, waits.attempts) == (JobState.QUEUED, 1)
    assert waits.error is not None
    assert waits.error.code == "worker_lost"
    assert store.beat("w", NOW) is None
    assert begin(store, now=NOW + 1000) == []
    assert store.workers() == []
    store.join("v", ["iris"], NOW)
    assert begin(store, now=NOW + 1 + LONGEST_DELAY_SECONDS, worker="v") == [(job.id, 2)]
    assert store.settle("w", [success(job.id)], NOW) == [False]
    assert store.report("w", [ProgressReport(job.id, 1, 0.5)]) == [False]
    assert store.settle("v", [success(job.id, 2)], NOW) == [True]


def test_a_job_that_was_begun_before_comes_alone(store: JobStore) -> None:
    lost = accept(store, a_job(), a_job())
    begin(store)
    store.reap("w", store.workers()[0].beat, NOW)
    store.join("v", ["iris"], NOW)
    earlier, later = accept(store, a_job(submitted_at=NOW - 1), a_job(submitted_at=NOW + 1))
    when = NOW + LONGEST_DELAY_SECONDS
    seen = [begin(store, now=when, worker="v") for _ in range(4)]
    assert seen == [[(earlier, 1)], [(lost[0], 2)], [(lost[1], 2)], [(later, 1)]]


def test_a_worker_that_has_beaten_is_not_reaped(store: JobStore) -> None:
    (before,) = store.workers()
    assert store.beat("w", NOW) == []
    assert list(store.reap("w", before.beat, NOW)) == []
    (after,) = store.workers()
    assert after.beat > before.beat
    accept(store, a_job())
    assert len(begin(store)) == 1


def test_a_job_that_ends_each_worker_fails_after_its_attempts(store: JobStore) -> None:
    job, neighbour = a_job(max_attempts=3), a_job(max_attempts=9)
    accept(store, job, neighbour)
    now = NOW
    for number in range(3):
        now += LONGEST_DELAY_SECONDS
        store.join(f"w{number}", ["iris"], now)
        assert (job.id, number + 1) in begin(store, now=now, worker=f"w{number}")
        beat = next(each.beat for each in store.workers() if each.id == f"w{number}")
        assert job.id in store.reap(f"w{number}", beat, now)
    assert (found(store, job.id).state, found(store, job.id).reason) == (JobState.FAILED, "attempts_exhausted")
    assert found(store, neighbour.id).state is JobState.QUEUED


def test_a_worker_that_leaves_gives_back_what_it_has_not_done(store: JobStore) -> None:
    job = a_job(max_attempts=1)
    accept(store, job)
    begin(store)
    store.leave("w", NOW)
    assert store.workers() == []
    assert (found(store, job.id).state, found(store, job.id).attempts) == (JobState.QUEUED, 0)
    assert store.settle("w", [success(job.id)], NOW) == [False]
    store.leave("w", NOW)


def test_a_job_that_waits_is_cancelled_at_once_and_one_that_runs_by_its_worker(store: JobStore) -> None:
    waits, runs, done = a_job(not_before=NOW + 9), a_job(), a_job()
    accept(store, done)
    begin(store)
    store.settle("w", [success(done.id)], NOW)
    accept(store, waits, runs)
    begin(store)
    assert [store.cancel(each.id, NOW).state for each in (waits, runs, done)] == [  # type: ignore[union-attr]
        JobState.CANCELLED,
        JobState.RUNNING,
        JobState.SUCCEEDED,
    ]
    assert store.beat("w", NOW) == [runs.id]
    assert found(store, runs.id).cancelling
    store.settle("w", [Settlement(id=runs.id, attempt=1, outcome="cancelled")], NOW)
    assert found(store, runs.id).state is JobState.CANCELLED
    assert store.beat("w", NOW) == []
    assert begin(store, now=NOW + 10) == []


@pytest.mark.parametrize("outcome", ["retry", "returned"])
def test_what_somebody_wants_ended_is_not_tried_again(store: JobStore, outcome: str) -> None:
    job = a_job()
    accept(store, job)
    begin(store)
    store.cancel(job.id, NOW)
    store.settle("w", [Settlement(id=job.id, attempt=1, outcome=outcome)], NOW)  # type: ignore[arg-type]
    assert found(store, job.id).state is JobState.CANCELLED


def test_an_answer_that_came_before_its_cancellation_counts(store: JobStore) -> None:
    job = a_job()
    accept(store, job)
    begin(store)
    store.cancel(job.id, NOW)
    store.settle("w", [success(job.id)], NOW)
    assert found(store, job.id).state is JobState.SUCCEEDED
    assert not found(store, job.id).cancelling


def test_progress_is_told_by_the_attempt_that_runs(store: JobStore) -> None:
    job, other = a_job(), a_job()
    accept(store, job, other)
    begin(store)
    reports = [ProgressReport(job.id, 1, 0.25), ProgressReport("f" * 32, 1, 0.5), ProgressReport(other.id, 1, 1.0)]
    assert store.report("w", reports) == [True, False, True]
    assert (found(store, job.id).progress, found(store, other.id).progress) == (0.25, 1.0)
    assert store.report("w", [ProgressReport(job.id, 2, 0.5)]) == [False]
    assert store.report("v", [ProgressReport(job.id, 1, 0.5)]) == [False]
    assert store.report("w", []) == []
    assert found(store, job.id).progress == 0.25
    store.settle("w", [Settlement(id=job.id, attempt=1, outcome="retry")], NOW)
    begin(store)
    assert found(store, job.id).progress is None


def test_the_same_idempotency_key_is_the_same_job_for_the_same_request(store: JobStore) -> None:
    first = a_job(idempotency="order-7", caller="a")
    again = a_job(idempotency="order-7", caller="a", request_id="other", submitted_at=NOW + 5)
    other = a_job(idempotency="order-7", caller="a", body=b"[[0,0,0,0]]")
    stranger = a_job(idempotency="order-7", caller="b")
    nobody = a_job(idempotency="order-7")
    outcomes = store.accept([first, again, other, stranger, nobody], NOW)
    assert outcomes[:2] == [Accepted(first.id), Accepted(first.id, known=True)]
    assert isinstance(outcomes[2], Conflict)
    assert outcomes[3:] == [Accepted(stranger.id), Accepted(nobody.id)]
    begin(store)
    store.settle("w", [success(first.id)], NOW)
    assert store.accept([again], NOW + 9) == [Accepted(first.id, known=True)]
    assert len(store.page(JobFilter(), None, 10).jobs) == 3


def test_what_is_submitted_again_because_the_reply_was_lost_is_one_job(store: JobStore) -> None:
    job = a_job(sink="s", key="k", idempotency="i")
    assert store.accept([job, job], NOW) == [Accepted(job.id), Accepted(job.id, known=True)]
    assert begin(store) == [(job.id, 1)]
    assert store.accept([job], NOW) == [Accepted(job.id, known=True)]
    assert found(store, job.id).state is JobState.RUNNING
    assert begin(store) == []


def test_an_idempotency_key_is_free_again_when_its_job_is_forgotten(make_store: MakeStore) -> None:
    store = make_store(StoreLimits(keep_seconds=10.0))
    store.join("w", ["iris"], NOW)
    first, again = a_job(idempotency="k"), a_job(idempotency="k")
    accept(store, first)
    begin(store)
    store.settle("w", [success(first.id)], NOW)
    store.sweep(NOW + 11, 10)
    assert store.accept([again], NOW + 11) == [Accepted(again.id)]


def test_jobs_are_listed_the_latest_first_in_pages(store: JobStore) -> None:
    ids = accept(store, *(a_job(model="iris" if n % 2 else "wine", caller="a" if n < 5 else None) for n in range(9)))
    begin(store, 2)
    seen: list[str] = []
    before: int | None = None
    for _ in range(3):
        page = store.page(JobFilter(), before, 4)
        seen += [job.id for job in page.jobs]
        before = page.before
    assert before is None
    assert seen == ids[::-1]
    assert [job.id for job in store.page(JobFilter(state=JobState.RUNNING), None, 9).jobs] == [ids[3], ids[1]]
    assert [job.id for job in store.page(JobFilter(model="wine", caller="a"), None, 9).jobs] == [ids[4], ids[2], ids[0]]
    assert [job.id for job in store.page(JobFilter(caller="a"), None, 2).jobs] == [ids[4], ids[3]]
    assert store.page(JobFilter(state=JobState.FAILED), None, 9).jobs == []


def test_what_is_over_can_be_purged(store: JobStore) -> None:
    failed, done, waits = a_job(), a_job(), a_job()
    accept(store, failed, done)
    begin(store)
    store.settle("w", [Settlement(id=failed.id, attempt=1, outcome="failed", error=WRONG), success(done.id)], NOW)
    accept(store, waits)
    assert store.purge(JobFilter(state=JobState.FAILED), NOW, 10) == 0
    assert store.purge(JobFilter(state=JobState.FAILED), NOW + 1, 10) == 1
    assert store.find([failed.id]) == [None]
    assert store.purge(JobFilter(), NOW + 1, 10) == 1
    assert found(store, waits.id).state is JobState.QUEUED
    assert store.stats(NOW).stored_bytes == len(waits.body)


def test_an_answer_with_a_sink_is_brought_there_by_a_job_of_its_own(store: JobStore) -> None:
    job, plain = a_job(sink="https://example.org/hook", caller="ci"), a_job()
    accept(store, job, plain)
    begin(store)
    store.settle("w", [success(job.id), success(plain.id)], NOW + 1)
    stats = store.stats(NOW + 1)
    assert (stats.deliveries, stats.states[JobState.SUCCEEDED], stats.states[JobState.QUEUED]) == (1, 2, 0)
    (leased,) = store.lease("w", 9, NOW + 1)
    assert (leased.job.kind, leased.job.about, leased.job.sink) == ("deliver", job.id, "https://example.org/hook")
    assert leased.job.max_attempts == StoreLimits().delivery_attempts
    assert store.settle("w", [Settlement(id=leased.job.id, attempt=1, outcome="succeeded")], NOW + 2) == [True]
    assert store.stats(NOW + 2).deliveries == 0
    assert begin(store, now=NOW + 2) == []
    assert [each.id for each in store.page(JobFilter(kind="deliver"), None, 9).jobs] == [leased.job.id]
    assert [each.id for each in store.page(JobFilter(), None, 9).jobs] == [plain.id, job.id]


def test_that_a_job_failed_is_brought_to_its_sink_too(store: JobStore) -> None:
    poison, cancelled = a_job(sink="s", max_attempts=1), a_job(sink="s", not_before=NOW + 1)
    expired = a_job(sink="s", begin_by=NOW)
    accept(store, poison, cancelled)
    begin(store)
    accept(store, expired)
    store.cancel(cancelled.id, NOW)
    store.sweep(NOW + 1, 10)
    store.reap("w", store.workers()[0].beat, NOW)
    store.join("v", ["iris"], NOW)
    about = {each.job.about for each in store.lease("v", 9, NOW + 1)}
    assert about == {poison.id, cancelled.id, expired.id}


def test_a_store_says_what_it_survives(store: JobStore) -> None:
    assert store.durability
