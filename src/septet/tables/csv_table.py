"""CSV: a header row of the columns' names, then one row a record (RFC 4180), in UTF-8."""

import csv
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TextIO

from septet.errors import Malformed, Problem, invalid
from septet.model.received import shown_key
from septet.tables.column_batch import BATCH_ROWS, ColumnBatch, TableForm, rows_of_values
from septet.tables.json_table import json_text

_BOM = b"\xef\xbb\xbf"


class CsvReader:
    """Reads lines of bytes. Blank ones are no rows; one with more or fewer cells than the header is a bad row."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._lines = lines

    def batches(self, rows: int = BATCH_ROWS) -> Iterator[ColumnBatch]:
        """See `Reader`."""
        records = csv.reader(_decoded(self._lines), strict=True)
        header = _next(records, 1, 0)
        if not header:
            raise Malformed("The CSV is empty. Send a header row of column names, then the rows.")
        names = header[0]
        twice = [name for name in dict.fromkeys(names) if names.count(name) > 1] if len(set(names)) < len(names) else []
        if twice:
            raise invalid([Problem(None, shown_key(name), "each column once", "twice") for name in twice])
        before = 0
        while found := _next(records, rows, before):
            yield _batch(names, found, before)
            before += len(found)


class CsvWriter:
    """Writes a header and rows of text: lists, objects and booleans as JSON has them, what is missing as nothing."""

    def __init__(self, stream: TextIO) -> None:
        self._write = csv.writer(stream, lineterminator="\n").writerow
        self._has_header = False

    def write(self, batch: ColumnBatch) -> None:
        """See `Writer`."""
        if not self._has_header:
            self._write(batch.columns)
            self._has_header = True
        for row in rows_of_values(batch):
            self._write([_cell(value) for value in row])

    def close(self) -> None:
        """See `Writer`."""


def _cell(value: Any) -> Any:
    return json_text(value) if isinstance(value, list | dict | bool) else value


def _decoded(lines: Iterable[bytes]) -> Iterator[str]:
    """Each line as text.

    Raises:
        Malformed: one is not UTF-8, or has a NUL character.
    """
    start = 0
    for line in lines:
        bare = line.removeprefix(_BOM) if not start else line
        try:
            text = bare.decode()
        except UnicodeDecodeError as error:
            place = start + len(line) - len(bare) + error.start
            raise Malformed(f"The CSV is not UTF-8: byte {place} is 0x{bare[error.start]:02x}.") from None
        if "\0" in text:
            raise Malformed("The CSV has a NUL character.")
        start += len(line)
        yield text


def _next(records: Iterator[list[str]], count: int, before: int) -> list[list[str]]:
    """So many records, or the last ones."""
    try:
        return list(itertools.islice(filter(None, records), count))
    except csv.Error as error:
        place = f"It stands in rows {before} to {before + count - 1}."
        raise Malformed(f"The table is not CSV: {error}. {place}") from None


def _batch(names: Sequence[str], lines: list[list[str]], before: int) -> ColumnBatch:
    width = len(names)
    problems: tuple[Problem, ...] = ()
    if set(map(len, lines)) != {width}:
        problems = tuple(
            Problem(before + at, None, f"{width} cells", f"{len(line)} cells")
            for at, line in enumerate(lines)
            if len(line) != width
        )
        lines = [line if len(line) == width else [""] * width for line in lines]
    columns = dict(zip(names, zip(*lines, strict=True), strict=True))
    return ColumnBatch(columns, len(lines), before, TableForm.TEXTS, problems)
