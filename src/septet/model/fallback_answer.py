"""The answer that a model's owner gives in place of the model: one row of its outputs, for when it cannot answer."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from septet.errors import FallbackInvalid
from septet.model.signature import DTYPES, Signature, Tensor
from septet.types import Array, Tensors

#: The Python types of what may be written for a kind of numpy dtype.
_WRITTEN: Mapping[str, tuple[type, ...]] = {
    "b": (bool,),
    "i": (int,),
    "u": (int,),
    "f": (int, float),
    "O": (str,),
    "M": (str,),
}


def fallback_from_json(text: str, source: str) -> dict[str, Any]:
    """The values of a fallback answer that is written as a JSON object.

    Raises:
        FallbackInvalid: it is none.
    """
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FallbackInvalid(f"{source}: is not JSON: {error}") from error
    if not isinstance(values, dict):
        raise FallbackInvalid(f'{source}: expected an object with the outputs of a row, such as {{"label": 0}}')
    return values


def fallback_row(values: Mapping[str, Any], signature: Signature, source: str) -> Tensors:
    """The answer as the outputs of one row, [1, ...] each; whole outputs where the signature has no rows.

    `values` are by output, without the axis of the rows: a number or text, or nested lists of them. A class may be
    written as the label that callers see.

    Raises:
        FallbackInvalid: an output is missing or unknown, or a value does not fit it.
    """
    known = {tensor.name: tensor for tensor in signature.outputs}
    if values.keys() != known.keys():
        raise FallbackInvalid(f"{source}: has the outputs {sorted(values)}, and the model has {sorted(known)}")
    return {name: _array(tensor, values[name], signature, source) for name, tensor in known.items()}


def _array(tensor: Tensor, value: Any, signature: Signature, source: str) -> Array:
    shape = tensor.shape[1:] if signature.rows else tensor.shape
    if tensor.name == signature.label:
        value = _class(value, signature)
    dtype = DTYPES[tensor.dtype]
    expected = f"{tensor.dtype} of shape {[-1 if size is None else size for size in shape]}"
    problem = FallbackInvalid(f"{source}: the output {tensor.name!r} of a row is {expected}, not {repr(value)[:80]}")
    try:
        leaves = np.array(value, dtype=object)
        fits = len(shape) == leaves.ndim and all(
            size in (None, found) for size, found in zip(shape, leaves.shape, strict=True)
        )
        if not fits or not all(type(leaf) in _WRITTEN[dtype.kind] for leaf in leaves.ravel().tolist()):
            raise problem
        with np.errstate(over="ignore"):
            array = np.array(value, dtype=dtype)
    except (ValueError, TypeError, OverflowError) as error:
        raise problem from error
    if dtype.kind == "f" and not np.isfinite(array).all():
        raise problem
    return array[np.newaxis] if signature.rows else array


def _class(value: Any, signature: Signature) -> Any:
    """The class that the model would answer for a label."""
    if value in signature.labels and len(signature.classes) == len(signature.labels):
        return signature.classes[signature.labels.index(value)]
    return value
