"""More load than can be served: what is still answered, how fast the rest is refused, and what is kept."""

from dataclasses import asdict, dataclass

from benchmarks import models
from benchmarks.bench import Bench, Fleet
from benchmarks.closed_loop import Sample, load
from benchmarks.forms import FORMS, FormBody
from benchmarks.open_loop import Flooded, flooded
from benchmarks.report import BenchmarkReport, ReportTable, ratio, spread

OVER = 3
# Long enough for its end, while those who wait are answered and nobody asks any more, to be a hundredth of it.
WINDOWS = 6
SERVER = "septet-impatient"


@dataclass(frozen=True)
class OverloadCase:
    """What is overloaded: how many callers find its capacity, over how many connections it is flooded, and how many
    callers crowd it. Without a flood where the generator cannot send three times as much as is answered.
    """

    title: str
    few: int
    flood: int | None
    crowd: int


CASES = {
    "iris": OverloadCase("iris", 64, None, 1000),
    "slow-1": OverloadCase("1 ms a row", 16, 1000, 300),
    "slow-10": OverloadCase("10 ms a row", 8, 64, 100),
}


@dataclass(frozen=True)
class OverloadRound:
    """One round: requests answered a second before, what flood and crowd showed, and MB before and after the flood."""

    capacity: float
    flood: Flooded | None
    crowd: Sample
    before: float
    after: float


def run(bench: Bench) -> BenchmarkReport:
    """Capacity first, then the flood and the crowd, of the same server in the same round."""
    rounds: dict[str, list[OverloadRound]] = {}
    absent: dict[str, str] = {}
    for model in (models.iris(bench.cache), models.slow(bench.cache, 1), models.slow(bench.cache, 10)):
        body = FORMS["data"].body(model, model.rows[:1])
        with Fleet(bench, model) as fleet:
            count = bench.rounds if fleet.add(SERVER, body) else 0
            rounds[model.name] = [one_round(bench, fleet, body, CASES[model.name]) for _ in range(count)]
            absent |= fleet.absent
        print(f"{model.name}: {count} rounds done", flush=True)
    setting = {
        "server": "one worker on one core, 300 ms to answer",
        "capacity": f"wrk, as many connections as are kept busy, {bench.seconds:g} s; of the same round",
        "flood": f"septet bench, {OVER} times the capacity for {WINDOWS * bench.seconds:g} s, evenly spaced; what "
        "finds every connection waiting for an answer is not sent, so that `offered` tells what was",
        "times of the flood": "of the accepted from when a request was due, of the refused (429 or 503) from when it "
        "was sent",
        "crowd": f"wrk, {bench.seconds:g} s: callers who ask again as soon as they are answered or refused",
    }
    samples = {name: [asdict(each) for each in taken] for name, taken in rounds.items()}
    return BenchmarkReport("Overload", setting, [_flood(rounds), _crowd(rounds)], samples, absent)


def one_round(bench: Bench, fleet: Fleet, body: FormBody, case: OverloadCase, server: str = SERVER) -> OverloadRound:
    """Capacity, flood and crowd of one server."""
    with fleet.turn(server) as process:
        load(process, body, bench.cache, connections=case.few, seconds=1)
        capacity = answered(load(process, body, bench.cache, connections=case.few, seconds=bench.seconds))
        before = sum(process.memory())
        flood = None
        if case.flood is not None:
            rate, seconds = OVER * capacity, WINDOWS * bench.seconds
            flood = flooded(process, body, bench.cache, rate=rate, connections=case.flood, seconds=seconds)
        after = sum(process.memory())
        crowd = load(process, body, bench.cache, connections=case.crowd, seconds=bench.seconds)
        return OverloadRound(capacity, flood, crowd, before, after)


def answered(sample: Sample) -> float:
    """Requests answered a second, without those that failed or were refused."""
    return sample.requests_per_second * (1 - sample.errors / max(1, sample.requests))


def _flood(rounds: dict[str, list[OverloadRound]]) -> ReportTable:
    rows: list[tuple[str, ...]] = []
    for name, taken in rounds.items():
        floods = [each.flood for each in taken if each.flood is not None]
        if not floods:
            continue
        quick = [each.refused_p50 for each in floods if each.refused_p50 is not None]
        late = [each.refused_p99 for each in floods if each.refused_p99 is not None]
        rows.append(
            (
                f"{CASES[name].title}, {CASES[name].flood} connections",
                spread([each.capacity for each in taken], ",.0f"),
                spread([each.offered for each in floods], ",.0f"),
                spread([each.accepted for each in floods], ",.0f"),
                ratio([each.accepted for each in floods], [each.capacity for each in taken]),
                spread([each.accepted_p99 for each in floods if each.accepted_p99 is not None], ".1f"),
                spread([each.refused for each in floods], ",.0f"),
                f"{spread(quick, '.2f')} / {spread(late, '.1f')}",
                spread([each.failed for each in floods], ".1f"),
                spread([each.after - each.before for each in taken], "+.1f"),
                f"{sum(bool(each.limited) for each in floods)} of {len(floods)}",
            )
        )
    heads = ("", "capacity/s", "offered/s", "accepted/s", "of the capacity", "accepted p99 ms", "refused/s")
    more = ("refused p50 / p99 ms", "failed/s", "memory, MB", "rounds with the generator at its limit")
    return ReportTable("Flood", (*heads, *more), rows)


def _crowd(rounds: dict[str, list[OverloadRound]]) -> ReportTable:
    rows: list[tuple[str, ...]] = []
    for name, taken in rounds.items():
        crowds = [each.crowd for each in taken]
        good = [answered(each) for each in crowds]
        rows.append(
            (
                f"{CASES[name].title}, {CASES[name].crowd} callers",
                spread([each.capacity for each in taken], ",.0f"),
                spread(good, ",.0f"),
                ratio(good, [each.capacity for each in taken]),
                spread([all_.requests_per_second - some for all_, some in zip(crowds, good, strict=True)], ",.0f"),
                f"{spread([each.p50 for each in crowds], '.1f')} / {spread([each.p99 for each in crowds], '.1f')}",
            )
        )
    heads = ("", "capacity/s", "answered/s", "of the capacity", "refused or failed/s", "p50 / p99 ms, refused ones too")
    return ReportTable("Crowd", heads, rows)
