"""JSON request bodies: `{"data": ...}`, `{"records": ...}` or `{"inputs": ...}`, with an optional `id`.

Theory of operation. The types of the model's signature are compiled into one msgspec decoder, so that width, names,
types and numeric limits are checked in C while parsing. Only a body that fails is read a second time, slowly, by
`JsonDiagnosis`, which names every row and column at fault. msgspec keeps the last of two equal keys silently; a
request with two meanings must be refused, so the quotes are counted: each key and each text has two, and more where it
holds some behind backslashes, so that a body with just as many as its values explain has no key twice.
"""

import re
from collections.abc import Callable
from typing import Annotated, Any, NoReturn

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType

from septet.columns.row_packing import RowPacking, packable
from septet.columns.row_tensors import RowTensors
from septet.model.signature import DTYPES, Signature, Tensor
from septet.model.values import holds_missing, is_optional, is_text, takes_null
from septet.protocols.codecs.body import Body, count_quotes
from septet.protocols.codecs.json_diagnosis import JsonDiagnosis
from septet.protocols.codecs.scalars import carried_type, json_type, nested_type
from septet.settings import ExtraColumns
from septet.tables.json_table import FORMS
from septet.types import Array

# What a JSON text can hold only behind a backslash: msgspec takes no such name for a key.
_ESCAPED = re.compile(r'["\\\x00-\x1f]')
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=128, pattern=r"^[!-~]*\Z")]


