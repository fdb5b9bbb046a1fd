"""How much JSON the rows of a request can be: what is more is refused before it is parsed.

Of each value a parser may make an object, of ten times the bytes that it has in a body. So where the signature says how
many values a row has, no more are parsed than so many rows have.
"""

import math
from typing import Final

import numpy as np

from septet.errors import Invalid, Malformed, Problem
from septet.lengthy_work import BYTES_ON_LOOP, leave_loop
from septet.model.signature import Signature
from septet.protocols.codecs.decoded_body import count_outside

# With the comma, there is one of these before each value, and one more where it is the first of a list.
_LISTS: Final = b"[{"
_DEEP: Final = b"[" * 1000
# Keys and values beside the rows.
_BESIDE: Final = 1024


class JsonSize:
    """Bounds the JSON bodies of one signature, where no size of it is free.

    Where they are `open_ended`, a row may have values that the model does not: then lists and objects are bounded.

    Attributes:
        unchecked: bytes up to which a body need not be passed to `check`.
    """

    def __init__(self, signature: Signature, max_rows: int, *, open_ended: bool = False) -> None:
        self._max_rows = max_rows
        self._marks = _LISTS if open_ended else _LISTS + b","
        self._most = _most_marks(signature, max_rows, open_ended=open_ended)
        self.unchecked = BYTES_ON_LOOP if self._most is None else min(self._most, BYTES_ON_LOOP)

    def check(self, body: bytes) -> None:
        """Refuse a body of more values than rows can have.

        Raises:
            Malformed: it is nested too deeply.
            Invalid: it has too many values.
            LengthyWork: it is long.
        """
        if len(body) > BYTES_ON_LOOP:
            leave_loop()
        # A mark takes a byte.
        if self._most is not None and len(body) > self._most:
            self._check_marks(body, self._most)

    def _check_marks(self, body: bytes, most: int) -> None:
        values = np.frombuffer(body, np.uint8)
        if sum(int(np.count_nonzero(values == mark)) for mark in self._marks) <= most:
            return
        leave_loop()
        if b"\\" in body:
            body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
        if count_outside(body, self._marks) <= most:
            return
        if _DEEP in body:
            raise Malformed("The body is nested too deeply.")
        text = f"The request has more values than {self._max_rows} rows have, which is the limit."
        problem = Problem(None, None, f"at most {self._max_rows} rows", "more")
        raise Invalid(f"{text} Split it into several requests.", (problem,))


def _most_marks(signature: Signature, max_rows: int, *, open_ended: bool) -> int | None:
    """Twice the marks that JSON of so many rows has, in the longest of its forms; None where a size is free."""
    marks = 2
    for tensor in signature.inputs:
        inner = tensor.shape[1:] if signature.rows else tensor.shape
        if None in inner:
            return None
        nested = [math.prod(size or 0 for size in inner[:depth]) for depth in range(len(inner) + 1)]
        marks += sum(nested[:-1] if open_ended else (*nested, nested[-1]))
    return 2 * marks * (max_rows if signature.rows else 1) + _BESIDE
