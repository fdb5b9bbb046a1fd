"""Batches of a table <-> the tensors of a model, by its signature.

A value that does not fit is named with its row and is no reason to refuse the others: every bad row is known after one
pass. Only a table that is no table of this model (a column is missing, or is unknown) is refused as a whole.
"""

import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import msgspec
import numpy as np
from msgspec import UNSET

from septet.columns.casting import Caster, uncarried
from septet.columns.cell_texts import ColumnTexts
from septet.columns.stacking import completed, missing, stacked_inputs, unstacked
from septet.errors import MOST_PROBLEMS, Invalid, Problem, invalid
from septet.model.received import received, shape_text, shown_key, shown_names
from septet.model.signature import DTYPES, Column, Signature, Tensor
from septet.model.values import bare, holds_missing, is_optional
from septet.settings import ExtraColumns
from septet.tables.column_batch import ColumnBatch, TableForm, Values
from septet.types import Array, Tensors

_SHOWN_NAMES = 10
#: Problems of a batch that are collected, to tell the first ones by rows.
MOST_COLLECTED = 1000


class Conversion(msgspec.Struct, frozen=True):
    """The rows of a batch as tensors.

    Attributes:
        tensors: of all rows; those of a bad row mean nothing.
        rows: how many.
        problems: what is wrong with them, by rows of the table, in their order: of each column or input the first 20,
            where not every one was asked for.
        noun: what `Problem.column` names: a column or an input.
    """

    tensors: Tensors
    rows: int
    problems: tuple[Problem, ...] = ()
    noun: str = "column"

    def checked(self) -> Tensors:
        """The tensors of rows that are all good.

        Raises:
            Invalid: one is bad.
        """
        if self.problems:
            raise invalid(self.problems[:MOST_PROBLEMS], self.noun)
        return self.tensors


