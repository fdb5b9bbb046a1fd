"""The JSON value of each form of a request, decoded straight to tensors: rows, records, tensors by name, one tensor.

For each form one msgspec decoder is compiled from the types of the model's signature, so that width, names, types and
numeric limits are checked in C while parsing. A decoder may refuse a value that is valid: who refuses leaves it to
`JsonDiagnosis`, which reads slowly, and names every row and column at fault.

msgspec keeps the last of two equal keys silently; a request with two meanings must be refused, so quotes are counted.
Invariant: JSON without a backslash has two quotes for each key and two for each text; so a body that has as many quotes
as its decoded keys and texts explain has no key twice. A body with more of them, or with a backslash, is parsed again,
strictly.
"""

import contextlib
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import chain
from typing import Any, ClassVar, Final, NamedTuple, TypeAlias

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType

from septet.columns.row_packing import RowPacking, packable
from septet.columns.row_tensors import RowTensors
from septet.columns.scalars import carried_type, json_type, nested_type
from septet.model.signature import DTYPES, Signature, Tensor
from septet.model.values import holds_missing, is_optional, is_text, takes_null
from septet.protocols.codecs.json_slices import LISTS, OBJECTS, SLICE_BYTES, decoded_slices
from septet.settings import ExtraColumns
from septet.types import Array, Tensors

#: What a decoder raises for a value that must be read with care: among them ValueError for a text that is no moment,
#: and OverflowError for a number that does not fit its dtype.
REFUSED: Final = (msgspec.MsgspecError, ValueError, OverflowError, RecursionError)
# What a JSON text can hold only behind a backslash: msgspec takes no such name for a key.
_ESCAPED: Final = re.compile(r'["\\\x00-\x1f]')

#: The msgspec type of a value, and the same with numbers beyond those of which each whole one is exact; see `scalars`.
ValueTypes: TypeAlias = tuple[Any, Any]


class DecodedValue(NamedTuple):
    """A value that fits the signature.

    Attributes:
        tensors: by name, in the signature's order.
        rows: how many; 1 where the signature has none.
        quotes: the quotes of its keys and texts.
    """

    tensors: Tensors
    rows: int
    quotes: int


class ValueDecoder(ABC):
    """Decodes the value of one form.

    Attributes:
        types: what msgspec decodes it to.
    """

    def __init__(self, types: ValueTypes) -> None:
        self.types = types

    @cached_property
    def _decoders(self) -> tuple[msgspec.json.Decoder[Any], msgspec.json.Decoder[Any]]:
        narrow, wide = self.types
        return msgspec.json.Decoder(narrow), msgspec.json.Decoder(wide)

    #: What stands between two values of a list of them; None where the value is no such list.
    between: ClassVar[re.Pattern[bytes] | None] = None

    def __call__(self, text: bytes | msgspec.Raw) -> DecodedValue | None:
        """Decode the JSON of a value; None where it must be read with care.

        Raises:
            msgspec.MsgspecError, ValueError, OverflowError, RecursionError: it must be read with care, too.
        """
        narrow, wide = self._decoders
        if self.between is not None and len(memoryview(text)) > SLICE_BYTES:
            with contextlib.suppress(*REFUSED):
                slices = decoded_slices(bytes(memoryview(text)), self.between, (narrow.decode, wide.decode))
                return self.read(list(chain.from_iterable(slices)))
        try:
            value = narrow.decode(text)
        except msgspec.ValidationError:
            value = wide.decode(text)
        return self.read(value)

    @abstractmethod
    def read(self, value: Any) -> DecodedValue | None:
        """The tensors of a value of one of `types`; None where it must be read with care.

        Raises:
            ValueError, OverflowError: it must be read with care, too.
        """


