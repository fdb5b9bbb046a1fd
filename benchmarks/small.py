"""One small model, one row a request: what does a server add to the model?"""

import subprocess
import time
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks import models
from benchmarks.bench import CONSTANT, Bench, Fleet
from benchmarks.closed_loop import Sample, load, verify
from benchmarks.forms import FORMS
from benchmarks.models import BenchmarkModel
from benchmarks.process import post
from benchmarks.report import BenchmarkReport, ReportTable, ratio, spread
from benchmarks.servers import SERVERS


@dataclass(frozen=True)
class SmallContender:
    """A server and the form of the requests to it; `computes` where its answers can be proven."""

    server: str
    form: str = "data"
    computes: bool = True

    @property
    def name(self) -> str:
        """As tables show it."""
        title = SERVERS[self.server].title
        return f"{title}, {FORMS[self.form].title}" if self.server == "septet" or self.form == "v2" else title


CONTENDERS = [
    *(SmallContender("septet", form) for form in ("data", "records", "v2", "v2-binary")),
    SmallContender("fastapi-def"),
    SmallContender("fastapi-async"),
    SmallContender("bentoml"),
    SmallContender("mlserver", "v2"),
    SmallContender("litserve"),
    SmallContender("litserve-batch"),
    SmallContender("mosec"),
    SmallContender("mosec-batch"),
    SmallContender("mlflow", "mlflow"),
    SmallContender("pytriton", "v2"),
    SmallContender("ray"),
    SmallContender("bare"),
    SmallContender("nginx", computes=False),
]
BASELINE = SmallContender("fastapi-def")
Samples = dict[str, dict[int, list[Sample]]]  # contender -> connections -> one for each round


def run(bench: Bench) -> BenchmarkReport:
    """Start every server, prove every answer, and let them take turns."""
    model = models.iris(bench.cache)
    connections = [1, 16] if bench.quick else [1, 16, 64]
    with Fleet(bench, model) as fleet:
        present = prove(bench, fleet, model, CONTENDERS)
        samples = rounds(bench, fleet, model, present, connections)
    tables = [table(samples, count, BASELINE) for count in connections]
    setting = {
        "model": "iris, a scaler and an SVC with probabilities, ONNX without ZipMap; one row a request",
        "bodies": ", ".join(f"`{_shown(model, form)}`" for form in ("data", "records", "v2")),
        "servers": "one worker, one thread, one core, keep-alive connections, 127.0.0.1",
        "load": f"wrk, {bench.rounds} rounds of {bench.seconds:g} s for each contender and number of connections",
    }
    return BenchmarkReport("One small model, one row a request", setting, tables, kept(samples), fleet.absent)


def kept(samples: Samples) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """The samples as results hold them."""
    return {name: {str(c): [asdict(s) for s in each] for c, each in by.items()} for name, by in samples.items()}


def _shown(model: BenchmarkModel, form: str) -> str:
    return FORMS[form].body(model, model.rows[:1]).content.decode()


def prove(
    bench: Bench, fleet: Fleet, model: BenchmarkModel, contenders: list[SmallContender], *, rows: int = 1
) -> list[SmallContender]:
    """Those contenders whose answers are right. The constant answer of nginx is what Septet says to the first row."""
    expected = model.answers()
    present = []
    wanted = bench.wanted([each.server for each in contenders])
    for each in contenders:
        form = FORMS[each.form]
        first = form.body(model, model.rows[:rows])
        if each.server not in wanted or not fleet.add(each.server, first):
            continue
        with fleet.turn(each.server) as process:
            if each.computes:
                try:
                    proven = verify(process, form, model, expected, rows=rows)
                except (RuntimeError, OSError, ValueError, KeyError) as error:
                    fleet.absent[each.server] = f"{each.name}: {error!r}"
                    print(fleet.absent[each.server], flush=True)
                    continue
                print(f"{each.name}: {proven} answers right", flush=True)
            if each == contenders[0]:
                (bench.cache / CONSTANT).write_bytes(post(process.port, first)[1])
        present.append(each)
    return present


def rounds(
    bench: Bench,
    fleet: Fleet,
    model: BenchmarkModel,
    present: list[SmallContender],
    connections: list[int],
    *,
    rows: int = 1,
) -> Samples:
    """Alternate between the contenders; each turn begins with a moment of load that is not kept."""
    samples: Samples = {each.name: {count: [] for count in connections} for each in present}
    bodies = {each.name: FORMS[each.form].body(model, model.rows[:rows]) for each in present}
    began = time.monotonic()
    for turn in range(bench.rounds):
        for count in connections:
            for each in present if turn % 2 else present[::-1]:
                if each.name not in samples:
                    continue
                try:
                    with fleet.turn(each.server) as process:
                        if turn == 0 or SERVERS[each.server].restless:
                            load(process, bodies[each.name], bench.cache, connections=count, seconds=1)
                        sample = load(process, bodies[each.name], bench.cache, connections=count, seconds=bench.seconds)
                except (subprocess.CalledProcessError, RuntimeError, OSError) as error:
                    # The command of a process that failed has paths of this machine in it.
                    called = isinstance(error, subprocess.CalledProcessError)
                    reason = "the load generator could not reach it" if called else str(error)
                    fleet.absent[each.server] = f"{each.name} broke off in round {turn + 1}: {reason}"
                    print(fleet.absent[each.server], flush=True)
                    del samples[each.name]
                    continue
                samples[each.name][count].append(sample)
        print(f"round {turn + 1} of {bench.rounds} done after {time.monotonic() - began:.0f} s", flush=True)
    return samples


def table(samples: Samples, count: int, baseline: SmallContender) -> ReportTable:
    """What was measured with so many connections, beside the baseline."""
    base = samples.get(baseline.name, {}).get(count, [])
    rows: list[tuple[str, ...]] = []
    for name, by in samples.items():
        taken = by[count]
        rows.append(
            (
                name,
                spread([each.requests_per_second for each in taken], ",.0f"),
                ratio([each.requests_per_second for each in taken], [each.requests_per_second for each in base]),
                spread([each.p50 for each in taken], ".3f"),
                ratio([each.p50 for each in taken], [each.p50 for each in base]),
                spread([each.p90 for each in taken], ".3f"),
                spread([each.p99 for each in taken], ".3f"),
                spread([each.cpu for each in taken], ",.0f"),
                str(sum(each.errors for each in taken)),
            )
        )
    heads = (
        "",
        "requests/s",
        f"ratio to {SERVERS[baseline.server].title}",
        "p50 ms",
        "p50 ratio",
        "p90 ms",
        "p99 ms",
        "CPU us a request",
        "errors",
    )
    return ReportTable(f"{count} connection{'s' if count > 1 else ''}", heads, rows)
