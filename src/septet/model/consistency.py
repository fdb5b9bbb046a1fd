"""Whether a signature agrees with itself, before anything is built from it."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator

from septet.errors import LabelsMismatch, PackageInvalid
from septet.model.labels import class_count
from septet.model.signature import DTYPES, Column, Signature, Tensor


def check_signature(signature: Signature, source: str) -> None:
    """Refuse a signature that contradicts itself; `source` is where it comes from, for messages.

    Raises:
        PackageInvalid: a dtype, shape, name or role is impossible.
        LabelsMismatch: the labels do not fit the scores.
    """
    faults = next(_faults(signature), None)
    if faults is not None:
        raise PackageInvalid(f"{source}: {faults}")
    labels, known = len(signature.labels), class_count(signature)
    if labels and known and known[0] != labels:
        raise LabelsMismatch(
            f"{source}: signature.labels holds {labels} labels, and {known[1]} has {known[0]} classes; "
            "give one label for each class"
        )
    if labels and signature.classes and len(signature.classes) != labels:
        raise LabelsMismatch(
            f"{source}: signature.labels holds {labels} labels, and signature.classes {len(signature.classes)}"
        )


def _faults(signature: Signature) -> Iterator[str]:
    for side, tensors in (("inputs", signature.inputs), ("outputs", signature.outputs)):
        if not tensors:
            yield f"signature.{side} is empty"
        yield from _repeated(f"signature.{side}", (tensor.name for tensor in tensors))
        for at, tensor in enumerate(tensors):
            yield from _tensor_faults(tensor, f"signature.{side}[{at}]")
    yield from _repeated("signature.inputs", (column.name for column in signature.columns))
    names = {tensor.name for tensor in signature.outputs}
    for role, name in (("label", signature.label), ("scores", signature.scores)):
        if name is not None and name not in names:
            yield f"signature.{role} is '{name}', which is not the name of an output"
        if any(tensor.name == name and tensor.dtype == "bytes" for tensor in signature.outputs):
            yield f"signature.{role} is '{name}', an output of bytes; labels and scores are texts and numbers"


def _tensor_faults(tensor: Tensor, place: str) -> Iterator[str]:
    dtypes = [(f"{place}.dtype", tensor.dtype)]
    dtypes += [(f"{place}.columns[{at}].dtype", column.dtype) for at, column in enumerate(tensor.columns)]
    for key, dtype in dtypes:
        if dtype not in DTYPES:
            yield f"{key} is '{dtype}'; known are {', '.join(DTYPES)}"
    for at, column in enumerate(tensor.columns):
        yield from _column_faults(column, f"{place}.columns[{at}]")
        yield from _carried_faults(column, tensor, f"{place}.columns[{at}]")
    if any(size is not None and size < 0 for size in tensor.shape):
        yield f"{place}.shape is {list(tensor.shape)}; a size is 0 or more, or -1 where the caller chooses it"
    width = tensor.shape[1] if len(tensor.shape) == 2 else 1  # noqa: PLR2004 - rows and columns
    if tensor.columns and (len(tensor.shape) not in (1, 2) or width != len(tensor.columns)):
        yield f"{place} has {len(tensor.columns)} columns, which does not fit its shape {list(tensor.shape)}"


def _carried_faults(column: Column, tensor: Tensor, place: str) -> Iterator[str]:
    """What the tensor of a column cannot hold."""
    if not {column.dtype, tensor.dtype} <= DTYPES.keys():
        return
    own, carrying = DTYPES[column.dtype].kind, DTYPES[tensor.dtype].kind
    numbers = "biuf"
    fits = column.dtype == tensor.dtype or (own in numbers and carrying in numbers and carrying != "b")
    if not fits or (own == "f" and carrying != "f"):
        yield f"{place}.dtype is {column.dtype}, which its tensor of {tensor.dtype} does not hold"
    if column.nullable and carrying not in "fOM":
        yield f"{place} is nullable, and its tensor of {tensor.dtype} has no missing value; carry it in float64"
    if column.optional and not column.nullable:
        yield f"{place} is optional and not nullable: a column that is left out is a missing value"
    if column.timezone is not None and own != "M":
        yield f"{place} has a timezone, and its dtype {column.dtype} is no moment"


def _column_faults(column: Column, place: str) -> Iterator[str]:
    bounds = [bound for bound in (column.minimum, column.maximum) if bound is not None]
    if not all(map(math.isfinite, bounds)):
        yield f"{place}: minimum and maximum must be finite numbers"
    if bounds != sorted(bounds):
        yield f"{place}: minimum {column.minimum} is above maximum {column.maximum}"
    if column.max_bytes is not None and (column.dtype != "bytes" or column.max_bytes < 0):
        yield f"{place}: max_bytes is {column.max_bytes}; it is 0 or more, and of a column of bytes"
    if column.dtype == "bytes" and (bounds or column.categories is not None):
        yield f"{place}: bytes have no minimum, maximum or categories"
    if column.categories is None:
        return
    if not column.categories and not column.other_categories:
        yield f"{place}: categories is empty, so no value is accepted; leave it out"
    texts = column.dtype == "string"
    for value in column.categories:
        if isinstance(value, str) != texts or (isinstance(value, float) and not math.isfinite(value)):
            yield f"{place}: the category {value!r} is not of the column's dtype {column.dtype}"


def _repeated(place: str, names: Iterable[str]) -> Iterator[str]:
    for name, count in Counter(names).items():
        if count > 1:
            yield f"{place} has the name '{name}' {count} times"
