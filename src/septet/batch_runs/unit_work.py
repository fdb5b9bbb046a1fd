"""One unit of a run: its rows are read, answered and written under another name, which is then made the right one."""

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from septet.batch_runs.answer_columns import AnswerColumns
from septet.batch_runs.batch_plan import BatchPlan, Unit, require_unchanged
from septet.batch_runs.batch_run import UnitResult
from septet.batch_runs.error_rows import UnitErrors
from septet.batch_runs.kept_columns import kept_array
from septet.batch_runs.row_scoring import RowScorer
from septet.batch_runs.run_output import RunOutput, replace
from septet.errors import Problem
from septet.service import Service
from septet.tables.arrow_values import pa
from septet.tables.column_batch import ColumnBatch
from septet.tables.file_formats import FORMATS
from septet.tables.table_file import FileReader


class UnitWork:
    """Does units of a plan with a service. `told` is called with how many rows were read since, and how many are bad.

    It raises what it wants to stop a unit.
    """

    def __init__(self, plan: BatchPlan, service: Service, output: RunOutput, told: Callable[[int, int], None]) -> None:
        self._plan = plan
        self._output = output
        self._told = told
        self._scorer = RowScorer(service, plan.matching)
        self._answers = AnswerColumns(service.signature)
        self._reader: tuple[str, FileReader] | None = None

    async def do(self, unit: Unit) -> UnitResult:
        """Do a unit; what was written of it before is replaced.

        Raises:
            Conflict: a file has changed since the plan.
            Malformed: a file is damaged.
        """
        begun = time.perf_counter()
        require_unchanged(self._plan, unit)
        part, errors = self._output.part(unit.index), self._output.unit_errors(unit.index)
        unfinished, unfinished_errors = (path.with_name(f".{path.name}") for path in (part, errors))
        bad_writer = UnitErrors(unfinished_errors)
        writer = self._output.part_format.write(unfinished, self._output.schema)
        rows_by_file: dict[int, int] = {}
        bad = lines = 0
        for file, batch in self._batches(unit):
            before = rows_by_file.get(file, 0)
            table, problems = await self._scored(batch, f"unit-{unit.index}-{file}-{before}")
            writer.write(table)
            rows_by_file[file] = before + batch.rows
            if problems:
                rows = [(problem.row or 0) - batch.first_row for problem in problems]
                keys = [{name: _cell(batch, name, row) for name in self._plan.matching.kept} for row in rows]
                bad_writer.write(file, problems, [before + row for row in rows], keys)
            wrong = batch.rows - table.num_rows
            bad, lines = bad + wrong, lines + len(problems)
            self._told(batch.rows, wrong)
        writer.close()
        bad_writer.close()
        # A source that changed while it was read may have been read in part before, and in part after.
        require_unchanged(self._plan, unit)
        replace(unfinished, part)
        if lines:
            replace(unfinished_errors, errors)
        return UnitResult(unit.index, sum(rows_by_file.values()), bad, lines, time.perf_counter() - begun, rows_by_file)

    async def _scored(self, batch: ColumnBatch, name: str) -> tuple[pa.Table, list[Problem]]:
        """The rows that are written, and what is wrong with the others."""
        kept: list[pa.Array] = []
        problems: list[Problem] = []
        for column in self._plan.kept:
            array, wrong = kept_array(column, batch)
            kept.append(array)
            problems += wrong
        scored = await self._scorer.score(batch, name)
        good, answers = scored.good, list(scored.answers.values())
        if problems:
            bad = {(problem.row or 0) - batch.first_row for problem in problems}
            stay = np.array([place not in bad for place in good.tolist()], np.bool_)
            answers = [answer.filter(pa.array(stay)) for answer in answers]
            good = good[stay]
        problems = sorted([*problems, *scored.problems], key=lambda problem: problem.row or 0)
        if len(good) < batch.rows:
            kept = [array.take(pa.array(good)) for array in kept]
        columns = [*kept, *answers, *(pa.repeat(value, len(good)) for value in self._output.provenance.values())]
        schema = self._output.schema
        return pa.table([_as(*each) for each in zip(columns, schema, strict=True)], schema), problems

    def _batches(self, unit: Unit) -> Iterator[tuple[int, ColumnBatch]]:
        """The rows of a unit in batches, each with its file."""
        left = unit.most
        for piece in unit.pieces:
            file = self._plan.files[piece.file]
            columns = [name for name in self._plan.matching.columns if name not in file.partitions]
            for batch in self._opened(file.path).batches(piece.part, columns, self._plan.batch_rows):
                found = batch if left is None or batch.rows <= left else batch.part(0, left)
                yield piece.file, _with_partitions(found, file.partitions)
                if left is not None:
                    left -= found.rows
                    if not left:
                        return

    def _opened(self, path: str) -> FileReader:
        """The reader of a file; neighbouring units often read the same."""
        if self._reader is None or self._reader[0] != path:
            self.close()
            self._reader = path, FORMATS[self._plan.format].read(Path(path))
        return self._reader[1]

    def close(self) -> None:
        """Let go of the file that was read last."""
        if self._reader is not None:
            self._reader[1].close()
            self._reader = None


def _with_partitions(batch: ColumnBatch, partitions: Mapping[str, int | str]) -> ColumnBatch:
    if not partitions:
        return batch
    added = {name: pa.repeat(value, batch.rows) for name, value in partitions.items()}
    return msgspec.structs.replace(batch, columns={**batch.columns, **added})


def _cell(batch: ColumnBatch, name: str, row: int) -> Any:
    values = batch.columns.get(name)
    if values is None:
        return None
    value = values[row]
    return value.as_py() if isinstance(value, pa.Scalar) else None if value is msgspec.UNSET else value


def _as(array: pa.Array, field: pa.Field) -> pa.Array:
    return array if array.type == field.type else array.cast(field.type)
