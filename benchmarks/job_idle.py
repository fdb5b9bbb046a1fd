"""What a server with jobs does while there are few: how soon one begins, and what it costs other requests."""

import datetime as dt
import http.client
import json
import time
from dataclasses import dataclass
from statistics import median, quantiles

from benchmarks.bench import Bench
from benchmarks.closed_loop import load
from benchmarks.forms import FORMS
from benchmarks.job_septet import serving, submission
from benchmarks.job_stores import DURABILITY, StoreInUse, job_store
from benchmarks.models import BenchmarkModel
from benchmarks.process import Process
from benchmarks.report import ReportTable, ratio, spread

KINDS = ("sqlite", "redis-everysec", "redis-always")
SUBMITS, APART = 200, 0.05
STILL = (30.0, 5.0)
#: Short windows of which each round has several: the server without jobs and that with them take turns.
PAIRS, CONNECTIONS = 5, (1, 64)


@dataclass(frozen=True)
class IdleRound:
    """One round; times in ms, CPU in percent of a core.

    Attributes:
        started: p95 from `submitted_at` to `started_at`, as the server tells.
        answered: p95 from the begin of the request that submits to the end of the one that waits for the answer.
        cpu: of all processes of the server, while nothing is queued.
    """

    started: float
    answered: float
    cpu: float


def measure(bench: Bench, model: BenchmarkModel, absent: dict[str, str]) -> tuple[list[ReportTable], object]:
    """A server with its own worker, on one core, and single submits."""
    found: dict[str, list[IdleRound]] = {kind: [] for kind in KINDS}
    for _ in range(bench.rounds):
        for kind in KINDS:
            try:
                with job_store(bench, kind) as store, serving(bench, model, "--jobs", store.url) as server:
                    found[kind].append(_idle(bench, model, server))
                print(f"idle, {kind}: {found[kind][-1]}", flush=True)
            except (RuntimeError, OSError) as error:
                absent[f"idle, {kind}"] = str(error)
    rows: list[tuple[str, ...]] = [
        (
            DURABILITY[kind],
            spread([each.started for each in taken], ".1f"),
            spread([each.answered for each in taken], ".1f"),
            spread([each.cpu for each in taken], ".2f"),
        )
        for kind, taken in found.items()
    ]
    rows.append(("is to be", "< 20", "", "< 1"))
    heads = ("", "submit to start, p95 ms", "submit to the answer, by the caller's clock, p95 ms")
    title = f"An idle server with one worker: {SUBMITS} single submits, then {STILL[bench.quick]:.0f} s of nothing"
    table = ReportTable(title, (*heads, "CPU while nothing is queued, % of a core"), rows)
    return [table], {kind: [vars(each) for each in taken] for kind, taken in found.items()}


def _idle(bench: Bench, model: BenchmarkModel, server: Process) -> IdleRound:
    body = submission(model)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)

    def asked(method: str, path: str, content: bytes | None = None) -> dict[str, str]:
        connection.request(method, path, content, body.headers if content else {})
        answer: dict[str, str] = json.loads(connection.getresponse().read())
        return answer

    def submit() -> tuple[float, float]:
        begun = time.perf_counter()
        job = asked("GET", f"{asked('POST', body.path, body.content)['href']}?wait=20")
        answered = time.perf_counter() - begun
        if job["state"] != "succeeded":
            raise RuntimeError(f"a job is {job['state']}")
        return (_moment(job["started_at"]) - _moment(job["submitted_at"])) * 1000, answered * 1000

    # The worker may still be starting.
    submit()
    times = []
    for _ in range(SUBMITS):
        time.sleep(APART)
        times.append(submit())
    connection.close()
    time.sleep(1)
    before, begun = server.cpu_seconds(), time.perf_counter()
    time.sleep(STILL[bench.quick])
    cpu = (server.cpu_seconds() - before) / (time.perf_counter() - begun) * 100
    started, answered = ([each[index] for each in times] for index in (0, 1))
    return IdleRound(quantiles(started, n=20)[-1], quantiles(answered, n=20)[-1], cpu)


def _moment(text: str) -> float:
    return dt.datetime.fromisoformat(text).timestamp()


def measure_beside(bench: Bench, model: BenchmarkModel, absent: dict[str, str]) -> tuple[list[ReportTable], object]:
    """Requests that are answered at once, by servers with and without `--jobs`, which take turns."""
    rates: dict[str, dict[str, list[float]]] = {}
    for kind in ("sqlite", "redis-everysec"):
        try:
            with job_store(bench, kind) as store:
                for connections in CONNECTIONS:
                    title = f"{DURABILITY[kind]}, {connections} connections"
                    rates[title] = _beside(bench, model, store, connections)
        except (RuntimeError, OSError) as error:
            absent[f"beside, {kind}"] = str(error)
    rows: list[tuple[str, ...]] = [
        (
            title,
            spread(each["without"], ",.0f"),
            spread(each["with"], ",.0f"),
            ratio(each["with"], each["without"], ".3f"),
            "> 0.97",
        )
        for title, each in rates.items()
    ]
    print(*rows, sep="\n", flush=True)
    heads = ("", "requests/s without `--jobs`", "with `--jobs` and an idle worker", "ratio", "is to be")
    return [ReportTable("What jobs cost requests that are answered at once", heads, rows)], rates


def _beside(bench: Bench, model: BenchmarkModel, store: StoreInUse, connections: int) -> dict[str, list[float]]:
    body = FORMS["data"].body(model, model.rows[:1])
    found: dict[str, list[float]] = {"without": [], "with": []}
    with serving(bench, model) as without, serving(bench, model, "--jobs", store.url) as with_jobs:
        servers = {"without": without, "with": with_jobs}
        for each in servers.values():
            load(each, body, bench.cache, connections=connections, seconds=1)
        for _ in range(bench.rounds):
            windows: dict[str, list[float]] = {"without": [], "with": []}
            for pair in range(PAIRS):
                for name in list(servers)[:: -1 if pair % 2 else 1]:
                    # The other one has nothing to do, but its worker beats: it is paused, for less than a lease.
                    other = servers["with" if name == "without" else "without"]
                    other.pause()
                    sample = load(servers[name], body, bench.cache, connections=connections, seconds=1)
                    other.resume()
                    windows[name].append(sample.requests_per_second)
            for name, taken in windows.items():
                found[name].append(median(taken))
    return found