class RowsDecoder(ValueDecoder):
    """Decodes `[[...], ...]`: of each row its values, in the order of the columns."""

    between = LISTS

    def __init__(self, rows: RowTensors, max_rows: int) -> None:
        narrow, wide = (_cell_types(rows, wide=wide) for wide in (False, True))
        super().__init__((list[tuple[*narrow]], list[tuple[*wide]]))  # type: ignore[valid-type]
        self._rows = rows
        self._max_rows = max_rows

    def read(self, value: Sequence[Sequence[Any]]) -> DecodedValue | None:
        """See `ValueDecoder`."""
        count, rows, texts = len(value), value, 0
        if not 0 < count <= self._max_rows:
            return None
        if not self._rows.plain:
            rows, texts, _ = self._rows.read(value)
        return DecodedValue(self._rows.tensors(rows, count), count, 2 * texts)


class RecordsDecoder(ValueDecoder):
    """Decodes `[{...}, ...]`: of each row its values, by the columns' names."""

    between = OBJECTS

    def __init__(self, rows: RowTensors, max_rows: int, extra_columns: ExtraColumns) -> None:
        refuse = extra_columns == "refuse"
        super().__init__((_record_type(rows, refuse, wide=False), _record_type(rows, refuse, wide=True)))
        self._rows = rows
        self._width = len(rows.columns)
        self._max_rows = max_rows
        self._to_tuple = msgspec.structs.astuple

    def read(self, value: Sequence[msgspec.Struct]) -> DecodedValue | None:
        """See `ValueDecoder`."""
        count = len(value)
        if not 0 < count <= self._max_rows:
            return None
        # One by one: thousands of tuples at a time would set off the collector.
        rows: Any = map(self._to_tuple, value)
        keys, texts = count * self._width, 0
        if not self._rows.plain:
            rows, texts, left_out = self._rows.read(rows)
            keys -= left_out
        return DecodedValue(self._rows.tensors(rows, count), count, 2 * (keys + texts))


class TensorsDecoder(ValueDecoder):
    """Decodes `{"name": [...], ...}`: of each input its values, nested like it."""

    def __init__(self, signature: Signature, max_rows: int) -> None:
        super().__init__((_tensors_type(signature, wide=False), _tensors_type(signature, wide=True)))
        self._inputs = signature.inputs
        self._has_rows = signature.rows
        self._max_rows = max_rows
        self._packing = RowPacking(signature.inputs) if packable(signature) else None

    def read(self, value: msgspec.Struct) -> DecodedValue | None:
        """See `ValueDecoder`."""
        return self.stack(msgspec.structs.astuple(value), 2 * len(self._inputs))

    def stack(self, values: Sequence[Any], quotes: int) -> DecodedValue | None:
        """The tensors of the inputs' nested lists, UNSET for one that is left out; `quotes` are those of their keys."""
        if self._packing is not None:
            return self._packed(self._packing, values, quotes)
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
            if is_text(tensor.dtype):
                quotes += 2 * sum(cell is not None for cell in array.flat)
        rows = len(array) if self._has_rows else 1
        if (self._has_rows and any(len(each) != rows for each in arrays.values())) or not 0 < rows <= self._max_rows:
            return None
        return DecodedValue(arrays, rows, quotes)

    def _packed(self, packing: RowPacking, values: Sequence[Any], quotes: int) -> DecodedValue | None:
        """The same where rows of an input are all of one shape, so that only their number is to be checked."""
        rows = next((len(value) for value in values if value is not UNSET), 0)
        if any(value is not UNSET and len(value) != rows for value in values) or not 0 < rows <= self._max_rows:
            return None
        cells: list[Any] = []
        for tensor, each, value in zip(self._inputs, packing.inputs, values, strict=True):
            if value is UNSET:
                quotes -= 2
                cells.append([None] * (rows * len(tensor.columns)))
                continue
            found = each.nested(value, rows)
            if is_text(tensor.dtype):
                quotes += 2 * sum(cell is not None for cell in found)
            cells.append(found)
        return DecodedValue(packing.tensors(cells), rows, quotes)


