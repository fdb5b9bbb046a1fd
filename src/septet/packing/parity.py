"""How closely a compiled model reproduces the native one."""

import msgspec
import numpy as np

from septet.model.manifest import Parity
from septet.model.signature import DTYPES, Signature
from septet.runtimes.base import Runtime
from septet.types import Array, Tensors

ABSOLUTE_TOLERANCE = 1e-5
RELATIVE_TOLERANCE = 1e-4
MOST_ROWS = 10_000
_UNKNOWN = "a value that was not in training"


class Unequal(msgspec.Struct, frozen=True):
    """Why a compiled model may not stand in for the native one."""

    reason: str


def measured(native: Runtime, compiled: Runtime, tensors: Tensors, signature: Signature) -> Parity | Unequal:
    """Run both on the same rows: labels must be equal on every row, floats within the tolerances.

    Besides `tensors` both answer rows with a missing value or an unknown category in each column for which
    `signature` accepts them, so that what it promises was tried.
    """
    taken = {tensor.name: tensor.dtype for tensor in compiled.signature.inputs}
    rows = _with_edges(tensors, signature)
    expected = native.run(rows)
    actual = compiled.run({name: array.astype(DTYPES[taken[name]]) for name, array in rows.items()})
    largest = 0.0
    for name, wanted in expected.items():
        difference = _difference(name, wanted, actual[name])
        if isinstance(difference, Unequal):
            return difference
        largest = max(largest, difference)
    count = len(next(iter(rows.values())))
    return Parity(count, ABSOLUTE_TOLERANCE, RELATIVE_TOLERANCE, largest)


def without_unseen_missing(signature: Signature, tensors: Tensors) -> Signature:
    """The signature with missing numbers refused in the columns of `tensors` that have none."""
    inputs = []
    for tensor in signature.inputs:
        array = tensors[tensor.name].reshape(-1, max(len(tensor.columns), 1))
        columns = (
            msgspec.structs.replace(column, nullable=bool(np.isnan(array[:, place]).any()))
            if column.nullable and not column.optional and tensor.dtype.startswith("float")
            else column
            for place, column in enumerate(tensor.columns)
        )
        inputs.append(msgspec.structs.replace(tensor, columns=tuple(columns)))
    return msgspec.structs.replace(signature, inputs=tuple(inputs))


def _difference(name: str, wanted: Array, got: Array) -> float | Unequal:
    if wanted.shape != got.shape:
        return Unequal(f"output {name!r} has the shape {list(got.shape)} and not {list(wanted.shape)}")
    if wanted.dtype.kind != "f":
        unequal = int(np.sum(wanted != got))
        return Unequal(f"output {name!r} differs in {unequal} of {wanted.size} values") if unequal else 0.0
    close = np.isclose(got, wanted, RELATIVE_TOLERANCE, ABSOLUTE_TOLERANCE, equal_nan=True)
    distance = np.abs(np.where(np.isfinite(wanted) & np.isfinite(got), got - wanted, 0.0))
    largest = float(distance.max(initial=0.0))
    if close.all():
        return largest
    return Unequal(f"output {name!r} differs in {int(np.sum(~close))} of {wanted.size} values, by up to {largest:.3g}")


def _with_edges(tensors: Tensors, signature: Signature) -> Tensors:
    rows = {name: [array[:MOST_ROWS]] for name, array in tensors.items()}
    for tensor in signature.inputs:
        for place, column in enumerate(tensor.columns):
            values = [_UNKNOWN] if column.dtype == "string" and column.other_categories else []
            if column.nullable and tensor.dtype.startswith("float"):
                values.append(np.nan)  # type: ignore[arg-type]
            for value in values:
                for name, array in tensors.items():
                    rows[name].append(_edge(array, place, value) if name == tensor.name else array[:1])
    return {name: np.concatenate(parts) for name, parts in rows.items()}


def _edge(array: Array, place: int, value: object) -> Array:
    row = array[:1].copy()
    row[(..., place) if row.ndim > 1 else ...] = value
    return row
