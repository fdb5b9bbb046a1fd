"""Three times more load than can be served: what is still answered, how fast the rest is refused, and what is kept."""

from dataclasses import asdict, dataclass

from benchmarks import models
from benchmarks.bench import Bench, Fleet
from benchmarks.closed_loop import load
from benchmarks.forms import FORMS, Body
from benchmarks.open_loop import Flooded, flooded
from benchmarks.report import Report, Table, ratio, spread

OVER = 3
# What is overloaded: its title, the server, and how many connections find the capacity and how many flood it.
CASES = {
    "slow-1": ("1 ms a row, 300 ms to answer", "septet-impatient", 16, 1000),
    "slow-10": ("10 ms a row, 300 ms to answer", "septet-impatient", 8, 64),
}


@dataclass(frozen=True)
class Round:
    """One round: requests a second before, what the flood showed, and MB before and after it."""

    capacity: float
    flood: Flooded
    before: float
    after: float


def run(bench: Bench) -> Report:
    """Capacity first, then the flood, of the same server in the same round."""
    rounds: dict[str, list[Round]] = {}
    absent: dict[str, str] = {}
    for model in (models.slow(bench.cache, 1), models.slow(bench.cache, 10)):
        _, server, few, many = CASES[model.name]
        body = FORMS["data"].body(model, model.rows[:1])
        with Fleet(bench, model) as fleet:
            count = bench.rounds if fleet.add(server, body) else 0
            rounds[model.name] = [_round(bench, fleet, server, body, few, many) for _ in range(count)]
            absent |= fleet.absent
        print(f"{model.name}: {count} rounds done", flush=True)
    setting = {
        "capacity": f"wrk, as many connections as are kept busy, {bench.seconds:g} s; of the same round",
        "flood": f"septet bench, {OVER} times the capacity for {2 * bench.seconds:g} s, evenly spaced; what finds "
        "every connection waiting for an answer is not sent, so that `offered` tells what was",
        "times": "of the accepted from when a request was due, of the refused (429 or 503) from when it was sent",
    }
    samples = {name: [asdict(each) for each in taken] for name, taken in rounds.items()}
    return Report("Overload", setting, [_table(rounds)], samples, absent)


def _round(bench: Bench, fleet: Fleet, server: str, body: Body, few: int, many: int) -> Round:
    with fleet.turn(server) as process:
        load(process, body, bench.cache, connections=few, seconds=1)
        sample = load(process, body, bench.cache, connections=few, seconds=bench.seconds)
        capacity = sample.requests_per_second * (1 - sample.errors / max(1, sample.requests))
        before = sum(process.memory())
        flood = flooded(process, body, bench.cache, rate=OVER * capacity, connections=many, seconds=2 * bench.seconds)
        return Round(capacity, flood, before, sum(process.memory()))


def _table(rounds: dict[str, list[Round]]) -> Table:
    rows: list[tuple[str, ...]] = []
    for name, taken in rounds.items():
        title, _, _, many = CASES[name]
        floods = [each.flood for each in taken]
        quick = [each.refused_p50 for each in floods if each.refused_p50 is not None]
        late = [each.refused_p99 for each in floods if each.refused_p99 is not None]
        rows.append(
            (
                f"{title}, {many} connections",
                spread([each.capacity for each in taken], ",.0f"),
                spread([each.offered for each in floods], ",.0f"),
                spread([each.accepted for each in floods], ",.0f"),
                ratio([each.accepted for each in floods], [each.capacity for each in taken]),
                spread([each.accepted_p99 for each in floods if each.accepted_p99 is not None], ".1f"),
                spread([each.refused for each in floods], ",.0f"),
                f"{spread(quick, '.2f')} / {spread(late, '.1f')}",
                spread([each.failed for each in floods], ".1f"),
                spread([each.after - each.before for each in taken], "+.1f"),
            )
        )
    heads = ("", "capacity/s", "offered/s", "accepted/s", "of the capacity", "accepted p99 ms", "refused/s")
    return Table("", (*heads, "refused p50 / p99 ms", "failed/s", "memory, MB"), rows)
