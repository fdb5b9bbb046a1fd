"""The plainest reading of each format, by Python's own libraries: what a body that is taken must have meant."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from septet.model.signature import DTYPES, Signature, Tensor
from septet.types import Array, Tensors

# The cells of CSV that docs/serving.md takes for true, and for a missing value.
_TRUE = frozenset({"true", "1", "1.0"})
_MISSING = frozenset({"", "nan", "nat", "null", "none", "na", "<na>"})


def native_json(signature: Signature, body: bytes) -> Tensors | None:
    """The tensors of a native body; None where this reading does not cover it."""
    document = json.loads(body)
    if "data" in document:
        return of_rows(signature, document["data"])
    if "records" in document:
        return of_records(signature, document["records"])
    return of_inputs(signature, document["inputs"])


def of_records(signature: Signature, records: Sequence[Mapping[str, Any]]) -> Tensors:
    """Rows of named values."""
    names = [column.name for column in signature.columns]
    return of_rows(signature, [[record.get(name) for name in names] for record in records])


def of_inputs(signature: Signature, inputs: Mapping[str, Any]) -> Tensors:
    """Tensors by name."""
    return {tensor.name: array(tensor, inputs[tensor.name], None) for tensor in signature.inputs}


def of_rows(signature: Signature, rows: Any) -> Tensors:
    """Rows of values in the order of the columns, or the values of the only tensor."""
    if len(signature.inputs) == 1:
        (tensor,) = signature.inputs
        return {tensor.name: array(tensor, rows, None)}
    if not all(isinstance(row, list) for row in rows):
        rows = [[row] for row in rows]
    return {tensor.name: array(tensor, rows, at) for at, tensor in enumerate(signature.inputs)}


def array(tensor: Tensor, values: Any, column: int | None) -> Array:
    """Values as an array of the tensor's dtype and rank; `column` takes one value of each row."""
    if column is not None:
        values = [[row[column]] for row in values]
    flat = [_value(tensor.dtype, each) for each in _flat(values)]
    made = np.empty(len(flat), DTYPES[tensor.dtype])
    made[:] = flat
    sizes = [size for size in tensor.shape[1:] if size is not None]
    return made.reshape(-1, *sizes)


def from_csv(signature: Signature, body: bytes) -> Tensors:
    """A header row of names in any order, then cells."""
    text = body.decode("utf-8-sig")
    lines = [line for line in csv.reader(io.StringIO(text, newline="")) if line]
    known = {column.name: column.dtype for column in signature.columns}
    names = [name if name in known else name.strip() for name in lines[0]]
    records = [{name: _cell(known[name], cell) for name, cell in zip(names, line, strict=True)} for line in lines[1:]]
    return of_records(signature, records)


def from_npy(signature: Signature, body: bytes) -> Tensors | None:
    """An array of numbers."""
    if len(signature.inputs) > 1:
        return None
    (tensor,) = signature.inputs
    given = np.load(io.BytesIO(body), allow_pickle=False)
    with np.errstate(all="ignore"):
        cast = given.astype(DTYPES[tensor.dtype])
    return {tensor.name: cast.reshape(-1, *(size for size in tensor.shape[1:] if size is not None))}


def from_v2(signature: Signature, body: bytes, tail: bytes) -> Tensors:
    """An inference request with its values as JSON or behind it."""
    given: dict[str, Array] = {}
    tensors = {tensor.name: tensor for tensor in signature.inputs}
    missing: dict[str, list[int]] = {}
    for each in json.loads(body)["inputs"]:
        tensor, parameters = tensors[each["name"]], each.get("parameters") or {}
        size = parameters.get("binary_data_size")
        if size is not None:
            flat, tail = _raw(tensor, tail[:size]), tail[size:]
        else:
            flat = array(tensor, _flat(each["data"]), None).reshape(-1)
        given[tensor.name] = flat.reshape(each["shape"]).reshape(
            -1, *(size for size in tensor.shape[1:] if size is not None)
        )
        missing[tensor.name] = _places(parameters.get("missing"))
    return {tensor.name: _without(given[tensor.name], missing[tensor.name]) for tensor in signature.inputs}


def from_message(signature: Signature, message: Any) -> Tensors:
    """A gRPC message with its values raw or typed."""
    contents = {
        **dict.fromkeys(("int8", "int16", "int32"), "int_contents"),
        **dict.fromkeys(("uint8", "uint16", "uint32"), "uint_contents"),
        "int64": "int64_contents",
        "uint64": "uint64_contents",
        "bool": "bool_contents",
        "float32": "fp32_contents",
        "float64": "fp64_contents",
    }
    found: dict[str, Array] = {}
    raw = list(message.raw_input_contents)
    tensors = {tensor.name: tensor for tensor in signature.inputs}
    for at, each in enumerate(message.inputs):
        tensor = tensors[each.name]
        if raw:
            flat = _raw(tensor, raw[at])
        elif tensor.dtype in contents:
            flat = np.array(list(getattr(each.contents, contents[tensor.dtype])), DTYPES[tensor.dtype])
        else:
            texts = [value.decode() for value in each.contents.bytes_contents]
            flat = array(tensor, texts, None).reshape(-1)
        made = flat.reshape(-1, *(size for size in tensor.shape[1:] if size is not None))
        text = each.parameters["missing"].string_param if "missing" in each.parameters else None
        found[tensor.name] = _without(made, _places(text))
    return {tensor.name: found[tensor.name] for tensor in signature.inputs}


def _places(text: str | None) -> list[int]:
    return [int(place) for place in text.split(",")] if text else []


def _without(given: Array, missing: Sequence[int]) -> Array:
    if missing:
        given = given.copy()
        given.reshape(-1)[list(missing)] = None
    return given


def _raw(tensor: Tensor, data: bytes) -> Array:
    if tensor.dtype != "string" and not tensor.dtype.startswith("datetime"):
        return np.frombuffer(data, DTYPES[tensor.dtype])
    texts: list[str] = []
    while data:
        size = int.from_bytes(data[:4], "little")
        texts.append(data[4 : 4 + size].decode())
        data = data[4 + size :]
    return array(tensor, texts, None).reshape(-1)


def _flat(values: Any) -> list[Any]:
    if not isinstance(values, list):
        return [values]
    return [each for value in values for each in _flat(value)]


def _value(dtype: str, value: Any) -> Any:
    if dtype.startswith("datetime"):
        return np.datetime64("NaT") if value in (None, "") else np.datetime64(value.strip().upper().replace(",", "."))
    if dtype.startswith("float"):
        return float("nan") if value is None else float(value)
    if dtype == "string" or isinstance(value, bool):
        return value
    if isinstance(value, (float, int)) and int(value) == value:
        return int(value)
    raise ValueError(f"{value!r} is no {dtype}")


def _cell(dtype: str, cell: str) -> Any:
    if dtype == "string":
        return cell or None
    if cell.strip().lower() in _MISSING:
        return None
    if dtype == "bool":
        return cell.strip().lower() in _TRUE
    if dtype.startswith("datetime"):
        return cell.strip()
    return float(cell.strip()) if dtype.startswith("float") else _whole(cell.strip())


def _whole(cell: str) -> int | float:
    try:
        return int(cell)
    except ValueError:
        return float(cell)
