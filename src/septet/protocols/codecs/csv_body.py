"""`text/csv` request bodies: a header row of the model's column names, then one row per prediction (RFC 4180).

Some callers send no header row. Where that is allowed, the first row is one if it has the name of a column; names that
are numbers count only where the whole row is names, because they look like values.
"""

import csv
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Any, Final

import numpy as np

from septet.columns.cell_texts import TextColumns, read_text
from septet.columns.row_tensors import RowTensors
from septet.errors import MOST_PROBLEMS, Invalid, Malformed, Problem, invalid
from septet.lengthy_work import BYTES_ON_LOOP, CAREFUL_BYTES_ON_LOOP, PARSED_BYTES_ON_LOOP, leave_loop
from septet.model.received import received, shown_key
from septet.model.signature import Signature
from septet.model.values import Mismatch, is_text
from septet.protocols.codecs.decoded_body import DecodedBody, check_rows, count_outside
from septet.protocols.codecs.plain_csv import PlainCsv
from septet.settings import ExtraColumns
from septet.tables.csv_table import csv_lines

#: Characters that a header row may have, however few those of the columns' names are.
MOST_HEADER_CHARACTERS: Final = 1 << 20
#: Characters that a cell with a number may have on average.
MOST_NUMBER_CHARACTERS: Final = 1024
_LINE_ENDS: Final = "\r\n"


