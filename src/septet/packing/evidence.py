"""What a package carries to prove itself and to be compared with: golden rows and the profile of its data."""

from typing import Any

import msgspec
import numpy as np

from septet.model.golden import Golden
from septet.model.profile import Profile, profile_of
from septet.model.signature import Kind, Signature
from septet.packing.parity import ABSOLUTE_TOLERANCE, RELATIVE_TOLERANCE
from septet.packing.training_table import TrainingColumn, TrainingTable, rows_of
from septet.packing.training_tensors import by_name
from septet.runtimes.base import Runtime
from septet.types import Array, Tensors

_GOLDEN_ROWS = 10


def golden_of(runtime: Runtime, signature: Signature, tensors: Tensors) -> Golden:
    """Up to 10 rows, spread evenly over `tensors`, with the answers of the runtime that will serve them.

    Up to 10 more have a missing value each, of another column where several have some.
    """
    if signature.rows:
        count = len(next(iter(tensors.values())))
        chosen = np.unique(np.linspace(0, count - 1, min(count, _GOLDEN_ROWS)).astype(np.int64))
        chosen = np.unique(np.concatenate([chosen, _with_missing(tensors, chosen)]))
        tensors = {name: array[chosen] for name, array in tensors.items()}
    return Golden(tensors, runtime.run(tensors), ABSOLUTE_TOLERANCE, RELATIVE_TOLERANCE)


def _with_missing(tensors: Tensors, chosen: Array) -> Array:
    """The first row with a missing value in each column that none of the chosen rows lacks."""
    found: list[int] = []
    for array in tensors.values():
        table = _missing(array).reshape(len(array), -1)
        for place in np.flatnonzero(table.any(axis=0) & ~table[chosen].any(axis=0)).tolist():
            rows = np.flatnonzero(table[:, place])
            if not set(rows.tolist()) & set(found):
                found.append(int(rows[0]))
            if len(found) == _GOLDEN_ROWS:
                break
    return np.array(found[:_GOLDEN_ROWS], dtype=np.int64)


def _missing(array: Array) -> Array:
    if array.dtype.kind == "f":
        return np.isnan(array)
    if array.dtype.kind == "M":
        return np.isnat(array)
    if array.dtype == object:
        return np.array([value is None for value in array.ravel().tolist()], dtype=np.bool_).reshape(array.shape)
    return np.zeros(array.shape, dtype=np.bool_)


def with_hard_rows(golden: Golden, runtime: Runtime, hard: Tensors) -> Golden:
    """Golden rows with those beside the constants of a compiled model, which other engines may take for others."""
    if not hard or not len(next(iter(hard.values()))):
        return golden
    answers = runtime.run(hard)
    request = {name: np.concatenate([array, hard[name]]) for name, array in golden.request.items()}
    answer = {name: np.concatenate([array, answers[name]]) for name, array in golden.answer.items()}
    return msgspec.structs.replace(golden, request=request, answer=answer)


def profile_of_data(data: Any, signature: Signature, target: Array | None) -> Profile | None:
    """The profile of the columns of `data` under the signature's names, or None where the model has no columns."""
    return profile_of_rows(rows_of(data), signature, target) if signature.columns else None


def profile_of_rows(rows: TrainingTable, signature: Signature, target: Array | None) -> Profile | None:
    """The same, of rows that have been read."""
    names = [column.name for column in signature.columns]
    if not names:
        return None
    given = by_name(rows, names)
    return profile_of({name: _natural(given[name]) for name in names}, _shown(target, signature))


def _natural(given: TrainingColumn) -> Array:
    """A column's values; booleans some of which are missing as such, not as the numbers that carry them."""
    if given.column.dtype != "bool" or given.data.dtype.kind == "b":
        return given.data
    values = np.full(len(given.data), None, dtype=object)
    values[~given.missing] = given.data[~given.missing].astype(np.bool_).astype(object)
    return values


def _shown(target: Array | None, signature: Signature) -> list[str] | None:
    """The labels of the rows as people see them; the shares of numbers to regress on would say nothing."""
    if target is None or target.ndim != 1 or signature.kind is not Kind.CLASSIFICATION:
        return None
    names = dict(zip(signature.classes, signature.labels, strict=False))
    return [names.get(value, str(value)) for value in target.tolist()]
