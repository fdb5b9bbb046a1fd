"""What an answer costs with each engine: time and memory, for one row, for 64 and for a large request."""

import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from septet.model.manifest import EngineCost
from septet.runtimes.base import Runtime
from septet.runtimes.onnx.onnx_engine import ONNX
from septet.runtimes.sklearn.sklearn_engine import SKLEARN
from septet.types import Tensors

LARGE = 10_000  # the most rows that a server takes in one request by default
_FEW = (1, 64)
_STEP = 8
_MOST_RUNS = 30
_MOST_SECONDS = 2.0
_MOST_BYTES = 1 << 30
_PEAK = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")
# ONNX may cost so much more, over all sizes, before it is not worth being without training libraries.
_TIE = 1.5
_LONGEST_SECONDS, _LARGEST_BYTES = 30.0, 4 << 30


def measured(runtime: Runtime, rows: Tensors, seconds: float) -> tuple[EngineCost, ...]:
    """Costs of `runtime` at 1, 64 and up to 10,000 rows, made by repeating `rows`; each is run for about `seconds`.

    The large request grows step by step for as long as the next is expected to take at most 2 s and 1 GiB.
    """
    dtypes = {tensor.name: np.dtype(object) for tensor in runtime.signature.inputs if tensor.dtype == "string"}
    narrow = {tensor.name: dtypes.get(tensor.name) or np.dtype(tensor.dtype) for tensor in runtime.signature.inputs}
    runtime.run(_repeated(rows, 2, narrow))
    found = [_cost(runtime, _repeated(rows, count, narrow), count, seconds) for count in _FEW]
    count = _FEW[-1]
    while count < LARGE:
        last = found[-1]
        count = min(count * _STEP, LARGE)
        factor = count / last.rows
        if last.seconds * factor > _MOST_SECONDS or last.bytes * factor > _MOST_BYTES:
            break
        cost = _cost(runtime, _repeated(rows, count, narrow), count, seconds)
        found[2:] = [cost]
    return tuple(found)


def cheaper(onnx: tuple[EngineCost, ...], native: tuple[EngineCost, ...]) -> tuple[str, str]:
    """The key of the engine to take, and the reason in words.

    How many times as long ONNX takes is asked for one row, for 64 and for 10,000, and the geometric mean of the three
    decides: ONNX up to 1.5. What was measured of fewer rows counts for 10,000 in proportion. Whatever the mean, a model
    is native where ONNX takes more than 30 s or 4 GiB for 10,000 rows and the native one does not.
    """
    slow, slow_native = _at_large(onnx, lambda cost: cost.seconds), _at_large(native, lambda cost: cost.seconds)
    if slow > _LONGEST_SECONDS >= slow_native:
        return SKLEARN.key, f"{LARGE} rows take about {_time(slow_native)} natively and {_time(slow)} with ONNX"
    large, large_native = _at_large(onnx, lambda cost: cost.bytes), _at_large(native, lambda cost: cost.bytes)
    if large > _LARGEST_BYTES >= large_native:
        return (
            SKLEARN.key,
            f"{LARGE} rows take about {large_native / 2**20:.0f} MiB natively and {large / 2**20:.0f} MiB with ONNX",
        )
    few = [one.seconds / other.seconds for one, other in zip(onnx[:2], native[:2], strict=True)]
    mean = (few[0] * few[1] * (slow / slow_native)) ** (1 / 3)
    times = (
        f"1, 64 and {LARGE} rows take {_times(onnx, slow)} with ONNX and {_times(native, slow_native)} natively, "
        f"{mean:.2g} times as long in the mean"
    )
    return (SKLEARN.key if mean > _TIE else ONNX.key), times


def _times(costs: tuple[EngineCost, ...], large: float) -> str:
    one, some = (_time(cost.seconds) for cost in costs[:2])
    return f"{one}, {some} and {_time(large)}"


def _at_large(costs: tuple[EngineCost, ...], of: Callable[[EngineCost], float]) -> float:
    return of(costs[-1]) * LARGE / costs[-1].rows


def _time(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e6:.3g} us"


def _repeated(rows: Tensors, count: int, narrow: dict[str, np.dtype[np.generic]]) -> Tensors:
    length = len(next(iter(rows.values())))
    chosen = np.arange(count) % length
    with np.errstate(over="ignore"):
        return {name: array[chosen].astype(narrow[name]) for name, array in rows.items()}


def _cost(runtime: Runtime, rows: Tensors, count: int, seconds: float) -> EngineCost:
    """The least time of some runs, and the growth of the process's resident memory at its peak in the first."""
    before = _reset_peak()
    times: list[float] = []
    begun = time.perf_counter()
    peak = 0
    while not times or (time.perf_counter() - begun < seconds and len(times) < _MOST_RUNS):
        start = time.perf_counter()
        runtime.run(rows)
        times.append(time.perf_counter() - start)
        if len(times) == 1:
            peak = max(0, _peak() - before)
    return EngineCost(count, float(min(times)), peak)


def _reset_peak() -> int:
    """Make the highest resident memory the present one, where the system can; its bytes."""
    try:
        _PEAK.write_text("5")
    except OSError:
        return _peak()
    return _status("VmRSS")


def _peak() -> int:
    try:
        return _status("VmHWM")
    except OSError:
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _status(key: str) -> int:
    for line in _STATUS.read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1]) * 1024
    raise OSError(f"{_STATUS} does not say {key}")
