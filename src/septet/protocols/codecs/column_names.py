"""Rows and tensors by name: which names are missing, and which the model does not know."""

from collections.abc import Collection, Iterable
from itertools import chain, islice

from septet.errors import MOST_PROBLEMS, Problem
from septet.model.received import shown_key
from septet.model.signature import Signature
from septet.settings import ExtraColumns


class ColumnNames:
    """The columns that a caller may name, for one signature.

    Attributes:
        known: all of them, in the model's order; empty where it has none.
        known_set: the same, to look one up.
        optional: those that may be left out.
    """

    def __init__(self, signature: Signature, extra_columns: ExtraColumns) -> None:
        columns = signature.columns if signature.rows else ()
        self.known = [column.name for column in columns]
        self.known_set = frozenset(self.known)
        self.optional = frozenset(column.name for column in columns if column.optional)
        self._refuses_extra = extra_columns == "refuse"

    def problems(self, given: Iterable[str]) -> list[Problem]:
        """A problem for each name that is needed and not given, and for each that is given, not known and refused.

        There are at most 20.
        """
        names = dict.fromkeys(given)
        needed = [name for name in self.known if name in names or name not in self.optional]
        taken = names if self._refuses_extra else [name for name in names if name in self.known_set]
        return misnamed(taken, needed, "column")


def misnamed(
    given: Iterable[str], known: Collection[str], noun: str, row: int | None = None, *, free: Collection[str] = ()
) -> list[Problem]:
    """A problem for each of the `known` names that is not given, and for each given one that is not known.

    Those that are `free` may be left out. There are at most 20.
    """
    names = dict.fromkeys(given)
    of_model = frozenset(known)
    absent = (name for name in known if name not in names and name not in free)
    unknown = (name for name in names if name not in of_model)
    problems = chain(
        (Problem(row, name, "a value", f"no such {noun}") for name in absent),
        (Problem(row, shown_key(name), f"only the model's {noun}s", f"an unknown {noun}") for name in unknown),
    )
    return list(islice(problems, MOST_PROBLEMS))
