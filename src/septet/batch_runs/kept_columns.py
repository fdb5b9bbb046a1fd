"""Columns of a source that are carried over as they are: keys, by which answers are joined to their rows."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import UNSET

from septet.errors import Problem
from septet.model.received import received
from septet.tables.arrow_values import pa
from septet.tables.column_batch import ColumnBatch, TableForm, Values
from septet.tables.json_table import json_text

#: The types of a column of JSON, by those of its values in the first rows; what is mixed or nested is kept as JSON.
_OF_JSON: Final[Mapping[frozenset[type], str]] = {
    frozenset({bool}): "bool",
    frozenset({int}): "int64",
    frozenset({float}): "double",
    frozenset({int, float}): "double",
    frozenset({str}): "string",
}
#: How a column is kept that has no such type.
JSON_TEXT: Final = "json"


class KeptColumn(msgspec.Struct, frozen=True):
    """A column by its name and the one that it gets, with its type in Arrow where the source does not state it."""

    name: str
    target: str
    type: str | None = None


def kept_columns(names: Mapping[str, str], first: ColumnBatch | None) -> Sequence[KeptColumn]:
    """The columns to carry over, with the names that they get.

    `first` are the first rows of a source without types; None of one with types.
    """
    if first is None:
        return [KeptColumn(*each) for each in names.items()]
    if first.form is TableForm.TEXTS:
        return [KeptColumn(*each, "string") for each in names.items()]
    return [KeptColumn(*each, _type_of_json(first.columns.get(each[0], ()))) for each in names.items()]


def kept_field(column: KeptColumn, schema: pa.Schema | None) -> pa.Field:
    """The column as a field of what is written."""
    if column.type is None and schema is not None:
        return schema.field(column.name).with_name(column.target)
    return pa.field(
        column.target, pa.string() if column.type == JSON_TEXT else pa.type_for_alias(column.type or "string")
    )


def kept_array(column: KeptColumn, batch: ColumnBatch) -> tuple[pa.Array, list[Problem]]:
    """The column's values in some rows, and what does not have the type that it had in the first rows."""
    values = batch.columns.get(column.name)
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values, []
    kind = kept_field(column, None).type
    if values is None:
        return pa.nulls(batch.rows, kind), []
    cells: list[Any] = [None if value is UNSET else value for value in values]
    if column.type == JSON_TEXT:
        return pa.array([None if cell is None else json_text(cell) for cell in cells], kind), []
    problems = []
    if not _all_fit(cells, column.type):
        for at, cell in enumerate(cells):
            if not _all_fit([cell], column.type):
                what = f"{kind}, as in the first rows"
                problems.append(Problem(batch.first_row + at, column.name, what, received(cell)))
                cells[at] = None
    return pa.array(cells, kind), problems


def _type_of_json(values: Values) -> str:
    types = frozenset(type(value) for value in values if value is not None and value is not UNSET)
    return _OF_JSON.get(types, JSON_TEXT)


def _all_fit(cells: Sequence[Any], kind: str | None) -> bool:
    types = frozenset(map(type, cells)) - {type(None)}
    if types and kind not in {_OF_JSON.get(types), "double" if types == {int} else None}:
        return False
    if kind == "double":
        return all(type(cell) is not int or cell == float(cell) for cell in cells if cell is not None)
    return kind != "int64" or all(-(2**63) <= cell < 2**63 for cell in cells if cell is not None)
