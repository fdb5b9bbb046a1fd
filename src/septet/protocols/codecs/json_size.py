"""How much JSON the rows of a request can be: what is more is refused before it is parsed.

Of each value a parser may make an object, of ten times the bytes that it has in a body. So where the signature says how
many values a row has, no more are parsed than so many rows have.
"""

import math
from typing import Final

import numpy as np

from septet.errors import Invalid, Malformed, Problem
from septet.lengthy_work import BYTES_ON_LOOP, VALUES_ON_LOOP, leave_loop
from septet.model.signature import Signature
from septet.model.values import is_text
from septet.protocols.codecs.decoded_body import count_outside, count_quotes
from septet.types import Array

# With the comma, there is one of these before each value, and one more where it is the first of a list.
_LISTS: Final = b"[{"
_COMMA: Final = ord(",")
_DEEP: Final = b"[" * 1000
# Keys and values beside the rows.
_BESIDE: Final = 1024
#: Bytes of a body that may be many values: up to so many of them are read on the loop, in 15 ms or less.
DENSE_BYTES: Final = 1 << 18
# Digits of a number that no type of a model has.
_DIGITS: Final = 512
# Bytes of a text that is no value of the model.
_TEXT_BYTES: Final = 1 << 16


class JsonSize:
    """Bounds the JSON bodies of one signature, where no size of it is free.

    Where they are `open_ended`, a row may have values that the model does not: then lists and objects are bounded.

    Attributes:
        unchecked: bytes up to which a body need not be passed to `check`.
        whole: bytes up to which a body is decoded in one call, in 10 ms or less.

    Where a size is free, texts and keys are bounded, if no input takes texts.
    """

    def __init__(self, signature: Signature, max_rows: int, *, open_ended: bool = False) -> None:
        self._max_rows = max_rows
        self._marks = _LISTS if open_ended else _LISTS + b","
        self._most = _most_marks(signature, max_rows, open_ended=open_ended)
        self._most_quotes = None
        self._texts = any(is_text(tensor.dtype) for tensor in signature.inputs)
        if self._most is None and not self._texts:
            # A row may be an object with a key for each input.
            self._most_quotes = _BESIDE + 2 * (2 + len(signature.inputs)) * max_rows
        self.unchecked = DENSE_BYTES if self._most is None else min(self._most, DENSE_BYTES)
        self.whole = DENSE_BYTES if self._most is None else BYTES_ON_LOOP

    def check(self, body: bytes) -> None:
        """Refuse a body of more values than rows can have.

        Raises:
            Malformed: it is nested too deeply.
            Invalid: it has too many values.
            LengthyWork: it is long.
        """
        if len(body) > BYTES_ON_LOOP or (len(body) > DENSE_BYTES and _count(body, _COMMA) > VALUES_ON_LOOP):
            leave_loop()
        if self._most_quotes is not None and len(body) > self._most_quotes:
            self._check_quotes(body, self._most_quotes)
        # A mark takes a byte.
        if self._most is not None and len(body) > self._most:
            self._check_marks(body, self._most)
        # A shorter body of nothing but one number, or one text, is read within 2 ms.
        if len(body) > BYTES_ON_LOOP:
            _check_digits(body)
            if not self._texts:
                _check_texts(body)

    def _check_quotes(self, body: bytes, most: int) -> None:
        if count_quotes(body) > most:
            what = "numbers alone, and the keys of the protocol"
            raise Invalid(
                "The request has many texts, and the model takes numbers.", (Problem(None, None, what, "texts"),)
            )

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


def _count(body: bytes, mark: int) -> int:
    return int(np.count_nonzero(np.frombuffer(body, np.uint8) == mark))


def _check_digits(body: bytes) -> None:
    """Refuse a number of more digits than any type has: to read them would take long.

    Raises:
        Malformed: there is such a one.
    """
    values = np.frombuffer(body, np.uint8, len(body) // _DIGITS * _DIGITS).reshape(-1, _DIGITS)
    # Of twice as many digits, so many stand in one row; few rows begin with a digit and end with one.
    rows = np.flatnonzero(_is_digit(values[:, 0]) & _is_digit(values[:, -1]) & _is_digit(values[:, _DIGITS // 2]))
    rows = rows[_is_digit(values[rows]).all(axis=1)]
    if not len(rows) or b"\\" in body:
        return
    quotes = np.cumsum(np.count_nonzero(values == ord('"'), axis=1))
    # No quote stands in such a row: those up to it are those before it.
    bare = rows[quotes[rows] % 2 == 0]
    if len(bare):
        raise Malformed(f"The body has a number of more than {_DIGITS} digits, at byte {bare[0] * _DIGITS} of it.")


def _check_texts(body: bytes) -> None:
    """Refuse a long text where the model takes numbers alone.

    Raises:
        Invalid: there is such a one.
    """
    long = _count(body, ord("\\")) > _TEXT_BYTES if b"\\" in body else _has_long_text(body)
    if long:
        what = f"texts of at most {_TEXT_BYTES} bytes, where the model takes numbers"
        raise Invalid("The body has a long text, and the model takes numbers.", (Problem(None, None, what, "more"),))


def _has_long_text(body: bytes) -> bool:
    """Whether a text without escapes is over the limit."""
    count, last = 0, -1
    for start in range(0, len(body), BYTES_ON_LOOP):
        block = np.frombuffer(body, np.uint8, min(BYTES_ON_LOOP, len(body) - start), start)
        places = start + np.flatnonzero(block == ord('"'))
        gaps = np.diff(places, prepend=last)
        # Before every other quote stands a text.
        if (gaps[(count + 1) % 2 :: 2] > _TEXT_BYTES).any():
            return True
        if len(places):
            count, last = count + len(places), int(places[-1])
    return count % 2 == 1 and len(body) - last > _TEXT_BYTES


def _is_digit(values: Array) -> Array:
    return (values >= ord("0")) & (values <= ord("9"))


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