class CsvBody:
    """Decodes CSV for a signature whose columns have names. Columns may stand in any order; an empty cell is null.

    `extra_columns` says what becomes of columns in the header row that the model does not have.
    """

    def __init__(self, signature: Signature, *, max_rows: int, extra_columns: ExtraColumns = "refuse") -> None:
        self._columns = signature.columns
        self._rows = RowTensors(signature)
        self._plain = PlainCsv(signature.columns, self._rows.carriers, max_rows)
        self._names = frozenset(column.name for column in signature.columns)
        # A name may be written in quotes, its own quotes twice.
        written = sum(2 * len(column.name) + 3 for column in signature.columns)
        self._most_header = max(written, MOST_HEADER_CHARACTERS)
        self._read = TextColumns(signature.columns, self._rows.carriers)
        self._max_rows = max_rows
        self._refuses_extra = extra_columns == "refuse"

    def __call__(self, body: bytes, *, header: bool | None = True) -> DecodedBody:
        """Decode a body; `header` says whether it has a header row, None that its first row tells.

        Raises:
            Malformed: it is not UTF-8 or not CSV.
            Invalid: its columns or cells do not fit the signature. Row 0 is the first after the header.
            LengthyWork: it is long.
        """
        if len(body) > BYTES_ON_LOOP:
            leave_loop()
            self._check_lines(body)
        plain = self._plain(body) if header is not False else None
        if plain is not None:
            return DecodedBody(self._rows.tensors(plain, len(plain)), len(plain))
        if len(body) > PARSED_BYTES_ON_LOOP:
            leave_loop()
        text = _text(body)
        if header is not False:
            self._check_header(text)
        records = _records(text)
        given = next(records, None)
        if given is None:
            raise Malformed("The CSV is empty. Send a header row of column names, then the rows.")
        first = self._bare(given)
        if self._is_header(first) if header is None else header:
            places = self._places(first)
            names = [first[place] for place in places]
            order = self._order(names)
            self._check_cells(body, len(first))
            lines = self._lines(records)
            if len(places) < len(first):
                lines = _taken(lines, places, len(first))
            return self._decoded(lines, order, len(names))
        self._check_cells(body, len(self._columns))
        return self._decoded(self._lines(chain((given,), records)), range(len(self._columns)), len(self._columns))

    def _decoded(self, lines: list[list[str]], order: Sequence[int | None], width: int) -> DecodedBody:
        rows: Sequence[Sequence[Any]] | None = self._read(lines, order, width)
        if rows is None:
            if len(lines) * width > CAREFUL_BYTES_ON_LOOP:
                leave_loop()
            problems: list[Problem] = []
            found: list[list[Any]] = []
            for index, line in enumerate(lines):
                found.append(self._row(index, line, order, width, problems))
                if len(problems) >= MOST_PROBLEMS:
                    break
            if problems:
                raise invalid(problems)
            rows = found
        return DecodedBody(self._rows.tensors(rows, len(rows)), len(rows))

    def _bare(self, header: list[str]) -> list[str]:
        """The cells without the spaces around them, except where a column's name has such spaces."""
        known = self._names
        return [name if name in known else name.strip() for name in header]

    def _check_lines(self, body: bytes) -> None:
        """Refuse a line that is too long for cells of numbers: no other thread runs while it is cut."""
        if any(is_text(column.dtype) for column in self._columns):
            return
        most = self._most_header + MOST_NUMBER_CHARACTERS * len(self._columns)
        ends = np.flatnonzero(np.frombuffer(body, np.uint8) == ord("\n"))
        longest = np.diff(ends, prepend=-1, append=len(body)).max()
        if longest > most:
            problem = Problem(None, None, f"lines of at most {most} bytes", f"one of {longest} bytes")
            raise Invalid(f"The CSV has a line of {longest} bytes, and may have {most}.", (problem,))

    def _check_header(self, text: str) -> None:
        """Refuse a first row that is too long before it is cut into cells."""
        start = len(text) - len(text.lstrip(_LINE_ENDS))
        stop = start + self._most_header
        if len(text) > stop and all(text.find(end, start, stop) < 0 for end in _LINE_ENDS):
            text = f"The first row of the CSV has more than {self._most_header} characters. Send a header row of names."
            problem = Problem(None, None, f"a header row of at most {self._most_header} characters", "a longer one")
            raise Invalid(text, (problem,))

    def _check_cells(self, body: bytes, width: int) -> None:
        """Refuse more cells than so many rows can have, before they are cut apart."""
        most = (self._max_rows + 2) * width
        if len(body) > most and count_outside(body, b",") > most:
            text = f"The CSV has more cells than {self._max_rows} rows of {width} cells have."
            raise Invalid(
                f"{text} Split it into several requests.", (Problem(None, None, f"at most {most} cells", "more"),)
            )

    def _lines(self, records: Iterator[list[str]]) -> list[list[str]]:
        """The rows, of which no more are kept than a request may have."""
        lines = list(islice(records, self._max_rows))
        check_rows(len(lines) + sum(1 for _ in records), self._max_rows)
        return lines

    def _is_header(self, first: list[str]) -> bool:
        names = self._names
        needed = {column.name for column in self._columns if not column.optional}
        return needed <= set(first) <= names or any(cell in names and not _is_number(cell) for cell in first)

    def _places(self, header: list[str]) -> Sequence[int]:
        """The places of the columns that are read: all, or those that the model has where others are ignored."""
        if self._refuses_extra:
            return range(len(header))
        return [place for place, name in enumerate(header) if name in self._names]

    def _order(self, header: list[str]) -> list[int | None]:
        """For each of the model's columns, its place in the header; None where it is left out."""
        places: dict[str, int] = {}
        twice: dict[str, None] = {}
        for place, name in enumerate(header):
            if name in places:
                twice[name] = None
            else:
                places[name] = place
        absent = (each.name for each in self._columns if each.name not in places and not each.optional)
        unknown = (name for name in header if name not in self._names)
        problems = chain(
            (Problem(None, name, "a column in the header row", "no such column") for name in absent),
            (Problem(None, shown_key(name), "only the model's columns", "an unknown column") for name in unknown),
            (Problem(None, name, "each column once", "twice") for name in twice if name in self._names),
        )
        first = list(islice(problems, MOST_PROBLEMS))
        if first:
            raise invalid(first)
        return [places.get(column.name) for column in self._columns]

    def _row(
        self, index: int, line: list[str], order: Sequence[int | None], width: int, problems: list[Problem]
    ) -> list[Any]:
        if len(line) != width:
            problems.append(Problem(index, None, f"{width} cells", f"{len(line)} cells"))
            return []
        values: list[Any] = []
        for column, carrier, place in zip(self._columns, self._rows.carriers, order, strict=True):
            cell = "" if place is None else line[place]
            try:
                values.append(None if place is None else read_text(column, carrier, cell))
            except Mismatch as mismatch:
                problems.append(Problem(index, column.name, mismatch.expected, received(cell)))
                values.append(None)
        return values


def _text(body: bytes) -> str:
    """A body as text.

    Raises:
        Malformed: it is not UTF-8, or has a NUL character.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Malformed(f"The CSV is not UTF-8: byte {error.start} is 0x{body[error.start]:02x}.") from None
    if "\0" in text:
        raise Malformed("The CSV has a NUL character.")
    return text


def _records(text: str) -> Iterator[list[str]]:
    """The rows of CSV one by one, without blank lines.

    Raises:
        Malformed: it is no CSV.
    """
    try:
        # Not by `filter`, which would let no other thread in between blank lines.
        for line in csv_lines(text):
            if line:
                yield line
    except csv.Error as error:
        raise Malformed(f"The body is not CSV: {error}.") from None


def _taken(lines: list[list[str]], places: Sequence[int], width: int) -> list[list[str]]:
    """Of rows of so many cells those at some places.

    Raises:
        Invalid: a row has more cells, or fewer.
    """
    wrong = ((row, len(line)) for row, line in enumerate(lines) if len(line) != width)
    problems = [
        Problem(row, None, f"{width} cells, as the header row", f"{cells} cells")
        for row, cells in islice(wrong, MOST_PROBLEMS)
    ]
    if problems:
        raise invalid(problems)
    return [[line[place] for place in places] for line in lines]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
