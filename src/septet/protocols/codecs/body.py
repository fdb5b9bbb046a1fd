"""What every body codec decodes to."""

from typing import Final

import msgspec
import numpy as np

from septet.errors import Invalid, Problem
from septet.types import Array, Tensors

FORMS = ("data", "records", "inputs")
_QUOTE: Final = ord('"')
# Bytes from which numpy finds all quotes sooner than `bytes.count` does: where there are many, ten times.
_LARGE: Final = 4096


class Body(msgspec.Struct, frozen=True, gc=False):
    """The tensors of a request body, its rows, and the id it carries, if any."""

    tensors: Tensors
    rows: int
    id: str | None = None


def count_quotes(body: bytes) -> int:
    """How many quotes a body has."""
    if len(body) < _LARGE:
        return body.count(b'"')
    return int(np.count_nonzero(np.frombuffer(body, np.uint8) == _QUOTE))


def check_rows(rows: int, max_rows: int) -> None:
    """Refuse an empty batch and one over the limit.

    Raises:
        Invalid: there is no row, or more than `max_rows`.
    """
    if rows == 0:
        raise Invalid("The request has no rows. Send at least one.", (Problem(None, None, "at least 1 row", "0 rows"),))
    if rows > max_rows:
        text = f"The request has {rows} rows and the limit is {max_rows}. Split it into several requests."
        raise Invalid(text, (Problem(None, None, f"at most {max_rows} rows", f"{rows} rows"),))


def one_form(given: list[str]) -> Invalid:
    """The error for a body with none, or several, of the three forms (C-2: no payload is ever assumed)."""
    got = " and ".join(f"'{name}'" for name in given) or "none of them"
    text = f"The body must have exactly one of 'data', 'records' or 'inputs', and has {got}."
    return Invalid(text, (Problem(None, None, "exactly one of 'data', 'records', 'inputs'", got),))


def same_rows(arrays: dict[str, Array]) -> int:
    """The number of rows on axis 0 of every array.

    Raises:
        Invalid: they differ.
    """
    counts = {name: len(array) for name, array in arrays.items()}
    if len(set(counts.values())) > 1:
        first, *others = counts.items()
        name, count = next(item for item in others if item[1] != first[1])
        text = f"Every input must have the same number of rows: {first[0]!r} has {first[1]} and {name!r} has {count}."
        raise Invalid(text, (Problem(None, name, f"{first[1]} rows", f"{count} rows"),))
    return next(iter(counts.values()))
