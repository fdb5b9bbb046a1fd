"""The slow, careful reading of a JSON body that the compiled decoder refused: it names what is wrong and where.

It accepts what the compiled decoder accepts and a little more that callers really send: integral floats for integer
columns, a flat list for a model of one column, and `[N]` for an input of shape `[N, 1]`.
"""

from collections.abc import Sequence
from functools import partial
from itertools import islice
from typing import Any

import numpy as np

from septet.columns.casting import Caster
from septet.columns.row_tensors import RowTensors
from septet.columns.stacking import completed
from septet.errors import MOST_PROBLEMS, Invalid, Malformed, Problem, SeptetError, invalid
from septet.lengthy_work import CAREFUL_BYTES_ON_LOOP, leave_loop
from septet.model.received import SHOWN_NAMES, received, shape_text, shown_key, shown_names
from septet.model.signature import DTYPES, Column, Signature, Tensor
from septet.model.values import Mismatch, bare, is_optional, is_text, read, read_carried
from septet.protocols.codecs.base64_objects import utf8_text
from septet.protocols.codecs.decoded_body import DecodedBody, check_rows
from septet.protocols.codecs.number_lists import NumberList, NumberListReader, NumberLists
from septet.settings import ExtraColumns
from septet.tables.column_batch import same_rows
from septet.tables.json_table import FORMS, one_form, unknown_keys
from septet.tables.strict_json import strict
from septet.types import Array

MAX_ID_LENGTH = 128
_EXAMPLE = '{"data": [[...]]}'
# Values that are looked at together.
_QUICK = 1000


