"""Rows and tensors by name: which names are missing, and which the model does not know."""

from collections.abc import Collection, Iterable

from septet.errors import Problem
from septet.protocols.cells import shown_key


def misnamed(
    given: Iterable[str], known: Collection[str], noun: str, row: int | None = None, *, free: Collection[str] = ()
) -> list[Problem]:
    """A problem for each of the `known` names that is not given, and for each given one that is not known.

    Those that are `free` may be left out.
    """
    names = dict.fromkeys(given)
    needed = [name for name in known if name not in free]
    problems = [Problem(row, name, "a value", f"no such {noun}") for name in needed if name not in names]
    return problems + [
        Problem(row, shown_key(name), f"only the model's {noun}s", f"an unknown {noun}")
        for name in names
        if name not in known
    ]
