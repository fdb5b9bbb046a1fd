"""One row that fits a signature: for warm-up, examples and tests."""

from typing import Any

import numpy as np

from septet.model.signature import DTYPES, Column, Signature, Tensor
from septet.types import Array, Tensors


def sample(signature: Signature) -> Tensors:
    """Return one row of each input: the middle of declared bounds, the first category, else 0, empty text or bytes.

    A moment without bounds is the start of 1970. Nothing is missing.
    """
    return {tensor.name: _array(tensor) for tensor in signature.inputs}


def _array(tensor: Tensor) -> Array:
    shape = tuple(1 if size is None else size for size in tensor.shape)
    array = np.full(shape, _nothing(tensor.dtype), dtype=DTYPES[tensor.dtype])
    for at, column in enumerate(tensor.columns):
        array[(..., at) if array.ndim > 1 else ...] = _value(column, tensor.dtype)
    return array


def _nothing(dtype: str) -> Any:
    return {"string": "", "bytes": b""}.get(dtype, 0)


def _value(column: Column, dtype: str) -> Any:
    if column.categories:
        return column.categories[0]
    if dtype in ("string", "bytes", "bool") or column.dtype == "bool":
        return _nothing(dtype)
    low, high = column.minimum, column.maximum
    if low is not None and high is not None:
        middle = low / 2 + high / 2
    else:
        middle = min(max(0.0, low if low is not None else 0.0), high if high is not None else np.inf)
    return (
        middle if column.dtype.startswith("float") else int(np.floor(middle) if high is not None else np.ceil(middle))
    )
