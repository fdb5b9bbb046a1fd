"""A JSON document that is a table: a list of rows or of records, or a body of `POST /predict`. It is read whole."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any, BinaryIO, Final, TextIO

import msgspec
from msgspec import UNSET

from septet.errors import MOST_PROBLEMS, Invalid, Problem, invalid
from septet.model.received import received, shown_key
from septet.tables.column_batch import BATCH_ROWS, ColumnBatch, TableForm, numbered, rows_of_values, same_rows
from septet.tables.strict_json import strict

FORMS: Final = ("data", "records", "inputs")
_KEYS: Final = frozenset((*FORMS, "id"))
_EXAMPLE: Final = '{"data": [[...]]}'
_BOM: Final = b"\xef\xbb\xbf"
_ENCODER: Final = msgspec.json.Encoder()


class JsonReader:
    """Reads a stream to its end and then gives the rows in parts."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def batches(self, rows: int = BATCH_ROWS) -> Iterator[ColumnBatch]:
        """See `Reader`."""
        form, value = _form(decoded(self._stream.read().removeprefix(_BOM)))
        if form == "inputs":
            table = ColumnBatch(value, same_rows(value) if value else 0, form=TableForm.INPUTS)
            return (table.part(start, start + rows) for start in range(0, table.rows, rows))
        row_batches = RowBatches()
        return (row_batches(value[start : start + rows]) for start in range(0, len(value), rows))


class JsonWriter:
    """Writes one list, a row a line, between an opening and a closing text."""

    def __init__(self, stream: TextIO, opening: str = "[\n", closing: str = "\n]\n") -> None:
        self._stream = stream
        self._before = opening
        self._closing = closing
        self._is_empty = True

    def write(self, batch: ColumnBatch) -> None:
        """See `Writer`."""
        if not batch.rows:
            return
        self._stream.write(self._before + json_lines(batch).removesuffix("\n").replace("\n", ",\n"))
        self._before = ",\n"
        self._is_empty = False

    def close(self) -> None:
        """See `Writer`."""
        self._stream.write(self._before * self._is_empty + self._closing)


class RowBatches:
    """Makes batches of the rows of one table: objects, lists of one width, or values alone."""

    def __init__(self) -> None:
        self._before = 0
        self._names: list[str] | None = None
        self._of_records = False

    def __call__(self, rows: Sequence[Any]) -> ColumnBatch:
        """The next rows as a batch."""
        if self._before == 0:
            self._of_records = isinstance(rows[0], dict)
            self._names = numbered(len(rows[0]) if isinstance(rows[0], list) else 1)
        before = self._before
        self._before += len(rows)
        return _of_records(rows, before) if self._of_records else _of_lists(rows, self._names or [], before)


def decoded(text: bytes) -> Any:
    """A document of JSON.

    Raises:
        Malformed: it is none, or an object in it has a key twice.
    """
    try:
        found = msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return strict(text, _EXAMPLE)
    # Each key and each text has two quotes: where there are just as many, no key was lost to another one.
    if b"\\" in text or not _explains(found, text):
        return strict(text, _EXAMPLE)
    return found


def json_lines(batch: ColumnBatch) -> str:
    """Each row as JSON on a line of its own.

    It is an object; where the columns have no names a list, and of one such column the value alone.
    """
    rows: Iterable[Any] = rows_of_values(batch)
    if batch.form is not TableForm.LISTS:
        names = list(batch.columns)
        rows = ({name: value for name, value in zip(names, row, strict=True) if value is not UNSET} for row in rows)
    elif len(batch.columns) == 1:
        rows = chain.from_iterable(rows)
    return _ENCODER.encode_lines(rows).decode()


def json_text(value: Any) -> str:
    """A value as JSON."""
    return msgspec.json.encode(value).decode()


def one_form(given: Sequence[str]) -> Invalid:
    """The error for a body with none, or several, of the three forms: no payload is ever assumed."""
    got = " and ".join(f"'{name}'" for name in given) or "none of them"
    text = f"The body must have exactly one of 'data', 'records' or 'inputs', and has {got}."
    return Invalid(text, (Problem(None, None, "exactly one of 'data', 'records', 'inputs'", got),))


