"""Long lists of numbers in JSON, read slice by slice: they never are objects of Python all together.

A call of a parser for millions of values lets no other thread run until its end, and makes ten times as many bytes as
they have in the body. So in a long body such lists are cut out before it is parsed, and read as what is asked of them:
first their brackets and commas, which say whether they are nested like the tensor, then the numbers, so many at a time.
"""

from collections.abc import Callable, Iterator, Sequence
from math import prod
from typing import Any, Final

import msgspec
import numpy as np

from septet.columns.scalars import carried_type
from septet.errors import Invalid, Malformed, Problem
from septet.model.signature import DTYPES, Tensor
from septet.model.values import takes_null
from septet.protocols.codecs.json_slices import LISTS, SLICE_BYTES
from septet.tables.strict_json import strict
from septet.types import Array

#: Bytes that are looked at in one call.
_BLOCK_BYTES: Final = 1 << 20
#: Texts and keys between which lists are looked for; a body of more has no long ones, or few.
_MOST_QUOTES: Final = 256
_OTHERS: Final = bytes(set(range(256)) - set(b"[],"))
_SPACES: Final = b" \t\r\n"
_NO_BRACKETS: Final = bytes.maketrans(b"[]", b"  ")
_OPEN, _CLOSE, _COMMA = b"[],"
# In place of a list: a text that no body can have where no backslash stands.
_PLACE: Final = "\0"


class NumberList:
    """A list of JSON, perhaps nested, without a text or an object in it; nothing else is known of it."""

    __slots__ = ("text",)

    def __init__(self, text: bytes) -> None:
        self.text = text

    def __repr__(self) -> str:
        """As an error shows it."""
        return "a list"

    @property
    def is_flat(self) -> bool:
        """Whether its first value is no list."""
        return not self.text[1:SLICE_BYTES].lstrip(_SPACES).startswith(b"[")

    def parts(self) -> Iterator[list[Any]]:
        """The values of the list as Python's, some at a time, where they are lists that hold no lists.

        Raises:
            Malformed: it is no JSON.
        """
        text, start = self.text, self.text.find(b"[") + 1
        end = text.rfind(b"]")
        while start < end:
            found = LISTS.search(text, start + SLICE_BYTES, end)
            stop = end if found is None else found.start(1)
            yield strict(b"[%b]" % text[start:stop], "[[1, 2]]")
            start = stop + 1


class NumberLists:
    """Parses bodies in which long lists of numbers are left as they are.

    `texts` says whether a text may stand among the numbers; where it may not, that is an error here.
    """

    def __init__(self, example: str, *, texts: bool, constant: Callable[[str], Any] | None = None) -> None:
        self._example = example
        self._texts = texts
        self._constant = constant

    def parse(self, body: bytes) -> Any:
        """A document with a `NumberList` in place of each long list of numbers; None where it has no such list.

        Raises:
            Malformed: as `strict`.
            Invalid: a text stands among many numbers.
        """
        cut = self._cut(body) if len(body) > SLICE_BYTES else None
        if cut is None:
            return None
        constant = {} if self._constant is None else {"constant": self._constant}
        return _put_back(strict(cut[0], self._example, **constant), cut[1])

    def _cut(self, body: bytes) -> tuple[bytes, list[NumberList]] | None:
        """The body with texts in place of the lists, and these."""
        pieces: list[bytes] = []
        found: list[NumberList] = []
        at = kept = 0
        for _ in range(_MOST_QUOTES):
            quote = body.find(b'"', at)
            end = len(body) if quote < 0 else quote
            if end - at > SLICE_BYTES:
                span = self._span(body, at, end)
                if span is not None:
                    pieces += (body[kept : span[0]], b'"\\u0000%d"' % len(found))
                    found.append(NumberList(body[span[0] : span[1]]))
                    kept = span[1]
            at = 0 if quote < 0 else body.find(b'"', quote + 1) + 1
            if not at:
                break
        rest = body[kept:]
        if not found or len(rest) > SLICE_BYTES or b"\\" in rest or any(b"\\" in piece for piece in pieces[::2]):
            return None
        return b"".join((*pieces, rest)), found

    def _span(self, body: bytes, start: int, end: int) -> tuple[int, int] | None:
        """Where a list begins and ends between two texts; None where there is none, or one of other values."""
        begin = body.find(b"[", start, end)
        if begin < 0 or body[start:begin].strip(_SPACES) not in (b"", b":"):
            return None
        brace = body.find(b"}", begin, end)
        limit = end if brace < 0 else brace
        if body.find(b"{", begin, limit) >= 0:
            return None
        last = body.rfind(b"]", begin, limit) + 1
        behind = body[max(last, limit - SLICE_BYTES) : limit].strip(_SPACES)
        if last and behind in (b"", b",") and _is_balanced(body[begin:last]):
            return begin, last
        if brace < 0 and end < len(body) and not self._texts:
            where = f"The body has a text among the numbers, at byte {end} of it."
            raise Invalid(where, (Problem(_row_at(body[begin:end]), None, "a number", "a text"),))
        return None


