"""CSV: a header row of the columns' names, then one row a record (RFC 4180), in UTF-8."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from operator import methodcaller
from typing import Any

from septet.errors import MOST_PROBLEMS, Malformed, Problem, invalid
from septet.model.base64_text import to_base64
from septet.model.received import duplicates, shown_key
from septet.tables.column_batch import BATCH_ROWS, ColumnBatch, TableForm, TextOutput, rows_of_values
from septet.tables.json_table import json_text

_BOM = b"\xef\xbb\xbf"
_COMMAS = methodcaller("count", ",")
# Characters that may stand between two quotes: a quote without a second one must not draw in the rest of the table.
_LONGEST_CELL = 1 << 20
# Characters that are looked through for line ends at once.
_PIECE_CHARACTERS = 1 << 18


class CsvReader:
    """Reads lines of bytes. Blank ones are no rows; one with more or fewer cells than the header is a bad row."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._texts = _CsvTexts(lines)

    def batches(self, rows: int = BATCH_ROWS) -> Iterator[ColumnBatch]:
        """See `Reader`."""
        names = self._header()
        before = 0
        while text := self._texts.next(rows):
            for batch in _batches(text, names, before, rows):
                yield batch
                before += batch.rows

    def _header(self) -> list[str]:
        while text := self._texts.next(1):
            found = _records(text, 0, 1)
            if found:
                break
        else:
            raise Malformed("The CSV is empty. Send a header row of column names, then the rows.")
        names = found[0]
        twice = list(islice(dict.fromkeys(duplicates(names)), MOST_PROBLEMS))
        if twice:
            raise invalid([Problem(None, shown_key(name), "each column once", "twice") for name in twice])
        return names


class CsvWriter:
    """Writes a header and rows of text: lists, objects and booleans as JSON has them, bytes as base64.

    What is missing is written as nothing.
    """

    def __init__(self, stream: TextOutput) -> None:
        self._write = csv.writer(stream, lineterminator="\n").writerow
        # Of the ends of lines, Python quotes the one alone that it writes itself.
        self._write_quoted = csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_ALL).writerow
        self._has_header = False

    def write(self, batch: ColumnBatch) -> None:
        """See `Writer`."""
        if not self._has_header:
            self._write_row(list(batch.columns))
            self._has_header = True
        for row in rows_of_values(batch):
            self._write_row([_cell(value) for value in row])

    def _write_row(self, cells: Sequence[Any]) -> None:
        quoted = any(type(cell) is str and "\r" in cell for cell in cells)
        (self._write_quoted if quoted else self._write)(cells)

    def close(self) -> None:
        """See `Writer`."""


def _cell(value: Any) -> Any:
    if isinstance(value, bytes):
        return to_base64(value)
    return json_text(value) if isinstance(value, list | dict | bool) else value


def csv_lines(text: str, newline: str = "") -> Iterator[list[str]]:
    """The lines of CSV with their cells; a cell may be as long as the text.

    Raises:
        csv.Error: it is no CSV.
    """
    # The limit is one for the whole process. It only grows, and never beyond what was read anyway.
    if len(text) > csv.field_size_limit():
        csv.field_size_limit(len(text))
    return csv.reader(_lines(text, newline), strict=True)


def _lines(text: str, newline: str) -> Iterator[str]:
    """The lines of a text, each at the price of a turn for other threads: a cell may have millions of them."""
    at = 0
    while at < len(text):
        end = text.find("\n", at + _PIECE_CHARACTERS) + 1 or len(text)
        for line in io.StringIO(text[at:end], newline=newline):  # noqa: UP028 - `yield from` gives no turn
            yield line
        at = end


class _CsvTexts:
    """The lines of a table as text, so many at a time and none that ends within a quoted cell."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._lines = iter(lines)
        self._start = 0

    def next(self, count: int) -> str:
        """The next lines as one text; empty behind the last.

        Raises:
            Malformed: they are not UTF-8, or have a NUL character.
        """
        text = self._decoded(b"".join(islice(self._lines, count)))
        if not text.count('"') % 2:
            return text
        parts, left = [text], _LONGEST_CELL
        for line in self._lines:
            more = self._decoded(line)
            parts.append(more)
            left -= len(more)
            if more.count('"') % 2 or left <= 0:
                break
        return "".join(parts)

    def _decoded(self, line: bytes) -> str:
        bare = line if self._start else line.removeprefix(_BOM)
        try:
            text = bare.decode()
        except UnicodeDecodeError as error:
            place = self._start + len(line) - len(bare) + error.start
            raise Malformed(f"The CSV is not UTF-8: byte {place} is 0x{bare[error.start]:02x}.") from None
        if "\0" in text:
            raise Malformed("The CSV has a NUL character.")
        self._start += len(line)
        return text


def _batches(text: str, names: Sequence[str], before: int, rows: int) -> Iterator[ColumnBatch]:
    """The rows of a text, which may be more than were asked for where cells have lines of their own."""
    cells = _unquoted(text, len(names))
    if cells is not None:
        yield _even(names, cells, before)
        return
    lines = _records(text, before, rows)
    for start in range(0, len(lines), rows):
        yield _batch(names, lines[start : start + rows], before + start)


def _unquoted(text: str, width: int) -> list[str] | None:
    """The cells of lines that are plainly so many each, row by row: half the time of `csv`; None where in doubt."""
    if '"' in text or width == 1:
        return None
    plain = text.replace("\r\n", "\n").removesuffix("\n")
    lines = plain.split("\n")
    if "\r" in plain or set(map(_COMMAS, lines)) != {width - 1}:
        return None
    return ",".join(lines).split(",")


def _records(text: str, before: int, count: int) -> list[list[str]]:
    try:
        return list(filter(None, csv_lines(text, newline="\n")))
    except csv.Error as error:
        place = f"It stands in rows {before} to {before + count - 1}."
        raise Malformed(f"The table is not CSV: {error}. {place}") from None


def _even(names: Sequence[str], cells: list[str], before: int) -> ColumnBatch:
    """A batch of cells, of which each row has as many as there are names."""
    width = len(names)
    columns = {name: cells[place::width] for place, name in enumerate(names)}
    return ColumnBatch(columns, len(cells) // width, before, TableForm.TEXTS)


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
