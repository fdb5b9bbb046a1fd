"""Warm-up: the first runs of a model, which prove that it answers and measure what a run costs.

Whether rows may be merged is no finding of warm-up: the runtime says whether it is proven. Warm-up measures how exact
that is, with ordinary rows beside extreme ones, and forbids merging where it finds more than rounding.
"""

import time
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np

from septet.model.signature import Column, Signature
from septet.predictor.comparison import ABSOLUTE, RELATIVE, Difference, difference, stacked
from septet.predictor.extreme_rows import EXTREME_ROWS, extreme_rows
from septet.predictor.latency_model import LatencyModel
from septet.runtimes.base import Runtime
from septet.service import Merging
from septet.types import Array, Tensors

REPEATS = 5
# Enough rows to see a cost per row, few enough to cost little with a heavy model.
MANY_ROWS = 16
#: What the rows of one such run and the answers to them take in bytes, unless two rows already take more.
MOST_BYTES = 64 << 20
# Runs slower than this are measured once: start-up should not take minutes.
SLOW_SECONDS = 0.2


class WarmupResult(msgspec.Struct, frozen=True):
    """What warm-up found.

    Attributes:
        answer: the model's answer to the sample.
        latency: the expected seconds of a run.
        merging: whether rows of different requests may share a run, and how exact that is.
    """

    answer: Tensors
    latency: LatencyModel
    merging: Merging


def warm_up(runtime: Runtime, signature: Signature, sample: Tensors) -> WarmupResult:
    """Run the sample (one row) alone and repeated, and compare.

    Raises:
        Exception: whatever the engine raises if it cannot answer the sample.
    """
    answer = runtime.run(sample)
    one = _fastest(runtime, sample)
    if not signature.rows:
        return WarmupResult(answer, LatencyModel(one, 0.0), Merging(merged=False, reason=runtime.independence.reason))
    most = max(2, MOST_BYTES // max(1, _size(sample) + _size(answer)))
    rows = 2 if one > SLOW_SECONDS else min(MANY_ROWS, most)
    many = varied(signature, sample, rows)
    try:
        together = runtime.run(many)
    except Exception as error:  # noqa: BLE001 - a model that cannot take several rows is served one by one
        return WarmupResult(
            answer, LatencyModel(one, one), Merging(merged=False, reason=f"it fails on several rows: {error}")
        )
    merging = Merging(merged=False, reason=runtime.independence.reason)
    if runtime.independence.proven:
        alone = [runtime.run({name: array[at : at + 1] for name, array in many.items()}) for at in range(rows)]
        found = _difference(alone, together)
        if one <= SLOW_SECONDS:
            for places in _pieces(most - rows):
                found |= _beside(runtime, alone, stacked((many, extreme_rows(signature, sample, places))))
        merging = _merging(runtime, found)
    per_row = max(0.0, (_fastest(runtime, many) - one) / (rows - 1))
    return WarmupResult(answer, LatencyModel(max(0.0, one - per_row), per_row), merging)


def _size(tensors: Tensors) -> int:
    """In bytes; of texts, without their characters."""
    return sum(array.nbytes for array in tensors.values())


def _pieces(most: int) -> Iterator[range]:
    """The extreme rows, so many of them at once, and at least one."""
    step = max(1, most)
    for start in range(0, EXTREME_ROWS, step):
        yield range(start, min(start + step, EXTREME_ROWS))


def _difference(alone: Sequence[Tensors], together: Tensors) -> Difference:
    """Between the answers to rows alone and `together`, where these come first."""
    found = Difference()
    for row, answer in enumerate(alone):
        found |= difference(answer, together, row)
    return found


def _beside(runtime: Runtime, alone: Sequence[Tensors], rows: Tensors) -> Difference:
    """Between the answers to rows alone and beside extreme ones."""
    try:
        together = runtime.run(rows)
    except Exception:  # noqa: BLE001 - values that the engine refuses; then they share no run's answers
        return Difference()
    return _difference(alone, together)


def _merging(runtime: Runtime, found: Difference) -> Merging:
    proof = runtime.independence
    if found.where:
        return Merging(merged=False, reason=f"warm-up found that rows depend on each other: {found.where}")
    if proof.exact and not found.largest:
        return Merging(merged=True, reason=proof.reason, exact=True)
    return Merging(merged=True, reason=proof.reason, relative_tolerance=RELATIVE, absolute_tolerance=ABSOLUTE)


def varied(signature: Signature, sample: Tensors, rows: int) -> Tensors:
    """Rows that differ, so that a model whose rows depend on each other shows it; bounds and categories are kept."""
    many: dict[str, Array] = {}
    for tensor in signature.inputs:
        array = np.repeat(sample[tensor.name][:1], rows, axis=0)
        if tensor.columns:
            table = array.reshape(rows, len(tensor.columns))  # a view
            for at, column in enumerate(tensor.columns):
                table[:, at] = _spread(column, table[:, at])
        elif array.dtype.kind == "f":
            array += _steps(array.dtype, array.ndim, rows)
        many[tensor.name] = array
    return many


def _spread(column: Column, values: Array) -> Array:
    """Different values of one column, the first as it was."""
    rows = len(values)
    if column.categories is not None:
        known = [value for value in column.categories if value != values[0]][: rows - 1]
        return np.array([values[0], *known, *[values[0]] * (rows - 1 - len(known))], values.dtype)
    if values.dtype.kind not in "fiu":
        return values
    if column.dtype == "bool":  # carried as numbers
        return np.where(np.arange(rows) % 2 == 0, values, 1 - values)
    steps = _steps(values.dtype, 1, rows) if values.dtype.kind == "f" else np.arange(rows) % 2
    low = -np.inf if column.minimum is None else column.minimum
    high = np.inf if column.maximum is None else column.maximum
    others = values + steps
    if not (others <= high).all():  # no room above
        others = np.linspace(values[0], low, rows) if np.isfinite(low) else values - steps
    if column.dtype in ("int64", "uint64"):
        others = np.floor(others)
    fitting = (others >= low) & (others <= high)
    return np.where(fitting, others, values[0]).astype(values.dtype)


def _steps(dtype: np.dtype[Any], rank: int, rows: int) -> Array:
    steps = np.arange(rows, dtype=dtype).reshape(-1, *([1] * (rank - 1)))
    return np.asarray(steps / dtype.type(4))


def _fastest(runtime: Runtime, tensors: Tensors) -> float:
    times: list[float] = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        runtime.run(tensors)
        times.append(time.perf_counter() - begun)
        if times[-1] > SLOW_SECONDS:
            break
    return min(times)