class SingleTensorDecoder(ValueDecoder):
    """Decodes `[...]`: the values of a model's only input, nested like it."""

    def __init__(self, signature: Signature, tensors: TensorsDecoder) -> None:
        (tensor,), rows = signature.inputs, signature.rows
        super().__init__((_tensor_type(tensor, rows=rows, wide=False), _tensor_type(tensor, rows=rows, wide=True)))
        self._tensors = tensors

    def read(self, value: Any) -> DecodedValue | None:
        """See `ValueDecoder`."""
        return self._tensors.stack((value,), 0)


class FormDecoders(NamedTuple):
    """The decoders of a signature.

    Attributes:
        data: of rows, where columns have names; else of the only input. None where there are several.
        records: of rows by the names of columns; None where they have none.
        inputs: of tensors by name.
        row: makes the tensors of one row of `data`, where it is numbers alone and of a single input; else None. It
            raises OverflowError where a number does not fit.
        record_keys: how many keys each of `records` has where `row` takes its values as well; 0 where it does not.
    """

    data: ValueDecoder | None
    records: ValueDecoder | None
    inputs: ValueDecoder
    row: Callable[[Sequence[int | float]], Tensors] | None = None
    record_keys: int = 0


def form_decoders(signature: Signature, *, max_rows: int, extra_columns: ExtraColumns) -> FormDecoders | None:
    """The decoders of a signature; None where a name in it is one that msgspec takes for no key.

    `max_rows` bounds the rows of a request; `extra_columns` decides what becomes of keys of a record that are no
    columns.
    """
    names = [*(tensor.name for tensor in signature.inputs), *(column.name for column in signature.columns)]
    if any(_ESCAPED.search(name) for name in names):
        return None
    inputs = TensorsDecoder(signature, max_rows)
    if signature.columns and signature.rows:
        rows = RowTensors(signature)
        records = RecordsDecoder(rows, max_rows, extra_columns)
        record_keys = len(rows.columns) if rows.plain else 0
        return FormDecoders(RowsDecoder(rows, max_rows), records, inputs, rows.row, record_keys)
    return FormDecoders(SingleTensorDecoder(signature, inputs) if len(signature.inputs) == 1 else None, None, inputs)


def _cell_types(rows: RowTensors, *, wide: bool) -> list[Any]:
    return [json_type(*each, wide=wide) for each in zip(rows.columns, rows.carriers, strict=True)]


def _record_type(rows: RowTensors, refuse: bool, *, wide: bool) -> Any:  # noqa: FBT001 - named by its callers
    fields = [
        _field(f"c{at}", cell, optional=column.optional and holds_missing(carrier))
        for at, (column, carrier, cell) in enumerate(
            zip(rows.columns, rows.carriers, _cell_types(rows, wide=wide), strict=True)
        )
    ]
    names = {f"c{at}": column.name for at, column in enumerate(rows.columns)}
    # It holds nothing that could hold it: the collector need not follow thousands of them.
    record = msgspec.defstruct("Record", fields, rename=names, forbid_unknown_fields=refuse, kw_only=True, gc=False)
    return list[record]  # type: ignore[valid-type]


def _tensors_type(signature: Signature, *, wide: bool) -> type[msgspec.Struct]:
    fields = [
        _field(
            f"t{at}",
            _tensor_type(tensor, rows=signature.rows, wide=wide),
            optional=signature.rows and is_optional(tensor),
        )
        for at, tensor in enumerate(signature.inputs)
    ]
    names = {f"t{at}": tensor.name for at, tensor in enumerate(signature.inputs)}
    return msgspec.defstruct("Inputs", fields, rename=names, forbid_unknown_fields=True, kw_only=True)


def _tensor_type(tensor: Tensor, *, rows: bool, wide: bool) -> Any:
    nullable = bool(tensor.columns) and all(takes_null(column, tensor.dtype) for column in tensor.columns)
    return nested_type(carried_type(tensor.dtype, nullable=nullable, wide=wide), tensor.shape, rows=rows)


def _field(name: str, kind: Any, *, optional: bool) -> tuple[str, Any] | tuple[str, Any, Any]:
    return (name, kind | UnsetType, UNSET) if optional else (name, kind)
