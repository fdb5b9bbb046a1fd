"""A signature as JSON Schema (draft 2020-12): what a body may hold, and what an answer holds."""

import math
from typing import Any, TypeAlias

import msgspec
import numpy as np

from septet.model.labels import shown_labels
from septet.model.moments import is_date, is_moment
from septet.model.signature import DTYPES, Column, Kind, Scalar, Signature, Tensor
from septet.model.values import FLOAT_LIMITS, is_optional, is_whole, takes_null, whole_limits
from septet.protocols.codecs.examples import answering, has_records
from septet.protocols.openapi.schema_nodes import closed
from septet.settings import Limits

Schema: TypeAlias = dict[str, Any]
VALUE = {"$ref": "#/components/schemas/Value"}
OUTLIER: Schema = {"enum": [1, -1], "description": "1: like the training data; -1: an outlier."}
ID: Schema = {
    "type": ["string", "null"],
    "minLength": 1,
    "maxLength": 128,
    "pattern": "^[!-~]+$",
    "description": "Names this request in its answer and in the log. Made by the server where it is left out.",
}


def value(column: Column, carrier: str) -> Schema:
    """Write what one value of a column may be, in a row; `carrier` is the dtype of its tensor."""
    schema = _dtype(column.dtype)
    if is_whole(column.dtype):
        schema["minimum"], schema["maximum"] = whole_limits(column, carrier)
    if is_moment(column.dtype):
        schema = _moment(column)
    _bound(schema, column)
    if column.categories is not None:
        _categorise(schema, column.categories, closed=not column.other_categories)
    if takes_null(column, carrier):
        schema["type"] = [schema["type"], "null"]
        if "enum" in schema:
            schema["enum"] = [*schema["enum"], None]
    if column.unit is not None:
        schema["description"] = f"in {column.unit}"
    return schema


def carried(column: Column, carrier: str) -> Schema:
    """Write what one value of a column may be, in its tensor: floats carry true and false as 1 and 0."""
    if column.dtype != "bool" or carrier == "bool":
        return value(column, carrier)
    numbers = msgspec.structs.replace(column, dtype="uint8", categories=(0, 1), other_categories=False)
    return value(numbers, carrier)


def cell(tensor: Tensor) -> Schema:
    """Write what any value of an input may be, whatever its column."""
    nullable = any(takes_null(each, tensor.dtype) for each in tensor.columns)
    zone = next((each.timezone for each in tensor.columns), None)
    return value(Column(tensor.name, tensor.dtype, nullable, timezone=zone), tensor.dtype)


def bodies(signature: Signature, limits: Limits) -> dict[str, Schema]:
    """Write each body that a model takes, by the key that holds its rows: `data`, `records`, `inputs`."""
    forms: dict[str, Schema] = {}
    batch = {"type": "array", "minItems": 1, "maxItems": limits.max_rows}
    columns = signature.columns
    if signature.rows and columns:
        row = _row(columns, _values(signature), VALUE)
        forms["data"] = {**batch, "items": {"anyOf": [row, row["items"]]} if len(columns) == 1 else row}
    elif signature.rows and len(signature.inputs) == 1:
        forms["data"] = _tensor(signature.inputs[0], limits, rows=True)
    if has_records(signature):
        forms["records"] = {**batch, "items": {"$ref": "#/components/schemas/Record"}}
    forms["inputs"] = closed(
        {each.name: _tensor(each, limits, rows=signature.rows) for each in signature.inputs},
        required=[each.name for each in signature.inputs if not (signature.rows and is_optional(each))],
    )
    return {name: closed({name: form, "id": ID}, required=[name]) for name, form in forms.items()}


