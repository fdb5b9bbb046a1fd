"""The JSON bodies of other people's protocols: TensorFlow Serving's and MLflow's.

Theory of operation. One compiled decoder finds the key that holds the rows and leaves its value unread; the value is
decoded straight to tensors by the compiled decoder of its form (`json_values`). What these refuse is parsed with care,
and its rows are handed to `JsonDiagnosis` under the caller's own key. As in `JsonBody`, quotes are counted to find keys
that stand twice.
"""

import re
from collections.abc import Mapping
from itertools import islice
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from septet.errors import MOST_PROBLEMS, Invalid, Problem, invalid
from septet.lengthy_work import CAREFUL_BYTES_ON_LOOP, leave_loop
from septet.model.received import received, shown_key
from septet.model.signature import Signature
from septet.model.values import Mismatch, is_text
from septet.protocols.codecs.base64_objects import Base64Objects
from septet.protocols.codecs.column_names import ColumnNames
from septet.protocols.codecs.dataframe_split import DataframeSplit, check_columns, in_order, rows
from septet.protocols.codecs.decoded_body import DecodedBody, count_quotes
from septet.protocols.codecs.instances import Instances
from septet.protocols.codecs.json_diagnosis import JsonDiagnosis
from septet.protocols.codecs.json_size import JsonSize
from septet.protocols.codecs.json_values import REFUSED, ValueDecoder, form_decoders
from septet.protocols.codecs.number_lists import NumberLists
from septet.settings import ExtraColumns
from septet.tables.strict_json import strict

INSTANCES: Final = "instances"
INPUTS: Final = "inputs"
SPLIT: Final = "dataframe_split"
RECORDS: Final = "dataframe_records"
_OBJECTS: Final = re.compile(rb"\s*\[\s*\{")
_OBJECT: Final = re.compile(rb"\s*\{")


class OptionalKey(NamedTuple):
    """A key beside the rows: what msgspec decodes it to, and that in words. None is taken too."""

    type: Any
    expected: str


class RowsFormat(NamedTuple):
    """How a protocol writes a body.

    Attributes:
        forms: the keys that hold rows; a body has just one of them.
        options: the other keys that it may have; they change no prediction.
        example: a body, shown to who sends none.
    """

    forms: tuple[str, ...]
    options: Mapping[str, OptionalKey]
    example: str


#: The key that held the rows, and the rows.
KeyedRows: TypeAlias = tuple[str, DecodedBody]


