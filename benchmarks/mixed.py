"""Columns of numbers and texts, each an input of the model: one row a request, and a thousand."""

from dataclasses import replace

from benchmarks import models
from benchmarks.bench import Bench, Fleet
from benchmarks.forms import FORMS
from benchmarks.report import BenchmarkReport
from benchmarks.small import SmallContender, kept, prove, rounds, table

FORMS_OF_SEPTET = ("records", "data", "v2", "v2-binary", "csv")
BASELINE = SmallContender("fastapi-columns", "records")
CONTENDERS = [*(SmallContender("septet", form) for form in FORMS_OF_SEPTET), BASELINE]
MANY_ROWS, FEW_CONNECTIONS = 1000, 4


def run(bench: Bench) -> BenchmarkReport:
    """Prove every answer, and let the contenders take turns."""
    model = models.passengers(bench.cache)
    connections = [1, 16] if bench.quick else [1, 16, 64]
    with Fleet(bench, model) as fleet:
        one = rounds(bench, fleet, model, prove(bench, fleet, model, CONTENDERS), connections)
        present = prove(bench, fleet, model, CONTENDERS, rows=MANY_ROWS)
        many = rounds(bench, fleet, model, present, [FEW_CONNECTIONS], rows=MANY_ROWS)
    tables = [table(one, count, BASELINE) for count in connections]
    last = table(many, FEW_CONNECTIONS, BASELINE)
    tables.append(replace(last, title=f"{last.title}, {MANY_ROWS:,} rows a request"))
    setting = {
        "model": "two numbers that are scaled, two texts that are one-hot encoded, a logistic regression; ONNX with an "
        "input for each column",
        "body": f"`{FORMS['records'].body(model, model.rows[:1]).content.decode()}`",
        "servers": "one worker, one thread, one core, keep-alive connections, 127.0.0.1",
        "load": f"wrk, {bench.rounds} rounds of {bench.seconds:g} s for each contender and number of connections",
    }
    samples = {"one row": kept(one), f"{MANY_ROWS} rows": kept(many)}
    return BenchmarkReport("Numbers and texts", setting, tables, samples, fleet.absent)
