"""Measure Septet beside others with one small model: `benchmarks/run`, or `python -m benchmarks.small --help`.

Every server runs at the same time on one core, idle but for its own turn; the load comes from the other core. The turns
alternate, so that a machine whose speed drifts hurts all alike.
"""

import argparse
import contextlib
import json
import os
import statistics
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.contenders import CONTENDERS, NGINX, SERVERS, body, command, environment, versions
from benchmarks.measuring import load, verify
from benchmarks.model import ROWS, answers, write_model
from benchmarks.process import CLIENT_CORE, Process, free_port, post

PATH = "/predict"
SHOWN = (
    "septet",
    "onnxruntime",
    "numpy",
    "msgspec",
    "uvicorn",
    "httptools",
    "uvloop",
    "fastapi",
    "pydantic",
    "starlette",
)


@dataclass(frozen=True)
class Bench:
    """Where things lie, and how long to measure."""

    cache: Path
    model: Path
    pythons: dict[str, Path]
    rounds: int
    seconds: float
    connections: list[int]
    starts: int

    def process(self, server: str, port: int) -> Process:
        """Start one server."""
        places = {"port": str(port), "model": str(self.model), "folder": str(self.cache)}
        line = command(SERVERS[server], self.pythons[server], places)
        return Process(line, port, self.cache / f"{server}.log", {"MODEL": str(self.model)})


def main() -> None:
    """Parse, install, measure, write."""
    options = parse()
    cache = Path(os.environ.get("BENCHMARKS_CACHE", ".benchmarks")).resolve()
    cache.mkdir(parents=True, exist_ok=True)
    model = cache / "iris.onnx"
    write_model(model)
    only = options.only.split(",") if options.only else list(SERVERS)
    bench = Bench(
        cache=cache,
        model=model,
        pythons={name: environment(SERVERS[name], cache) for name in only},
        rounds=1 if options.quick else options.rounds,
        seconds=1 if options.quick else options.seconds,
        connections=[1, 16] if options.quick else [1, 16, 64],
        starts=1 if options.quick else options.starts,
    )
    os.sched_setaffinity(0, {CLIENT_CORE} & os.sched_getaffinity(0) or os.sched_getaffinity(0))
    facts, samples = measure(bench)
    facts["machine"] = report.machine()
    facts["versions"] = {
        k: v for name in only if SERVERS[name].computes for k, v in versions(bench.pythons[name]).items() if k in SHOWN
    }
    report.write(options.out, options.name, facts, samples)
    print(report.markdown(facts, samples))


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Measure Septet beside others with one small model.")
    parser.add_argument(
        "--quick", action="store_true", help="one short round, to see that it works; its figures mean nothing"
    )
    parser.add_argument("--rounds", type=int, default=5, help="rounds of every contender (default 5)")
    parser.add_argument("--seconds", type=float, default=2, help="length of each window of load (default 2)")
    parser.add_argument("--starts", type=int, default=5, help="cold starts of each server (default 5)")
    parser.add_argument(
        "--only", help=f"servers, separated by commas: {','.join(SERVERS)} (FastAPI `def` must be among them)"
    )
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"), help="folder for the results")
    parser.add_argument("--name", default="small", help="name of the two result files")
    return parser.parse_args()


def measure(bench: Bench) -> tuple[dict[str, Any], report.Samples]:
    """Cold starts first, then all servers together."""
    row = body("data", [], 0)
    cold: dict[str, list[float]] = {name: [] for name in bench.pythons if SERVERS[name].computes}
    memory: dict[str, list[float]] = {}
    for _ in range(bench.starts):
        for name, seconds in cold.items():
            with bench.process(name, free_port()) as process:
                seconds.append(process.first_answer(PATH, row))
                memory[name] = settled_memory(process, row)
    print({name: round(statistics.median(each), 3) for name, each in cold.items()}, flush=True)

    with contextlib.ExitStack() as stack:
        running: dict[str, Process] = {}
        for name in bench.pythons:
            port = free_port()
            if name == "nginx":
                constant = post(next(iter(running.values())).port, PATH, row)[1].decode()
                (bench.cache / "nginx.conf").write_text(NGINX.format(folder=bench.cache, port=port, answer=constant))
            running[name] = stack.enter_context(bench.process(name, port))
            running[name].first_answer(PATH, row)
        bodies = prepare(bench, running)
        samples = rounds(bench, running, bodies)
    setting = {
        "model": "iris, scaler and SVC with probabilities, ONNX without ZipMap; one row a request",
        "bodies": ", ".join(f"`{path.read_text()}`" for path in sorted({*bodies.values()})),
        "server": "one worker, one core, keep-alive connections, 127.0.0.1",
        "rounds": f"{bench.rounds} of {bench.seconds:g} s for each contender and number of connections",
    }
    return {"setting": setting, "cold_start_seconds": cold, "memory_megabytes": memory}, samples


def settled_memory(process: Process, row: bytes) -> list[float]:
    """PSS after some requests, while no other server shares pages with this one."""
    for _ in range(200):
        post(process.port, PATH, row)
    return process.memory()


def prepare(bench: Bench, running: dict[str, Process]) -> dict[str, Path]:
    """Prove every contender's answers, and write its body to a file."""
    expected = answers(bench.model)
    columns: list[str] = []
    if "septet" in running:
        with urllib.request.urlopen(f"http://127.0.0.1:{running['septet'].port}/metadata") as answer:
            columns = [column["name"] for column in json.load(answer)["columns"]]
    files: dict[str, Path] = {}
    for each in CONTENDERS:
        if each.server not in running:
            continue
        bodies = [body(each.form, columns, row) for row in range(len(ROWS))]
        if SERVERS[each.server].computes:
            proven = verify(running[each.server].port, PATH, bodies, expected)
            print(f"{each.name}: {proven} answers right", flush=True)
        files[each.name] = bench.cache / f"{each.form}.json"
        files[each.name].write_bytes(bodies[0])
    return files


def rounds(bench: Bench, running: dict[str, Process], bodies: dict[str, Path]) -> report.Samples:
    """Alternate between the contenders; the first turn of each is a warm-up and not kept."""
    present = [each for each in CONTENDERS if each.name in bodies]
    samples: report.Samples = {each.name: {count: [] for count in bench.connections} for each in present}
    began = time.monotonic()
    for turn in range(bench.rounds + 1):
        order = present if turn % 2 else present[::-1]
        for count in bench.connections[-1:] if turn == 0 else bench.connections:
            for each in order:
                seconds = bench.seconds if turn else 1
                sample = load(running[each.server].port, PATH, bodies[each.name], connections=count, seconds=seconds)
                if turn:
                    samples[each.name][count].append(sample)
        print(f"round {turn} of {bench.rounds} done after {time.monotonic() - began:.0f} s", flush=True)
    return samples


if __name__ == "__main__":
    main()
