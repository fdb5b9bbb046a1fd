"""What a run's time depends on besides its rows: places of free size, texts, and rows that are not independent.

Warm-up has measured some small rows. A run that has as much in each of its rows takes what that says; one that has more
may take any time, and is not made on the event loop before one of its size was made in the thread, and was short.
"""

import math
from collections.abc import Callable
from typing import TypeAlias

import msgspec

from septet.model.signature import Signature
from septet.types import Array, Tensors

#: Characters in a row that any operator on texts goes through in no time.
SMALL_TEXT = 256
#: Rows that depend on each other, up to which nothing worse than the estimate of warm-up is expected.
FEW_ROWS = 64

#: From a request's tensors, and how many rows they have, to their size.
MeasureSize: TypeAlias = Callable[[Tensors, int], float]


class RunSizes(msgspec.Struct, frozen=True):
    """How the size of a run is measured, and up to which one it is known to take no longer than warm-up says."""

    measure: MeasureSize
    known: float

    def learned(self, tensors: Tensors, rows: int) -> "RunSizes":
        """The same after a run of these tensors that was short."""
        size = self.measure(tensors, rows)
        return self if size == math.inf else RunSizes(self.measure, max(self.known, size))


#: Of a model whose runs may take any time: there is no size up to which they are short.
UNKNOWN_SIZES = RunSizes(lambda _tensors, _rows: math.inf, 0.0)


def run_sizes(signature: Signature, sample: Tensors | None, *, independent: bool) -> RunSizes | None:
    """How runs of a model are measured; None where nothing but the number of rows counts.

    `sample` is the row of warm-up; without one no size is known. `independent`: each row is computed by itself.
    """
    texts = [tensor.name for tensor in signature.inputs if tensor.dtype == "string"]
    first = 1 if signature.rows else 0
    free = [tensor.name for tensor in signature.inputs if None in tensor.shape[first:]]
    if independent and not (texts or free):
        return None
    if not texts and not free:
        return RunSizes(_rows, FEW_ROWS)

    def per_row(tensors: Tensors, rows: int) -> float:
        places = sum(tensors[name].size for name in free)
        return (places + sum(_characters(tensors[name]) for name in texts)) / max(1, rows)

    def total(tensors: Tensors, rows: int) -> float:
        return per_row(tensors, rows) * max(1, rows)

    measure = per_row if independent else total
    known = 0.0 if sample is None else measure(sample, 1)
    if texts:
        known = max(known, SMALL_TEXT)
    return RunSizes(measure, known if independent else known * FEW_ROWS)


def _rows(_: Tensors, rows: int) -> float:
    return rows


def _characters(array: Array) -> int:
    return sum([len(value) for value in array.ravel().tolist() if value.__class__ is str])
