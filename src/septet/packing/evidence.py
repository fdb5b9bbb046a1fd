"""What a package carries to prove itself and to be compared with: golden rows and the profile of its data."""

from typing import Any

import msgspec
import numpy as np

from septet.model.golden import Golden
from septet.model.profile import Profile, profile_of
from septet.model.signature import Kind, Signature
from septet.packing.parity import ABSOLUTE_TOLERANCE, RELATIVE_TOLERANCE
from septet.packing.rows import named_columns
from septet.runtimes.base import Runtime
from septet.types import Array, Tensors

_GOLDEN_ROWS = 10


def golden_of(runtime: Runtime, signature: Signature, tensors: Tensors) -> Golden:
    """Up to 10 rows, spread evenly over `tensors`, with the answers of the runtime that will serve them."""
    if signature.rows:
        count = len(next(iter(tensors.values())))
        chosen = np.unique(np.linspace(0, count - 1, min(count, _GOLDEN_ROWS)).astype(np.int64))
        tensors = {name: array[chosen] for name, array in tensors.items()}
    return Golden(tensors, runtime.run(tensors), ABSOLUTE_TOLERANCE, RELATIVE_TOLERANCE)


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
    names = [column.name for column in signature.columns]
    if not names:
        return None
    columns = named_columns(data)
    if not set(names) <= set(columns):
        columns = dict(zip(names, columns.values(), strict=False))
    return profile_of({name: columns[name] for name in names}, _shown(target, signature))


def _shown(target: Array | None, signature: Signature) -> list[str] | None:
    """The labels of the rows as people see them; the shares of numbers to regress on would say nothing."""
    if target is None or target.ndim != 1 or signature.kind is not Kind.CLASSIFICATION:
        return None
    names = dict(zip(signature.classes, signature.labels, strict=False))
    return [names.get(value, str(value)) for value in target.tolist()]
