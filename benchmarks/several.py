"""Two models in one process: each is as fast as alone, and together they share the core."""

from dataclasses import asdict, replace

from benchmarks import models
from benchmarks.bench import Bench, Fleet
from benchmarks.closed_loop import Sample, load
from benchmarks.forms import FORMS
from benchmarks.report import BenchmarkReport, ReportTable, ratio, spread

CONNECTIONS = 16
ALONE, BOTH = "septet", "septet-both"


def run(bench: Bench) -> BenchmarkReport:
    """Iris alone, and beside the trees, which nobody asks; then the trees in the same way."""
    iris, trees = models.iris(bench.cache), models.trees(bench.cache)
    body = FORMS["data"].body(iris, iris.rows[:1])
    beside = replace(body, path=f"/models/{iris.path.stem}/predict")
    other = replace(FORMS["data"].body(trees, trees.rows[:1]), path=f"/models/{trees.path.stem}/predict")
    samples: dict[str, list[Sample]] = {"alone": [], "beside another": [], "the other": []}
    with Fleet(bench, iris) as fleet:
        present = [fleet.add(ALONE, body), fleet.add(BOTH, beside)]
        if all(present):
            for turn in range(bench.rounds):
                turns = [(ALONE, body, "alone"), (BOTH, beside, "beside another"), (BOTH, other, "the other")]
                for server, sent, name in turns if turn % 2 else turns[::-1]:
                    with fleet.turn(server) as process:
                        load(process, sent, bench.cache, connections=CONNECTIONS, seconds=1)
                        samples[name].append(
                            load(process, sent, bench.cache, connections=CONNECTIONS, seconds=bench.seconds)
                        )
        absent = fleet.absent
    alone = [each.requests_per_second for each in samples["alone"]]
    rows: list[tuple[str, ...]] = [
        (name, spread(rates, ",.0f"), ratio(rates, alone), spread([each.p99 for each in taken], ".3f"))
        for name, taken in samples.items()
        for rates in ([each.requests_per_second for each in taken],)
    ]
    setting = {
        "models": "iris, and 300 trees; one row a request, `data`",
        "servers": "one worker, one core: one serves iris alone, the other serves both",
        "load": f"wrk, {CONNECTIONS} connections, {bench.rounds} rounds of {bench.seconds:g} s",
    }
    table = ReportTable("", ("", "requests/s", "ratio to iris alone", "p99 ms"), rows)
    kept = {name: [asdict(each) for each in taken] for name, taken in samples.items()}
    return BenchmarkReport("Two models in one process", setting, [table], kept, absent)