def named(signature: Signature) -> dict[str, Schema]:
    """Write the schemas that bodies refer to by name: `Value` where all columns are alike, and `Record`."""
    columns, cells = signature.columns, _values(signature)
    schemas: dict[str, Schema] = {}
    if signature.rows and _alike(cells):
        schemas["Value"] = cells[0]
    if has_records(signature):
        alike = "Value" in schemas
        schemas["Record"] = closed(
            {each.name: VALUE if alike else cell for each, cell in zip(columns, cells, strict=True)},
            required=[each.name for each in columns if not each.optional],
        )
    return schemas


def prediction(signature: Signature) -> Schema:
    """Write the `prediction` of `/predict`."""
    if not signature.rows:
        return closed({each.name: _output(each.dtype, each.shape) for each in signature.outputs})
    tensor = answering(signature)
    if tensor is None:
        row = closed({each.name: _output(each.dtype, each.shape[1:]) for each in signature.outputs})
    else:
        row = _answer(signature, tensor)
    return {"type": "array", "items": row, "description": "One prediction per row, in the order of the rows."}


def raw_rows(signature: Signature) -> Schema:
    """Write every output as the model has it, row by row; bare values where there is only one."""
    if not signature.rows:
        return raw_tensors(signature)
    rows = {each.name: _output(each.dtype, each.shape[1:]) for each in signature.outputs}
    return {"type": "array", "items": next(iter(rows.values())) if len(rows) == 1 else closed(rows)}


def raw_tensors(signature: Signature) -> Schema:
    """Write every output as the model has it, by name; the bare tensor where there is only one."""
    free = (None,) if signature.rows else ()
    tensors = {each.name: _output(each.dtype, (*free, *each.shape[len(free) :])) for each in signature.outputs}
    return next(iter(tensors.values())) if len(tensors) == 1 else closed(tensors)


def output(tensor: Tensor) -> Schema:
    """Write what one row of an output holds."""
    return _output(tensor.dtype, tensor.shape[1:])


def label(signature: Signature) -> Schema:
    """Write the `prediction` of `/predict/label`."""
    row: Schema = {"type": "integer"}
    if signature.labels:
        row = {"enum": list(shown_labels(signature))}
    elif signature.label is not None:
        row = _dtype(next(each.dtype for each in signature.outputs if each.name == signature.label))
    if signature.kind is Kind.OUTLIERS and not signature.labels:
        row = OUTLIER
    elif signature.kind is Kind.MULTILABEL:
        row = {"type": "array", "items": row, "description": "The labels that are on."}
    return {"type": "array", "items": row, "description": "One label per row, in the order of the rows."}


def ranked(signature: Signature) -> Schema:
    """Write the `prediction` of `/predict/label?top=k`."""
    shown = shown_labels(signature)
    name: Schema = {"enum": list(shown)} if shown else {"type": "integer", "minimum": 0}
    pair = closed({"label": name, "score": {"type": "number"}})
    return {
        "type": "array",
        "items": {"type": "array", "items": pair, "description": "The best labels, best first."},
        "description": "One list per row, in the order of the rows.",
    }


def classes(signature: Signature) -> int | None:
    """Count the columns of the scores, where that is known."""
    if signature.labels:
        return len(signature.labels)
    tensor = next((each for each in signature.outputs if each.name == signature.scores), None)
    return tensor.shape[-1] if tensor is not None and len(tensor.shape) > 1 else None


def _answer(signature: Signature, tensor: Tensor) -> Schema:
    if signature.kind is Kind.OUTLIERS and tensor.name == signature.label:
        return OUTLIER
    if tensor.name == signature.scores:
        row = _output(tensor.dtype, (*tensor.shape[1:-1], classes(signature)))
        return {**row, "description": "One score per label, in the order of /label."}
    if signature.kind is Kind.CLASSIFICATION:
        raw = signature.classes or (signature.labels if tensor.dtype == "string" else ())
        return {"enum": list(raw)} if raw else _dtype(tensor.dtype)
    single = tensor.shape[1:] == (1,)
    return _output(tensor.dtype, () if single else tensor.shape[1:])


