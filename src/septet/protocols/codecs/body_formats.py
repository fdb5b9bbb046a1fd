"""The ways to write rows as a body, each declared once with its content types.

Which reader takes a body, what the error 415 advises, and what OpenAPI says of a route's bodies derive from these
declarations.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import msgspec

from septet.errors import UnsupportedMediaType
from septet.model.signature import Signature
from septet.protocols.http.http_messages import JSON, shown
from septet.settings import ExtraColumns

if TYPE_CHECKING:
    from septet.protocols.codecs.csv_body import CsvBody
    from septet.protocols.codecs.npy_body import NpyBody
    from septet.protocols.codecs.value_body import ValueBody

_Reader = TypeVar("_Reader")


class BodyFormat(msgspec.Struct, frozen=True):
    """One way to write rows.

    Attributes:
        media_types: the content types that name it; the empty one is that of a body which names none.
        advice: what to send, in words.
        refusal: why the rows of a model cannot be written so, empty where other formats are just advised; None where
            they can.
    """

    media_types: tuple[bytes, ...]
    advice: str
    refusal: Callable[[Signature], str | None]


def _never(_: Signature) -> None:
    """Every model's rows can be written as JSON."""


def _without_columns(signature: Signature) -> str | None:
    if signature.columns and signature.rows:
        return None
    return "This model's inputs are tensors without named columns; send JSON 'inputs'."


def npy_refusal(signature: Signature) -> str | None:
    """Why the inputs of a model cannot be one array; None where they can."""
    dtypes = {tensor.dtype for tensor in signature.inputs}
    if "bytes" in dtypes:
        return "This model takes bytes, which .npy does not hold; send JSON or CSV instead."
    by_column = signature.rows and bool(signature.columns)
    if len(dtypes) > 1 or (len(signature.inputs) > 1 and not by_column):
        return "This model's inputs are of several dtypes; send JSON or CSV instead of .npy."
    return None


def _not_one_value(signature: Signature) -> str | None:
    """Of one value of bytes there is one input, of one column at most."""
    if len(signature.inputs) != 1 or signature.inputs[0].dtype != "bytes":
        return ""
    shape = signature.inputs[0].shape
    sizes = shape[1:] if signature.rows else shape
    return None if all(size == 1 for size in sizes) else ""


JSON_ROWS: Final = BodyFormat(
    (JSON, b""), "application/json (curl: -H 'content-type: application/json')", refusal=_never
)
CSV_ROWS: Final = BodyFormat((b"text/csv",), "text/csv with a header row", refusal=_without_columns)
NPY_ARRAY: Final = BodyFormat(
    (b"application/octet-stream", b"application/x-npy"), "application/x-npy", refusal=npy_refusal
)
ONE_VALUE: Final = BodyFormat(
    (b"application/octet-stream", b"image/jpeg", b"image/png"),
    "the value itself as application/octet-stream, image/jpeg or image/png",
    refusal=_not_one_value,
)
#: In the order in which they are advised. Of two with a content type in common, a model takes one at most.
BODY_FORMATS: Final = (JSON_ROWS, CSV_ROWS, NPY_ARRAY, ONE_VALUE)


def readable(signature: Signature) -> tuple[BodyFormat, ...]:
    """The formats in which the rows of a model can be written."""
    return tuple(each for each in BODY_FORMATS if each.refusal(signature) is None)


def csv_reader(signature: Signature, *, max_rows: int, extra_columns: ExtraColumns) -> "CsvBody":
    """The reader of `CSV_ROWS`, imported when the first such body comes, as those below."""
    from septet.protocols.codecs.csv_body import CsvBody

    return CsvBody(signature, max_rows=max_rows, extra_columns=extra_columns)


def npy_reader(signature: Signature, *, max_rows: int) -> "NpyBody":
    """The reader of `NPY_ARRAY`."""
    from septet.protocols.codecs.npy_body import NpyBody

    return NpyBody(signature, max_rows=max_rows)


def value_reader(signature: Signature) -> "ValueBody":
    """The reader of `ONE_VALUE`."""
    from septet.protocols.codecs.value_body import ValueBody

    return ValueBody(signature)


class BodyReaders(Generic[_Reader]):
    """The readers of one route, each made when a body first needs it: most servers read one format.

    Attributes:
        by_media_type: the readers that are made, by content type.
    """

    def __init__(self, signature: Signature, readers: Mapping[BodyFormat, Callable[[], _Reader]]) -> None:
        """Find which of `readers`, one for each of `BODY_FORMATS`, the signature needs."""
        self.by_media_type: dict[bytes, _Reader] = {}
        self._makers: dict[bytes, Callable[[], _Reader]] = {}
        self._refusals: dict[bytes, str] = {}
        for each in BODY_FORMATS:
            refusal = each.refusal(signature)
            if refusal is not None:
                self._refusals = {**dict.fromkeys(each.media_types, refusal), **self._refusals}
                continue
            self._makers |= dict.fromkeys(each.media_types, readers[each])
        *first, last = [each.advice for each in readable(signature)]
        self._advice = f"{', '.join(first)}, or {last}" if first else last

    def find(self, media_type: bytes) -> _Reader:
        """The reader of a content type.

        Raises:
            UnsupportedMediaType: there is none.
        """
        reader = self.by_media_type.get(media_type)
        if reader is not None:
            return reader
        maker = self._makers.get(media_type)
        if maker is not None:
            reader = self.by_media_type[media_type] = maker()
            return reader
        refusal = self._refusals.get(media_type)
        raise UnsupportedMediaType(
            refusal or f"The content type {shown(media_type)} is not read here. Send {self._advice}."
        )
