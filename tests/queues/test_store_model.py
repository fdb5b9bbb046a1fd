"""Every store does the same as the plain one, whatever comes in whatever order.

Steps of several workers come in any order, the clock jumps by an hour both ways, and replies get lost: the call is made
again. After each step all that can be seen of both stores is compared.
"""

import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import hypothesis
import msgspec
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from septet.errors import SeptetError
from septet.queues.job import Job, JobError, JobState, NewJob, ProgressReport, Settlement
from septet.queues.job_store import Accepted, JobFilter, JobStore, StoreLimits
from septet.queues.memory_store import MemoryStore
from tests.budgets import examples
from tests.queues.conftest import STORES, open_new
from tests.queues.samples import MODEL, NOW, REPLY, a_job, success

LIMITS = StoreLimits(max_waiting=12, max_bytes=300, max_waiting_seconds=5000.0, keep_seconds=100.0)
ALL = JobFilter(kind=None)
MOST = 1000
SECONDS = st.sampled_from([-3600.0, -10.0, 5.0, 5.0, 50.0, 50.0, 150.0, 3600.0])
MODELS = st.sampled_from([["iris"], ["iris", "wine"]])
JOBS = st.fixed_dictionaries(
    {
        "model": st.sampled_from(["iris", "wine"]),
        "key": st.sampled_from([None, "k"]),
        "caller": st.sampled_from([None, "a"]),
        "idempotency": st.sampled_from([None, None, "i"]),
        "body": st.sampled_from([b"1", b"22"]),
        "priority": st.integers(-1, 1),
        "max_attempts": st.integers(1, 3),
        "max_age": st.sampled_from([10.0, 1e9]),
        "sink": st.sampled_from([None, None, "s"]),
        "wait": st.sampled_from([0.0, 0.0, 0.0, 20.0]),
        "begin": st.sampled_from([None, None, 0.0, 60.0]),
    }
)