class TableConverter:
    """Converts for one signature with rows; `extra_columns` says what becomes of columns that the model does not have.

    `every_problem` asks for each value that does not fit, however many they are. Bounds, categories and missing values
    are asked of the tensors, by `septet.model.validation`.
    """

    def __init__(
        self, signature: Signature, *, extra_columns: ExtraColumns = "refuse", every_problem: bool = False
    ) -> None:
        self._inputs = signature.inputs
        self._columns = signature.columns
        self._names = [column.name for column in signature.columns]
        self._refuses_extra = extra_columns == "refuse"
        carriers = [tensor.dtype for tensor in signature.inputs for _ in tensor.columns] if self._columns else []
        self._most, self._most_collected = MOST_PROBLEMS, MOST_COLLECTED
        if every_problem:
            self._most = self._most_collected = sys.maxsize
        columns = zip(self._columns, carriers, strict=True)
        self._each = [_ColumnConverter(*each, self._most) for each in columns]

    def __call__(self, batch: ColumnBatch) -> Conversion:
        """The tensors of a batch.

        Raises:
            Invalid: its columns are not those of the model.
        """
        if not self._columns or batch.form is TableForm.INPUTS:
            return self._of_inputs(batch)
        problems: list[Problem] = []
        given = self._given(batch, problems)
        parts = []
        for converter, values in zip(self._each, given, strict=True):
            array, wrong = converter(values, batch)
            parts.append(array)
            problems += wrong
            if len(problems) >= self._most_collected:
                raise invalid(self._with_misshapen(problems, batch)[:MOST_PROBLEMS])
        return Conversion(stacked_inputs(parts, self._inputs), batch.rows, self._with_misshapen(problems, batch))

    def columns(self, tensors: Tensors) -> dict[str, Array]:
        """The columns of tensors, each [N] in its own dtype; the tensors themselves where the model has no columns."""
        if not self._columns:
            return dict(tensors)
        parts = unstacked(tensors, self._inputs)
        return {column.name: uncarried(parts[column.name], column) for column in self._columns}

    def _with_misshapen(self, problems: list[Problem], batch: ColumnBatch) -> tuple[Problem, ...]:
        """The problems in the order of the rows, with those of the table, whose rows have no others."""
        if batch.problems:
            bad = {problem.row for problem in batch.problems}
            problems = [problem for problem in problems if problem.row not in bad]
            problems += map(self._with_names, batch.problems)
        problems.sort(key=lambda problem: problem.row or 0)
        return tuple(problems)

    def _with_names(self, problem: Problem) -> Problem:
        """Rows of lists have no names in their table, and have them here."""
        if not self._names or not problem.expected.startswith("a list of"):
            return problem
        return msgspec.structs.replace(problem, expected=self._a_row())

    def _a_row(self) -> str:
        names = ", ".join(self._names[:_SHOWN_NAMES]) + (", …" if len(self._names) > _SHOWN_NAMES else "")
        return f"a list of {len(self._names)} values ({names})"

    def _given(self, batch: ColumnBatch, problems: list[Problem]) -> list[Values | None]:
        """The values of each of the model's columns; None where it may be left out and is."""
        if batch.form is TableForm.LISTS:
            if len(batch.columns) != len(self._names):
                what = f"a list of {len(batch.columns)}"
                raise invalid([Problem(batch.first_row, None, self._a_row(), what)])
            return list(batch.columns.values())
        found = self._by_name(batch)
        if batch.form is TableForm.RECORDS:
            problems += islice(self._unknown_keys(batch), self._most_collected)
        return [found.get(name) for name in self._names]

    def _by_name(self, batch: ColumnBatch) -> dict[str, Values]:
        known = set(self._names)
        if batch.form is TableForm.RECORDS:
            return {name: values for name, values in batch.columns.items() if name in known}
        noun = "column in the header row" if batch.form is TableForm.TEXTS else "column"
        found: dict[str, Values] = {}
        problems: list[Problem] = []
        for given, values in batch.columns.items():
            name = given if given in known else given.strip()
            if len(problems) >= MOST_PROBLEMS:
                break
            if name in found:
                problems.append(Problem(None, name, "each column once", "twice"))
            elif name in known:
                found[name] = values
            elif self._refuses_extra:
                problems.append(Problem(None, shown_key(name), "only the model's columns", "an unknown column"))
        absent = [
            Problem(None, each.name, f"a {noun}", "no such column")
            for each in self._each
            if each.needed and each.name not in found
        ]
        if absent or problems:
            raise invalid(absent + problems)
        return found

    def _unknown_keys(self, batch: ColumnBatch) -> Iterator[Problem]:
        """Of each row, the keys that the model does not have."""
        known = set(self._names)
        for name, values in batch.columns.items():
            if self._refuses_extra and name not in known:
                for at, value in enumerate(values):
                    if value is not UNSET:
                        yield Problem(
                            batch.first_row + at, shown_key(name), "only the model's columns", "an unknown column"
                        )

    def _of_inputs(self, batch: ColumnBatch) -> Conversion:
        noun = "column" if self._columns else "input"
        problems: list[Problem] = []
        arrays: dict[str, Array] = {}
        given = self._named_inputs(batch)
        for tensor in self._inputs:
            if tensor.name in given:
                arrays[tensor.name], wrong = _converted(tensor, given[tensor.name], batch.first_row, self._most)
                problems += wrong
        tensors = completed(self._inputs, arrays, batch.rows)
        return Conversion(tensors, batch.rows, self._with_misshapen(problems, batch), noun)

    def _named_inputs(self, batch: ColumnBatch) -> dict[str, Values]:
        names = [tensor.name for tensor in self._inputs]
        if batch.form is TableForm.LISTS and len(names) == 1:
            return {names[0]: _rows_of(list(batch.columns.values()), len(self._inputs[0].shape))}
        if batch.form not in (TableForm.INPUTS, TableForm.COLUMNS):
            shown = shown_names(names)
            text = f"This model has no named columns; send 'inputs' with the tensors {shown}."
            form = "data" if batch.form is TableForm.LISTS else "records"
            raise Invalid(text, (Problem(None, form, "'inputs'", f"{form!r}"),))
        problems = [
            Problem(None, tensor.name, "a value", "no such key")
            for tensor in self._inputs
            if tensor.name not in batch.columns and not is_optional(tensor)
        ]
        known, what = frozenset(names), f"one of {shown_names(names, quoted=False)}"
        problems += [
            Problem(None, shown_key(name), what, "an unknown input") for name in batch.columns if name not in known
        ]
        if problems:
            raise invalid(problems, "input")
        return dict(batch.columns)


