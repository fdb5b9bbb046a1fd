"""JSON request bodies: `{"data": ...}`, `{"records": ...}` or `{"inputs": ...}`, with an optional `id`.

Theory of operation. The types of the model's signature are compiled into one msgspec decoder, so that width, names,
types and numeric limits are checked in C while parsing. Only a body that fails is read a second time, slowly, by
`JsonDiagnosis`, which names every row and column at fault. msgspec keeps the last of two equal keys silently; a
request with two meanings must be refused, so the quotes are counted: with no backslash in the body, each key and each
text has exactly two, and a body with more of them than its values explain has a key too many.
"""

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
import numpy as np

from septet.model.signature import DTYPES, Signature, Tensor
from septet.protocols.body import FORMS, Body, check_rows, one_form, same_rows
from septet.protocols.cells import json_type
from septet.protocols.json_diagnosis import JsonDiagnosis
from septet.protocols.rows import Rows
from septet.types import Array

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=128, pattern="^[!-~]*$")]


class JsonBody:
    """Decodes JSON bodies for one signature. `max_rows` bounds the rows of a request."""

    def __init__(self, signature: Signature, *, max_rows: int) -> None:
        self._max_rows = max_rows
        self._inputs = signature.inputs
        self._has_rows = signature.rows
        self._rows = Rows(signature) if signature.columns and signature.rows else None
        self._diagnosis = JsonDiagnosis(signature, max_rows=max_rows)
        self._decode: Callable[[bytes], Any] = msgspec.json.Decoder(self._body_type(signature)).decode
        self._to_tuple = msgspec.structs.astuple

    def __call__(self, body: bytes) -> Body:
        """Decode a body.

        Raises:
            Malformed: it is not JSON, not UTF-8, or has a key twice.
            Invalid: its values do not fit the signature.
        """
        try:
            parsed = self._decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            return self._diagnosis(body, str(error))
        form, value = self._form(parsed)
        quotes = 2 if parsed.id is msgspec.UNSET else 6
        if form == "inputs" or self._rows is None:
            values = self._to_tuple(value) if form == "inputs" else (value,)
            return self._from_tensors(body, parsed, values, quotes + (2 * len(values) if form == "inputs" else 0))
        rows = value if form == "data" else [self._to_tuple(record) for record in value]
        check_rows(len(rows), self._max_rows)
        if form == "records":
            quotes += 2 * len(rows) * len(self._rows.columns)
        quotes += 2 * self._rows.texts(rows)
        if body.count(b'"') != quotes or b"\\" in body:
            self._diagnosis.strict(body)
        try:
            tensors = self._rows.tensors(rows)
        except (OverflowError, TypeError):
            return self._diagnosis(body, "")
        return Body(tensors, len(rows), None if parsed.id is msgspec.UNSET else parsed.id)

    def _form(self, parsed: Any) -> tuple[str, Any]:
        given = [name for name in FORMS if getattr(parsed, name, msgspec.UNSET) is not msgspec.UNSET]
        if len(given) != 1:
            raise one_form(given)
        return given[0], getattr(parsed, given[0])

    def _from_tensors(self, body: bytes, parsed: Any, values: tuple[Any, ...], quotes: int) -> Body:
        arrays: dict[str, Array] = {}
        for tensor, value in zip(self._inputs, values, strict=True):
            try:
                array = np.array(value, DTYPES[tensor.dtype])
            except (ValueError, OverflowError, TypeError):
                return self._diagnosis(body, "")
            if array.ndim != len(tensor.shape):
                return self._diagnosis(body, "")
            arrays[tensor.name] = array
            if tensor.dtype == "string":
                quotes += 2 * sum(cell is not None for cell in array.flat)
        if body.count(b'"') != quotes or b"\\" in body:
            self._diagnosis.strict(body)
        rows = same_rows(arrays) if self._has_rows else 1
        check_rows(rows, self._max_rows)
        return Body(arrays, rows, None if parsed.id is msgspec.UNSET else parsed.id)

    def _body_type(self, signature: Signature) -> type[msgspec.Struct]:
        fields: list[tuple[str, Any, Any]] = [("id", Id | msgspec.UnsetType, msgspec.UNSET)]
        tensors = [(f"t{i}", _tensor_type(tensor, rows=signature.rows)) for i, tensor in enumerate(signature.inputs)]
        names = {f"t{i}": tensor.name for i, tensor in enumerate(signature.inputs)}
        inputs = msgspec.defstruct("Inputs", tensors, rename=names, forbid_unknown_fields=True)
        fields.append(("inputs", inputs | msgspec.UnsetType, msgspec.UNSET))
        if not signature.columns and len(tensors) == 1:
            fields.append(("data", tensors[0][1] | msgspec.UnsetType, msgspec.UNSET))
        if signature.columns and signature.rows:
            cells = [json_type(column.dtype, nullable=column.nullable) for column in signature.columns]
            fields.append(("data", list[tuple.__class_getitem__(tuple(cells))] | msgspec.UnsetType, msgspec.UNSET))  # type: ignore[misc]
            columns = {f"c{i}": column.name for i, column in enumerate(signature.columns)}
            cell_fields = [(f"c{i}", cell) for i, cell in enumerate(cells)]
            record = msgspec.defstruct("Record", cell_fields, rename=columns, forbid_unknown_fields=True)
            fields.append(("records", list[record] | msgspec.UnsetType, msgspec.UNSET))  # type: ignore[valid-type]
        return msgspec.defstruct("RequestBody", fields, forbid_unknown_fields=True)


def _tensor_type(tensor: Tensor, *, rows: bool) -> Any:
    column = tensor.columns[0] if tensor.columns else None
    nullable = all(c.nullable for c in tensor.columns) if column else False
    kind = json_type(tensor.dtype, nullable=nullable)
    for axis in reversed(range(len(tensor.shape))):
        size = tensor.shape[axis]
        free = size is None or (axis == 0 and rows)
        kind = list[kind] if free else Annotated[list[kind], msgspec.Meta(min_length=size, max_length=size)]  # type: ignore[valid-type]
    return kind
