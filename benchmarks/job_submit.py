"""How many jobs a second are accepted: by Septet over HTTP, by others from Python in one process without HTTP."""

import json
import subprocess
import sys
from dataclasses import dataclass, field

from benchmarks.bench import Bench
from benchmarks.closed_loop import load
from benchmarks.job_bento import submitting
from benchmarks.job_rivals import JOB_RIVALS
from benchmarks.job_septet import serving, submission
from benchmarks.job_stores import DURABILITY, REDIS_KINDS, job_store
from benchmarks.models import BenchmarkModel
from benchmarks.overload import answered
from benchmarks.process import SERVER_CORE, pinned
from benchmarks.report import ReportTable, ratio, spread
from benchmarks.servers import RIVALS

CONNECTIONS = 64
SEPTET, BARE, BENTO = "Septet, over HTTP", "bare group commits of 64, no HTTP", "BentoML tasks, over HTTP"
#: What Septet is to reach of others.
WANTED = {"dramatiq": 1.0, "celery": 2.0}


@dataclass
class Submits:
    """Jobs accepted a second, in each round, by who and which kind of store; how, where there is a choice."""

    rates: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    ways: dict[tuple[str, str], set[int]] = field(default_factory=dict)
    errors: int = 0

    def add(self, name: str, kind: str, rate: float) -> None:
        """One more round."""
        self.rates.setdefault((name, kind), []).append(rate)
        print(f"submit, {name}, {kind}: {rate:,.0f}/s", flush=True)


def measure(bench: Bench, model: BenchmarkModel, absent: dict[str, str]) -> tuple[list[ReportTable], object]:
    """All of them in each round."""
    found = Submits()
    for turn in range(bench.rounds):
        contenders = [(SEPTET, kind) for kind in ("sqlite", *REDIS_KINDS)]
        contenders += [(BARE, "sqlite"), (BENTO, "sqlite")]
        contenders += [(name, kind) for name, rival in JOB_RIVALS.items() for kind in rival.kinds]
        for name, kind in contenders[::-1] if turn % 2 else contenders:
            if name not in absent:
                try:
                    _one(bench, model, name, kind, found)
                except (RuntimeError, OSError) as error:
                    absent[name] = str(error)
                    print(f"{name}: {error}", flush=True)
    samples = {f"{name}, {kind}": rates for (name, kind), rates in found.rates.items()}
    return [_table(found)], {"rates": samples, "errors": found.errors}


def _one(bench: Bench, model: BenchmarkModel, name: str, kind: str, found: Submits) -> None:
    with job_store(bench, kind) as store:
        if name == BARE:
            assert store.file is not None
            command = [sys.executable, str(RIVALS / "group_commit.py"), str(store.file), str(bench.seconds)]
            done = subprocess.run(pinned(str(SERVER_CORE), command), check=True, capture_output=True, text=True)
            counted = json.loads(done.stdout)
            found.add(name, kind, counted["count"] / counted["seconds"])
        elif name == SEPTET:
            with serving(bench, model, "--jobs", store.url, "--job-workers", "0") as server:
                load(server, submission(model), bench.cache, connections=CONNECTIONS, seconds=1)
                sample = load(server, submission(model), bench.cache, connections=CONNECTIONS, seconds=bench.seconds)
            found.errors += sample.errors
            found.add(name, kind, answered(sample))
        elif name == BENTO:
            with submitting(bench, model, store) as (server, body):
                sample = load(server, body, bench.cache, connections=CONNECTIONS, seconds=bench.seconds)
            found.errors += sample.errors
            found.add(name, kind, answered(sample))
        else:
            rival = JOB_RIVALS[name]
            rates = {}
            for at_once in rival.at_once:
                rates[at_once], _ = rival.send(bench, store, 0, bench.seconds, at_once)
            best = max(rates, key=lambda each: rates[each])
            found.ways.setdefault((name, kind), set()).add(best)
            found.add(name, kind, rates[best])


def _table(found: Submits) -> ReportTable:
    rows: list[tuple[str, ...]] = []
    for (name, kind), rates in found.rates.items():
        mine = found.rates.get((SEPTET, "sqlite" if kind.startswith("sqlite") else kind), [])
        wanted = f">= {WANTED[name]}" if name in WANTED else ""
        if name == SEPTET and kind == "sqlite":
            wanted = ">= 3,000/s, or 0.5 of the bare loop"
        title = JOB_RIVALS[name].title if name in JOB_RIVALS else name
        if (name, kind) in found.ways:
            title += f", best of {' and '.join(map(str, JOB_RIVALS[name].at_once))} at once: " + ", ".join(
                map(str, sorted(found.ways[name, kind]))
            )
        against = "" if name == SEPTET else ratio(mine, rates)
        rows.append((title, DURABILITY[kind], spread(rates, ",.0f"), against, wanted))
    rows.sort(key=lambda row: (row[1], not row[0].startswith("Septet")))
    heads = ("", "durability", "jobs/s", "Septet, over HTTP, to it", "is to be")
    return ReportTable(f"Submit; errors: {found.errors}", heads, rows)
