"""Rows of a table -> the answers of a model, row by row: bad rows are told, and the others are answered.

The rows go through the checks and the predictor that the server has, so an answer is the one that a request with that
row would have been given.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import numpy as np

from septet.batch_runs.answer_columns import AnswerColumns
from septet.batch_runs.column_matching import ColumnMatching
from septet.columns.conversion import TableConverter
from septet.errors import Problem, SeptetError
from septet.model.received import received
from septet.model.validation import Checker
from septet.service import Service
from septet.tables.arrow_values import pa, values_of
from septet.tables.column_batch import ColumnBatch, TableForm, Values
from septet.types import Array, Request, Tensors

#: Rows that are asked for at once where each is run by itself.
AT_ONCE: Final = 64


class ScoredRows(msgspec.Struct, frozen=True, eq=False):
    """What became of some rows.

    Attributes:
        good: the places of those that have an answer, in their order.
        answers: of these, by the names of their columns.
        problems: what is wrong with the others, in the order of the rows, which count from the start of the part.
    """

    good: Array
    answers: Mapping[str, pa.Array]
    problems: Sequence[Problem]


class RowScorer:
    """Scores batches with one service, whose columns are found by a matching.

    Where a row's answer among others is not proven to be the same to the bit, each row is asked for alone. Then the
    service must run no two requests together.
    """

    def __init__(self, service: Service, matching: ColumnMatching) -> None:
        self._service = service
        self._matching = matching
        self._converter = TableConverter(service.signature, extra_columns="ignore", every_problem=True)
        self._checker = Checker(service.signature)
        self._answers = AnswerColumns(service.signature)
        self._together = runs_together(service)

    async def score(self, batch: ColumnBatch, name: str) -> ScoredRows:
        """Answer the rows of a batch; requests are named `name` and their place.

        Raises:
            SeptetError: the model, and not a row, is at fault.
        """
        conversion = self._converter(self._of_model(batch))
        wrong: dict[int, list[Problem]] = {}
        for problem in conversion.problems:
            wrong.setdefault((problem.row or 0) - batch.first_row, []).append(self._told(problem, batch))
        for row, problems in self._checker.by_row(conversion.tensors).items():
            # Of a bad row the tensors mean nothing.
            if row not in wrong:
                wrong[row] = [
                    self._told(msgspec.structs.replace(each, row=batch.first_row + row), batch) for each in problems
                ]
        good = np.ones(batch.rows, np.bool_)
        good[list(wrong)] = False
        places = np.flatnonzero(good)
        tensors = conversion.tensors
        if wrong:
            tensors = {each: array[places] for each, array in tensors.items()}
        parts = await self._answered(tensors, places, name, wrong, batch.first_row)
        if len(wrong) != batch.rows - len(places):
            places = np.array([place for place in places.tolist() if place not in wrong], np.intp)
        problems_told = [problem for row in sorted(wrong) for problem in wrong[row]]
        return ScoredRows(places, self._answers(_joined(parts, self._answers)), problems_told)

    def _of_model(self, batch: ColumnBatch) -> ColumnBatch:
        """The model's columns under the names that they have there."""
        found: dict[str, Values] = {}
        for name, there in self._matching.inputs.items():
            values = batch.columns.get(there)
            if values is not None:
                found[name] = values_of(values) if isinstance(values, pa.Array | pa.ChunkedArray) else values
        form = batch.form
        if not self._service.signature.columns and form is TableForm.COLUMNS:
            form = TableForm.INPUTS
        return ColumnBatch(found, batch.rows, batch.first_row, form, batch.problems)

    def _told(self, problem: Problem, batch: ColumnBatch) -> Problem:
        """The problem by the source's name of its column; a null as what it is, and not as the NaN that it became."""
        if problem.column is None or problem.row is None:
            return problem
        there = self._matching.inputs.get(problem.column, problem.column)
        values, shown = batch.columns.get(there), problem.received
        if isinstance(values, pa.Array | pa.ChunkedArray) and not values[problem.row - batch.first_row].is_valid:
            shown = received(None)
        return msgspec.structs.replace(problem, column=there, received=shown)

    async def _answered(
        self, tensors: Tensors, places: Array, name: str, wrong: dict[int, list[Problem]], first_row: int
    ) -> list[Tensors]:
        """The answers to rows at these places; one that the model cannot answer becomes wrong."""
        found: list[Tensors] = []
        count = len(places)
        if self._together:
            # Halves of what failed, until the rows that do are alone.
            waiting = [(0, count)] if count else []
            while waiting:
                start, stop = waiting.pop()
                outcome = await self._asked(tensors, start, stop, name)
                if isinstance(outcome, SeptetError) and stop - start > 1:
                    middle = (start + stop) // 2
                    waiting += [(middle, stop), (start, middle)]
                else:
                    self._note(outcome, int(places[start]), found, wrong, first_row)
            return found
        for start in range(0, count, AT_ONCE):
            rows = range(start, min(start + AT_ONCE, count))
            outcomes = await asyncio.gather(*(self._asked(tensors, row, row + 1, name) for row in rows))
            for row, outcome in zip(rows, outcomes, strict=True):
                self._note(outcome, int(places[row]), found, wrong, first_row)
        return found

    async def _asked(self, tensors: Tensors, start: int, stop: int, name: str) -> Tensors | SeptetError:
        part = {each: array[start:stop] for each, array in tensors.items()}
        request = Request(part, stop - start, f"{name}-{start}", self._answers.outputs)
        try:
            return (await self._service.predictor.predict(request)).tensors
        except SeptetError as error:
            return error

    @staticmethod
    def _note(
        outcome: Tensors | SeptetError,
        place: int,
        found: list[Tensors],
        wrong: dict[int, list[Problem]],
        first_row: int,
    ) -> None:
        if isinstance(outcome, SeptetError):
            wrong[place] = [Problem(first_row + place, None, "a row that the model can answer", outcome.message)]
        else:
            found.append(outcome)


def runs_together(service: Service) -> bool:
    """Whether rows may share a run: the answers are then the same to the bit as those to each row alone."""
    merging = service.merging()
    return merging.merged and merging.exact


def _joined(parts: Sequence[Tensors], answers: AnswerColumns) -> Tensors:
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return answers.nothing()
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
