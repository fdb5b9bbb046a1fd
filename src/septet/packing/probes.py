"""Rows on which a compiled model is compared with the native one: a place for every value that may be put anywhere."""

from collections.abc import Sequence

import msgspec
import numpy as np

from septet.model.signature import Column, Signature
from septet.types import Array, Tensors

_MATRIX_RANK = 2


class ColumnPosition(msgspec.Struct, frozen=True):
    """Where a column lies: its tensor, and its number in a row of it (None: the tensor has one value a row).

    `carried` is the tensor's dtype; `free` says that it is no named column, and then takes NaN and infinities.
    """

    tensor: str
    at: int | None
    column: Column
    carried: str
    free: bool = False

    @property
    def numeric(self) -> bool:
        """Whether the values are numbers in a tensor of numbers."""
        return self.carried.startswith(("float", "int", "uint")) or self.carried == "bool"

    @property
    def continuous(self) -> bool:
        """Whether any number may be sent."""
        return self.column.dtype.startswith("float") and self.carried.startswith("float")

    @property
    def listed(self) -> bool:
        """Whether only some values may be sent."""
        return self.column.categories is not None and not self.column.other_categories

    def values(self, tensors: Tensors) -> Array:
        """The column's values, one a row."""
        array = tensors[self.tensor]
        if array.ndim == 1:
            return array
        return array[:, self.at or 0] if array.ndim == _MATRIX_RANK else array.reshape(len(array), -1)[:, 0]

    def fits(self, values: Array) -> Array:
        """Which of the values a request may have in this column."""
        column = self.column
        if self.carried == "string":
            missing = np.array([value is None for value in values.tolist()], dtype=bool)
            known = column.categories if column.categories is not None and not column.other_categories else None
            listed = np.array([known is None or value in known for value in values.tolist()], dtype=bool)
            return np.where(missing, column.nullable, listed)
        if not self.numeric:
            return np.zeros(len(values), dtype=bool)
        numbers = values.astype(np.float64)
        missing = np.isnan(numbers)
        fine = np.ones(len(values), dtype=bool)
        if column.minimum is not None:
            fine &= numbers >= column.minimum
        if column.maximum is not None:
            fine &= numbers <= column.maximum
        if column.categories is not None and not column.other_categories:
            fine &= np.isin(numbers, np.array([float(value) for value in column.categories]))
        if column.dtype == "bool":
            fine &= np.isin(numbers, (0.0, 1.0))
        elif not column.dtype.startswith("float"):
            fine &= (numbers == np.floor(numbers)) & (np.abs(numbers) <= 2.0**53)
        return np.where(missing, column.nullable and self.carried.startswith("float"), fine)


class Probes(msgspec.Struct, frozen=True, eq=False):
    """Rows, and of each why it is one (a number of `reasons`) and which place was changed (-1: none).

    `lenient` rows hold numbers so extreme that a native model which refuses them is not followed.
    """

    tensors: Tensors
    places: tuple[ColumnPosition, ...]
    reasons: tuple[str, ...]
    why: Array
    changed: Array
    lenient: Array

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.why)

    def chosen(self, rows: Array) -> "Probes":
        """Some of the rows, by mask or by number."""
        tensors = {name: array[rows] for name, array in self.tensors.items()}
        return Probes(tensors, self.places, self.reasons, self.why[rows], self.changed[rows], self.lenient[rows])

    def named(self, row: int) -> str:
        """What is special of a row, for people."""
        reason = self.reasons[int(self.why[row])]
        if self.changed[row] < 0:
            return reason
        place = self.places[int(self.changed[row])]
        value = place.values(self.tensors)[row]
        shown = value.item() if isinstance(value, np.generic) else value
        return f"{place.column.name} = {shown!r:.60} ({reason})"


def joined(parts: Sequence[Probes]) -> Probes:
    """Several sets of probes of the same places as one."""
    reasons: list[str] = []
    why = []
    for part in parts:
        why.append(part.why + len(reasons))
        reasons.extend(part.reasons)
    return Probes(
        {name: np.concatenate([part.tensors[name] for part in parts]) for name in parts[0].tensors},
        parts[0].places,
        tuple(reasons),
        np.concatenate(why),
        np.concatenate([part.changed for part in parts]),
        np.concatenate([part.lenient for part in parts]),
    )


def column_positions(signature: Signature, tensors: Tensors) -> tuple[ColumnPosition, ...]:
    """Every place of a row, those without a name included."""
    found = []
    for tensor in signature.inputs:
        width = tensors[tensor.name].shape[1] if tensors[tensor.name].ndim == _MATRIX_RANK else 1
        if tensors[tensor.name].ndim > _MATRIX_RANK:
            continue
        for at in range(width):
            named = (
                tensor.columns[at] if tensor.columns else Column(f"{tensor.name}[{at}]", tensor.dtype, nullable=True)
            )
            single = tensors[tensor.name].ndim == 1
            found.append(ColumnPosition(tensor.name, None if single else at, named, tensor.dtype, not tensor.columns))
    return tuple(found)


def whole(tensors: Tensors, places: tuple[ColumnPosition, ...], reason: str) -> Probes:
    """Rows as they are."""
    count = len(next(iter(tensors.values())))
    zeros = np.zeros(count, dtype=np.int64)
    return Probes(tensors, places, (reason,), zeros, zeros - 1, np.zeros(count, dtype=bool))


def replaced(
    tensors: Tensors,
    places: tuple[ColumnPosition, ...],
    base: Array,
    changed: Array,
    values: Array,
    reason: str,
    *,
    lenient: bool = False,
) -> Probes:
    """Copies of the rows `base` [N] with one place each, `changed` [N], set to `values` [N]; those that fit.

    `values` are float64, or objects for texts.
    """
    keep = np.zeros(len(base), dtype=bool)
    for number in np.unique(changed):
        here = changed == number
        keep[here] = places[int(number)].fits(values[here])
    base, changed, values = base[keep], changed[keep], values[keep]
    copied = {name: array[base] for name, array in tensors.items()}
    for number in np.unique(changed):
        rows = np.flatnonzero(changed == number)
        place = places[int(number)]
        array = copied[place.tensor]
        array[rows if place.at is None else (rows, place.at)] = values[rows].astype(array.dtype)
    zeros = np.zeros(len(base), dtype=np.int64)
    return Probes(copied, places, (reason,), zeros, changed.astype(np.int64), np.full(len(base), lenient))
