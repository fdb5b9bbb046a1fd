"""How many jobs a second are run and have their results stored, by two worker processes, once they all wait."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from benchmarks.bench import Bench
from benchmarks.closed_loop import load
from benchmarks.job_bento import ENDED, submitting
from benchmarks.job_rivals import JOB_RIVALS
from benchmarks.job_septet import fill, opened, succeeded, working
from benchmarks.job_stores import BOTH_CORES, DURABILITY, REDIS_KINDS, StoreInUse, job_store
from benchmarks.models import BenchmarkModel
from benchmarks.process import Process
from benchmarks.report import ReportTable, ratio, spread

SEPTET, SEPTET_ALONE, BENTO = "Septet", "Septet, `--job-batch 1`", "BentoML tasks, submitted meanwhile"
PAUSE = 0.01
WORKERS = 2
IDEAL = WORKERS / PAUSE
#: Jobs of one round: of the small model, and of the pause; and of a quick run.
SMALL, PAUSED = (20_000, 2_000), (1_000, 200)
WANTED = {"dramatiq": 2.0, "celery": 5.0}
LOOK_SECONDS = 0.02
#: Without a further result for so long, a run has failed.
STILL_SECONDS = 30.0


@dataclass
class Ends:
    """Jobs ended a second, in each round, by who and which kind of store."""

    rates: dict[tuple[str, str], list[float]] = field(default_factory=dict)

    def add(self, what: str, name: str, kind: str, rate: float) -> None:
        """One more round."""
        self.rates.setdefault((name, kind), []).append(rate)
        print(f"{what}, {name}, {kind}: {rate:,.1f}/s", flush=True)


def measure_small(bench: Bench, model: BenchmarkModel, absent: dict[str, str]) -> tuple[list[ReportTable], object]:
    """The model itself, which takes about ten microseconds."""
    found = _rounds(bench, model, 0, SMALL[bench.quick], absent)
    table = ReportTable(
        f"End to end, {SMALL[bench.quick]:,} jobs of a model of about 10 us",
        ("", "durability", "jobs/s", "Septet to it", "is to be", "a job whose worker ends"),
        _rows(found, WANTED),
    )
    return [table], _samples(found)


def measure_paused(bench: Bench, model: BenchmarkModel, absent: dict[str, str]) -> tuple[list[ReportTable], object]:
    """A pause of 10 ms for each job, one after the other in each worker."""
    found = _rounds(bench, model, PAUSE, PAUSED[bench.quick], absent)
    rows: list[tuple[str, ...]] = [
        (name, durability, rate, spread([each / IDEAL for each in rates], ".2f"), ">= 0.9" if name == SEPTET else "")
        for (name, durability, rate, *_), rates in zip(_rows(found, {}), _sorted(found).values(), strict=True)
    ]
    table = ReportTable(
        f"End to end, {PAUSED[bench.quick]:,} jobs that each hold their worker for 10 ms",
        ("", "durability", "jobs/s", f"of the ideal, {IDEAL:.0f}/s", "is to be"),
        rows,
    )
    return [table], _samples(found)


def _rounds(bench: Bench, model: BenchmarkModel, pause: float, count: int, absent: dict[str, str]) -> Ends:
    found, what = Ends(), "paused" if pause else "small"
    contenders = [(SEPTET, kind) for kind in ("sqlite", *REDIS_KINDS)]
    contenders += [(SEPTET_ALONE, kind) for kind in ("sqlite", *REDIS_KINDS)] if pause else []
    contenders += [(BENTO, "sqlite")]
    contenders += [(name, kind) for name, rival in JOB_RIVALS.items() for kind in rival.kinds]
    for turn in range(bench.rounds):
        for name, kind in contenders[::-1] if turn % 2 else contenders:
            if name in absent:
                continue
            try:
                with job_store(bench, kind, cores=BOTH_CORES) as store:
                    found.add(what, name, kind, _one(bench, model, name, store, pause, count))
            except (RuntimeError, OSError) as error:
                absent[name] = str(error)
                print(f"{name}: {error}", flush=True)
    return found


def _one(bench: Bench, model: BenchmarkModel, name: str, store: StoreInUse, pause: float, count: int) -> float:
    if name == BENTO:
        with submitting(bench, model, store, pause, BOTH_CORES) as (server, body):
            begun = time.perf_counter()
            sample = load(server, body, bench.cache, connections=64, seconds=bench.seconds)
            # Those that wait at the end of the load are run all the same.
            ended, at = _settled(lambda: store.rows(ENDED))
            return min(ended, sample.requests) / (at - begun)
    if name in (SEPTET, SEPTET_ALONE):
        flags = ("--job-batch", "1") if name == SEPTET_ALONE else ()
        with opened(store) as jobs:
            fill(jobs, model, count)
            return _run(working(bench, store, model, pause, BOTH_CORES, *flags), lambda: succeeded(jobs), count)
    rival = JOB_RIVALS[name]
    _, count = rival.send(bench, store, count, 0, rival.at_once[-1])
    return _run(rival.running(bench, store, model, pause, BOTH_CORES), lambda: rival.stored(store, count), count)


def _run(workers: AbstractContextManager[list[Process]], ended: Callable[[], int], count: int) -> float:
    """Results stored a second, from the first that is seen to the last.

    Raises:
        RuntimeError: results are lacking, or there are more than jobs.
    """
    first = last = 0
    begun = at = time.perf_counter()
    with workers:
        while last < count:
            now = time.perf_counter()
            seen = ended()
            if seen > last:
                if not last:
                    first, begun = seen, now
                last, at = seen, now
            if now - at > STILL_SECONDS:
                raise RuntimeError(f"{last} of {count} results after {now - begun:.0f} s")
            time.sleep(LOOK_SECONDS)
    if (stored := ended()) != count:
        raise RuntimeError(f"{stored} results of {count} jobs")
    return (count - first) / max(at - begun, LOOK_SECONDS)


def _settled(ended: Callable[[], int]) -> tuple[int, float]:
    """How many have ended when no more do for two seconds, and when the last did."""
    seen, at = ended(), time.perf_counter()
    while time.perf_counter() - at < 2:
        time.sleep(LOOK_SECONDS)
        if (now := ended()) > seen:
            seen, at = now, time.perf_counter()
    return seen, at


def _sorted(found: Ends) -> dict[tuple[str, str], list[float]]:
    return dict(
        sorted(found.rates.items(), key=lambda each: (DURABILITY[each[0][1]], not each[0][0].startswith("Septet")))
    )


def _rows(found: Ends, wanted: dict[str, float]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for (name, kind), rates in _sorted(found).items():
        mine = found.rates.get((SEPTET, "sqlite" if kind.startswith("sqlite") else kind), [])
        rival = JOB_RIVALS.get(name)
        rows.append(
            (
                name if rival is None else rival.title,
                DURABILITY[kind],
                spread(rates, ",.0f"),
                "" if name == SEPTET else ratio(mine, rates),
                f">= {wanted[name]:g}" if name in wanted else "",
                rival.keeps if rival else "run again after a lease" if "Septet" in name else "lost",
            )
        )
    return rows


def _samples(found: Ends) -> dict[str, list[float]]:
    return {f"{name}, {kind}": rates for (name, kind), rates in found.rates.items()}
