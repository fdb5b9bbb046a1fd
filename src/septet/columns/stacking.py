"""Which column stands where in the tensors of a model, both ways. No value is changed here."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from septet.model.signature import DTYPES, Tensor
from septet.types import Array, Tensors


def stacked(parts: Sequence[Array], tensor: Tensor) -> Array:
    """One tensor made of its columns, each [N] and of the tensor's dtype."""
    return parts[0].reshape(-1, *tensor.shape[1:]) if len(parts) == 1 else np.stack(parts, axis=1)


def stacked_inputs(columns: Sequence[Array], inputs: Sequence[Tensor]) -> dict[str, Array]:
    """The inputs of a model made of all its columns in order, each [N] and of the dtype of its tensor."""
    each = iter(columns)
    return {tensor.name: stacked([next(each) for _ in tensor.columns], tensor) for tensor in inputs}


def split(matrix: Array, inputs: Sequence[Tensor]) -> dict[str, Array]:
    """The inputs of a model out of a matrix of all its columns, [N, columns], as views where that can be."""
    arrays: dict[str, Array] = {}
    start = 0
    for tensor in inputs:
        stop = start + len(tensor.columns)
        part = matrix[:, start:stop]
        arrays[tensor.name] = part.reshape(-1) if len(tensor.shape) == 1 else part
        start = stop
    return arrays


def unstacked(tensors: Tensors, inputs: Sequence[Tensor]) -> dict[str, Array]:
    """The columns of tensors by name, each [N] as its tensor carries it: views where that can be."""
    return {
        column.name: array if array.ndim == 1 else array[:, at]
        for tensor in inputs
        for array in (tensors[tensor.name],)
        for at, column in enumerate(tensor.columns)
    }


def shaped(tensor: Tensor, cells: Sequence[Any], count: int) -> Array:
    """One array of a column-faced tensor's shape."""
    shape = (count,) if len(tensor.shape) == 1 else (count, len(tensor.columns))
    return np.array(cells, DTYPES[tensor.dtype]).reshape(shape)


def completed(inputs: Sequence[Tensor], given: Mapping[str, Array], rows: int) -> dict[str, Array]:
    """The inputs in their order, those that were left out with a missing value in each column."""
    return {tensor.name: given[tensor.name] if tensor.name in given else missing(tensor, rows) for tensor in inputs}


def missing(tensor: Tensor, rows: int) -> Array:
    """An input of missing values."""
    return shaped(tensor, [None] * (rows * len(tensor.columns)), rows)
