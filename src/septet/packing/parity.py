"""How closely a compiled model reproduces the native one: the gate that it passes before it is served.

`ParityGate` draws the rows once (`septet.packing.probes`, `boundaries`, `extremes`), with the native answers, and
compares any number of compiled models with them. The number of rows bounds what it can prove; they are drawn evenly,
with a fixed seed; see `docs/package.md`.
"""

import time
import warnings
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import numpy as np

from septet.model.manifest import Parity
from septet.model.signature import DTYPES, Signature
from septet.packing import boundaries, extremes
from septet.packing.neighbours import spread
from septet.packing.probes import Probes, column_positions, joined, replaced, whole
from septet.packing.thresholds import is_forest, threshold_sites
from septet.packing.ties import Ties
from septet.runtimes.base import Runtime
from septet.types import Array, Tensors

ABSOLUTE_TOLERANCE = 1e-5
RELATIVE_TOLERANCE = 1e-4
MOST_ROWS = 10_000
_SEED = 20_260_101
_SECONDS = 1.5  # for each of the parts of the probes, by the native model's own time
_FEWEST, _MOST = 1_000, 20_000
_MOST_WAYS = 192
_MOST_COLUMNS = 200
_ALONE = 48
_CHUNK = 1024
# How far the place of a jump may be off, as a share of the column's spread.
_NARROW_PLACE, _WIDE_PLACE = 1e-5, 1e-9
_UNKNOWN = "a value that was not in training"


class Unequal(msgspec.Struct, frozen=True):
    """Why a compiled model may not stand in for the native one."""

    reason: str


