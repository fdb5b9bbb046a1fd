"""What every body codec decodes to."""

import math
from typing import Final

import msgspec
import numpy as np

from septet.errors import Invalid, Malformed, Problem
from septet.lengthy_work import leave_loop
from septet.model.signature import Signature
from septet.types import Tensors

_QUOTE: Final = ord('"')
_MARKS: Final = b",[{"
_DEEP: Final = b"[" * 1000
# Bytes from which numpy finds all quotes sooner than `bytes.count` does: where there are many, ten times.
_LARGE: Final = 4096
#: Bytes from which the marks of a body of JSON are counted before it is parsed.
COUNTED_BYTES: Final = 1 << 16
# Keys and values beside the rows.
_BESIDE: Final = 1024


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


def most_marks(signature: Signature, max_rows: int) -> int | None:
    """The most commas and opening brackets that JSON of so many rows has, twice as many; None where nothing bounds it.

    Where a size is free, nothing does.
    """
    marks = 2
    for tensor in signature.inputs:
        inner = tensor.shape[1:] if signature.rows else tensor.shape
        if None in inner:
            return None
        nested = [math.prod(size or 0 for size in inner[:depth]) for depth in range(len(inner) + 1)]
        marks += sum(nested) + nested[-1]
    return 2 * marks * (max_rows if signature.rows else 1) + _BESIDE


def check_marks(body: bytes, most: int, max_rows: int) -> None:
    """Refuse JSON of more values than rows can have before they are parsed: of each value it may make an object.

    Raises:
        Malformed: it is nested too deeply.
        Invalid: it has more than `most` commas and opening brackets outside of texts.
    """
    values = np.frombuffer(body, np.uint8)
    if sum(int(np.count_nonzero(values == mark)) for mark in _MARKS) <= most:
        return
    leave_loop()
    if b"\\" in body:
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    if count_outside(body, _MARKS) > most:
        if _DEEP in body:
            raise Malformed("The body is nested too deeply.")
        text = f"The request has more values than {max_rows} rows have, which is the limit."
        raise Invalid(
            f"{text} Split it into several requests.", (Problem(None, None, f"at most {max_rows} rows", "more"),)
        )


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
