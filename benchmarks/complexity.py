"""Twice the input takes twice the time: every kind of input that a caller or a file may have more of, doubled."""

import gc
import time
from dataclasses import dataclass

from benchmarks.bench import Bench
from benchmarks.complexity_inputs import EVERY, GrowingInput, Work
from benchmarks.report import BenchmarkReport, ReportTable

#: Above this ratio of times for twice the input, the work grows faster than the input.
MOST = 2.5
# Work of less time is mostly what comes before it.
_LEAST_SECONDS = 0.02
_PARTS = 5
_TRIES = 4


@dataclass(frozen=True)
class Doubling:
    """The CPU seconds for so many of an input, and for twice as many."""

    name: str
    count: int
    seconds: float
    doubled: float

    @property
    def ratio(self) -> float:
        """How many times longer twice as many take."""
        return self.doubled / self.seconds


def run(bench: Bench) -> BenchmarkReport:
    """Measure every kind of input."""
    least = _LEAST_SECONDS / 10 if bench.quick else _LEAST_SECONDS
    found = []
    for each in EVERY:
        found.append(doubling(each, least))
        print(f"{found[-1].ratio:5.2f}  {each.name}", flush=True)
    table = ReportTable(
        "",
        ("input", "how many", "ms", "ms for twice as many", "ratio"),
        [(each.name, f"{each.count:,}", f"{each.seconds * 1000:.1f}", f"{each.doubled * 1000:.1f}", f"{each.ratio:.2f}") for each in found],
    )  # fmt: skip
    setting = {
        "time": f"CPU time in this process, the least of {_PARTS}; of a ratio above {MOST} the least of {_TRIES} tries",
        "size": f"doubled from a small one until it takes {least * 1000:g} ms, or is as large as is read",
    }
    failures = tuple(f"{each.name}: {each.ratio:.2f} times" for each in found if each.ratio > MOST)
    return BenchmarkReport(
        "What twice the input costs", setting, [table], [vars(each) for each in found], failures=failures
    )


def doubling(growing: GrowingInput, least: float = _LEAST_SECONDS) -> Doubling:
    """Measure one kind of input."""
    count, work = growing.least, growing.of(growing.least)
    seconds = _seconds(work)
    while seconds < least and 4 * count <= growing.most:
        count *= 2
        work = growing.of(count)
        seconds = _seconds(work)
    twice = growing.of(min(2 * count, growing.most))
    count = min(count, growing.most // 2)
    work = growing.of(count)
    best = None
    for _ in range(_TRIES):
        pairs = [(_seconds(work), _seconds(twice)) for _ in range(_PARTS)]
        found = Doubling(growing.name, count, min(one for one, _ in pairs), min(two for _, two in pairs))
        if best is None or found.ratio < best.ratio:
            best = found
        if best.ratio <= MOST:
            break
    assert best is not None
    return best


def _seconds(work: Work) -> float:
    """CPU seconds of this thread, without the collector: it looks at what is kept, not at what is done."""
    gc.collect()
    gc.disable()
    try:
        begun = time.thread_time()
        work()
        return time.thread_time() - begun
    finally:
        gc.enable()
