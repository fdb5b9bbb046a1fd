"""JSON request bodies: `{"data": ...}`, `{"records": ...}` or `{"inputs": ...}`, with an optional `id`."""

import re
from collections.abc import Callable
from typing import Annotated, Any, NoReturn

import msgspec
from msgspec import UNSET, UnsetType

from septet.model.signature import Signature
from septet.protocols.codecs.decoded_body import DecodedBody, count_quotes
from septet.protocols.codecs.json_diagnosis import JsonDiagnosis
from septet.protocols.codecs.json_size import JsonSize
from septet.protocols.codecs.json_values import REFUSED, ValueDecoder, form_decoders
from septet.settings import ExtraColumns
from septet.tables.json_table import FORMS

RequestId = Annotated[str, msgspec.Meta(min_length=1, max_length=128, pattern=r"^[!-~]*\Z")]
# Of one key.
_TWO_QUOTES = 2
_ROWS_BEGIN = re.compile(rb'\s*\{\s*"(data|records)"\s*:')
_TO_TUPLE = msgspec.structs.astuple


class JsonBody:
    """Decodes JSON bodies for one signature: by a compiled decoder, and what that refuses by `JsonDiagnosis`.

    `max_rows` bounds the rows of a request; `extra_columns` decides what becomes of keys of a record that are no
    columns.
    """

    def __init__(self, signature: Signature, *, max_rows: int, extra_columns: ExtraColumns = "refuse") -> None:
        self._diagnosis = JsonDiagnosis(signature, max_rows=max_rows, extra_columns=extra_columns)
        # Where other keys are passed over, a record has any number of values.
        size = JsonSize(signature, max_rows, open_ended=extra_columns != "refuse")
        self._unchecked, self._whole, self._check_size = size.unchecked, size.whole, size.check
        self._decode: Callable[[bytes], Any] = _undecoded
        self._decode_wide: Callable[[bytes], Any] = _undecoded
        self._decoders: tuple[ValueDecoder | None, ...] = ()
        self._row = None
        # Of a body that has one record and nothing else: its key and those of the columns. Odd where there is no such.
        self._record_quotes = -1
        decoders = form_decoders(signature, max_rows=max_rows, extra_columns=extra_columns)
        if decoders is not None:
            self._decoders = decoders.data, decoders.records, decoders.inputs
            self._row = decoders.row
            if decoders.record_keys:
                self._record_quotes = _TWO_QUOTES * (1 + decoders.record_keys)
            narrow, wide = (_body_type([each and each.types[at] for each in self._decoders]) for at in (0, 1))
            self._decode = msgspec.json.Decoder(narrow).decode
            self._decode_wide = msgspec.json.Decoder(wide).decode

    def __call__(self, body: bytes) -> DecodedBody:
        """Decode a body.

        Raises:
            Malformed: it is not JSON, not UTF-8, or has a key twice.
            Invalid: its values do not fit the signature.
            LengthyWork: it is long.
        """
        if len(body) > self._unchecked:
            self._check_size(body)
            if len(body) > self._whole and (read := self._long(body) or self._diagnosis.long(body)) is not None:
                return read
        try:
            try:
                parsed = self._decode(body)
            except msgspec.ValidationError:
                parsed = self._decode_wide(body)
            data, records, row = parsed.data, parsed.records, self._row
            if row is not None and parsed.id is None:
                # A body of numbers with two quotes has one key: there is nothing in it but its data.
                if data is not UNSET and len(data) == 1 and body.count(b'"') == _TWO_QUOTES:
                    return DecodedBody(row(data[0]), 1)
                # As many quotes as the keys of one record have, all of which are there: there is nothing else in it.
                if records is not UNSET and len(records) == 1 and body.count(b'"') == self._record_quotes:
                    return DecodedBody(row(_TO_TUPLE(records[0])), 1)
            read = self._read(body, parsed)
        except OverflowError:
            return self._diagnosis(body, "")
        except REFUSED as error:
            return self._diagnosis(body, str(error))
        return self._diagnosis(body, "") if read is None else read

    def _long(self, body: bytes) -> DecodedBody | None:
        """The tensors of a long body that has rows and nothing else; None where it must be read at once."""
        begin, end = _ROWS_BEGIN.match(body), body.rstrip()
        if begin is None or not end.endswith(b"}"):
            return None
        decoder = self._decoders[FORMS.index(begin[1].decode())] if self._decoders else None
        try:
            read = None if decoder is None or decoder.between is None else decoder(end[begin.end() : -1])
        except REFUSED:
            return None
        if read is None:
            return None
        if count_quotes(body) != read.quotes + _TWO_QUOTES or b"\\" in body:
            self._diagnosis.strict(body)
        return DecodedBody(read.tensors, read.rows)

    def _read(self, body: bytes, parsed: Any) -> DecodedBody | None:
        """The tensors of a parsed body; None where it must be diagnosed."""
        values = parsed.data, parsed.records, parsed.inputs
        given = [(decoder, value) for decoder, value in zip(self._decoders, values, strict=True) if value is not UNSET]
        if len(given) != 1:
            return None
        decoder, value = given[0]
        assert decoder is not None  # noqa: S101 - the value of a form that has none is always UNSET
        read = decoder.read(value)
        if read is None:
            return None
        # Of the form's key, and of the id and its key.
        quotes = read.quotes + (2 if parsed.id is None else 6)
        if count_quotes(body) != quotes or b"\\" in body:
            self._diagnosis.strict(body)
        return DecodedBody(read.tensors, read.rows, parsed.id)


def _undecoded(_: bytes) -> NoReturn:
    raise msgspec.ValidationError("no decoder was compiled")


def _body_type(types: list[Any]) -> type[msgspec.Struct]:
    forms = [
        (form, UnsetType if kind is None else kind | UnsetType, UNSET) for form, kind in zip(FORMS, types, strict=True)
    ]
    return msgspec.defstruct("RequestBody", [*forms, ("id", RequestId | None, None)], forbid_unknown_fields=True)