class RowsDocument:
    """Decodes the JSON bodies of one protocol for one signature.

    `max_rows` bounds the rows of a request; `extra_columns` says what becomes of columns that the model does not have.
    """

    def __init__(
        self, signature: Signature, rows_format: RowsFormat, *, max_rows: int, extra_columns: ExtraColumns = "refuse"
    ) -> None:
        self._format = rows_format
        # Where other columns are passed over, rows have any number of values.
        self._size = JsonSize(signature, max_rows, open_ended=extra_columns != "refuse")
        self._decoders = form_decoders(signature, max_rows=max_rows, extra_columns=extra_columns)
        self._diagnosis = JsonDiagnosis(signature, max_rows=max_rows, extra_columns=extra_columns)
        self._base64 = Base64Objects(signature)
        names = ColumnNames(signature, extra_columns)
        self._instances = Instances(signature, names)
        self._names = names
        # Of columns, an error names the one that has a text.
        texts = bool(names.known) or any(is_text(tensor.dtype) for tensor in signature.inputs)
        self._number_lists = NumberLists(rows_format.example, texts=texts, constant=_constant)
        self._single = len(signature.inputs) == 1
        self._decode = msgspec.json.Decoder(_envelope(rows_format)).decode
        self._decode_split = msgspec.json.Decoder(DataframeSplit).decode

    def __call__(self, body: bytes) -> KeyedRows:
        """Decode a body.

        Raises:
            Malformed: it is not JSON, not UTF-8, or has a key twice.
            Invalid: it is not what the protocol asks for, or its values do not fit the signature.
            LengthyWork: it is long.
        """
        if len(body) > self._size.unchecked:
            self._size.check(body)
            document = None if self._names.known else self._number_lists.parse(body)
            if document is not None:
                return self._of(document)
        try:
            read = self._compiled(body)
        except REFUSED:
            read = None
        return self._careful(body) if read is None else read

    def value(self, form: str, body: bytes) -> DecodedBody:
        """Decode a body that is the value of a form itself, without a key; raises as for a whole body."""
        if len(body) > self._size.unchecked:
            self._size.check(body)
        try:
            read = self._value(form, body, body, 0)
        except REFUSED:
            read = None
        if read is not None:
            return read
        if len(body) > CAREFUL_BYTES_ON_LOOP:
            leave_loop()
        return self._diagnosed(form, self._strict(body))

    def _compiled(self, body: bytes) -> KeyedRows | None:
        values = msgspec.structs.astuple(self._decode(body))
        forms = self._format.forms
        given = [(form, value) for form, value in zip(forms, values, strict=False) if value is not None]
        if len(given) != 1:
            return None
        # Of the form's key, and of the options: a key, and perhaps a text.
        quotes = 2
        for option in values[len(forms) :]:
            if option is not None:
                quotes += 4 if isinstance(option, str) else 2
        form, value = given[0]
        read = self._value(form, value, body, quotes)
        return None if read is None else (form, read)

    def _value(self, form: str, value: bytes | msgspec.Raw, body: bytes, quotes: int) -> DecodedBody | None:
        """Decode the value of a form; `quotes` are those of the body outside of it. None: it must be read with care."""
        if form == SPLIT:
            frame = self._decode_split(value)
            check_columns(len(frame.columns or ()), self._names)
            if not self._names.known or not in_order(frame.columns, self._names.known):
                return None
            value, quotes = frame.data, quotes + frame.quotes
        decoder = self._decoder(form, value)
        read = None if decoder is None else decoder(value)
        if read is None:
            return None
        if count_quotes(body) != quotes + read.quotes or b"\\" in body:
            self._strict(body)
        return DecodedBody(read.tensors, read.rows)

    def _decoder(self, form: str, value: bytes | msgspec.Raw) -> ValueDecoder | None:
        """The decoder of a value that is written as its form asks for."""
        decoders = self._decoders
        if decoders is None:
            return None
        if form == RECORDS or (form == INSTANCES and _OBJECTS.match(value)):
            return decoders.records
        if form == INPUTS and _OBJECT.match(value):
            return decoders.inputs
        return decoders.data if self._single or form != INPUTS else None

    def _careful(self, body: bytes) -> KeyedRows:
        if len(body) > CAREFUL_BYTES_ON_LOOP:
            leave_loop()
        document = self._number_lists.parse(body) if self._names.known else None
        return self._of(self._strict(body) if document is None else document)

    def _of(self, document: Any) -> KeyedRows:
        if not isinstance(document, dict):
            text = f"The body must be a JSON object such as {self._format.example}."
            raise Invalid(text, (Problem(None, None, "a JSON object", received(document)),))
        forms, options = self._format.forms, self._format.options
        known = {*forms, *options}
        unknown = list(islice((key for key in document if key not in known), MOST_PROBLEMS))
        if unknown:
            expected = " or ".join(map(repr, (*forms, *options)))
            raise invalid([Problem(None, shown_key(key), expected, "an unknown key") for key in unknown], "key")
        for name, option in options.items():
            _check(name, option, document.get(name))
        given = [form for form in forms if document.get(form) is not None]
        if len(given) != 1:
            raise _one_form(forms, given)
        return given[0], self._diagnosed(given[0], document[given[0]])

    def _diagnosed(self, form: str, value: Any) -> DecodedBody:
        """Read a parsed value with care."""
        try:
            value = self._base64.read(value)
        except Mismatch as mismatch:
            raise invalid([Problem(None, form, mismatch.expected, "another value")], "key") from None
        native_form, value = self._native(form, value)
        return self._diagnosis.read(native_form, value, form)

    def _native(self, form: str, value: Any) -> tuple[str, Any]:
        """The form and the value by which `JsonDiagnosis` knows a value."""
        if form == INSTANCES:
            return self._instances.by_row(value)
        if form == INPUTS:
            return self._instances.by_tensor(value)
        if form == SPLIT and self._names.known:
            return "data", rows(value, self._names)
        return "records", value

    def _strict(self, body: bytes) -> Any:
        return strict(body, self._format.example, constant=_constant)


def _envelope(rows_format: RowsFormat) -> type[msgspec.Struct]:
    keys: list[tuple[str, Any, Any]] = [(form, msgspec.Raw, None) for form in rows_format.forms]
    keys += [(name, option.type | None, None) for name, option in rows_format.options.items()]
    return msgspec.defstruct("Envelope", keys, forbid_unknown_fields=True)


def _constant(name: str) -> float | None:
    """What Python's and TensorFlow's callers write beyond JSON: NaN is a missing value."""
    return None if name == "NaN" else float(name)


def _check(name: str, option: OptionalKey, value: object) -> None:
    try:
        msgspec.convert(value, option.type | None)
    except (msgspec.ValidationError, UnicodeEncodeError):
        raise invalid([Problem(None, name, option.expected, received(value))], "key") from None


def _one_form(forms: tuple[str, ...], given: list[str]) -> Invalid:
    expected = " or ".join(map(repr, forms))
    got = " and ".join(map(repr, given)) or "none of them"
    text = f"The body must have exactly one of {expected}, and has {got}."
    return Invalid(text, (Problem(None, None, f"exactly one of {expected}", got),))
