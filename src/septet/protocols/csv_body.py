"""`text/csv` request bodies: a header row of the model's column names, then one row per prediction (RFC 4180)."""

import csv
import io
from typing import Any

from septet.errors import MOST_PROBLEMS, Malformed, Problem, invalid
from septet.model.signature import Column, Signature
from septet.protocols.body import Body, check_rows
from septet.protocols.cells import Mismatch, expected, read, received, shown_key
from septet.protocols.rows import Rows

TRUE = ("true", "1", "1.0")
FALSE = ("false", "0", "0.0")


class CsvBody:
    """Decodes CSV for a signature whose columns have names. Columns may stand in any order; an empty cell is null."""

    def __init__(self, signature: Signature, *, max_rows: int) -> None:
        self._columns = signature.columns
        self._rows = Rows(signature)
        self._max_rows = max_rows

    def __call__(self, body: bytes) -> Body:
        """Decode a body.

        Raises:
            Malformed: it is not UTF-8 or not CSV.
            Invalid: its columns or cells do not fit the signature. Row 0 is the first after the header.
        """
        try:
            text = body.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise Malformed(f"The CSV is not UTF-8: byte {error.start} is 0x{body[error.start]:02x}.") from None
        if "\0" in text:
            raise Malformed("The CSV has a NUL character.")
        try:
            lines = [line for line in csv.reader(io.StringIO(text, newline=""), strict=True) if line]
        except csv.Error as error:
            raise Malformed(f"The body is not CSV: {error}.") from None
        if not lines:
            raise Malformed("The CSV is empty. Send a header row of column names, then the rows.")
        known = {column.name for column in self._columns}
        order = self._order([name if name in known else name.strip() for name in lines[0]])
        check_rows(len(lines) - 1, self._max_rows)
        problems: list[Problem] = []
        rows = [self._row(index, line, order, problems) for index, line in enumerate(lines[1:])]
        if problems:
            raise invalid(problems)
        return Body(self._rows.tensors(rows), len(rows))

    def _order(self, header: list[str]) -> list[int]:
        """For each of the model's columns, its place in the header."""
        names = [column.name for column in self._columns]
        problems = [
            Problem(None, name, "a column in the header row", "no such column") for name in names if name not in header
        ]
        problems += [
            Problem(None, shown_key(name), "only the model's columns", "an unknown column")
            for name in header
            if name not in names
        ]
        problems += [Problem(None, name, "each column once", "twice") for name in names if header.count(name) > 1]
        if problems:
            raise invalid(problems)
        return [header.index(name) for name in names]

    def _row(self, index: int, line: list[str], order: list[int], problems: list[Problem]) -> list[Any]:
        if len(problems) >= MOST_PROBLEMS:
            return []
        if len(line) != len(order):
            problems.append(Problem(index, None, f"{len(order)} cells", f"{len(line)} cells"))
            return []
        values: list[Any] = []
        for column, place in zip(self._columns, order, strict=True):
            try:
                values.append(_cell(column, line[place]))
            except Mismatch as mismatch:
                problems.append(Problem(index, column.name, mismatch.expected, received(line[place])))
                values.append(None)
        return values


def _cell(column: Column, text: str) -> Any:
    """The text of a cell as the JSON value it stands for, read as such."""
    if column.dtype == "string":
        return read(column, text if text or not column.nullable else None)
    bare = text.strip().lower()
    if bare in ("", "nan", "null", "na"):
        return read(column, None)
    if column.dtype == "bool":
        return read(column, True if bare in TRUE else False if bare in FALSE else text)
    try:
        if (
            "_" in bare or not bare.isascii()
        ):  # Python reads 1_000 and digits of any script; CSV writers do not write these
            raise ValueError(text)
        return read(column, int(bare) if bare.lstrip("+-").isdigit() else float(bare))
    except ValueError:
        raise Mismatch(expected(column.dtype)) from None
