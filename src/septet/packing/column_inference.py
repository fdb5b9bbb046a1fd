"""The columns of a signature, inferred from the data and from what the fitted estimator declares to accept."""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from septet.model.signature import Column, Scalar
from septet.packing.training_table import TrainingTable, require_types
from septet.runtimes.sklearn.sklearn_columns import ColumnFact, MissingValues, read_facts
from septet.runtimes.sklearn.sklearn_names import placed

# Types that a missing value turns into another one, unless the data have it already.
_FIXED = ("bool",)


class InferredColumns(msgspec.Struct, frozen=True):
    """The columns that the signature declares.

    Attributes:
        columns: in the order of the data; those which no request can carry, and nobody reads, are left out.
        unseen: the names of those that may be missing by what the estimator declares, not by the data.
        left_out: the names of those that are left out.
    """

    columns: tuple[Column, ...]
    unseen: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


def facts_by_column(model: Any, rows: TrainingTable, known: Sequence[str] | None) -> list[ColumnFact]:
    """What the estimator accepts in each column of the data; a column that it does not know is not used."""
    given = [column.name for column in rows.columns]
    names = given if known is None else list(known)
    try:
        facts = read_facts(model, names)
    except Exception:  # noqa: BLE001 - a foreign estimator may be built in any way; then it declares nothing
        facts = [ColumnFact()] * len(names)
    if known is None:
        return facts if len(facts) == len(given) else [ColumnFact()] * len(given)
    found = {place: fact for place, fact in zip(placed(given, names), facts, strict=True) if place is not None}
    return [found.get(place, ColumnFact(missing=MissingValues.STOPS, used=False)) for place in range(len(given))]


def unread_names(model: Any, known: Sequence[str]) -> list[str]:
    """Those of the names of a model that none of its estimators reads."""
    try:
        facts = read_facts(model, known)
    except Exception:  # noqa: BLE001 - as above
        return []
    return [name for name, fact in zip(known, facts, strict=True) if not fact.used]


def infer_columns(rows: TrainingTable, facts: Sequence[ColumnFact]) -> InferredColumns:
    """Join the columns of the data with what the estimator declares.

    Raises:
        Invalid: a column that the model reads holds values that no request can carry.
    """
    columns: list[Column] = []
    unseen: list[str] = []
    left: list[str] = []
    require_types([given for given, fact in zip(rows.columns, facts, strict=True) if fact.used])
    for given, fact in zip(rows.columns, facts, strict=True):
        if not fact.used:
            if given.fault and given.data.dtype.kind != "f":
                left.append(given.name)
            else:
                columns.append(_unread(given.column))
            continue
        column = _with_categories(given.column, fact)
        able = column.dtype not in _FIXED and not given.wide
        if not column.nullable and fact.missing is not MissingValues.REFUSED and able:
            column = msgspec.structs.replace(column, nullable=True)
            unseen.append(given.name)
        columns.append(column)
    return InferredColumns(tuple(columns), tuple(unseen), tuple(left))


def _unread(column: Column) -> Column:
    others = column.categories is not None
    return msgspec.structs.replace(column, optional=True, nullable=True, other_categories=others)


def _with_categories(column: Column, fact: ColumnFact) -> Column:
    if column.categories is not None:
        return msgspec.structs.replace(column, other_categories=fact.categories is not None and fact.other_categories)
    if fact.categories is None:
        return column
    values = _as(fact.categories, column.dtype)
    if values is None or not values:
        return column
    return msgspec.structs.replace(column, categories=values, other_categories=fact.other_categories)


def _as(values: Sequence[Scalar], dtype: str) -> tuple[Scalar, ...] | None:
    """Categories as values of a column's dtype; None where they are not."""
    if dtype == "string":
        return tuple(values) if all(isinstance(value, str) for value in values) else None
    # Moments, and whatever else a model lists, are not listed in a signature.
    if not all(isinstance(value, (bool, int, float)) for value in values):
        return None
    numbers = [float(value) for value in values]
    if dtype.startswith("float"):
        return tuple(numbers) if all(np.isfinite(numbers)) else None
    if dtype == "bool":
        return tuple(bool(value) for value in values) if set(numbers) <= {0.0, 1.0} else None
    whole = all(isinstance(value, int) or float(value).is_integer() for value in values)
    return tuple(int(value) for value in values) if whole and dtype in ("int64", "uint64") else None