class _ColumnConverter:
    """Converts the values of one column, whatever the table is made of; tells `most` problems of a batch, or more.

    Attributes:
        name: the column's.
        needed: whether each row must have it.
    """

    def __init__(self, column: Column, carrier: str, most: int) -> None:
        self._most = most
        self.name = column.name
        self.needed = not (column.optional and holds_missing(carrier))
        self._tensor = Tensor(column.name, carrier, (None,), (column,))
        self._caster = Caster(carrier, (column,))
        # A matrix has one dtype for all its columns, as the tensor has.
        self._matrix_caster = Caster(carrier, (column,), carried=True)
        self._texts = ColumnTexts(column, carrier)

    def __call__(self, values: Values | None, batch: ColumnBatch) -> tuple[Array, list[Problem]]:
        """The values in the dtype of their tensor, [N], and what is wrong with them.

        Raises:
            Invalid: no value of an array's dtype is one of the column.
        """
        if values is None:
            return self._absent(batch)
        if isinstance(values, np.ndarray):
            array, wrong = self._from_array(values, batch)
        elif batch.form is TableForm.TEXTS:
            array, wrong = self._texts(values, self._most)
        else:
            quick = self._caster.quick(values)
            if quick is not None:
                return quick, []
            if batch.form is TableForm.RECORDS:
                return self._from_records(values, batch.first_row)
            array, wrong = self._caster.listed(values, (len(values),), self._most)
        if not wrong:
            return array, []
        return array, self._caster.problems(array.shape, wrong, values.__getitem__, batch.first_row)

    def _from_records(self, values: Sequence[Any], first_row: int) -> tuple[Array, list[Problem]]:
        """Values of which each may be left out."""
        unset = [at for at, value in enumerate(values) if value is UNSET]
        cells = [None if value is UNSET else value for value in values]
        # Of the values that are left out each may be wrong, too.
        array, wrong = self._caster.listed(cells, (len(cells),), self._most + len(unset))
        for at in unset:
            wrong.pop(at, None)
        unset = unset[: self._most]
        problems = self._caster.problems(array.shape, wrong, cells.__getitem__, first_row)
        return array, problems + ([self._no_key(first_row + at) for at in unset] if self.needed else [])

    def _from_array(self, values: Array, batch: ColumnBatch) -> tuple[Array, dict[int, str]]:
        caster = self._caster
        if batch.form is TableForm.LISTS and values.dtype.kind in "iufb":
            caster = self._matrix_caster
            if values.dtype.kind == "b" and self._tensor.dtype != "bool":
                values = values.astype(np.uint8)
        if not caster.takes(values):
            raise invalid([Problem(None, self.name, caster.expected, f"an array of {values.dtype}")])
        return caster(values, self._most)

    def _absent(self, batch: ColumnBatch) -> tuple[Array, list[Problem]]:
        if self.needed:
            blank = np.zeros(batch.rows, DTYPES[self._tensor.dtype])
            return blank, [self._no_key(batch.first_row + at) for at in range(min(batch.rows, self._most))]
        return missing(self._tensor, batch.rows), []

    def _no_key(self, row: int) -> Problem:
        return Problem(row, self.name, "a value", "no such key")


def _rows_of(columns: Sequence[Values], rank: int) -> Values:
    """The rows of a tensor of any rank, of what stands at each place of its axis 1."""
    if rank == 1 and len(columns) == 1:
        return columns[0]
    if all(isinstance(values, np.ndarray) for values in columns):
        return np.stack([np.asarray(values) for values in columns], axis=1)
    return list(map(list, zip(*columns, strict=True)))


def _converted(tensor: Tensor, values: Values, first_row: int, most: int) -> tuple[Array, list[Problem]]:
    """The rows of an input of any shape, and what is wrong with them: `most` problems, or more.

    Raises:
        Invalid: they come as an array, and its shape or dtype is another one.
    """
    row_shape = tensor.shape[1:]
    array = values if isinstance(values, np.ndarray) else np.array(values, dtype=object)
    if row_shape == (1,) and array.ndim == 1:
        array = array.reshape(-1, 1)
    caster = Caster(tensor.dtype, tensor.columns or (bare(tensor),), carried=True)
    if isinstance(values, np.ndarray):
        _require_fit(tensor, array, caster)
    if not _fits(array.shape[1:], row_shape):
        blank = np.zeros((len(array), *(size or 1 for size in row_shape)), DTYPES[tensor.dtype])
        return blank, list(islice(_misshapen(tensor, array, first_row), most))
    found, wrong = caster(array, most)
    return found, caster.problems(array.shape, wrong, array.reshape(-1).__getitem__, first_row)


def _require_fit(tensor: Tensor, array: Array, caster: Caster) -> None:
    if not _fits(array.shape[1:], tensor.shape[1:]):
        wanted, shape = shape_text(tensor.shape), list(array.shape)
        text = f"The array's shape is {shape} and the model takes {wanted}."
        raise Invalid(text, (Problem(None, None, f"shape {wanted}", f"shape {shape}"),))
    if not caster.takes(array):
        wanted = {"string": "text", "bytes": "bytes as objects"}.get(tensor.dtype, tensor.dtype)
        text = f"The array's dtype is {array.dtype} and the model takes {wanted}."
        raise Invalid(text, (Problem(None, None, f"dtype {wanted}", f"dtype {array.dtype}"),))


def _misshapen(tensor: Tensor, array: Array, first_row: int) -> Iterator[Problem]:
    """Name the rows whose lists are not nested as the input has it; the first good one says how long a free axis is."""
    wanted = tensor.shape[1:]
    what = f"a list (shape {shape_text(tensor.shape)})" if wanted else "a value"
    for at, row in enumerate(array.tolist()):
        shape = np.array(row, dtype=object).shape
        if _fits(shape, wanted):
            wanted = shape
        else:
            yield Problem(first_row + at, tensor.name, what, received(row))


def _fits(shape: Sequence[int], wanted: Sequence[int | None]) -> bool:
    return len(shape) == len(wanted) and all(
        size is None or size == own for own, size in zip(shape, wanted, strict=True)
    )
