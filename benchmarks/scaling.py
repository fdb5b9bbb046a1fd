"""One worker and two: CPU time a request, and throughput.

Where there are only two cores, the generator competes with the second worker, so that CPU time a request tells more
than the throughput does.
"""

from dataclasses import asdict

from benchmarks import models
from benchmarks.bench import Bench, Fleet
from benchmarks.closed_loop import Sample, load, verify
from benchmarks.forms import FORMS
from benchmarks.report import Report, Table, ratio, spread

# Of each worker: with fewer, requests would share smaller runs, which is not what is asked here.
CONNECTIONS = 64
# By server, its workers and the cores it may use.
SERVED = {"septet": (1, "0"), "septet-2": (2, "0,1")}


def run(bench: Bench) -> Report:
    """The small model, where the server is all the cost, and trees, where the engine is a part of it."""
    samples: dict[str, dict[str, list[Sample]]] = {}
    absent: dict[str, str] = {}
    form = FORMS["data"]
    for model in (models.iris(bench.cache), models.trees(bench.cache)):
        body, expected = form.body(model, model.rows[:1]), model.answers()
        taken = samples[model.name] = {server: [] for server in SERVED}
        with Fleet(bench, model) as fleet:
            present = [server for server, (_, cores) in SERVED.items() if fleet.add(server, body, cores=cores)]
            for server in present:
                with fleet.turn(server) as process:
                    print(f"{model.name}, {server}: {verify(process, form, model, expected)} answers right", flush=True)
            for turn in range(bench.rounds):
                for server in present if turn % 2 else present[::-1]:
                    many = CONNECTIONS * SERVED[server][0]
                    with fleet.turn(server) as process:
                        load(process, body, bench.cache, connections=many, seconds=1)
                        taken[server].append(load(process, body, bench.cache, connections=many, seconds=bench.seconds))
            absent |= fleet.absent
    setting = {
        "load": f"wrk, {CONNECTIONS} connections for each worker, `data`, one row; {bench.rounds} rounds of "
        f"{bench.seconds:g} s",
        "cores": "one worker has the first; two workers have both, and wrk the second as well",
    }
    kept = {
        name: {server: [asdict(each) for each in taken] for server, taken in by.items()} for name, by in samples.items()
    }
    return Report("One worker and two", setting, [_table(samples)], kept, absent)


def _table(samples: dict[str, dict[str, list[Sample]]]) -> Table:
    rows: list[tuple[str, ...]] = []
    for name, by in samples.items():
        one, two = (by[server] for server in SERVED)
        for taken, (workers, _) in zip((one, two), SERVED.values(), strict=True):
            rows.append(
                (
                    name,
                    str(workers),
                    spread([each.cpu for each in taken], ",.1f"),
                    ratio([each.cpu for each in taken], [each.cpu for each in one]),
                    spread([each.requests_per_second for each in taken], ",.0f"),
                    ratio([each.requests_per_second for each in taken], [each.requests_per_second for each in one]),
                    spread([each.p99 for each in taken], ".2f"),
                    str(sum(each.errors for each in taken)),
                )
            )
    heads = ("model", "workers", "CPU us a request", "ratio to one", "requests/s", "ratio to one", "p99 ms", "errors")
    return Table("", heads, rows)
