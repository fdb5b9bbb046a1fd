"""What every body codec decodes to."""

from typing import Final

import msgspec
import numpy as np

from septet.errors import Invalid, Problem
from septet.types import Tensors

_QUOTE: Final = ord('"')
# Bytes from which numpy finds all quotes sooner than `bytes.count` does: where there are many, ten times.
_LARGE: Final = 4096


class DecodedBody(msgspec.Struct, frozen=True, gc=False):
    """The tensors of a request body, its rows, and the id it carries, if any."""

    tensors: Tensors
    rows: int
    id: str | None = None


def count_quotes(body: bytes) -> int:
    """How many quotes a body has."""
    if len(body) < _LARGE:
        return body.count(b'"')
    return int(np.count_nonzero(np.frombuffer(body, np.uint8) == _QUOTE))


def count_outside(body: bytes, marks: bytes) -> int:
    """How many of these bytes stand outside of quotes, in time that is linear in the body; no quote is escaped."""
    values = np.frombuffer(body, np.uint8)
    quoted = np.bitwise_xor.accumulate((values == _QUOTE).view(np.uint8)).view(np.bool_)
    return sum(int(np.count_nonzero((values == mark) & ~quoted)) for mark in marks)


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
