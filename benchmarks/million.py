"""A million jobs: whether the store stays as small and as fast, and whether a million that wait slow down a submit."""

import itertools
import time
from dataclasses import dataclass
from statistics import median

from benchmarks import models
from benchmarks.bench import Bench
from benchmarks.closed_loop import load
from benchmarks.job_septet import fill, new_jobs, opened, serving, submission
from benchmarks.job_stores import DURABILITY, StoreInUse, job_store
from benchmarks.models import BenchmarkModel
from benchmarks.overload import answered
from benchmarks.process import SERVER_CORE, Process
from benchmarks.report import BenchmarkReport, ReportTable, ratio, spread
from septet.queues.job import Settlement, StoredReply
from septet.queues.job_store import JobStore, StoreLimits

KINDS = ("sqlite", "redis-everysec")
JOBS = (1_000_000, 50_000)
BATCH, PARTS = 250, 20
#: By the clock that the store is told, jobs come 1,000 a second, and are kept for so long.
EACH, KEPT = 0.001, 10.0
QUICK_KEPT = 0.5
CONNECTIONS, PAIRS = 64, 3
NO_BOUND = ("--jobs-max-waiting", "100000000", "--job-workers", "0")


@dataclass(frozen=True)
class Part:
    """A twentieth of the jobs: how many a second went through the store, and its bytes afterwards."""

    rate: float
    size: int


def run(bench: Bench) -> BenchmarkReport:
    """Both questions for SQLite and for Redis."""
    iris, count = models.iris(bench.cache), JOBS[bench.quick]
    passed: dict[str, list[Part]] = {}
    waiting: dict[str, dict[str, list[float]]] = {}
    for kind in KINDS:
        with job_store(bench, kind, cores=str(SERVER_CORE)) as store:
            passed[kind] = _pass(store, iris, count, QUICK_KEPT if bench.quick else KEPT)
        waiting[kind] = _submits(bench, kind, iris, count)
    setting = {
        "jobs": f"{count:,}, of one row of iris",
        "passing": f"one process calls the store: {BATCH} are accepted, begun, settled with an answer, and as many "
        "forgotten as were kept long enough; kept are some "
        f"{(QUICK_KEPT if bench.quick else KEPT) / EACH:,.0f}, whose ids are known for as long again",
        "submits": f"wrk, {CONNECTIONS} connections, to servers with `--job-workers 0`, one with an empty store and "
        f"one with {count:,} jobs that wait; {bench.rounds} rounds of {PAIRS} pairs of windows of {bench.seconds:g} s",
    }
    samples = {"passing": {kind: [vars(part) for part in parts] for kind, parts in passed.items()}, "submits": waiting}
    return BenchmarkReport("A million jobs", setting, [_passing(passed), _waiting(waiting, count)], samples)


def _pass(store: StoreInUse, model: BenchmarkModel, count: int, kept: float) -> list[Part]:
    reply, parts = StoredReply(200, b"application/json", b'{"prediction":[[0.98,0.01,0.01]]}'), []
    now = time.time()
    with opened(store, StoreLimits(keep_seconds=kept)) as jobs:
        jobs.join("worker", [model.name], now)
        for _ in range(PARTS):
            begun = time.perf_counter()
            for _ in range(count // PARTS // BATCH):
                now += BATCH * EACH
                _batch(jobs, model, reply, now)
            rate = count / PARTS / (time.perf_counter() - begun)
            parts.append(Part(rate, store.size()))
            print(f"passing, {store.kind}: {rate:,.0f}/s, {parts[-1].size / 1e6:.1f} MB", flush=True)
    return parts


def _batch(jobs: JobStore, model: BenchmarkModel, reply: StoredReply, now: float) -> None:
    jobs.accept(new_jobs(model, BATCH, now), now)
    leased = jobs.lease("worker", BATCH, now)
    ended = [
        Settlement(id=each.job.id, attempt=each.attempt, outcome="succeeded", reply=reply, answered_by=None)
        for each in leased
    ]
    if len(leased) != BATCH or not all(jobs.settle("worker", ended, now)):
        raise RuntimeError("a job was not begun, or not settled")
    jobs.sweep(now, 2 * BATCH)


def _submits(bench: Bench, kind: str, model: BenchmarkModel, count: int) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {"empty": [], "waiting": []}
    with job_store(bench, kind) as full:
        with opened(full, StoreLimits(max_waiting=2 * count)) as jobs:
            print(f"filling, {kind}: {fill(jobs, model, count):,.0f}/s; {full.size() / 1e6:.0f} MB", flush=True)
        with serving(bench, model, "--jobs", full.url, *NO_BOUND) as waiting:
            for _ in range(bench.rounds):
                with (
                    job_store(bench, kind, name="empty") as empty,
                    serving(bench, model, "--jobs", empty.url, *NO_BOUND) as other,
                ):
                    _pairs(bench, model, {"empty": other, "waiting": waiting}, found)
            print(f"submits, {kind}: {found}", flush=True)
    return found


def _pairs(bench: Bench, model: BenchmarkModel, servers: dict[str, Process], found: dict[str, list[float]]) -> None:
    windows: dict[str, list[float]] = {name: [] for name in servers}
    for server in servers.values():
        load(server, submission(model), bench.cache, connections=CONNECTIONS, seconds=1)
    for pair, name in itertools.product(range(PAIRS), servers):
        turn = name if pair % 2 == 0 else next(each for each in servers if each != name)
        sample = load(servers[turn], submission(model), bench.cache, connections=CONNECTIONS, seconds=bench.seconds)
        windows[turn].append(answered(sample))
    for name, taken in windows.items():
        found[name].append(median(taken))


def _passing(passed: dict[str, list[Part]]) -> ReportTable:
    """The first tenth fills the store with what it keeps, and is not counted."""
    rows: list[tuple[str, ...]] = []
    for kind, parts in passed.items():
        first, last = parts[2:5], parts[-3:]
        rates = [median(part.rate for part in some) for some in (first, last)]
        sizes = [median(part.size for part in some) / 1e6 for some in (first, last)]
        cells = (f"{rates[0]:,.0f}", f"{rates[1]:,.0f}", f"{rates[1] / rates[0]:.3f}")
        more = (f"{sizes[0]:.1f}", f"{sizes[1]:.1f}", f"{sizes[1] / sizes[0]:.3f}")
        rows.append((DURABILITY[kind], *cells, "> 0.9", *more, "< 1.1"))
    heads = ("", "jobs/s at the start", "at the end", "ratio", "is to be")
    return ReportTable(
        "Jobs that pass through the store",
        (*heads, "MB at the start", "at the end", "ratio", "is to be"),
        rows,
    )


def _waiting(waiting: dict[str, dict[str, list[float]]], count: int) -> ReportTable:
    rows: list[tuple[str, ...]] = [
        (
            DURABILITY[kind],
            spread(rates["empty"], ",.0f"),
            spread(rates["waiting"], ",.0f"),
            ratio(rates["waiting"], rates["empty"]),
            ">= 0.8",
        )
        for kind, rates in waiting.items()
    ]
    heads = ("", "submits/s, empty store", f"{count:,} waiting", "ratio", "is to be")
    return ReportTable("Submits while many wait", heads, rows)