def unknown_keys(document: Mapping[str, Any]) -> list[Problem]:
    """The keys that a body of rows does not have, the first 20 of them."""
    expected = "'data', 'records', 'inputs' or 'id'"
    unknown = (key for key in document if key not in _KEYS)
    return [Problem(None, shown_key(key), expected, "an unknown key") for key in islice(unknown, MOST_PROBLEMS)]


def _form(document: Any) -> tuple[str, Any]:
    """The form of a document, and its rows or inputs."""
    if isinstance(document, list):
        return "data", document
    if not isinstance(document, dict):
        text = f"The body must be a JSON object such as {_EXAMPLE}."
        raise Invalid(text, (Problem(None, None, "a JSON object", received(document)),))
    unknown = unknown_keys(document)
    if unknown:
        raise invalid(unknown, "key")
    given = [form for form in FORMS if form in document]
    if len(given) != 1:
        raise one_form(given)
    form, value = given[0], document[given[0]]
    if form == "inputs" and not (isinstance(value, dict) and all(isinstance(each, list) for each in value.values())):
        raise invalid([Problem(None, form, "an object of input names and values", received(value))], "key")
    if form != "inputs" and not isinstance(value, list):
        what = "a list of rows" if form == "data" else "a list of objects, one per row"
        raise invalid([Problem(None, form, what, received(value))], "key")
    return form, value


def _explains(value: Any, text: bytes) -> bool:
    """Whether a text of JSON has no more quotes than its value, two for each key and each text."""
    if b"{" not in text:
        return True
    quotes = text.count(b'"')
    # Records of numbers have those of their keys alone.
    if isinstance(value, list) and set(map(type, value)) == {dict} and 2 * sum(map(len, value)) == quotes:
        return True
    return quotes == 2 * _keys_and_texts([value])


def _keys_and_texts(values: Sequence[Any]) -> int:
    """The keys and texts in values, level by level."""
    count = 0
    while True:
        kinds = list(map(type, values))
        count += kinds.count(str)
        objects = [value for value in values if type(value) is dict] if dict in kinds else []
        lists = [value for value in values if type(value) is list] if list in kinds else []
        if not objects and not lists:
            return count
        count += sum(map(len, objects))
        values = [*chain.from_iterable(map(dict.values, objects)), *chain.from_iterable(lists)]


def _of_records(rows: Sequence[Any], before: int) -> ColumnBatch:
    problems: list[Problem] = []
    if set(map(type, rows)) != {dict}:
        what = "an object of column names and values"
        problems = [
            Problem(before + at, None, what, received(row)) for at, row in enumerate(rows) if not isinstance(row, dict)
        ]
        rows = [row if isinstance(row, dict) else {} for row in rows]
    names = list(rows[0])
    if set(map(len, rows)) == {len(names)}:
        try:
            columns = {name: [row[name] for row in rows] for name in names}
            return ColumnBatch(columns, len(rows), before, TableForm.RECORDS, tuple(problems))
        except KeyError:
            pass
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: [row.get(name, UNSET) for row in rows] for name in names}
    return ColumnBatch(columns, len(rows), before, TableForm.RECORDS, tuple(problems))


def _of_lists(rows: Sequence[Any], names: list[str], before: int) -> ColumnBatch:
    width = len(names)
    problems: tuple[Problem, ...] = ()
    types = set(map(type, rows))
    if types != {list} and width == 1:
        rows, types = [row if isinstance(row, list) else [row] for row in rows], {list}
    if types != {list} or set(map(len, rows)) != {width}:
        problems = tuple(
            Problem(before + at, None, f"a list of {width} values", received(row))
            for at, row in enumerate(rows)
            if not isinstance(row, list) or len(row) != width
        )
        rows = [row if isinstance(row, list) and len(row) == width else [None] * width for row in rows]
    columns = {name: [row[place] for row in rows] for place, name in enumerate(names)}
    return ColumnBatch(columns, len(rows), before, TableForm.LISTS, problems)