def _is_balanced(text: bytes) -> bool:
    values = np.frombuffer(text, np.uint8)
    return bool(np.count_nonzero(values == _OPEN) == np.count_nonzero(values == _CLOSE))


def _put_back(value: Any, lists: Sequence[NumberList]) -> Any:
    if isinstance(value, str) and value.startswith(_PLACE):
        return lists[int(value[1:])]
    if isinstance(value, list):
        return [_put_back(each, lists) for each in value]
    if isinstance(value, dict):
        return {name: _put_back(each, lists) for name, each in value.items()}
    return value


class NumberListReader:
    """Reads lists for one input of numbers."""

    def __init__(self, tensor: Tensor) -> None:
        self._tensor = tensor
        self._dtype = DTYPES[tensor.dtype]
        nullable = any(takes_null(column, tensor.dtype) for column in tensor.columns)
        self._decoders = [
            msgspec.json.Decoder(list[carried_type(tensor.dtype, nullable=nullable, wide=wide)]).decode  # type: ignore[misc]
            for wide in (False, True)
        ]

    def array(
        self,
        given: NumberList,
        sizes: Sequence[int | None],
        careful: Callable[[bytes, int, Sequence[int]], Any],
        check_rows: Callable[[int], None] | None = None,
    ) -> Array:
        """The array of a list that is nested as `sizes` say, None for a free one.

        `careful` reads a flat list that a decoder refused, whose first value has that place among all, in that shape;
        it raises Invalid where some do not fit. `check_rows` refuses a size of the first axis.

        Raises:
            Malformed: it is no JSON.
            Invalid: it is nested otherwise, or `careful` raised it.
        """
        marks = _marks(given.text)
        shape = self._shape(marks, sizes, check_rows)
        _check_neighbours(given.text)
        found = np.empty(prod(shape), self._dtype)
        at = 0
        for part in _slices(given.text):
            values = self._decoded(part)
            if values is None:
                values = careful(part, at, shape)
            if at + len(values) > len(found):
                raise Malformed("The body is not JSON: a list has a comma too many.")
            found[at : at + len(values)] = values
            at += len(values)
        if at != len(found):
            raise Malformed("The body is not JSON: a list has a comma without a value.")
        return found.reshape(shape)

    def _decoded(self, part: bytes) -> Any:
        for decode in self._decoders:
            try:
                return np.array(decode(part), self._dtype)
            except (msgspec.MsgspecError, UnicodeDecodeError, OverflowError, ValueError, TypeError):
                pass
        return None

    def _shape(
        self, marks: bytes, sizes: Sequence[int | None], check_rows: Callable[[int], None] | None
    ) -> tuple[int, ...]:
        """The sizes of a list by its brackets and commas, if they are those of a regular one."""
        depth = len(sizes)
        shape: list[int] = []
        unit = b""
        for level in reversed(range(depth)):
            # Of this level the first list, which is the first to close so many brackets at once.
            end = marks.find(b"]" * (depth - level))
            if end < 0 or marks[: level + 1] != b"[" * (level + 1):
                raise self._unfit(sizes, None)
            size = max((end + depth - 2 * level - 1) // (len(unit) + 1), 1)
            shape.insert(0, size)
            wanted = sizes[level]
            if wanted is not None and wanted != size:
                raise self._unfit(sizes, 0 if level else min(size, wanted))
            if level == 0 and check_rows is not None:
                check_rows(size)
            unit = b"[%b]" % ((unit + b",") * (size - 1) + unit)
        if unit != marks:
            raise self._unfit(sizes, _row_of_difference(unit, marks))
        return tuple(shape)

    def _unfit(self, sizes: Sequence[int | None], row: int | None) -> Invalid:
        wanted = "[" + ", ".join("any" if size is None else str(size) for size in sizes) + "]"
        name = self._tensor.name
        place = "" if row is None else f", in row {row}"
        what = f"lists nested as the shape {wanted} says, all of a level of one length"
        text = f"Expected {what}, for {name!r}{place}, received others."
        return Invalid(text, (Problem(row, name, what, "other lists"),))


def _blocks(text: bytes) -> Iterator[bytes]:
    return (text[at : at + _BLOCK_BYTES] for at in range(0, len(text), _BLOCK_BYTES))


def _marks(text: bytes) -> bytes:
    """The brackets and commas alone."""
    return b"".join([block.translate(None, _OTHERS) for block in _blocks(text)])


def _row_of_difference(wanted: bytes, marks: bytes) -> int:
    """The row in which two sequences of brackets and commas first differ."""
    size = min(len(wanted), len(marks))
    one, other = np.frombuffer(wanted, np.uint8)[:size], np.frombuffer(marks, np.uint8)[:size]
    differs = one != other
    return _row_at(marks[: int(np.argmax(differs)) + 1 if differs.any() else size])


def _row_at(text: bytes) -> int:
    """The row of a list in which its text ends."""
    depth, row = 0, 0
    for block in _blocks(text):
        values = np.frombuffer(block, np.uint8)
        opened, closed = values == _OPEN, values == _CLOSE
        depths = depth + np.cumsum(opened.view(np.int8) - closed.view(np.int8), dtype=np.int32)
        row += int(np.count_nonzero((values == _COMMA) & (depths == 1)))
        depth = int(depths[-1])
    return row


def _check_neighbours(text: bytes) -> None:
    """Refuse a number right before an opening bracket or behind a closing one, and lists without values.

    Raises:
        Malformed, Invalid: there is such a one.
    """
    before = b""
    for block in _blocks(text):
        values = np.frombuffer(before + block.translate(None, _SPACES), np.uint8)
        if not len(values):
            continue
        left, right = values[:-1], values[1:]
        opens, closes = right == _OPEN, left == _CLOSE
        if (opens & (left != _OPEN) & (left != _COMMA)).any() or (closes & (right != _CLOSE) & (right != _COMMA)).any():
            raise Malformed("The body is not JSON: a comma is missing beside a bracket.")
        if (opens[:-1] & (right[1:] == _CLOSE)).any() or ((left == _OPEN) & (right == _CLOSE)).any():
            what = "A long list has lists without values in it."
            raise Invalid(what, (Problem(None, None, "values in each list", "none"),))
        before = values[-1:].tobytes()


def _slices(text: bytes) -> Iterator[bytes]:
    """The values as flat lists of JSON, so many bytes each."""
    start = 0
    while start < len(text):
        cut = text.find(b",", start + SLICE_BYTES)
        end = len(text) if cut < 0 else cut
        yield b"[%b]" % text[start:end].translate(_NO_BRACKETS)
        start = end + 1
