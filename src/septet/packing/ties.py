"""Labels that may differ between engines because the native model is undecided between them.

Beside the boundary of a smooth model the label hangs on the last bit of a sum, and two engines sum in different
orders. Such a difference is excused, but only there: the native scores of the row are tied within the tolerance, and a
little to one side the native model itself gives the other label. A tie over a whole region (a forest with as many
trees for as against) is none of these, for there the native model always gives the same label.
"""

from collections.abc import Callable, Iterator
from copy import copy
from typing import Any, TypeAlias

import numpy as np

from septet.model.signature import Kind, Signature
from septet.packing.neighbours import spread
from septet.packing.probes import ColumnPosition
from septet.types import Array, Tensors

_MOST_ROWS = 24
_MOST_COLUMNS = 40
_RANDOM_WAYS = 8
_STEP = 1e-3
_MOST_APART = 1e-4
_MOST_SIZED = 256
# What rounding takes from scores that are so many times as large as common ones.
_LAST_BITS, _BEYOND = 1e-12, 1e6
_Source: TypeAlias = tuple[Callable[[Tensors], Array], bool, float]


class Ties:
    """Judges differing labels of one model.

    `space` are the places of a row and real rows: they say how large a little is, and how large a score.
    """

    def __init__(
        self,
        model: Any,
        signature: Signature,
        native: Callable[[Tensors], Tensors],
        native_rows: Callable[[Tensors], Any] | None,
        space: tuple[tuple[ColumnPosition, ...], Tensors],
    ) -> None:
        self._signature = signature
        self._native = native
        places, rows = space
        some = {name: array[:_MOST_SIZED] for name, array in rows.items()}
        self._steps = [
            (place, _STEP * spread(place.values(rows).astype(np.float64))) for place in places if place.continuous
        ]
        self._sources = [] if signature.label is None else list(self._found(model, native_rows, some))
        self._sizes = [
            float(np.median(_apart(source(some), binary, middle))) for source, binary, middle in self._sources
        ]

    def excused(self, rows: Tensors, output: str, given: Array) -> Array:
        """Which of the rows have a label, `given` by the compiled model, that the native one is undecided about.

        Of many rows some are checked, and the result holds for all.
        """
        count = len(given)
        fine = np.zeros(count, dtype=bool)
        if output != self._signature.label or not self._steps:
            return fine
        chosen = np.unique(np.linspace(0, count - 1, min(count, _MOST_ROWS)).astype(int))
        some = {name: array[chosen] for name, array in rows.items()}
        tied, lost = self._tied(some)
        check = lost | (tied & self._beside(some, output, given[chosen]))
        if check.all():
            fine[:] = True
        else:
            fine[chosen] = check
        return fine

    def tied(self, rows: Tensors) -> Array:
        """Which rows the native model is nearly undecided about."""
        return self._tied(rows)[0]

    def _tied(self, rows: Tensors) -> tuple[Array, Array]:
        """Which rows have tied scores, and which only rounding decides, as their scores are beyond all measure."""
        tied = np.zeros(len(next(iter(rows.values()))), dtype=bool)
        lost = tied.copy()
        for (source, binary, middle), size in zip(self._sources, self._sizes, strict=True):
            scores = source(rows)
            largest = np.abs(scores).reshape(len(scores), -1).max(axis=1, initial=0.0)
            apart = _apart(scores, binary, middle)
            tied |= apart <= _MOST_APART * size
            beyond = ~(largest <= _BEYOND * max(size, 1.0))
            lost |= beyond & ~(apart > _LAST_BITS * largest)
        return tied, lost

    def _found(self, model: Any, native_rows: Callable[[Tensors], Any] | None, some: Tensors) -> Iterator[_Source]:
        """What decides between labels: score functions, whether each is a binary one, and its threshold."""
        kind, name = self._signature.kind, self._signature.scores
        if name is not None:
            yield lambda rows: self._native(rows)[name], kind is Kind.MULTILABEL, 0.5
        elif kind is Kind.OUTLIERS and any(tensor.name == "scores" for tensor in self._signature.outputs):
            yield lambda rows: self._native(rows)["scores"], True, 0.0
        if native_rows is None:
            return
        method, pairwise = _decision(model)
        if method is not None:
            ask = _asking(method, native_rows)
            yield ask, pairwise or ask(some).ndim == 1 or kind is Kind.MULTILABEL, 0.0

    def _beside(self, rows: Tensors, output: str, given: Array) -> Array:
        count = len(given)
        steps = self._steps[:: max(1, len(self._steps) // _MOST_COLUMNS)]
        random = np.random.default_rng(0)
        ways: list[list[float]] = [*np.eye(len(steps)).tolist(), *(-np.eye(len(steps))).tolist()]
        ways += random.choice([-1.0, 1.0], (_RANDOM_WAYS, len(steps))).tolist()
        moved = {name: np.repeat(array, len(ways), axis=0) for name, array in rows.items()}
        for at, (place, step) in enumerate(steps):
            array = moved[place.tensor]
            index = slice(None) if place.at is None else (slice(None), place.at)
            array[index] = array[index] + np.tile([way[at] * step for way in ways], count)
        labels = self._native(moved)[output].reshape(count, len(ways), *given.shape[1:])
        same = (labels == given[:, None]).any(axis=1)
        result: Array = same.reshape(count, -1).all(axis=1)
        return result


def _asking(method: Callable[[Any], Any], native_rows: Callable[[Tensors], Any]) -> Callable[[Tensors], Array]:
    return lambda rows: np.asarray(method(native_rows(rows)), dtype=np.float64)


def _apart(scores: Array, binary: bool, middle: float) -> Array:  # noqa: FBT001 - two forms of scores
    """How far each row is from being undecided."""
    if binary or scores.ndim == 1 or scores.shape[1] < 2:  # noqa: PLR2004 - two classes
        near: Array = np.abs(scores - middle).reshape(len(scores), -1).min(axis=1)
        return near
    top = np.sort(scores, axis=1)[:, -2:]
    apart: Array = top[:, 1] - top[:, 0]
    return apart


def _decision(model: Any) -> tuple[Callable[[Any], Any] | None, bool]:
    """What the label is decided by, besides outputs: margins (and whether of pairs of classes), or nearness."""
    final = model.steps[-1][1] if hasattr(model, "steps") else model
    pairwise = hasattr(final, "decision_function_shape")
    if pairwise:
        # Votes of pairs decide, and what is given of them as scores may be far from tied where one of them turns.
        final = copy(final)
        final.decision_function_shape = "ovo"
        final.break_ties = False
        if hasattr(model, "steps"):
            model = copy(model)
            model.steps = [*model.steps[:-1], (model.steps[-1][0], final)]
        else:
            model = final
    if hasattr(model, "decision_function"):
        return model.decision_function, pairwise
    if hasattr(final, "cluster_centers_") and hasattr(final, "transform"):
        return _nearness(model, final), False
    return None, False


def _nearness(model: Any, final: Any) -> Callable[[Any], Any]:
    """How near each centre is, in 64 bits and without the square of the row, which is alike for all of them."""
    before = model[:-1].transform if hasattr(model, "steps") and len(model.steps) > 1 else np.asarray
    centres = np.asarray(final.cluster_centers_, dtype=np.float64)
    squares = np.einsum("ij,ij->i", centres, centres)

    def near(rows: Any) -> Array:
        given = before(rows)
        matrix = np.asarray(given.toarray() if hasattr(given, "toarray") else given, dtype=np.float64)
        result: Array = 2 * (matrix @ centres.T) - squares
        return result

    return near
