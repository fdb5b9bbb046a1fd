"""Arrays as the JSON values that a caller would write or read: the examples of metadata, OpenAPI and the page.

Made once at start and never on the way of a request. A float32 is written with the digits that name it (5.1, not
5.099999904632568); NaN and infinities, which JSON does not have, are written as null, and bytes as base64.
"""

import csv
import io
import math
from typing import Any

import numpy as np

from septet.model.base64_text import to_base64
from septet.model.moments import as_texts, is_moment, written
from septet.model.signature import Column, Kind, Signature, Tensor
from septet.model.values import bare, is_whole
from septet.protocols.codecs.prediction_format import PredictionFormatter
from septet.tensors import listed
from septet.types import Array, Tensors


def nested(array: Array) -> Any:
    """Write an array of any rank as nested lists."""
    if array.ndim == 0:
        return scalar(array[()])
    return [scalar(each) for each in array] if array.ndim == 1 else [nested(part) for part in array]


def scalar(value: Any) -> Any:
    """Write one value as JSON has it."""
    if isinstance(value, np.float16 | np.float32):
        value = float(str(value))
    elif isinstance(value, np.datetime64):
        value = listed(np.array(value))
    elif isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bytes):
        return to_base64(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value


def value(column: Column, carried: Any) -> Any:
    """Write a value of a tensor as a caller would write that of its column."""
    if is_moment(column.dtype):
        return written(carried, column)
    plain = scalar(carried)
    if plain is not None and column.dtype == "bool":
        return bool(plain)
    return int(plain) if plain is not None and is_whole(column.dtype) else plain


def data(signature: Signature, tensors: Tensors) -> list[Any] | None:
    """Write the rows as the body's `data`, or None where the signature has none."""
    if not signature.rows:
        return None
    if not signature.columns:
        return nested(tensors[signature.inputs[0].name]) if len(signature.inputs) == 1 else None
    parts = [tensors[tensor.name] for tensor in signature.inputs]
    return [
        [
            value(*each)
            for each in zip(
                signature.columns, (cell for part in parts for cell in part[row : row + 1].reshape(-1)), strict=True
            )
        ]
        for row in range(len(parts[0]))
    ]


def records(signature: Signature, tensors: Tensors) -> list[dict[str, Any]] | None:
    """Write the rows as the body's `records`, or None where columns have no names of their own."""
    if not has_records(signature):
        return None
    names = [column.name for column in signature.columns]
    return [dict(zip(names, row, strict=True)) for row in data(signature, tensors) or []]


def inputs(signature: Signature, tensors: Tensors) -> dict[str, Any]:
    """Write the tensors as the body's `inputs`."""
    return {tensor.name: values(tensor, tensors[tensor.name]) for tensor in signature.inputs}


def values(tensor: Tensor, array: Array) -> Any:
    """Write an input as nested lists; a moment as its column has it."""
    if not is_moment(tensor.dtype):
        return nested(array)
    return as_texts(array, tensor.columns or (bare(tensor),)).tolist()


def csv_text(signature: Signature, tensors: Tensors) -> str | None:
    """Write the rows as CSV with a header row, or None where columns have no names of their own."""
    if not has_records(signature):
        return None
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([column.name for column in signature.columns])
    writer.writerows(data(signature, tensors) or [])
    return text.getvalue()


def has_records(signature: Signature) -> bool:
    """Say whether rows can be written by column name."""
    names = [column.name for column in signature.columns]
    return signature.rows and bool(names) and len(set(names)) == len(names)


def answering(signature: Signature) -> Tensor | None:
    """Find the output that `/predict` answers with; None where it answers with an object of all outputs."""
    names = PredictionFormatter(signature).outputs
    return None if names is None else next(each for each in signature.outputs if each.name == names[0])


def prediction(signature: Signature, tensors: Tensors) -> Any:
    """Write the outputs as the `prediction` of `/predict`."""
    return _finite(PredictionFormatter(signature).prediction({name: _short(array) for name, array in tensors.items()}))


def labels(signature: Signature, tensors: Tensors) -> list[Any] | None:
    """Write the outputs as the `prediction` of `/predict/label`, or None where there are no labels."""
    return PredictionFormatter(signature).labels(tensors) if has_labels(signature) else None


def has_labels(signature: Signature) -> bool:
    """Say whether `/predict/label` has an answer."""
    best = signature.scores is not None and signature.kind is Kind.CLASSIFICATION
    return signature.rows and (signature.label is not None or best)


def _short(array: Array) -> Array:
    if array.dtype.name not in ("float16", "float32"):
        return array
    return np.array([float(str(each)) for each in array.reshape(-1)], np.float64).reshape(array.shape)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list) else scalar(value)
