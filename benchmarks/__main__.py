"""The suite: `benchmarks/run --help`. Each question is a module with a `run(Bench) -> BenchmarkReport`."""

import argparse
import importlib
import os
import sys
from pathlib import Path

from benchmarks import report
from benchmarks.bench import Bench
from benchmarks.process import CLIENT_CORE
from benchmarks.servers import SERVERS

QUESTIONS = {
    "small": "one small model, one row a request, beside others; 1, 16 and 64 connections",
    "mixed": "columns of numbers and texts, beside FastAPI and Pydantic: one row a request, and 1,000",
    "heavy": "heavier models under concurrency: what batching brings, and the share of the ideal",
    "rows": "1,000 rows a request in every form: the codec alone, and the server",
    "tensor": "a tensor of 602,112 bytes: binary, JSON, and a bare server",
    "start": "start to the first answer; memory of one worker, of several, and with a model of 500 MB",
    "scaling": "one and two workers: CPU time a request, and throughput",
    "overload": "three times more load than can be served: what is answered, refused and remembered",
    "grpc": "one row by gRPC, beside others",
    "several": "two models in one process, beside each alone",
    "jobs": "jobs beside Celery, dramatiq, taskiq, arq, huey and BentoML: accepted, run, idle, and their cost",
    "million": "a million jobs: size and rate of the store, and submits while they wait",
    "complexity": "every kind of input, and twice as much of it; fails where that takes more than 2.5 times as long",
    "before": "this source beside an earlier commit of it (--before), in all of the above",
}


def main() -> None:
    """Parse, measure, write."""
    options = parse()
    cache = Path(os.environ.get("BENCHMARKS_CACHE", ".benchmarks")).resolve()
    cache.mkdir(parents=True, exist_ok=True)
    bench = Bench(
        cache=cache,
        rounds=1 if options.quick else options.rounds,
        seconds=1 if options.quick else options.seconds,
        quick=options.quick,
        before=options.before,
        only=frozenset(options.only.split(",")) if options.only else frozenset(),
    )
    os.sched_setaffinity(0, {CLIENT_CORE} & os.sched_getaffinity(0) or os.sched_getaffinity(0))
    out = cache / "quick" if options.quick else options.out
    failures: list[str] = []
    every = [name for name in QUESTIONS if name != "before"]
    for name in every if "all" in options.questions else options.questions:
        print(f"== {name}: {QUESTIONS[name]}", flush=True)
        answer = importlib.import_module(f"benchmarks.{name}").run(bench)
        print(report.write(out, name, bench, answer), flush=True)
        failures += answer.failures
    if failures:
        sys.exit("\n".join(["Failed:", *failures]))


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="benchmarks/run",
        description="Measure Septet beside others on this machine.",
        epilog="questions:\n" + "\n".join(f"  {name:11}{text}" for name, text in QUESTIONS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "questions", nargs="+", choices=[*QUESTIONS, "all"], metavar="NAME", help="a question, or `all`"
    )
    parser.add_argument(
        "--quick", action="store_true", help="one short round, to see that it works; its figures mean nothing"
    )
    parser.add_argument("--rounds", type=int, default=5, help="rounds of every contender (default 5)")
    parser.add_argument("--seconds", type=float, default=3, help="length of each window of load (default 3)")
    parser.add_argument("--before", default="", metavar="COMMIT", help="the commit that `before` is about")
    servers, parts = ",".join(SERVERS), "submit,small,paused,idle,beside"
    parser.add_argument(
        "--only", help=f"servers to measure, separated by commas: {servers}; or parts of the question `jobs`: {parts}"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("benchmarks/results"), help="folder for the results (not of a quick run)"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