class JsonDiagnosis:
    """Decodes a body with Python's own parser, collecting up to 20 problems."""

    def __init__(self, signature: Signature, *, max_rows: int, extra_columns: ExtraColumns = "refuse") -> None:
        self._signature = signature
        self._refuses_extra = extra_columns == "refuse"
        self._max_rows = max_rows
        self._columns = signature.columns if signature.rows else ()
        self._names = frozenset(column.name for column in self._columns)
        self._input_names = [tensor.name for tensor in signature.inputs]
        self._rows = RowTensors(signature) if self._columns else None
        # Of columns, an error names the one that has a text.
        texts = bool(self._columns) or any(is_text(tensor.dtype) for tensor in signature.inputs)
        self._number_lists = NumberLists(_EXAMPLE, texts=texts)
        self._readers: dict[str, NumberListReader] = {}

    def __call__(self, body: bytes, reason: str) -> DecodedBody:
        """Decode a body; `reason` is the error of the compiled decoder, for the case that nothing else is found.

        Raises:
            Malformed, Invalid: as the compiled decoder.
            LengthyWork: the body is long.
        """
        if len(body) > CAREFUL_BYTES_ON_LOOP:
            leave_loop()
        return self._of(self.strict(body), reason)

    def long(self, body: bytes) -> DecodedBody | None:
        """Decode a body with long lists of numbers, some of these at a time; None where it has none.

        Raises:
            Malformed, Invalid: as the compiled decoder.
        """
        document = self._number_lists.parse(body)
        return None if document is None else self._of(document, "")

    def _of(self, document: Any, reason: str) -> DecodedBody:
        if not isinstance(document, dict):
            text = 'The body must be a JSON object such as {"data": [[...]]}.'
            raise Invalid(text, (Problem(None, None, "a JSON object", received(document)),))
        request_id = self._id(document)
        try:
            return self._read(document, request_id, reason)
        except SeptetError as error:
            error.request_id = request_id
            raise

    def _read(self, document: dict[str, Any], request_id: str | None, reason: str) -> DecodedBody:
        given = [form for form in FORMS if form in document]
        unknown = unknown_keys(document)
        if unknown:
            raise invalid(unknown, "key")
        if len(given) != 1:
            raise one_form(given)
        try:
            read = self.read(given[0], document[given[0]])
        except OverflowError:
            raise Malformed(f"The body cannot be read: {reason or 'a number is out of range'}.") from None
        return DecodedBody(read.tensors, read.rows, request_id)

    def read(self, form: str, value: object, key: str | None = None) -> DecodedBody:
        """Read the value of one of the forms; `key` is what the caller calls it, where that is not the form's name.

        Raises:
            Invalid: it does not fit the signature.
        """
        key = key or form
        if form == "inputs" or self._rows is None:
            return self._from_inputs(self._named(form, value, key))
        return self._from_rows(form, value, key)

    def strict(self, body: bytes) -> Any:
        """Parse JSON as RFC 8259 has it, refusing duplicate keys and NaN.

        Raises:
            Malformed: it is not JSON, not UTF-8, has a key twice, or is nested too deeply.
        """
        return strict(body, _EXAMPLE)

    def _id(self, document: dict[str, Any]) -> str | None:
        value = document.get("id")
        if value is None:
            return None
        if isinstance(value, str) and 1 <= len(value) <= MAX_ID_LENGTH and all("!" <= c <= "~" for c in value):
            return value
        raise invalid([Problem(None, "id", "a text of 1 to 128 visible ASCII characters", received(value))], "key")

    def _from_rows(self, form: str, value: object, key: str) -> DecodedBody:
        if isinstance(value, NumberList) and form == "data" and len(self._columns) > 1:
            return self._from_parts(value)
        if not isinstance(value, list):
            what = "a list of rows" if form == "data" else "a list of objects, one per row"
            raise invalid([Problem(None, key, what, received(value))], "key")
        check_rows(len(value), self._max_rows)
        problems: list[Problem] = []
        rows: list[list[Any]] = []
        for index, item in enumerate(value):
            cells = self._cells(form, index, item, problems)
            if cells is not None:
                rows.append(self._read_row(index, cells, problems))
            if len(problems) >= MOST_PROBLEMS:
                break
        if problems:
            raise invalid(problems)
        assert self._rows is not None  # noqa: S101 - columns are known, or `inputs` would have been read
        return DecodedBody(self._rows.tensors(rows, len(rows)), len(rows))

    def _from_parts(self, value: NumberList) -> DecodedBody:
        problems: list[Problem] = []
        rows: list[list[Any]] = []
        for part in value.parts():
            check_rows(len(rows) + len(part), self._max_rows)
            for item in part:
                cells = self._cells("data", len(rows), item, problems)
                rows.append([] if cells is None else self._read_row(len(rows), cells, problems))
                if len(problems) >= MOST_PROBLEMS:
                    break
            if problems:
                raise invalid(problems)
        check_rows(len(rows), self._max_rows)
        assert self._rows is not None  # noqa: S101 - there are columns
        return DecodedBody(self._rows.tensors(rows, len(rows)), len(rows))

    def _cells(self, form: str, row: int, item: object, problems: list[Problem]) -> list[Any] | None:
        """The cells of one row in column order, or None where the row is not of the right make."""
        width = len(self._columns)
        if form == "data":
            cells = item if isinstance(item, list) else [item] if width == 1 else None
            if cells is None or len(cells) != width:
                names = shown_names([column.name for column in self._columns[: SHOWN_NAMES + 1]], quoted=False)
                problems.append(Problem(row, None, f"a list of {width} values ({names})", received(item)))
                return None
            return cells
        if not isinstance(item, dict):
            problems.append(Problem(row, None, "an object of column names and values", received(item)))
            return None
        absent = (c.name for c in self._columns if c.name not in item and not c.optional)
        missing = [Problem(row, name, "a value", "no such key") for name in islice(absent, MOST_PROBLEMS)]
        problems += missing
        if self._refuses_extra:
            unknown = islice((key for key in item if key not in self._names), MOST_PROBLEMS)
            problems.extend(
                Problem(row, shown_key(key), "only the model's columns", "an unknown column") for key in unknown
            )
        return None if missing else [item.get(column.name) for column in self._columns]

    def _read_row(self, row: int, cells: list[Any], problems: list[Problem]) -> list[Any]:
        assert self._rows is not None  # noqa: S101 - there are columns
        values: list[Any] = []
        for column, carrier, cell in zip(self._columns, self._rows.carriers, cells, strict=True):
            try:
                values.append(read(column, carrier, _as_text(cell, column.dtype)))
            except Mismatch as mismatch:
                problems.append(Problem(row, column.name, mismatch.expected, received(cell)))
                if len(problems) >= MOST_PROBLEMS:
                    break
                values.append(None)
        return values

    def _named(self, form: str, value: object, key: str) -> dict[str, Any]:
        inputs = self._signature.inputs
        if form == "data" and len(inputs) == 1:
            return {inputs[0].name: value}
        if form != "inputs":
            text = f"This model has no named columns; send 'inputs' with the tensors {shown_names(self._input_names)}."
            raise Invalid(text, (Problem(None, key, "'inputs'", f"{key!r}"),))
        if not isinstance(value, dict):
            raise invalid([Problem(None, key, "an object of input names and values", received(value))], "key")
        known = frozenset(self._input_names)
        needed = (tensor.name for tensor in inputs if not (self._signature.rows and is_optional(tensor)))
        absent = islice((name for name in needed if name not in value), MOST_PROBLEMS)
        problems = [Problem(None, name, "a value", "no such key") for name in absent]
        unknown = list(islice((key for key in value if key not in known), MOST_PROBLEMS))
        if unknown:
            what = f"one of {shown_names(self._input_names, quoted=False)}"
            problems += [Problem(None, shown_key(key), what, "an unknown input") for key in unknown]
        if problems:
            raise invalid(problems, "input")
        return value

    def _from_inputs(self, values: dict[str, Any]) -> DecodedBody:
        arrays: dict[str, Array] = {}
        problems: list[Problem] = []
        for tensor in self._signature.inputs:
            if tensor.name not in values:
                continue
            array = self._array(tensor, values[tensor.name], problems)
            if array is not None:
                arrays[tensor.name] = array
            if len(problems) >= MOST_PROBLEMS:
                break
        if problems:
            raise invalid(problems, "column" if self._columns else "input")
        rows = same_rows(arrays) if self._signature.rows and arrays else int(not self._signature.rows)
        check_rows(rows, self._max_rows)
        return DecodedBody(completed(self._signature.inputs, arrays, rows), rows)

    def _array(self, tensor: Tensor, value: object, problems: list[Problem]) -> Array | None:
        if isinstance(value, NumberList):
            return self._long_array(tensor, value)
        shape = tensor.shape
        if self._signature.rows and isinstance(value, list) and len(value) > self._max_rows:
            check_rows(len(value), self._max_rows)
        if shape[1:] == (1,) and isinstance(value, list) and not any(isinstance(item, list) for item in value):
            value = [[item] for item in value]
        cells: list[Any] = []
        sizes = [None, *shape[1:]] if self._signature.rows else list(shape)
        self._walk(tensor, value, (), sizes, cells, problems)
        if problems:
            return None
        return np.array(cells, DTYPES[tensor.dtype]).reshape([size or 0 for size in sizes])

    def _long_array(self, tensor: Tensor, value: NumberList) -> Array:
        """Read a long list, some of its values at a time."""
        if is_text(tensor.dtype):
            raise invalid([Problem(None, tensor.name, "texts", "numbers")], "input")
        reader = self._readers.get(tensor.name)
        if reader is None:
            reader = self._readers[tensor.name] = NumberListReader(tensor)
        rows = self._signature.rows
        sizes = [None, *tensor.shape[1:]] if rows else list(tensor.shape)
        if tensor.shape[1:] == (1,) and value.is_flat:
            sizes = sizes[:1]

        def careful(part: bytes, first: int, shape: Sequence[int]) -> list[Any]:
            cells: list[Any] = []
            problems: list[Problem] = []
            for at, cell in enumerate(self.strict(part), first):
                place = tuple(int(index) for index in np.unravel_index(at, shape))
                self._walk(tensor, cell, (*place, 0)[: len(tensor.shape)], [], cells, problems)
                if len(problems) >= MOST_PROBLEMS:
                    break
            if problems:
                raise invalid(problems, "column" if self._columns else "input")
            return cells

        found = reader.array(value, sizes, careful, partial(check_rows, max_rows=self._max_rows) if rows else None)
        return found.reshape(-1, *tensor.shape[1:]) if len(sizes) < len(tensor.shape) else found

    def _walk(
        self,
        tensor: Tensor,
        value: object,
        at: tuple[int, ...],
        sizes: list[int | None],
        cells: list[Any],
        problems: list[Problem],
    ) -> None:
        """Visit a nested list in row-major order, checking each level's length and each value's type."""
        row = at[0] if at and self._signature.rows else None
        place = tensor.name + "".join(f"[{i}]" for i in (at[1:] if row is not None else at))
        if len(at) == len(tensor.shape):
            try:
                cells.append(self._value(tensor, at, value))
            except Mismatch as mismatch:
                column = self._column(tensor, at)
                problems.append(
                    Problem(row, place if column is None else column.name, mismatch.expected, received(value))
                )
            return
        axis = len(at)
        size = sizes[axis]
        if not isinstance(value, list) or (size is not None and len(value) != size):
            wanted = f"a list of {size}" if size is not None else "a list"
            problems.append(Problem(row, place, f"{wanted} (shape {shape_text(tensor.shape)})", received(value)))
            return
        sizes[axis] = len(value)
        if axis == len(tensor.shape) - 1 and not tensor.columns and len(value) > _QUICK:
            self._walk_values(tensor, value, at, sizes, cells, problems)
            return
        for index, item in enumerate(value):
            if len(problems) >= MOST_PROBLEMS:
                break
            self._walk(tensor, item, (*at, index), sizes, cells, problems)

    def _walk_values(
        self,
        tensor: Tensor,
        value: list[Any],
        at: tuple[int, ...],
        sizes: list[int | None],
        cells: list[Any],
        problems: list[Problem],
    ) -> None:
        """Visit the values of a long list: one by one only where some are not plainly right."""
        caster = Caster(tensor.dtype, (bare(tensor),), carried=True)
        for start in range(0, len(value), _QUICK):
            part = value[start : start + _QUICK]
            quick = caster.quick(part)
            if quick is not None:
                cells += quick.tolist()
                continue
            for index, item in enumerate(part, start):
                if len(problems) >= MOST_PROBLEMS:
                    return
                self._walk(tensor, item, (*at, index), sizes, cells, problems)

    def _value(self, tensor: Tensor, at: tuple[int, ...], value: object) -> Any:
        return read_carried(self._column(tensor, at) or bare(tensor), tensor.dtype, _as_text(value, tensor.dtype))

    def _column(self, tensor: Tensor, at: tuple[int, ...]) -> Column | None:
        if not tensor.columns:
            return None
        return tensor.columns[at[1] if len(at) > 1 else 0]


def _as_text(value: object, dtype: str) -> object:
    """A text that was written as bytes, as a text.

    Raises:
        Mismatch: it is not UTF-8.
    """
    return utf8_text(value) if isinstance(value, bytes) and dtype == "string" else value
