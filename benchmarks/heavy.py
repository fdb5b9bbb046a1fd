"""Heavier models under concurrency: what batching brings, and how near a server comes to what its parts allow."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from operator import attrgetter
from statistics import median

from benchmarks import costs, models
from benchmarks.bench import CONSTANT, Bench, Fleet
from benchmarks.closed_loop import Sample, load, verify
from benchmarks.forms import FORMS, FormBody
from benchmarks.models import BenchmarkModel
from benchmarks.open_loop import Paced, paced
from benchmarks.process import post
from benchmarks.report import BenchmarkReport, ReportTable, ratio, spread

CONNECTIONS = 64
LIGHT_SHARE = 0.1
# Short windows, of which the median is kept: one moment in which the machine stands still makes the p99 of a window.
LIGHT_WINDOWS, LIGHT_SECONDS = 5, 1.0
TRANSPORT, BATCHED, UNBATCHED = "bare-constant", "septet", "septet-unbatched"


@dataclass(frozen=True)
class HeavyRound:
    """One round of one model; costs in CPU microseconds.

    Attributes:
        loads: 64 connections of one row a request, by server.
        codec: reading and writing one row, without checks.
        engine: for a row, by how many run together.
        light: what callers saw at a tenth of the capacity, by server, in each window.
    """

    loads: dict[str, Sample]
    codec: float
    engine: dict[int, float]
    light: dict[str, list[Paced]]

    @property
    def ideal(self) -> float:
        """Rows a second, if a request cost no more than the bare transport, the codec, and a row at its best batch."""
        return 1e6 / (self.loads[TRANSPORT].cpu + self.codec + min(self.engine.values()))

    @property
    def rate(self) -> float:
        """Rows a second that were served."""
        return self.loads[BATCHED].requests_per_second


def run(bench: Bench) -> BenchmarkReport:
    """Each model on its own, all servers of one at once."""
    rounds: dict[str, list[HeavyRound]] = {}
    absent: dict[str, str] = {}
    for model in (models.trees(bench.cache), models.mlp(bench.cache)):
        with Fleet(bench, model) as fleet:
            rounds[model.name] = _measure(bench, fleet, model)
            absent |= fleet.absent
    setting = {
        "models": "`trees`: 300 gradient-boosted trees, 28 features; `mlp`: 28-256-256-2; both scikit-learn's, as ONNX",
        "load": f"wrk, {CONNECTIONS} connections, `data`, one row; {bench.rounds} rounds of {bench.seconds:g} s",
        "ideal": "1 / (CPU time a request of the bare protocol with a constant answer + bare decoding and encoding of "
        "a row + engine time of a row at its best batch), all of the same round",
        "light load": f"`septet bench`, {LIGHT_SHARE:.0%} of the capacity just measured, evenly spaced; of each round "
        f"the median of {LIGHT_WINDOWS} windows of {LIGHT_SECONDS:g} s",
    }
    samples = {name: [asdict(each) for each in taken] for name, taken in rounds.items()}
    return BenchmarkReport("Heavier models under concurrency", setting, _tables(rounds), samples, absent)


def _measure(bench: Bench, fleet: Fleet, model: BenchmarkModel) -> list[HeavyRound]:
    form = FORMS["data"]
    body = form.body(model, model.rows[:1])
    expected = model.answers()
    for server in (BATCHED, UNBATCHED):
        if not fleet.add(server, body):
            return []
        with fleet.turn(server) as process:
            print(f"{model.name}, {server}: {verify(process, form, model, expected)} answers right", flush=True)
            (bench.cache / CONSTANT).write_bytes(post(process.port, body)[1])
            load(process, body, bench.cache, connections=CONNECTIONS, seconds=1)
    if not fleet.add(TRANSPORT, body):
        return []
    rounds = []
    for turn in range(bench.rounds):
        rounds.append(_round(bench, fleet, model, body, backwards=bool(turn % 2)))
        print(f"{model.name}: round {turn + 1} of {bench.rounds} done", flush=True)
    return rounds


def _round(bench: Bench, fleet: Fleet, model: BenchmarkModel, body: FormBody, *, backwards: bool) -> HeavyRound:
    order = [TRANSPORT, BATCHED, UNBATCHED]
    loads = {}
    for server in order[::-1] if backwards else order:
        with fleet.turn(server) as process:
            loads[server] = load(process, body, bench.cache, connections=CONNECTIONS, seconds=bench.seconds)
    answer = model.answers()[:1]
    codec = costs.bare_codec(body.content, answer, seconds=bench.seconds / 4) * 1e6
    engine = {size: each * 1e6 for size, each in costs.engine(model, seconds=bench.seconds).items()}
    rate = loads[BATCHED].requests_per_second * LIGHT_SHARE
    light: dict[str, list[Paced]] = {BATCHED: [], UNBATCHED: []}
    for _ in range(LIGHT_WINDOWS):
        for server in (UNBATCHED, BATCHED) if backwards else (BATCHED, UNBATCHED):
            with fleet.turn(server) as process:
                light[server].append(paced(process, body, bench.cache, rate=rate, seconds=LIGHT_SECONDS))
    return HeavyRound(loads, codec, engine, light)


def _middle(windows: list[Paced], of: Callable[[Paced], float]) -> float:
    return median(map(of, windows))


def _tables(rounds: dict[str, list[HeavyRound]]) -> list[ReportTable]:
    shares: list[tuple[str, ...]] = []
    times: list[tuple[str, ...]] = []
    for name, taken in rounds.items():
        unbatched = [each.loads[UNBATCHED].requests_per_second for each in taken]
        best = [min(each.engine, key=lambda size: each.engine[size]) for each in taken]
        shares.append(
            (
                name,
                spread([each.rate for each in taken], ",.0f"),
                spread([each.ideal for each in taken], ",.0f"),
                ratio([each.rate for each in taken], [each.ideal for each in taken]),
                spread(unbatched, ",.0f"),
                ratio([each.rate for each in taken], unbatched),
                spread([each.loads[TRANSPORT].cpu for each in taken], ".1f"),
                spread([each.codec for each in taken], ".2f"),
                spread([each.engine[1] for each in taken], ".1f"),
                spread([min(each.engine.values()) for each in taken], ".2f"),
                f"{min(best)}-{max(best)}" if best else "-",
                str(sum(each.loads[server].errors for each in taken for server in (BATCHED, UNBATCHED))),
            )
        )
        batched = [each.light[BATCHED] for each in taken]
        alone = [each.light[UNBATCHED] for each in taken]
        windows = [window for each in (*batched, *alone) for window in each]
        limited = sum(bool(each.limited) for each in windows)
        times.append(
            (
                name,
                spread([_middle(each, attrgetter("rate")) for each in batched], ",.0f"),
                spread([_middle(each, attrgetter("p50")) for each in batched], ".2f"),
                spread([_middle(each, attrgetter("p99")) for each in batched], ".2f"),
                spread([_middle(each, attrgetter("p50")) for each in alone], ".2f"),
                spread([_middle(each, attrgetter("p99")) for each in alone], ".2f"),
                ratio(
                    [_middle(each, attrgetter("p99")) for each in batched],
                    [_middle(each, attrgetter("p99")) for each in alone],
                ),
                str(sum(each.failed for each in windows)),
                f"{limited} of {len(windows)} windows",
            )
        )
    rates = ("", "rows/s", "ideal rows/s", "share of the ideal", "batching off, rows/s", "gain by batching")
    parts = ("transport us", "codec us", "engine us, 1 row", "engine us a row at best", "best batch", "errors")
    late = ("", "requests/s", "p50 ms", "p99 ms", "p50 ms, batching off", "p99 ms, batching off", "p99 ratio")
    return [
        ReportTable(f"{CONNECTIONS} connections", (*rates, *parts), shares),
        ReportTable("A tenth of the capacity", (*late, "errors", "limited by the generator"), times),
    ]
