"""A user's rows (DataFrame, array, list, mapping of columns) as the tensors of a signature."""

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from septet.errors import Invalid
from septet.model.signature import DTYPES, Signature, Tensor
from septet.types import Array, Tensors


def tensors_of(data: Any, signature: Signature) -> Tensors:
    """The rows of `data` as one array per input, of the signature's dtypes.

    A DataFrame or a mapping is read by column name where it has the signature's names, else by position; an array or
    a list by position. A mapping that has the inputs' names instead is taken for the tensors themselves.

    Raises:
        Invalid: the data lacks a column, has another width, or holds values that are no numbers where these belong.
    """
    given = named_columns(data)
    inputs = [tensor.name for tensor in signature.inputs]
    if isinstance(data, Mapping) and set(given) == set(inputs):
        return {tensor.name: _cast(np.asarray(data[tensor.name]), tensor) for tensor in signature.inputs}
    if not signature.columns:
        if len(inputs) > 1:
            raise Invalid(f"the data is not a mapping from the inputs {', '.join(inputs)} to arrays")
        return {inputs[0]: _cast(np.asarray(data), signature.inputs[0])}
    names = [column.name for column in signature.columns]
    missing = [name for name in names if name not in given]
    if missing and len(given) == len(names):
        given = dict(zip(names, given.values(), strict=True))
    elif missing:
        raise Invalid(
            f"the data has {len(given)} columns ({', '.join(list(given)[:10])}) and the model takes {len(names)}: "
            f"missing are {', '.join(missing[:10])}"
        )
    return {tensor.name: _joined(given, tensor) for tensor in signature.inputs}


def named_columns(data: Any) -> dict[str, Array]:
    """The columns of `data` in order, each one-dimensional; those of an array are named x0, x1, ...

    Raises:
        Invalid: it has no rows and columns.
    """
    if hasattr(data, "toarray"):
        data = data.toarray()
    if isinstance(data, Mapping) or (hasattr(data, "iloc") and hasattr(data, "columns")):
        names = list(data) if isinstance(data, Mapping) else list(data.columns)
        return {str(name): _plain(data[name]) for name in names}
    matrix = _plain(data)
    if matrix.ndim == 0:
        raise Invalid(f"the data is a single {type(data).__name__}, not rows: give a DataFrame or an array")
    if matrix.ndim == 1:
        return {"text" if matrix.dtype == object else "x0": matrix}
    return {f"x{place}": matrix[:, place] for place in range(matrix.shape[1])}


def data_digest(columns: Mapping[str, Array], target: Array | None) -> str:
    """`sha256:` and the digest of training data, the same wherever it is computed.

    Hashed are, for each column in order and then the target under the name "": the name and the dtype in UTF-8, each
    followed by a zero byte, and the values: numbers as little-endian bytes, texts as a JSON list with null for missing.
    """
    digest = hashlib.sha256()
    for name, values in (*columns.items(), *((("", target),) if target is not None else ())):
        kind = "string" if values.dtype == object else values.dtype.name
        digest.update(f"{name}\0{kind}\0".encode())
        digest.update(_bytes(values))
    return f"sha256:{digest.hexdigest()}"


def _bytes(values: Array) -> bytes:
    if values.dtype == object:
        return msgspec.json.encode([_text(value) for value in values.ravel().tolist()])
    return np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<")).tobytes()


def _plain(values: Any) -> Array:
    """Any column or matrix as an array of numbers, bools, or objects of str and None."""
    array = np.asarray(values)
    if array.dtype.kind in "biuf":
        return array
    if array.dtype == object:
        try:
            # Nullable integers and floats of pandas arrive as objects.
            if not any(isinstance(value, str) for value in array.ravel().tolist()):
                return array.astype(np.float64)
        except (TypeError, ValueError):
            pass
    flat = np.empty(array.size, dtype=object)
    flat[:] = [_text(value) for value in array.ravel().tolist()]
    return flat.reshape(array.shape)


def _text(value: Any) -> str | None:
    missing = value is None or value != value or type(value).__name__ == "NAType"  # noqa: PLR0124 - NaN
    return None if missing else str(value)


def _joined(columns: Mapping[str, Array], tensor: Tensor) -> Array:
    parts = [_column(columns[column.name], column.name, tensor.dtype) for column in tensor.columns]
    return parts[0] if len(tensor.shape) == 1 else np.stack(parts, axis=1)


def _column(values: Array, name: str, dtype: str) -> Array:
    if dtype == "string":
        return values if values.dtype == object else np.array([_text(value) for value in values.tolist()], dtype=object)
    if values.dtype == object:
        # None is how a missing value looks in a column of texts; numbers say NaN.
        values = np.array([np.nan if value is None else value for value in values.tolist()], dtype=object)
    try:
        return values.astype(DTYPES[dtype])
    except (TypeError, ValueError) as exc:
        raise Invalid(f"column {name!r} of the data holds values that are no {dtype}: {exc}") from exc


def _cast(array: Array, tensor: Tensor) -> Array:
    try:
        return _plain(array).astype(DTYPES[tensor.dtype])
    except (TypeError, ValueError) as exc:
        raise Invalid(f"the data for {tensor.name!r} holds values that are no {tensor.dtype}: {exc}") from exc