def _moment(column: Column) -> Schema:
    if is_date(column):
        return {"type": "string", "format": "date"}
    offset = "without an offset" if column.timezone is None else "with its offset, such as Z or +01:00"
    return {"type": "string", "format": "date-time", "description": f"ISO 8601, {offset}."}


def _dtype(dtype: str) -> Schema:
    if is_moment(dtype):
        return {"type": "string", "format": "date-time"}
    if dtype in ("string", "bool"):
        return {"type": "string" if dtype == "string" else "boolean"}
    if DTYPES[dtype].kind in "iu":
        whole = np.iinfo(dtype)
        return {"type": "integer", "minimum": int(whole.min), "maximum": int(whole.max)}
    return {"type": "number", "minimum": -FLOAT_LIMITS[dtype], "maximum": FLOAT_LIMITS[dtype]}


def _bound(schema: Schema, column: Column) -> None:
    whole = schema["type"] == "integer"
    if column.minimum is not None:
        low = math.ceil(column.minimum) if whole else column.minimum
        schema["minimum"] = max(schema.get("minimum", low), low)
    if column.maximum is not None:
        high = math.floor(column.maximum) if whole else column.maximum
        schema["maximum"] = min(schema.get("maximum", high), high)


def _categorise(schema: Schema, categories: tuple[Scalar, ...], *, closed: bool) -> None:
    if not closed:
        schema["examples"] = list(categories)
        return
    schema["enum"] = list(categories)


def _values(signature: Signature) -> list[Schema]:
    """Write what the values of a row may be, in the columns' order."""
    return [value(column, tensor.dtype) for tensor in signature.inputs for column in tensor.columns]


def _alike(cells: list[Schema]) -> bool:
    return len(cells) > 1 and all(each == cells[0] for each in cells[1:])


def _row(columns: tuple[Column, ...], cells: list[Schema], alike: Schema | None = None) -> Schema:
    row: Schema = {"type": "array", "minItems": len(columns), "maxItems": len(columns)}
    if len(columns) == 1:
        return {**row, "items": cells[0]}
    if _alike(cells):
        return {**row, "items": alike or cells[0]}
    return {**row, "prefixItems": [{"title": each.name, **cell} for each, cell in zip(columns, cells, strict=True)]}


def _tensor(tensor: Tensor, limits: Limits, *, rows: bool) -> Schema:
    inner = tensor.shape[1:] if rows else tensor.shape
    cells = [carried(column, tensor.dtype) for column in tensor.columns]
    schema = _row(tensor.columns, cells) if rows and cells and inner else _dtype(tensor.dtype)
    if cells and rows and not inner:
        schema = cells[0]
    elif not (rows and tensor.columns):
        schema = _nest(schema, inner)
    if not rows:
        return schema
    size = {"minItems": 1, "maxItems": limits.max_rows}
    if inner != (1,):
        return {"type": "array", "items": schema, **size}
    # One value a row may stand without its own brackets.
    bare = cells[0] if cells else _dtype(tensor.dtype)
    return {"anyOf": [{"type": "array", "items": items, **size} for items in (schema, bare)]}


def _nest(schema: Schema, shape: tuple[int | None, ...]) -> Schema:
    for size in reversed(shape):
        bounds = {"minItems": 1} if size is None else {"minItems": size, "maxItems": size}
        schema = {"type": "array", "items": schema, **bounds}
    return schema


def _output(dtype: str, shape: tuple[int | None, ...]) -> Schema:
    schema: Schema = {key: _dtype(dtype)[key] for key in ("type", "format") if key in _dtype(dtype)}
    if schema["type"] == "number" or is_moment(dtype):
        schema["type"] = [schema["type"], "null"]
    for size in reversed(shape):
        bounds = {} if size is None else {"minItems": size, "maxItems": size}
        schema = {"type": "array", "items": schema, **bounds}
    return schema
