"""This source beside an earlier commit of it: what a change costs or gains, in every figure that is watched."""

from collections.abc import Callable
from dataclasses import asdict, dataclass

from benchmarks import models
from benchmarks.bench import Bench, Fleet
from benchmarks.closed_loop import load
from benchmarks.forms import FORMS
from benchmarks.grpc import load_calls, message_of
from benchmarks.models import BenchmarkModel
from benchmarks.overload import CASES, one_round
from benchmarks.process import Process, post
from benchmarks.report import BenchmarkReport, ReportTable, ratio, spread
from benchmarks.rows import CODED, ROWS
from benchmarks.start import SETTLING

NOW, BEFORE = "septet", "septet-before"


@dataclass(frozen=True)
class Figure:
    """One figure in each round, of both; `more` is better where the ratio should be above 1."""

    name: str
    unit: str
    now: list[float]
    before: list[float]
    more: bool = True

    def row(self) -> tuple[str, ...]:
        """As the table has it: ratios above 1 are gains."""
        gain = ratio(self.now, self.before) if self.more else ratio(self.before, self.now)
        return (self.name, self.unit, spread(self.before, ",.3g"), spread(self.now, ",.3g"), gain)


def run(bench: Bench) -> BenchmarkReport:
    """Both take turns, round after round, in alternating order."""
    iris = models.iris(bench.cache)
    wide = BenchmarkModel(models.mlp(bench.cache).path, models.generated(2 * ROWS), "probabilities")
    absent: dict[str, str] = {}
    cases = [
        *((iris, form, 1, count) for form in ("data", "records", "v2", "v2-binary") for count in (1, 16, 64)),
        *((model, "data", 1, 64) for model in (models.trees(bench.cache), models.mlp(bench.cache))),
        *((wide, form, ROWS, 4) for form in CODED),
    ]
    figures = [_rate(bench, *case, absent) for case in cases]
    figures += _calls(bench, iris, absent)
    figures += _starts(bench, iris, absent)
    figures += _overload(bench, absent)
    setting = {
        "before": f"commit {bench.before}",
        "servers": "one worker, one thread, one core, keep-alive connections, 127.0.0.1",
        "load": f"wrk and h2load, {bench.rounds} rounds of {bench.seconds:g} s; above 1 is a gain",
    }
    table = ReportTable("", ("", "unit", "before", "now", "ratio"), [each.row() for each in figures])
    return BenchmarkReport(
        "This source beside an earlier commit", setting, [table], [asdict(each) for each in figures], absent
    )


def _paired(
    bench: Bench,
    model: BenchmarkModel,
    servers: tuple[str, str],
    measure: Callable[[Process], float],
    absent: dict[str, str],
) -> tuple[list[float], list[float]]:
    """What `measure` finds of both, in each round."""
    found: dict[str, list[float]] = {server: [] for server in servers}
    first = None if "grpc" in servers[0] else FORMS["data"].body(model, model.rows[:1])
    with Fleet(bench, model) as fleet:
        present = [fleet.add(server, first) for server in servers]
        if all(present):
            for turn in range(bench.rounds):
                for server in servers if turn % 2 else servers[::-1]:
                    with fleet.turn(server) as process:
                        found[server].append(measure(process))
        absent |= fleet.absent
    return found[servers[0]], found[servers[1]]


def _rate(
    bench: Bench, model: BenchmarkModel, form: str, rows: int, connections: int, absent: dict[str, str]
) -> Figure:
    body = FORMS[form].body(model, model.rows[:rows])

    def measure(process: Process) -> float:
        load(process, body, bench.cache, connections=connections, seconds=1)
        sample = load(process, body, bench.cache, connections=connections, seconds=bench.seconds)
        return sample.requests_per_second

    now, before = _paired(bench, model, (NOW, BEFORE), measure, absent)
    return Figure(
        f"{model.name}, {FORMS[form].title}, {rows} rows, {connections} connections", "requests/s", now, before
    )


def _calls(bench: Bench, model: BenchmarkModel, absent: dict[str, str]) -> list[Figure]:
    message = message_of(bench, model)
    found = []
    for connections in (1, 16, 64):

        def measure(process: Process, count: int = connections) -> float:
            return load_calls(process, message, count, bench.seconds).requests_per_second

        now, before = _paired(bench, model, ("septet-grpc", "septet-grpc-before"), measure, absent)
        found.append(Figure(f"gRPC, iris, {connections} connections", "requests/s", now, before))
    return found


def _starts(bench: Bench, model: BenchmarkModel, absent: dict[str, str]) -> list[Figure]:
    body = FORMS["data"].body(model, model.rows[:1])
    seconds: dict[str, list[float]] = {NOW: [], BEFORE: []}
    memory: dict[str, list[float]] = {NOW: [], BEFORE: []}
    for turn in range(bench.rounds):
        for server in (NOW, BEFORE) if turn % 2 else (BEFORE, NOW):
            if server in absent:
                continue
            with bench.start(server, model) as process:
                seconds[server].append(process.first_answer(body, within=90))
                for _ in range(SETTLING):
                    post(process.port, body)
                memory[server].append(sum(process.memory()))
    return [
        Figure("start to the first answer", "s", seconds[NOW], seconds[BEFORE], more=False),
        Figure("memory", "MB", memory[NOW], memory[BEFORE], more=False),
    ]


def _overload(bench: Bench, absent: dict[str, str]) -> list[Figure]:
    found: list[Figure] = []
    for milliseconds in (1, 10):
        model = models.slow(bench.cache, milliseconds)
        body, case = FORMS["data"].body(model, model.rows[:1]), CASES[model.name]
        servers = ("septet-impatient", "septet-impatient-before")
        taken: dict[str, list[tuple[float, float]]] = {server: [] for server in servers}
        with Fleet(bench, model) as fleet:
            present = [fleet.add(server, body) for server in servers]
            if all(present):
                for turn in range(bench.rounds):
                    for server in servers if turn % 2 else servers[::-1]:
                        each = one_round(bench, fleet, body, case, server)
                        if each.flood is not None:
                            taken[server].append((each.flood.accepted / each.capacity, each.flood.refused_p99 or 0.0))
            absent |= fleet.absent
        now, before = taken.values()
        name = f"overload, {case.title}"
        found.append(Figure(f"{name}: accepted of the capacity", "share", [a for a, _ in now], [a for a, _ in before]))
        late = [[each for _, each in side] for side in (now, before)]
        found.append(Figure(f"{name}: refusals, p99", "ms", late[0], late[1], more=False))
    return found