class JsonBody:
    """Decodes JSON bodies for one signature.

    `max_rows` bounds the rows of a request; `extra_columns` says what becomes of keys of a record that are no columns.
    """

    def __init__(self, signature: Signature, *, max_rows: int, extra_columns: ExtraColumns = "refuse") -> None:
        self._max_rows = max_rows
        self._inputs = signature.inputs
        self._has_rows = signature.rows
        self._rows = RowTensors(signature) if signature.columns and signature.rows else None
        self._packed = RowPacking(signature.inputs) if packable(signature) else None
        self._diagnosis = JsonDiagnosis(signature, max_rows=max_rows, extra_columns=extra_columns)
        self._refuses_extra = extra_columns == "refuse"
        names = [*(tensor.name for tensor in signature.inputs), *(column.name for column in signature.columns)]
        self._decode: Callable[[bytes], Any] = _undecoded
        # The same with numbers beyond those of which each whole one is exact; see `cells`.
        self._decode_wide: Callable[[bytes], Any] = _undecoded
        if not any(_ESCAPED.search(name) for name in names):
            self._decode = msgspec.json.Decoder(self._body_type(signature, wide=False)).decode
            self._decode_wide = msgspec.json.Decoder(self._body_type(signature, wide=True)).decode
        self._to_tuple = msgspec.structs.astuple
        # Where a row is numbers alone: what reads one, and what stood around the last that came by itself.
        self._row: Callable[[bytes], tuple[Any, ...]] = _undecoded
        self._row_tensors = None if self._rows is None else self._rows.row
        if self._row_tensors is not None:
            cells = [json_type(column, tensor.dtype) for tensor in self._inputs for column in tensor.columns]
            self._row = msgspec.json.Decoder(tuple[*cells]).decode  # type: ignore[valid-type]
        self._before = self._behind = b""

    def __call__(self, body: bytes) -> Body:
        """Decode a body.

        Raises:
            Malformed: it is not JSON, not UTF-8, or has a key twice.
            Invalid: its values do not fit the signature.
        """
        before, behind = self._before, self._behind
        # Who reads it is behind the same bytes where he was with the last, and so he is again behind a row.
        if before and body.startswith(before) and body.endswith(behind) and self._row_tensors is not None:
            try:
                return Body(self._row_tensors(self._row(body[len(before) : len(body) - len(behind)])), 1, None)
            except (msgspec.MsgspecError, UnicodeDecodeError, OverflowError):
                pass
        try:
            read = self.compiled(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError) as error:
            return self._diagnosis(body, str(error))
        return self._diagnosis(body, "") if read is None else read

    def compiled(self, body: bytes) -> Body | None:
        """Decode a body that is just what the signature says; None where it must be read with care.

        Raises:
            msgspec.MsgspecError, ValueError, RecursionError: it must be read with care, too.
            Malformed: it has a key twice.
        """
        parsed = self._parsed(body)
        data, records, inputs, request_id = parsed.data, parsed.records, parsed.inputs, parsed.id
        quotes = 2 if request_id is None else 6
        if inputs is not UNSET or self._rows is None:
            if (data is UNSET) + (records is UNSET) + (inputs is UNSET) != len(FORMS) - 1:
                return None
            if data is UNSET:
                return self._from_tensors(body, self._to_tuple(inputs), request_id, quotes + 2 * len(self._inputs))
            return self._from_tensors(body, (data,), request_id, quotes)
        given = data if records is UNSET else records if data is UNSET else ()
        if given is UNSET or not 0 < (count := len(given)) <= self._max_rows:
            return None
        rows = given
        if records is not UNSET:
            # One by one: thousands of tuples at a time would set off the collector.
            rows = map(self._to_tuple, records)
            quotes += 2 * count * len(self._rows.columns)
        texts = 0
        if not self._rows.plain:
            rows, texts, left_out = self._rows.read(rows)
            quotes -= 2 * left_out
        if count_quotes(body) != quotes + 2 * texts or (texts and b"\\" in body):
            self._diagnosis.strict(body)
        if count == 1 and self._row_tensors is not None and records is UNSET and request_id is None:
            self._keep(body)
        try:
            return Body(self._rows.tensors(rows, count), count, request_id)
        except OverflowError:
            return None

    def _parsed(self, body: bytes) -> Any:
        try:
            return self._decode(body)
        except msgspec.ValidationError:
            return self._decode_wide(body)

    def _keep(self, body: bytes) -> None:
        """Know what stands around the values of a body with one row of numbers: no other brackets are in it."""
        start, stop = body.index(b"["), body.rindex(b"]")
        self._before, self._behind = body[: body.index(b"[", start + 1)], body[body.rindex(b"]", 0, stop) + 1 :]

    def _from_lists(
        self, packed: RowPacking, body: bytes, values: tuple[Any, ...], request_id: str | None, quotes: int
    ) -> Body | None:
        """As `_from_tensors`, of lists that are of the inputs' shapes but for the number of rows."""
        rows = next((len(value) for value in values if value is not UNSET), 0)
        if any(value is not UNSET and len(value) != rows for value in values) or not 0 < rows <= self._max_rows:
            return None
        cells: list[Any] = []
        for tensor, each, value in zip(self._inputs, packed.inputs, values, strict=True):
            if value is UNSET:
                quotes -= 2
                cells.append([None] * (rows * len(tensor.columns)))
                continue
            try:
                found = each.nested(value, rows)
            except OverflowError:
                return None
            if is_text(tensor.dtype):
                quotes += 2 * sum(cell is not None for cell in found)
            cells.append(found)
        if count_quotes(body) != quotes or b"\\" in body:
            self._diagnosis.strict(body)
        return Body(packed.tensors(cells), rows, request_id)

    def _from_tensors(self, body: bytes, values: tuple[Any, ...], request_id: str | None, quotes: int) -> Body | None:
        if self._packed is not None:
            return self._from_lists(self._packed, body, values, request_id, quotes)
        arrays: dict[str, Array] = {}
        for tensor, value in zip(self._inputs, values, strict=True):
            if value is UNSET or tensor.dtype.startswith("datetime64"):
                return None
            try:
                array = np.array(value, DTYPES[tensor.dtype])
            except (ValueError, OverflowError, TypeError):
                return None
            if array.ndim != len(tensor.shape):
                return None
            arrays[tensor.name] = array
            if tensor.dtype == "string":
                quotes += 2 * sum(cell is not None for cell in array.flat)
        if count_quotes(body) != quotes or b"\\" in body:
            self._diagnosis.strict(body)
        rows = len(array) if self._has_rows else 1
        if (self._has_rows and any(len(each) != rows for each in arrays.values())) or not 0 < rows <= self._max_rows:
            return None
        return Body(arrays, rows, request_id)

    def _body_type(self, signature: Signature, *, wide: bool) -> type[msgspec.Struct]:
        tensors = [
            _field(
                f"t{i}",
                _tensor_type(tensor, rows=signature.rows, wide=wide),
                optional=signature.rows and is_optional(tensor),
            )
            for i, tensor in enumerate(signature.inputs)
        ]
        names = {f"t{i}": tensor.name for i, tensor in enumerate(signature.inputs)}
        inputs: Any = msgspec.defstruct("Inputs", tensors, rename=names, forbid_unknown_fields=True, kw_only=True)
        data: Any = UnsetType
        records: Any = UnsetType
        if self._rows is not None:
            cells = [json_type(*each, wide=wide) for each in zip(self._rows.columns, self._rows.carriers, strict=True)]
            columns = {f"c{i}": column.name for i, column in enumerate(self._rows.columns)}
            fields = [
                _field(f"c{i}", cell, optional=column.optional and holds_missing(carrier))
                for i, (column, carrier, cell) in enumerate(
                    zip(self._rows.columns, self._rows.carriers, cells, strict=True)
                )
            ]
            # It holds nothing that could hold it: the collector need not follow thousands of them.
            refuse = self._refuses_extra
            record = msgspec.defstruct(
                "Record", fields, rename=columns, forbid_unknown_fields=refuse, kw_only=True, gc=False
            )
            data, records = list[tuple[*cells]], list[record]  # type: ignore[valid-type]
        elif len(tensors) == 1:
            data = tensors[0][1]
        forms = (("data", data), ("records", records), ("inputs", inputs))
        return msgspec.defstruct(
            "RequestBody",
            [*((name, form | UnsetType, UNSET) for name, form in forms), ("id", Id | None, None)],
            forbid_unknown_fields=True,
        )


def _undecoded(_: bytes) -> NoReturn:
    raise msgspec.ValidationError("no decoder was compiled")


def _field(name: str, kind: Any, *, optional: bool) -> tuple[str, Any] | tuple[str, Any, Any]:
    return (name, kind | UnsetType, UNSET) if optional else (name, kind)


def _tensor_type(tensor: Tensor, *, rows: bool, wide: bool) -> Any:
    nullable = bool(tensor.columns) and all(takes_null(column, tensor.dtype) for column in tensor.columns)
    return nested_type(carried_type(tensor.dtype, nullable=nullable, wide=wide), tensor.shape, rows=rows)
