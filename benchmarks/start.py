"""From the start of a process to its first answer, and what it weighs: alone, in numbers, and with a large model."""

import statistics
from dataclasses import asdict, dataclass

from benchmarks import models
from benchmarks.bench import Bench
from benchmarks.forms import FORMS, FormBody
from benchmarks.models import BenchmarkModel
from benchmarks.process import Process, post
from benchmarks.report import BenchmarkReport, ReportTable, spread
from benchmarks.servers import SERVERS

# By server, the form of the requests to it.
STARTED = {
    **dict.fromkeys(("septet", "fastapi-def", "bare", "mosec", "litserve", "bentoml", "ray"), "data"),
    "mlserver": "v2",
    "pytriton": "v2",
    "mlflow": "mlflow",
}
WORKERS = {1: "septet", 2: "septet-2", 4: "septet-4"}
LARGE = {1: "septet-large", 4: "septet-large-4"}
SETTLING = 200


@dataclass(frozen=True)
class Start:
    """One start. `seconds` to the first answer; `memory` is the PSS in MB of each process, largest first."""

    seconds: float
    memory: list[float]

    @property
    def total(self) -> float:
        """MB of all processes together: pages that they share count once."""
        return sum(self.memory)


def run(bench: Bench) -> BenchmarkReport:
    """Every server alone on its core, in turns."""
    iris, large = models.iris(bench.cache), models.large(bench.cache)
    absent: dict[str, str] = {}
    cold = _starts(bench, iris, bench.wanted(list(STARTED)), absent)
    many = _starts(bench, iris, bench.wanted(list(WORKERS.values())), absent)
    heavy = _starts(bench, large, bench.wanted(list(LARGE.values())), absent)
    setting = {
        "models": f"iris; and one layer of weights, {large.path.stat().st_size / 1e6:,.0f} MB",
        "start": "from the start of the process to the first prediction answered with 200, asked every 2 ms; "
        "files lie in the page cache",
        "memory": f"PSS of all processes after {SETTLING} requests, while no other copy of the server runs",
    }
    tables = [
        _table("Start and memory, one worker", cold),
        _workers_table("Iris, by workers", many, WORKERS),
        _workers_table("A model of 500 MB, `--threads 1`, by workers", heavy, LARGE),
    ]
    samples = {
        title: {server: [asdict(each) for each in taken] for server, taken in by.items()}
        for title, by in (("cold", cold), ("workers", many), ("large", heavy))
    }
    return BenchmarkReport("Start and memory", setting, tables, samples, absent)


def _starts(bench: Bench, model: BenchmarkModel, servers: list[str], absent: dict[str, str]) -> dict[str, list[Start]]:
    found: dict[str, list[Start]] = {server: [] for server in servers}
    for turn in range(bench.rounds):
        for server in servers if turn % 2 else servers[::-1]:
            if server in absent:
                continue
            body = FORMS[STARTED.get(server, "data")].body(model, model.rows[:1])
            try:
                with bench.start(server, model) as process:
                    seconds = process.first_answer(body, within=SERVERS[server].patience)
                    found[server].append(Start(seconds, _settled(process, body)))
            except (RuntimeError, OSError) as error:
                absent[server] = str(error)
            else:
                print(f"{server}: {seconds:.2f} s, {found[server][-1].total:.0f} MB", flush=True)
    return found


def _settled(process: Process, body: FormBody) -> list[float]:
    for _ in range(SETTLING):
        post(process.port, body)
    return process.memory()


def _table(title: str, starts: dict[str, list[Start]]) -> ReportTable:
    rows: list[tuple[str, ...]] = [
        (
            SERVERS[server].title,
            spread([each.seconds for each in taken], ".2f"),
            spread([each.memory[0] for each in taken], ",.0f"),
            spread([each.total for each in taken], ",.0f"),
            str(max(len(each.memory) for each in taken)),
        )
        for server, taken in starts.items()
        if taken
    ]
    heads = ("", "start to the first answer, s", "PSS of the largest process, MB", "of all, MB", "processes")
    return ReportTable(title, heads, rows)


def _workers_table(title: str, starts: dict[str, list[Start]], by_workers: dict[int, str]) -> ReportTable:
    """The weight of one more worker is what the last added over the first, shared among those in between."""
    first = starts.get(by_workers[1], [])
    rows: list[tuple[str, ...]] = []
    for workers, server in by_workers.items():
        taken = starts.get(server, [])
        if not taken:
            continue
        more = "-"
        if workers > 1 and first:
            grown = statistics.median(each.total for each in taken) - statistics.median(each.total for each in first)
            more = f"{grown / (workers - 1):,.0f}"
        seconds = spread([each.seconds for each in taken], ".2f")
        rows.append((str(workers), seconds, spread([each.total for each in taken], ",.0f"), more))
    return ReportTable(title, ("workers", "start to the first answer, s", "PSS of all, MB", "for each more, MB"), rows)
