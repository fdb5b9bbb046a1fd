"""One large tensor a request: an image of 602,112 bytes, and one more of every value back."""

from dataclasses import asdict, dataclass

from benchmarks import models
from benchmarks.bench import Bench, Fleet
from benchmarks.closed_loop import Sample, load, verify
from benchmarks.forms import FORMS, FormBody
from benchmarks.report import BenchmarkReport, ReportTable, ratio, spread
from benchmarks.servers import SERVERS


@dataclass(frozen=True)
class TensorContender:
    """A server and the form of the requests to it; `computes` where its answers can be proven."""

    server: str
    form: str
    computes: bool = True

    @property
    def name(self) -> str:
        """As tables show it."""
        title = SERVERS[self.server].title
        return f"{title}, {FORMS[self.form].title}" if self.computes else title


CONTENDERS = [
    TensorContender("septet", "v2-binary"),
    TensorContender("septet", "v2"),
    TensorContender("septet", "tensors"),
    TensorContender("bare-echo", "v2-binary", computes=False),
]
BASELINE = CONTENDERS[-1]
CONNECTIONS = (1, 4)
Samples = dict[str, dict[int, list[Sample]]]  # contender -> connections -> one for each round


def run(bench: Bench) -> BenchmarkReport:
    """All of them at once."""
    model = models.image(bench.cache)
    bodies = {each: FORMS[each.form].body(model, model.rows[:1]) for each in CONTENDERS}
    expected = model.answers()
    samples: Samples = {}
    with Fleet(bench, model) as fleet:
        for each, body in bodies.items():
            if not fleet.add(each.server, body):
                continue
            if each.computes:
                with fleet.turn(each.server) as process:
                    proven = verify(process, FORMS[each.form], model, expected, clients=2)
                    print(f"{each.name}: {proven} answers right", flush=True)
            samples[each.name] = {count: [] for count in CONNECTIONS}
        for turn in range(bench.rounds):
            _round(bench, fleet, bodies, samples, backwards=bool(turn % 2))
    setting = {
        "model": "one is added to each of 3 x 224 x 224 float32 values",
        "bodies": ", ".join(f"{FORMS[each.form].title} {len(body.content):,} bytes" for each, body in bodies.items()),
        "load": f"wrk, {bench.rounds} rounds of {bench.seconds:g} s for each contender and number of connections",
    }
    kept = {name: {str(c): [asdict(s) for s in each] for c, each in by.items()} for name, by in samples.items()}
    return BenchmarkReport(
        "A tensor of 602,112 bytes", setting, [_table(samples, c) for c in CONNECTIONS], kept, fleet.absent
    )


def _round(
    bench: Bench, fleet: Fleet, bodies: dict[TensorContender, FormBody], samples: Samples, *, backwards: bool
) -> None:
    present = [each for each in bodies if each.name in samples]
    for count in CONNECTIONS:
        for each in present[::-1] if backwards else present:
            with fleet.turn(each.server) as process:
                sample = load(process, bodies[each], bench.cache, connections=count, seconds=bench.seconds)
            samples[each.name][count].append(sample)


def _table(samples: Samples, count: int) -> ReportTable:
    base = [each.requests_per_second for each in samples.get(BASELINE.name, {}).get(count, [])]
    rows: list[tuple[str, ...]] = []
    for name, by in samples.items():
        taken = by[count]
        rates = [each.requests_per_second for each in taken]
        rows.append(
            (
                name,
                spread(rates, ",.1f"),
                ratio(rates, base),
                spread([each.p50 for each in taken], ".2f"),
                spread([each.p90 for each in taken], ".2f"),
                spread([each.p99 for each in taken], ".2f"),
                spread([each.cpu / 1000 for each in taken], ".2f"),
                str(sum(each.errors for each in taken)),
            )
        )
    heads = ("", "requests/s", "ratio to the bare server", "p50 ms", "p90 ms", "p99 ms", "CPU ms a request", "errors")
    return ReportTable(f"{count} connection{'s' if count > 1 else ''}", heads, rows)