class ParityGate:
    """The rows on which a native model is compared with others, and its answers to them.

    Attributes:
        probes: the rows that the native model answers, and those that it refuses.
    """

    def __init__(self, native: Runtime, signature: Signature, rows: Tensors, model: Any = None) -> None:
        self._native = native
        self._signature = signature
        self._random = np.random.default_rng(_SEED)
        self._most = self._affordable(rows)
        rows = _spaced(rows, min(MOST_ROWS, 2 * self._most))
        self._rows = rows
        self._places = column_positions(signature, rows)
        # How far aside a jump may be, as a share of the column's spread: by the numbers that the compiled model takes.
        self._aside = _WIDE_PLACE
        native_rows = getattr(native, "native_rows", None)
        self._exact = model is None or bool(threshold_sites(model))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._ties = Ties(model, signature, native.run, native_rows, (self._places, rows))
            self.probes = joined(list(self._drawn(model, native_rows)))
            self._answers, self._refused = _answered(native.run, self.probes.tensors)
        real = np.flatnonzero((self.probes.why == 0) & ~self._refused)
        self._tolerances = {
            name: _absolute(array[real]) for name, array in self._answers.items() if array.dtype.kind == "f"
        }

    def check(self, compiled: Runtime, signature: Signature) -> Parity | Unequal:
        """Compare a compiled model on the probes that `signature` accepts.

        Labels must be equal (but see `septet.packing.ties`), floats within the tolerances, and what the native model
        refuses must be refused.
        """
        with warnings.catch_warnings():
            # Of sums that overflow in rows made to overflow them.
            warnings.simplefilter("ignore")
            return self._check(compiled, signature)

    def _check(self, compiled: Runtime, signature: Signature) -> Parity | Unequal:
        narrow = {tensor.name: DTYPES[tensor.dtype] for tensor in compiled.signature.inputs}
        self._aside = _NARROW_PLACE if np.dtype(np.float32) in narrow.values() else _WIDE_PLACE
        keep = self._accepted(signature) & _carried(self.probes, narrow)
        keep &= ~(self._refused & self.probes.lenient)
        rows = np.flatnonzero(keep)
        probes = self.probes.chosen(rows)

        def run(tensors: Tensors) -> Tensors:
            with np.errstate(over="ignore"):
                return compiled.run({name: array.astype(narrow[name]) for name, array in tensors.items()})

        actual, refused = _answered(run, probes.tensors)
        wrong = np.flatnonzero(refused != self._refused[rows])
        if wrong.size:
            return _refusal(probes, int(wrong[0]), wrong.size, native=bool(self._refused[rows][wrong[0]]))
        answered = np.flatnonzero(~refused)
        probes = probes.chosen(answered)
        expected = {name: array[rows[answered]] for name, array in self._answers.items()}
        actual = {name: array[answered] for name, array in actual.items()}
        largest = 0.0
        for name, wanted in expected.items():
            verdict = self._compared(name, wanted, actual.get(name), probes)
            if isinstance(verdict, Unequal):
                return verdict
            largest = max(largest, verdict)
        batches = self._in_batches(run, probes, actual)
        if batches is not None:
            return batches
        return Parity(len(rows), ABSOLUTE_TOLERANCE, RELATIVE_TOLERANCE, largest)

    def hard(self, signature: Signature, most: int) -> Tensors:
        """Up to `most` of the rows beside constants of the model that `signature` accepts, spread evenly.

        They are such as every engine must answer alike: none is near a tie of labels.
        """
        reasons = [at for at, reason in enumerate(self.probes.reasons) if reason == boundaries.CONSTANT]
        narrow = {tensor.name: DTYPES[tensor.dtype] for tensor in signature.inputs}
        fits = np.isin(self.probes.why, reasons) & self._accepted(signature) & _carried(self.probes, narrow)
        rows = np.flatnonzero(fits & ~self._refused)
        rows = rows[np.unique(np.linspace(0, len(rows) - 1, min(len(rows), most)).astype(int))] if len(rows) else rows
        tensors = {name: array[rows] for name, array in self.probes.tensors.items()}
        if len(rows):
            clear = ~self._ties.tied(tensors)
            tensors = {name: array[clear] for name, array in tensors.items()}
        return {name: array.astype(narrow[name]) for name, array in tensors.items()}

    def _affordable(self, rows: Tensors) -> int:
        """How many rows a part of the probes may have, by the time that the native model takes for 64."""
        head = {name: array[:64] for name, array in rows.items()}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._native.run(head)
            begun = time.perf_counter()
            self._native.run(head)
        each = (time.perf_counter() - begun) / max(1, len(next(iter(head.values()))))
        return int(np.clip(_SECONDS / max(each, 1e-9), _FEWEST, _MOST))

    def _drawn(self, model: Any, native_rows: Callable[[Tensors], Any] | None) -> Iterator[Probes]:
        rows, places, random = self._rows, self._places, self._random
        yield whole(rows, places, "a row of the data")
        most = self._most
        columns = random.permutation(len(places))[:_MOST_COLUMNS]
        numeric = np.array([at for at in columns.tolist() if places[at].numeric], dtype=np.int64)
        texts = np.array([at for at in columns.tolist() if places[at].carried == "string"], dtype=np.int64)
        drawn = [
            *extremes.numbers(rows, places, numeric, random),
            *extremes.texts(rows, places, texts, random),
            *(whole(mixed, places, reason) for mixed, reason in extremes.combined(rows, places, 500, random)),
            *self._unknown(texts),
            *extremes.far(rows, places, random),
        ]
        yield from _at_most(drawn, most, random)
        if native_rows is not None and model is not None:
            found = list(boundaries.at_sites(rows, places, native_rows, threshold_sites(model), most, random))
            yield from _at_most(found, most, random)
        if _is_known(model):
            return
        ways = int(np.clip(most // 100, 16, _MOST_WAYS))
        moving = np.array([at for at in numeric.tolist() if places[at].continuous], dtype=np.int64)
        try:
            yield from boundaries.jumps(rows, places, self._as_numbers, moving, ways, random)
        except Exception:  # noqa: BLE001 - the native model refuses a value between two of the data
            return

    def _unknown(self, texts: Array) -> Iterator[Probes]:
        for at in texts.tolist():
            values = np.array([_UNKNOWN, None], dtype=object)
            yield replaced(self._rows, self._places, np.zeros(2, dtype=int), np.full(2, at), values, "an unknown text")

    def _as_numbers(self, tensors: Tensors) -> Array:
        parts = []
        for array in self._native.run(tensors).values():
            flat = array.reshape(len(array), -1)
            if flat.dtype.kind in "fbiu":
                parts.append(flat.astype(np.float64))
            else:
                codes = [[zlib.crc32(str(value).encode("utf-8", "replace")) for value in row] for row in flat.tolist()]
                parts.append(np.array(codes, dtype=np.float64))
        return np.concatenate(parts, axis=1)

    def _accepted(self, signature: Signature) -> Array:
        """The probes that this signature accepts, which may refuse missing values that the gate's own does not."""
        keep = np.ones(len(self.probes), dtype=bool)
        places = column_positions(signature, self.probes.tensors)
        for mine, place in zip(self._places, places, strict=True):
            if mine.column.nullable and not place.column.nullable and place.carried.startswith("float"):
                keep &= ~np.isnan(place.values(self.probes.tensors))
        return keep

    def _compared(self, name: str, wanted: Array, got: Array | None, probes: Probes) -> float | Unequal:
        if got is None or wanted.shape != got.shape:
            shape = None if got is None else list(got.shape[1:])
            return Unequal(f"output {name!r} has the shape {shape} in each row and not {list(wanted.shape[1:])}")
        if wanted.dtype.kind == "f":
            return self._floats(name, wanted, got, probes)
        unlike = np.asarray(wanted != got).reshape(len(wanted), -1).any(axis=1)
        differing = np.flatnonzero(unlike)
        if differing.size:
            some = {key: array[differing] for key, array in probes.tensors.items()}
            differing = differing[~self._ties.excused(some, name, got[differing])]
        differing = self._not_moved(name, got, probes, differing)
        if not differing.size:
            return 0.0
        return _difference(name, wanted, got, probes, differing)

    def _floats(self, name: str, wanted: Array, got: Array, probes: Probes) -> float | Unequal:
        wide = got.astype(np.float64)
        with np.errstate(invalid="ignore", over="ignore"):
            distance = np.abs(wide - wanted)
            close = distance <= self._tolerances[name] + RELATIVE_TOLERANCE * np.abs(wanted)
            close |= (wide == wanted) | (np.isnan(wide) & np.isnan(wanted))
            # Larger than the compiled output's dtype can say.
            close |= np.isinf(wide) & (np.abs(wanted) > np.finfo(got.dtype).max) & (np.sign(wide) == np.sign(wanted))
        differing = np.flatnonzero(~close.reshape(len(close), -1).all(axis=1))
        differing = self._not_moved(name, got, probes, differing)
        if differing.size:
            return _difference(name, wanted, got, probes, differing)
        real = probes.why == 0
        return float(np.where(np.isfinite(distance), distance, 0.0)[real].max(initial=0.0))

    def _not_moved(self, name: str, got: Array, probes: Probes, rows: Array) -> Array:
        """The rows that differ for more than the place of a jump, where that place is itself the sum of rounded terms.

        A model without constants jumps where such sums are compared (votes of a support vector machine, distances to
        neighbours), and engines round in different orders. Then the native answer to one of the two sides will do.
        """
        by_sums = np.array([self._exact or reason != boundaries.JUMP for reason in probes.reasons])
        moved = rows[~by_sums[probes.why[rows]]]
        if not moved.size:
            return rows
        fine = np.zeros(len(rows), dtype=bool)
        for sign in (-1, 1):
            shifted = {key: array[moved].copy() for key, array in probes.tensors.items()}
            for at in np.unique(probes.changed[moved]):
                place = self._places[int(at)]
                here = np.flatnonzero(probes.changed[moved] == at)
                step = sign * self._aside * spread(place.values(self._rows).astype(np.float64))
                shifted[place.tensor][here if place.at is None else (here, place.at)] += step
            native = self._native.run(shifted)[name]
            if native.dtype.kind == "f":
                limit = self._tolerances[name] + RELATIVE_TOLERANCE * np.abs(native)
                same = np.abs(got[moved] - native) <= limit
            else:
                same = np.asarray(got[moved] == native)
            fine[~by_sums[probes.why[rows]]] |= same.reshape(len(moved), -1).all(axis=1)
        return rows[~fine]

    def _in_batches(self, run: Callable[[Tensors], Tensors], probes: Probes, actual: Tensors) -> Unequal | None:
        """Each of some rows alone, in twos and in 64s answers as among all."""
        count = len(probes)
        chosen = np.unique(np.linspace(0, count - 1, min(count, 64 * 4)).astype(int))
        for size in (1, 2, 64):
            some = chosen[:: max(1, len(chosen) // _ALONE)] if size < 64 else chosen  # noqa: PLR2004
            for start in range(0, len(some), size):
                rows = some[start : start + size]
                part = run({name: array[rows] for name, array in probes.tensors.items()})
                for name, array in actual.items():
                    verdict = self._compared(name, array[rows], part[name], probes.chosen(rows))
                    if isinstance(verdict, Unequal):
                        return Unequal(f"in a batch of {size}, {verdict.reason}")
        return None


def _is_known(model: Any) -> bool:
    """Whether the answer jumps only at constants that `threshold_sites` finds: trees on the rows themselves."""
    trees = hasattr(model, "tree_") or hasattr(model, "_predictors") or is_forest(model)
    return trees and getattr(model, "_preprocessor", None) is None


def _spaced(tensors: Tensors, most: int) -> Tensors:
    """At most so many rows, taken evenly from all."""
    count = len(next(iter(tensors.values())))
    chosen = np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int64))
    return {name: array[chosen] for name, array in tensors.items()}


def _absolute(values: Array) -> Array:
    """The absolute tolerance of each column of an output: less where its values lie close together."""
    flat = values.reshape(len(values), -1).astype(np.float64)
    each = np.array([ABSOLUTE_TOLERANCE * min(1.0, spread(flat[:, at])) for at in range(flat.shape[1])])
    return each.reshape(values.shape[1:]) if values.ndim > 1 else each


def _carried(probes: Probes, narrow: dict[str, Any]) -> Array:
    """The rows whose numbers are no infinities in the compiled model's dtypes."""
    keep = np.ones(len(probes), dtype=bool)
    for name, array in probes.tensors.items():
        if array.dtype.kind == "f":
            with np.errstate(over="ignore"):
                lost = np.isinf(array.astype(narrow[name])) & ~np.isinf(array)
            keep &= ~lost.reshape(len(array), -1).any(axis=1)
    return keep


def _at_most(drawn: list[Probes], most: int, random: np.random.Generator) -> list[Probes]:
    """The probes, thinned evenly to about `most` rows."""
    share = min(1.0, most / max(1, sum(map(len, drawn))))
    if share == 1:
        return drawn
    return [part.chosen(np.flatnonzero(random.random(len(part)) < share)) for part in drawn]


def _answered(run: Callable[[Tensors], Tensors], tensors: Tensors) -> tuple[Tensors, Array]:
    """The answers to the rows, and which are refused; a refused row's answer stands for nothing.

    Raises:
        Exception: no row is answered.
    """
    count = len(next(iter(tensors.values())))
    refused = np.zeros(count, dtype=bool)
    parts: list[tuple[Array, Tensors]] = []
    failure: Exception | None = None
    # In parts, as some engines take memory for all pairs of rows and constants.
    waiting = [np.arange(start, min(start + _CHUNK, count)) for start in range(0, count, _CHUNK)]
    while waiting:
        rows = waiting.pop()
        try:
            parts.append((rows, run({name: array[rows] for name, array in tensors.items()})))
        except Exception as exc:  # noqa: BLE001 - engines and estimators raise anything
            failure = exc
            if len(rows) == 1:
                refused[rows] = True
            else:
                waiting += [rows[: len(rows) // 2], rows[len(rows) // 2 :]]
    if not parts:
        raise failure or ValueError("there are no rows")
    answers: dict[str, Array] = {}
    for name, sample in parts[0][1].items():
        kind = np.result_type(*[part[name].dtype for _, part in parts])
        filled = np.zeros((count, *sample.shape[1:]), dtype=kind)
        for rows, part in parts:
            if len(part[name]) != len(rows) or part[name].shape[1:] != sample.shape[1:]:
                raise ValueError(f"output {name!r} has the shape {list(part[name].shape)} for {len(rows)} rows")
            filled[rows] = part[name]
        answers[name] = filled
    return answers, refused


def _refusal(probes: Probes, row: int, count: int, *, native: bool) -> Unequal:
    who = ("the native model refuses and ONNX answers", "the native model answers and ONNX refuses")[not native]
    return Unequal(f"{who} {count} of {len(probes)} rows: {probes.named(row)}")


def _difference(name: str, wanted: Array, got: Array, probes: Probes, rows: Array) -> Unequal:
    row = int(rows[0])
    if wanted.dtype.kind == "f":
        with np.errstate(invalid="ignore", over="ignore"):
            apart = np.nan_to_num(np.abs(got[rows].astype(np.float64) - wanted[rows]), posinf=np.inf)
        row = int(rows[int(apart.reshape(len(rows), -1).max(axis=1).argmax())])
        how = f", by up to {float(apart.max()):.3g}"
    else:
        how = ""
    return Unequal(
        f"output {name!r} differs in {len(rows)} of {len(wanted)} rows{how}; for {probes.named(row)} "
        f"the native model gives {_shown(wanted[row])}, ONNX {_shown(got[row])}"
    )


def _shown(value: Any) -> str:
    return f"{value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value!r:.60}"[:80]
