"""A user's rows (DataFrame, array, list, mapping of columns) as the tensors of a signature."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from septet.columns.stacking import stacked
from septet.errors import Invalid
from septet.model.signature import DTYPES, Signature, Tensor
from septet.packing.given import Given, Rows, require_types, rows_of
from septet.types import Array, Tensors

_NUMBERED = re.compile(r"x\d+|text")


def tensors_of(data: Any, signature: Signature) -> Tensors:
    """The rows of `data` as one array per input, of the signature's dtypes.

    A DataFrame or a mapping is read by column name. Only where one side has no names (an array, or a signature whose
    columns are x0, x1, ...) are columns taken by position. A mapping that has the inputs' names instead is taken for
    the tensors themselves.

    Raises:
        Invalid: the data lacks a column, has another width, or holds values that do not fit the signature.
    """
    inputs = [tensor.name for tensor in signature.inputs]
    if isinstance(data, Mapping) and {str(name) for name in data} == set(inputs):
        return {tensor.name: _cast(np.asarray(data[tensor.name]), tensor) for tensor in signature.inputs}
    if not signature.columns:
        if len(inputs) > 1:
            raise Invalid(f"the data is not a mapping from the inputs {', '.join(inputs)} to arrays")
        return {inputs[0]: _cast(np.asarray(data), signature.inputs[0])}
    return tensors_from(rows_of(data), signature)


def tensors_from(rows: Rows, signature: Signature) -> Tensors:
    """The same, of rows that have been read."""
    given = by_name(rows, [column.name for column in signature.columns])
    return {tensor.name: _joined(given, tensor) for tensor in signature.inputs}


def by_name(rows: Rows, names: list[str]) -> Mapping[str, Given]:
    """The columns under these names.

    Raises:
        Invalid: some are lacking, and the data has names of its own, or another width.
    """
    given = {column.name: column for column in rows.columns}
    missing = [name for name in names if name not in given]
    if not missing:
        return given
    nameless = not rows.named or (not given.keys() & set(names) and all(map(_NUMBERED.fullmatch, names)))
    if nameless and len(given) == len(names):
        return dict(zip(names, rows.columns, strict=True))
    raise Invalid(
        f"the data has {len(given)} columns ({', '.join(list(given)[:10])}) and the model takes {len(names)}: "
        f"missing are {', '.join(missing[:10])}"
    )


def named_columns(data: Any) -> dict[str, Array]:
    """The columns of `data` in order, each one-dimensional; those of an array are named x0, x1, ...

    Values that have no form in a tensor are written as texts.

    Raises:
        Invalid: it has no rows and columns.
    """
    return {given.name: plain_values(given, rows) for rows in (rows_of(data),) for given in rows.columns}


def plain_values(given: Given, rows: Rows) -> Array:
    """A column's values, [N]: floats with NaN, texts with None, or moments with NaT where missing."""
    if not given.fault:
        return given.cells
    place = [column.name for column in rows.columns].index(given.name)
    raw = (
        rows.source.iloc[:, place].tolist() if rows.named else np.asarray(rows.source).reshape(len(rows), -1)[:, place]
    )
    texts = np.empty(len(rows), dtype=object)
    texts[:] = [None if gone else str(value) for value, gone in zip(raw, given.missing, strict=True)]
    return texts


def data_digest(columns: Mapping[str, Array], target: Array | None) -> str:
    """`sha256:` and the digest of training data, the same wherever it is computed.

    Hashed are, for each column in order and then the target under the name "": the name and the dtype in UTF-8, each
    followed by a zero byte, and the values: numbers as little-endian bytes, moments as those of the whole numbers that
    they are counted by, texts as a JSON list with null for missing.
    """
    digest = hashlib.sha256()
    for name, values in (*columns.items(), *((("", target),) if target is not None else ())):
        kind = "string" if values.dtype == object else values.dtype.name
        digest.update(f"{name}\0{kind}\0".encode("utf-8", "backslashreplace"))
        digest.update(_bytes(values))
    return f"sha256:{digest.hexdigest()}"


def _bytes(values: Array) -> bytes:
    if values.dtype == object:
        texts = [_text(value) for value in values.ravel().tolist()]
        return msgspec.json.encode([None if text is None else _encodable(text) for text in texts])
    return np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<")).tobytes()


def _encodable(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _text(value: Any) -> str | None:
    missing = value is None or type(value).__name__ == "NAType" or value != value  # noqa: PLR0124 - NaN
    return None if missing else str(value)


def _joined(columns: Mapping[str, Given], tensor: Tensor) -> Array:
    require_types([columns[column.name] for column in tensor.columns if not column.optional])
    parts = [_column(columns[column.name], column.name, tensor.dtype) for column in tensor.columns]
    return stacked(parts, tensor)


def _column(given: Given, name: str, dtype: str) -> Array:
    values = given.cells
    if dtype == "string":
        if values.dtype == object:
            return values
        texts = np.empty(len(values), dtype=object)
        texts[:] = [None if gone else str(value) for value, gone in zip(values.tolist(), given.missing, strict=True)]
        return texts
    if dtype.startswith("datetime64") and values.dtype.kind == "M":
        return values.astype(DTYPES[dtype])
    if values.dtype == object:
        # None is how a missing value looks in a column of texts; numbers say NaN.
        values = np.array([np.nan if value is None else value for value in values.tolist()], dtype=object)
    try:
        if values.dtype.kind == "M" or dtype.startswith("datetime64"):
            raise TypeError(f"moments and {dtype} are not the same")
        return values.astype(DTYPES[dtype])
    except (TypeError, ValueError) as exc:
        raise Invalid(f"column {name!r} of the data holds values that are no {dtype}: {exc}") from exc


def _cast(array: Array, tensor: Tensor) -> Array:
    if tensor.dtype == "string":
        texts = np.empty(array.size, dtype=object)
        texts[:] = [_text(value) for value in array.ravel().tolist()]
        return texts.reshape(array.shape)
    try:
        return array.astype(DTYPES[tensor.dtype])
    except (TypeError, ValueError) as exc:
        raise Invalid(f"the data for {tensor.name!r} holds values that are no {tensor.dtype}: {exc}") from exc
