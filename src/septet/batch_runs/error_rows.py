"""The table of errors: of each bad row where it is, what was expected there, and what was received."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from septet.batch_runs.batch_run import UnitResult
from septet.errors import Problem
from septet.tables.arrow_values import pa
from septet.tables.feather_table import FeatherReader, FeatherWriter
from septet.tables.file_formats import file_format
from septet.tables.table_file import FilePart

_TEXTS: Final = ("column", "expected", "received", "keys")
# Of a unit: the files by their places in the plan, the rows from the first one of the file that the unit reads.
_OF_UNIT: Final = pa.schema(
    [pa.field("file", pa.int64()), pa.field("row", pa.int64()), *(pa.field(name, pa.string()) for name in _TEXTS)]
)
_OF_RUN: Final = pa.schema(
    [pa.field("source", pa.string()), pa.field("row", pa.int64()), *(pa.field(name, pa.string()) for name in _TEXTS)]
)


class UnitErrors:
    """Writes the bad rows of one unit; there is no file where there are none."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: FeatherWriter | None = None

    def write(
        self, file: int, problems: Sequence[Problem], rows: Sequence[int], keys: Sequence[Mapping[str, Any]]
    ) -> None:
        """Write problems of a file with their rows, and the columns that are carried over of each."""
        if not problems:
            return
        if self._writer is None:
            self._writer = FeatherWriter(self._path, _OF_UNIT)
        columns = [
            [file] * len(problems),
            list(rows),
            [problem.column for problem in problems],
            [problem.expected for problem in problems],
            [problem.received for problem in problems],
            [msgspec.json.encode(each, enc_hook=str).decode() if each else None for each in keys],
        ]
        self._writer.write(pa.table([pa.array(*each) for each in zip(columns, _OF_UNIT.types, strict=True)], _OF_UNIT))

    def close(self) -> None:
        """Write what comes after the last."""
        if self._writer is not None:
            self._writer.close()


def write_errors(path: Path, units: Iterable[tuple[UnitResult, Path]], files: Sequence[str], rows: int) -> None:
    """Join the bad rows of all units, in their order, as one file; rows count from the start of each source file."""
    writer = file_format(path).write(path, _OF_RUN)
    before: dict[int, int] = {}
    for result, errors in units:
        if result.problems:
            reader = FeatherReader(errors)
            for part in reader.parts(rows):
                for table in _tables(reader, part, rows):
                    places = table.column("file").to_pylist()
                    offsets = [before.get(place, 0) for place in places]
                    counted = pa.compute.add(table.column("row"), pa.array(offsets, pa.int64()))
                    sources = pa.array([files[place] for place in places], pa.string())
                    columns = [sources, counted, *(table.column(name) for name in _TEXTS)]
                    writer.write(pa.table(columns, schema=_OF_RUN))
            reader.close()
        for file, count in result.rows_by_file.items():
            before[file] = before.get(file, 0) + count
    writer.close()


def _tables(reader: FeatherReader, part: FilePart, rows: int) -> Iterable[pa.Table]:
    for batch in reader.batches(part, _OF_UNIT.names, rows):
        yield pa.table(dict(batch.columns), schema=_OF_UNIT)
