"""The JSON bodies of other people's protocols, decoded as the native body that says the same.

Theory of operation. One compiled decoder finds the key that holds the rows and leaves its value unread; that value is
put under the native key and decoded by `JsonBody`, in C. Only where that way refuses is the body parsed with care, and
its rows handed to `JsonDiagnosis` under the caller's own key. As in `JsonBody`, quotes are counted to find keys that
stand twice: here those outside of what `JsonBody` counts.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from septet.errors import Invalid, Problem, invalid
from septet.model.received import received, shown_key
from septet.model.signature import Signature
from septet.model.values import Mismatch
from septet.protocols.codecs.base64_texts import Base64Texts
from septet.protocols.codecs.body import Body
from septet.protocols.codecs.column_names import ColumnNames
from septet.protocols.codecs.dataframe_split import DataframeSplit, in_order, rows
from septet.protocols.codecs.instances import Instances
from septet.protocols.codecs.json_body import JsonBody
from septet.protocols.codecs.json_diagnosis import JsonDiagnosis
from septet.settings import ExtraColumns
from septet.tables.strict_json import strict

INSTANCES: Final = "instances"
INPUTS: Final = "inputs"
SPLIT: Final = "dataframe_split"
RECORDS: Final = "dataframe_records"
_UNREAD: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
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


class _Native(NamedTuple):
    """The native body of the same rows.

    `unread` is the part of the caller's body that is not read here, `quotes` those outside of it but for the keys.
    """

    body: bytes
    unread: bytes
    quotes: int


#: The key that held the rows, and the rows.
Keyed: TypeAlias = tuple[str, Body]


class RowsDocument:
    """Decodes the JSON bodies of one protocol for one signature.

    `max_rows` bounds the rows of a request; `extra_columns` says what becomes of columns that the model does not have.
    """

    def __init__(
        self, signature: Signature, dialect: RowsFormat, *, max_rows: int, extra_columns: ExtraColumns = "refuse"
    ) -> None:
        self._dialect = dialect
        self._json = JsonBody(signature, max_rows=max_rows, extra_columns=extra_columns)
        self._diagnosis = JsonDiagnosis(signature, max_rows=max_rows, extra_columns=extra_columns)
        self._binary = Base64Texts(signature)
        names = ColumnNames(signature, extra_columns)
        self._instances = Instances(signature, names)
        self._names = names
        self._single = len(signature.inputs) == 1
        self._decode = msgspec.json.Decoder(_envelope(dialect)).decode
        self._frame = msgspec.json.Decoder(DataframeSplit).decode

    def __call__(self, body: bytes) -> Keyed:
        """Decode a body.

        Raises:
            Malformed: it is not JSON, not UTF-8, or has a key twice.
            Invalid: it is not what the protocol asks for, or its values do not fit the signature.
        """
        try:
            read = self._compiled(body)
        except _UNREAD:
            read = None
        return self._careful(body) if read is None else read

    def _compiled(self, body: bytes) -> Keyed | None:
        envelope = msgspec.structs.asdict(self._decode(body))
        given = [form for form in self._dialect.forms if envelope[form] is not None]
        if len(given) != 1:
            return None
        form = given[0]
        native = self._native(form, bytes(envelope[form]))
        if native is None:
            return None
        quotes = native.quotes + 2
        for name in self._dialect.options:
            if envelope[name] is not None:
                quotes += 4 if isinstance(envelope[name], str) else 2
        if _outside(b'"', body, native) != quotes or _outside(b"\\", body, native):
            self._strict(body)
        read = self._json.compiled(native.body)
        return None if read is None else (form, read)

    def _native(self, form: str, raw: bytes) -> _Native | None:
        if form == SPLIT:
            frame = self._frame(raw)
            if not self._names.known or not in_order(frame.columns, self._names.known):
                return None
            return _Native(b'{"data":%b}' % bytes(frame.data), bytes(frame.data), frame.quotes)
        key = b"records"
        if form == INSTANCES and not _OBJECTS.match(raw):
            key = b"data"
        elif form == INPUTS:
            if not _OBJECT.match(raw) and not self._single:
                return None
            key = b"inputs" if _OBJECT.match(raw) else b"data"
        return _Native(b'{"%b":%b}' % (key, raw), raw, 0)

    def _careful(self, body: bytes) -> Keyed:
        document = self._strict(body)
        if not isinstance(document, dict):
            text = f"The body must be a JSON object such as {self._dialect.example}."
            raise Invalid(text, (Problem(None, None, "a JSON object", received(document)),))
        forms, options = self._dialect.forms, self._dialect.options
        unknown = [shown_key(key) for key in document if key not in {*forms, *options}]
        if unknown:
            expected = " or ".join(map(repr, (*forms, *options)))
            raise invalid([Problem(None, key, expected, "an unknown key") for key in unknown], "key")
        for name, option in options.items():
            _check(name, option, document.get(name))
        given = [form for form in forms if document.get(form) is not None]
        if len(given) != 1:
            raise _one_form(forms, given)
        form = given[0]
        try:
            value = self._binary.read(document[form])
        except Mismatch as mismatch:
            raise invalid([Problem(None, form, mismatch.expected, "another value")], "key") from None
        face, value = self._face(form, value)
        return form, self._diagnosis.read(face, value, form)

    def _face(self, form: str, value: Any) -> tuple[str, Any]:
        """The form of a native body, and its value."""
        if form == INSTANCES:
            return self._instances.by_row(value)
        if form == INPUTS:
            return self._instances.by_tensor(value)
        if form == SPLIT and self._names.known:
            return "data", rows(value, self._names)
        return "records", value

    def _strict(self, body: bytes) -> Any:
        return strict(body, self._dialect.example, constant=_constant)


def _envelope(dialect: RowsFormat) -> type[msgspec.Struct]:
    keys: list[tuple[str, Any, Any]] = [(form, msgspec.Raw, None) for form in dialect.forms]
    keys += [(name, option.type | None, None) for name, option in dialect.options.items()]
    return msgspec.defstruct("Envelope", keys, forbid_unknown_fields=True)


def _outside(mark: bytes, body: bytes, native: _Native) -> int:
    return body.count(mark) - native.unread.count(mark)


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
