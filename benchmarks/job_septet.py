"""Septet's side of what is measured of jobs: its server, its workers, and a store that is filled without HTTP."""

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

from benchmarks.bench import THREADS, Bench
from benchmarks.forms import FORMS, FormBody
from benchmarks.job_stores import StoreInUse
from benchmarks.models import BenchmarkModel
from benchmarks.process import SERVER_CORE, Process, free_ports
from benchmarks.servers import RIVALS
from septet.queues.job import JobState, NewJob
from septet.queues.job_store import JobStore, StoreLimits
from septet.queues.store_address import StoreAddress, open_store

ENVIRONMENT = "septet-jobs"
FILLING = 1000


def submission(model: BenchmarkModel) -> FormBody:
    """One row, to be answered later."""
    body = FORMS["data"].body(model, model.rows[:1])
    return FormBody("/predict/async", body.content, body.headers)


def start(bench: Bench, model: BenchmarkModel, *flags: str, cores: str = str(SERVER_CORE)) -> Process:
    """A server on a free port.

    Raises:
        RuntimeError: its environment cannot be installed.
    """
    (port,) = free_ports(1)
    words = ("serve", str(model.path), "--port", str(port), *flags)
    return Process(_command(bench, *words), port, bench.cache / "jobs" / "septet.log", _variables(0), cores=cores)


@contextmanager
def serving(bench: Bench, model: BenchmarkModel, *flags: str) -> Iterator[Process]:
    """A server that answers predictions."""
    with start(bench, model, *flags) as process:
        process.first_answer(FORMS["data"].body(model, model.rows[:1]), within=90)
        yield process


@contextmanager
def working(
    bench: Bench, store: StoreInUse, model: BenchmarkModel, pause: float, cores: str, *flags: str
) -> Iterator[list[Process]]:
    """Two workers; before each run of the model they sleep for so many seconds, where that is not 0."""
    words = ["worker", str(model.path), "--jobs", store.url, "--job-workers", "2", *flags]
    if pause:
        words += ["--middleware", "pausing:Pausing"]
    log = bench.cache / "jobs" / "septet-worker.log"
    with Process(_command(bench, *words), 0, log, _variables(pause), cores=cores) as process:
        yield [process]


@contextmanager
def opened(store: StoreInUse, limits: StoreLimits | None = None) -> Iterator[JobStore]:
    """The store itself, in this process."""
    with closing(open_store(StoreAddress(store.url, limits=limits or StoreLimits()))) as found:
        yield found


def new_jobs(model: BenchmarkModel, count: int, now: float) -> list[NewJob]:
    """Jobs as the server makes them of `submission`."""
    body = submission(model)
    headers = tuple((name.lower().encode(), value.encode()) for name, value in body.headers.items())
    return [
        NewJob(
            id=secrets.token_hex(16),
            model=model.name,
            path="/predict",
            headers=headers,
            body=body.content,
            request_id=secrets.token_hex(16),
            submitted_at=now,
        )
        for _ in range(count)
    ]


def fill(store: JobStore, model: BenchmarkModel, count: int) -> float:
    """Have so many jobs wait; how many were stored a second."""
    begun = time.perf_counter()
    for done in range(0, count, FILLING):
        now = time.time()
        for outcome in store.accept(new_jobs(model, min(FILLING, count - done), now), now):
            if isinstance(outcome, Exception):
                raise outcome
    return count / (time.perf_counter() - begun)


def succeeded(store: JobStore) -> int:
    """How many have an answer."""
    return store.stats(time.time()).states.get(JobState.SUCCEEDED, 0)


def _command(bench: Bench, *words: str) -> list[str]:
    return [str(bench.python(ENVIRONMENT)), "-m", "septet", *words]


def _variables(pause: float) -> dict[str, str]:
    return {**os.environ, **THREADS, "PYTHONPATH": str(RIVALS), "PAUSE": str(pause)}
