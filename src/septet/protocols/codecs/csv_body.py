"""`text/csv` request bodies: a header row of the model's column names, then one row per prediction (RFC 4180).

Some callers send no header row. Where that is allowed, the first row is one if it has the name of a column; names that
are numbers count only where the whole row is names, because they look like values.
"""

import csv
from collections.abc import Sequence
from typing import Any

from septet.columns.cell_texts import TextColumns, read_text
from septet.columns.row_tensors import RowTensors
from septet.errors import MOST_PROBLEMS, Malformed, Problem, invalid
from septet.model.received import received, shown_key
from septet.model.signature import Signature
from septet.model.values import Mismatch
from septet.protocols.codecs.decoded_body import DecodedBody, check_rows
from septet.protocols.codecs.plain_csv import PlainCsv
from septet.settings import ExtraColumns
from septet.tables.csv_table import csv_lines


class CsvBody:
    """Decodes CSV for a signature whose columns have names. Columns may stand in any order; an empty cell is null.

    `extra_columns` says what becomes of columns in the header row that the model does not have.
    """

    def __init__(self, signature: Signature, *, max_rows: int, extra_columns: ExtraColumns = "refuse") -> None:
        self._columns = signature.columns
        self._rows = RowTensors(signature)
        self._plain = PlainCsv(signature.columns, self._rows.carriers)
        self._read = TextColumns(signature.columns, self._rows.carriers)
        self._max_rows = max_rows
        self._refuses_extra = extra_columns == "refuse"

    def __call__(self, body: bytes, *, header: bool | None = True) -> DecodedBody:
        """Decode a body; `header` says whether it has a header row, None that its first row tells.

        Raises:
            Malformed: it is not UTF-8 or not CSV.
            Invalid: its columns or cells do not fit the signature. Row 0 is the first after the header.
        """
        plain = self._plain(body) if header is not False else None
        if plain is not None:
            check_rows(len(plain), self._max_rows)
            return DecodedBody(self._rows.tensors(plain, len(plain)), len(plain))
        try:
            text = body.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise Malformed(f"The CSV is not UTF-8: byte {error.start} is 0x{body[error.start]:02x}.") from None
        if "\0" in text:
            raise Malformed("The CSV has a NUL character.")
        try:
            lines = [line for line in csv_lines(text) if line]
        except csv.Error as error:
            raise Malformed(f"The body is not CSV: {error}.") from None
        if not lines:
            raise Malformed("The CSV is empty. Send a header row of column names, then the rows.")
        order: list[int | None] = list(range(len(self._columns)))
        width = len(order)
        first = self._bare(lines[0])
        if self._is_header(first) if header is None else header:
            first, lines = self._known(first, lines[1:])
            order, width = self._order(first), len(first)
        check_rows(len(lines), self._max_rows)
        rows: Sequence[Sequence[Any]] | None = self._read(lines, order, width)
        if rows is None:
            problems: list[Problem] = []
            rows = [self._row(index, line, order, width, problems) for index, line in enumerate(lines)]
            if problems:
                raise invalid(problems)
        return DecodedBody(self._rows.tensors(rows, len(rows)), len(rows))

    def _bare(self, header: list[str]) -> list[str]:
        """The cells without the spaces around them, except where a column's name has such spaces."""
        known = {column.name for column in self._columns}
        return [name if name in known else name.strip() for name in header]

    def _is_header(self, first: list[str]) -> bool:
        names = {column.name for column in self._columns}
        needed = {column.name for column in self._columns if not column.optional}
        return needed <= set(first) <= names or any(cell in names and not _is_number(cell) for cell in first)

    def _known(self, header: list[str], lines: list[list[str]]) -> tuple[list[str], list[list[str]]]:
        """The header and the rows without the columns that the model does not have, where these are ignored."""
        names = {column.name for column in self._columns}
        places = [place for place, name in enumerate(header) if name in names]
        if self._refuses_extra or len(places) == len(header):
            return header, lines
        problems = [
            Problem(row, None, f"{len(header)} cells, as the header row", f"{len(line)} cells")
            for row, line in enumerate(lines)
            if len(line) != len(header)
        ]
        if problems:
            raise invalid(problems[:MOST_PROBLEMS])
        return [header[place] for place in places], [[line[place] for place in places] for line in lines]

    def _order(self, header: list[str]) -> list[int | None]:
        """For each of the model's columns, its place in the header; None where it is left out."""
        names = [column.name for column in self._columns]
        problems = [
            Problem(None, each.name, "a column in the header row", "no such column")
            for each in self._columns
            if each.name not in header and not each.optional
        ]
        problems += [
            Problem(None, shown_key(name), "only the model's columns", "an unknown column")
            for name in header
            if name not in names
        ]
        problems += [Problem(None, name, "each column once", "twice") for name in names if header.count(name) > 1]
        if problems:
            raise invalid(problems)
        return [header.index(name) if name in header else None for name in names]

    def _row(
        self, index: int, line: list[str], order: list[int | None], width: int, problems: list[Problem]
    ) -> list[Any]:
        if len(problems) >= MOST_PROBLEMS:
            return []
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


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