class StoreModel(RuleBasedStateMachine):
    """A store beside a `MemoryStore`. Deliveries have other ids in each, so they are named by what they are about."""

    kind: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self._stores = (MemoryStore(LIMITS), open_new(self.kind, Path(self._folder.name), LIMITS))
        self._now = NOW
        self._workers: list[str] = []
        self._seen: list[str] = []
        self._leased: list[tuple[str, str, int]] = []
        self._ids: list[dict[str, str]] = [{}, {}]

    def teardown(self) -> None:
        for store in self._stores:
            store.close()
        self._folder.cleanup()

    def _both(self, call: Callable[..., Any]) -> Any:
        """What the call says of both, which has to be the same; `ids` are those that the store has by name."""
        seed = random.random()
        outcomes = []
        for store, ids in zip(self._stores, self._ids, strict=True):
            random.seed(seed)  # the delays of retries are random
            outcomes.append(call(store, ids))
        assert outcomes[1] == outcomes[0]
        return outcomes[0]

    @initialize(several=st.lists(JOBS, min_size=4, max_size=8))
    def begin(self, several: list[dict[str, Any]]) -> None:
        for _ in range(2):
            self._join(["iris", "wine"])
        self._accept(several, lost=False)

    @rule(several=st.lists(JOBS, min_size=2, max_size=5), lost=st.booleans())
    def accept(self, several: list[dict[str, Any]], *, lost: bool) -> None:
        self._accept(several, lost=lost)

    def _accept(self, several: list[dict[str, Any]], *, lost: bool) -> None:
        jobs = [self._job(**said) for said in several]
        for _ in range(1 + lost):
            outcomes = self._both(lambda store, _: [_plain(each) for each in store.accept(jobs, self._now)])
        self._seen += [each.id for each in outcomes if isinstance(each, Accepted)]

    def _job(self, wait: float, begin: float | None, **said: Any) -> NewJob:
        not_before, begin_by = self._now + wait if wait else 0.0, None if begin is None else self._now + begin
        return a_job(**said, not_before=not_before, begin_by=begin_by, submitted_at=self._now)

    @rule(seconds=SECONDS)
    def let_time_pass(self, seconds: float) -> None:
        self._now += seconds

    def _join(self, models: list[str]) -> None:
        self._workers.append(f"w{len(self._workers)}")
        self._both(lambda store, _: store.join(self._workers[-1], models, self._now))

    def _worker(self, data: st.DataObject) -> str:
        return data.draw(st.sampled_from(self._workers[-2:]))

    @rule(data=st.data(), most=st.integers(1, 6))
    def lease(self, data: st.DataObject, most: int) -> None:
        worker = self._worker(data)

        def call(store: JobStore, ids: dict[str, str]) -> list[Any]:
            leased = store.lease(worker, most, self._now)
            ids.update((_name(each.job), each.job.id) for each in leased)
            return [(_name(each.job), each.attempt, msgspec.structs.replace(each.job, id="")) for each in leased]

        self._leased += [(worker, name, attempt) for name, attempt, _ in self._both(call)]

    @precondition(lambda self: self._leased)
    @rule(
        data=st.data(),
        outcome=st.sampled_from(["succeeded", "failed", "retry", "cancelled", "returned"]),
        delay=st.sampled_from([0.0, 30.0]),
        lost=st.booleans(),
    )
    def settle(self, data: st.DataObject, outcome: Any, delay: float, *, lost: bool) -> None:
        # Once in a while somebody settles what was another's, or has been settled already.
        worker, name, attempt = data.draw(st.sampled_from(self._leased))
        worker = data.draw(st.sampled_from([worker, worker, worker, self._workers[-1]]))
        answer = {"reply": REPLY, "answered_by": MODEL} if outcome == "succeeded" else {}
        error = JobError("invalid", "no") if outcome in ("failed", "retry") else None

        def call(store: JobStore, ids: dict[str, str]) -> list[bool]:
            ended = Settlement(id=ids[name], attempt=attempt, outcome=outcome, error=error, delay=delay, **answer)  # type: ignore[arg-type]
            return store.settle(worker, [ended], self._now)

        for _ in range(1 + lost):
            self._both(call)

    @rule(data=st.data(), most=st.integers(1, 6))
    def work(self, data: st.DataObject, most: int) -> None:
        """What most workers do most of the time."""
        before = len(self._leased)
        self.lease(data, most)
        for worker, name, attempt in self._leased[before:]:
            self._both(lambda store, ids, w=worker, n=name, a=attempt: store.settle(w, [success(ids[n], a)], self._now))

    @precondition(lambda self: self._leased)
    @rule(data=st.data(), progress=st.sampled_from([0.25, 0.5]))
    def tell(self, data: st.DataObject, progress: float) -> None:
        worker, name, attempt = data.draw(st.sampled_from(self._leased))
        self._both(lambda store, ids: store.report(worker, [ProgressReport(ids[name], attempt, progress)]))
        self._both(lambda store, ids: _named(store.beat(worker, self._now), ids))

    @rule(data=st.data(), how=st.sampled_from(["reaped", "beaten", "left"]), models=MODELS, lost=st.booleans())
    def end(self, data: st.DataObject, how: str, models: list[str], *, lost: bool) -> None:
        """A worker is gone, or it is not as it has beaten since; and another one comes."""
        worker = self._worker(data)
        beats = [each.beat for each in self._stores[0].workers() if each.id == worker]
        beat = beats[0] - (how == "beaten") if beats else 0
        for _ in range(1 + lost):
            if how == "left":
                self._both(lambda store, _: store.leave(worker, self._now))
            else:
                self._both(lambda store, ids: _named(store.reap(worker, beat, self._now), ids))
        self._join(models)

    @precondition(lambda self: self._seen)
    @rule(data=st.data(), lost=st.booleans())
    def cancel(self, data: st.DataObject, *, lost: bool) -> None:
        identifier = data.draw(st.sampled_from(self._seen))
        for _ in range(1 + lost):
            self._both(lambda store, _: _plain(store.cancel(identifier, self._now)))

    @rule(state=st.sampled_from([None, JobState.FAILED, JobState.SUCCEEDED]), purged=st.booleans())
    def forget(self, state: JobState | None, *, purged: bool) -> None:
        if purged:
            self._both(lambda store, _: store.purge(JobFilter(state=state), self._now - 20.0, MOST))
        else:
            self._both(lambda store, _: store.sweep(self._now, MOST))

    @invariant()
    def all_that_can_be_seen_is_the_same(self) -> None:
        self._both(lambda store, _: store.stats(self._now))
        self._both(lambda store, _: store.next_due(self._now))
        self._both(lambda store, _: sorted(store.workers(), key=lambda each: each.id))
        self._both(lambda store, _: [_plain(each) for each in store.find(self._seen)])
        self._both(lambda store, _: [store.reply(each) for each in self._seen])
        self._both(lambda store, _: [store.body(each) for each in self._seen])
        self._both(self._listed)

    def _listed(self, store: JobStore, ids: dict[str, str]) -> list[Any]:
        jobs = store.page(ALL, None, MOST).jobs
        ids.update((_name(each), each.id) for each in jobs)
        for state in JobState:
            some = store.page(JobFilter(kind=None, state=state), None, MOST).jobs
            assert list(some) == [each for each in jobs if each.state is state]
        return [_plain(each) for each in jobs]


def _name(job: Any) -> str:
    return f"about {job.about}" if job.kind == "deliver" else job.id


def _named(found: Any, ids: dict[str, str]) -> Any:
    names = {identifier: name for name, identifier in ids.items()}
    return None if found is None else [names.get(each, each) for each in found]


def _plain(each: Any) -> Any:
    """What can be compared: errors by what they say, jobs without numbers that differ between stores."""
    if isinstance(each, SeptetError):
        return type(each), each.message, getattr(each, "retry_after", None)
    return msgspec.structs.replace(each, id=_name(each), place=0) if isinstance(each, Job) else each


@pytest.mark.parametrize("kind", STORES[1:])
def test_a_store_does_what_the_plain_one_does(kind: str) -> None:
    settings = hypothesis.settings(
        max_examples=examples(10), stateful_step_count=30, suppress_health_check=list(hypothesis.HealthCheck)
    )
    machine = type("StoreModelOfKind", (StoreModel,), {"kind": kind})
    run_state_machine_as_test(machine, settings=settings)
