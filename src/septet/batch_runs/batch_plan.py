"""The plan of a run: what is read and where each part of it goes, fixed before the first row is.

Exactly once rests on the plan alone: its units never change, each has one place in the target, and to do a unit again
writes the same there. A run that is started again finds its plan, and does what is not done.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from septet.batch_runs.column_matching import ColumnMatching
from septet.batch_runs.kept_columns import KeptColumn
from septet.batch_runs.source_files import SourceFile
from septet.errors import Conflict
from septet.identity import Identity
from septet.model.file_facts import facts_of
from septet.tables.file_formats import FileFormatName
from septet.tables.table_file import FilePart


class Piece(msgspec.Struct, frozen=True):
    """A part of one of the plan's files."""

    file: int
    part: FilePart


class Unit(msgspec.Struct, frozen=True):
    """What is read, answered and written as one step.

    Attributes:
        index: its place among the units, and in the target.
        pieces: what is read, in this order.
        most: how many rows of it are read at most; None for all.
    """

    index: int
    pieces: tuple[Piece, ...]
    most: int | None = None


class BatchPlan(msgspec.Struct, frozen=True):
    """What a run does.

    Attributes:
        model: the path of the model, and the identity that it had.
        source: as it was given; `format` and `files` are what was found.
        target: the file or folder for the answers, and its format; `errors` the file for bad rows.
        matching: which columns are the model's, and which are carried over.
        kept: those, with their types.
        provenance: whether each row says its model and run; else the file does.
        batch_rows: rows that are read and answered at once.
        units: what is done, in this order in the target.
    """

    model: str
    identity: Identity
    source: str
    format: FileFormatName
    files: tuple[SourceFile, ...]
    target: str
    target_format: FileFormatName
    errors: str
    matching: ColumnMatching
    kept: tuple[KeptColumn, ...]
    provenance: bool
    batch_rows: int
    units: tuple[Unit, ...]

    @property
    def key(self) -> str:
        """The same for the same work: by it a run that was interrupted is found again."""
        return hashlib.sha256(msgspec.msgpack.encode(self)).hexdigest()

    @property
    def rows(self) -> int | None:
        """How many rows are read; None where only reading them tells."""
        counts = [_rows(unit) for unit in self.units]
        return None if None in counts else sum(count for count in counts if count is not None)


def _rows(unit: Unit) -> int | None:
    found = 0
    for piece in unit.pieces:
        if piece.part.rows is None:
            return None
        found += piece.part.rows
    return found if unit.most is None else min(found, unit.most)


def planned_units(parts: Iterable[tuple[int, FilePart]], rows: int, limit: int | None = None) -> Sequence[Unit]:
    """Units of about so many rows, of parts of files in their order; small files are joined.

    With a limit only the first rows are read: where their number is not known before, as one unit.
    """
    listed = list(parts)
    if limit is not None and any(part.rows is None for _, part in listed):
        return [Unit(0, tuple(Piece(*each) for each in listed), limit)]
    return list(_units(listed, rows, limit))


def _units(parts: Sequence[tuple[int, FilePart]], rows: int, limit: int | None) -> Iterator[Unit]:
    pieces: list[Piece] = []
    index = count = 0
    left = limit
    for file, part in parts:
        if left is not None and left <= 0:
            break
        pieces.append(Piece(file, part))
        # Of a part whose rows are not known the size is that of a unit.
        known = rows if part.rows is None else part.rows
        count += known
        if left is not None:
            left -= known
        if count >= rows or (left is not None and left <= 0):
            most = count + left if left is not None and left < 0 else None
            yield Unit(index, tuple(pieces), most)
            index, count, pieces = index + 1, 0, []
    if pieces:
        yield Unit(index, tuple(pieces))


def require_unchanged(plan: BatchPlan, unit: Unit) -> None:
    """Raise Conflict where a file has changed that the unit reads: its rows would be of another source."""
    for piece in unit.pieces:
        file = plan.files[piece.file]
        if facts_of(Path(file.path)) != file.facts:
            raise Conflict(
                f"{file.path}: has changed since the run was planned. Start a new run for what is there now."
            )
