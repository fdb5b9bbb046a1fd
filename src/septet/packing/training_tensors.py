"""A user's rows (DataFrame, array, list, mapping of columns) as the tensors of a signature."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from septet.columns.casting import nearest
from septet.columns.stacking import stacked
from septet.errors import Invalid
from septet.model.signature import Signature, Tensor
from septet.packing.training_table import TrainingColumn, TrainingTable, require_types, rows_of
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
    inputs = {tensor.name: tensor.dtype for tensor in signature.inputs}
    if isinstance(data, Mapping) and {str(name) for name in data} == inputs.keys():
        return {
            name: _nearest(np.asarray(data[name]), dtype, f"the data for {name!r}") for name, dtype in inputs.items()
        }
    if not signature.columns:
        if len(inputs) > 1:
            raise Invalid(f"the data is not a mapping from the inputs {', '.join(inputs)} to arrays")
        return {name: _nearest(np.asarray(data), dtype, f"the data for {name!r}") for name, dtype in inputs.items()}
    return tensors_from(rows_of(data), signature)


def tensors_from(rows: TrainingTable, signature: Signature) -> Tensors:
    """The same, of rows that have been read."""
    given = by_name(rows, [column.name for column in signature.columns])
    return {tensor.name: _joined(given, tensor) for tensor in signature.inputs}


def by_name(rows: TrainingTable, names: list[str]) -> Mapping[str, TrainingColumn]:
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


def plain_values(given: TrainingColumn, rows: TrainingTable) -> Array:
    """A column's values, [N]: floats with NaN, texts with None, or moments with NaT where missing."""
    if not given.fault:
        return given.data
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
        texts = nearest(values.ravel(), "string").tolist()
        return msgspec.json.encode([None if text is None else _encodable(text) for text in texts])
    return np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<")).tobytes()


def _encodable(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _joined(columns: Mapping[str, TrainingColumn], tensor: Tensor) -> Array:
    require_types([columns[column.name] for column in tensor.columns if not column.optional])
    parts = [_column(columns[column.name], column.name, tensor.dtype) for column in tensor.columns]
    return stacked(parts, tensor)


def _column(given: TrainingColumn, name: str, dtype: str) -> Array:
    values = given.data
    if dtype != "string" and (values.dtype.kind == "M") != dtype.startswith("datetime64"):
        raise Invalid(
            f"column {name!r} of the data holds values that are no {dtype}: moments and {dtype} are not the same"
        )
    return _nearest(values, dtype, f"column {name!r} of the data")


def _nearest(values: Array, dtype: str, place: str) -> Array:
    try:
        return nearest(values, dtype)
    except (TypeError, ValueError) as exc:
        raise Invalid(f"{place} holds values that are no {dtype}: {exc}") from exc
