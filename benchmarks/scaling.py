"""One worker and two: throughput, and CPU time a request.

Where there are only two cores, a generator beside two workers takes from one of them what it does not take from one
worker on a core of its own. So each worker shares its core with its own part of the generator: one worker and one
thread of wrk have one core, two workers and two threads have two, and twice as many connections.
"""

from collections.abc import Sequence
from dataclasses import asdict

from benchmarks import models
from benchmarks.bench import Bench, Fleet
from benchmarks.closed_loop import Sample, load, verify
from benchmarks.forms import FORMS
from benchmarks.report import BenchmarkReport, ReportTable, ratio, spread

# Of each worker: with fewer, requests would share smaller runs, which is not what is asked here.
CONNECTIONS = 64
# By server, the cores that it and the generator may use: one for each worker.
SERVED: dict[str, Sequence[int]] = {"septet": (0,), "septet-2": (0, 1)}


def run(bench: Bench) -> BenchmarkReport:
    """The small model, where the server is all the cost, and trees, where the engine is a part of it."""
    samples: dict[str, dict[str, list[Sample]]] = {}
    absent: dict[str, str] = {}
    form = FORMS["data"]
    for model in (models.iris(bench.cache), models.trees(bench.cache)):
        body, expected = form.body(model, model.rows[:1]), model.answers()
        taken = samples[model.name] = {server: [] for server in SERVED}
        with Fleet(bench, model) as fleet:
            present = [
                server for server, cores in SERVED.items() if fleet.add(server, body, cores=",".join(map(str, cores)))
            ]
            for server in present:
                with fleet.turn(server) as process:
                    print(f"{model.name}, {server}: {verify(process, form, model, expected)} answers right", flush=True)
            for turn in range(bench.rounds):
                for server in present if turn % 2 else present[::-1]:
                    cores = SERVED[server]
                    many = CONNECTIONS * len(cores)
                    with fleet.turn(server) as process:
                        load(process, body, bench.cache, connections=many, seconds=1, cores=cores)
                        taken[server].append(
                            load(process, body, bench.cache, connections=many, seconds=bench.seconds, cores=cores)
                        )
            absent |= fleet.absent
    setting = {
        "load": f"wrk, {CONNECTIONS} connections for each worker, `data`, one row; {bench.rounds} rounds of "
        f"{bench.seconds:g} s",
        "cores": "one worker and one thread of wrk share one; two workers and two threads share two",
    }
    kept = {
        name: {server: [asdict(each) for each in taken] for server, taken in by.items()} for name, by in samples.items()
    }
    return BenchmarkReport("One worker and two", setting, [_table(samples)], kept, absent)


def _table(samples: dict[str, dict[str, list[Sample]]]) -> ReportTable:
    rows: list[tuple[str, ...]] = []
    for name, by in samples.items():
        one, two = (by[server] for server in SERVED)
        for taken, cores in zip((one, two), SERVED.values(), strict=True):
            rows.append(
                (
                    name,
                    str(len(cores)),
                    spread([each.cpu for each in taken], ",.1f"),
                    ratio([each.cpu for each in taken], [each.cpu for each in one]),
                    spread([each.requests_per_second for each in taken], ",.0f"),
                    ratio([each.requests_per_second for each in taken], [each.requests_per_second for each in one]),
                    spread([each.p99 for each in taken], ".2f"),
                    str(sum(each.errors for each in taken)),
                )
            )
    heads = ("model", "workers", "CPU us a request", "ratio to one", "requests/s", "ratio to one", "p99 ms", "errors")
    return ReportTable("", heads, rows)
