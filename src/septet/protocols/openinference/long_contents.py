"""Long typed contents of `ModelInferRequest`, read some values at a time: a parser reads all of them in one call.

They are cut out of the message before it is parsed. What a client's library writes is cut: one packed field, and
nothing else, in the contents of an input.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import numpy as np

from septet.lengthy_work import leave_loop
from septet.protocols.rpc.descriptors import message
from septet.protocols.rpc.field_limits import UNCHECKED_BYTES, WireField, wire_fields
from septet.protocols.rpc.methods import parsed
from septet.types import Array

# Numbers of fields: `inputs` of a request, and `contents` of an input.
_INPUTS, _CONTENTS = 5, 5
_BYTES: Final = 2
_INPUT_KEY: Final = bytes((_INPUTS << 3 | _BYTES,))
_CONTINUES: Final = 0x80
#: The fields of `InferTensorContents` with numbers, and the dtypes of those of a fixed size.
_NAMES: Final = {
    1: "bool_contents",
    2: "int_contents",
    3: "int64_contents",
    4: "uint_contents",
    5: "uint64_contents",
    6: "fp32_contents",
    7: "fp64_contents",
}
_FIXED: Final[dict[int, np.dtype[Any]]] = {6: np.dtype("<f4"), 7: np.dtype("<f8")}


#: Of a message that has none.
NO_CONTENTS: "Final[Mapping[int, LongContents]]" = MappingProxyType({})


class LongContents(NamedTuple):
    """The contents of one input: packed values of the field of that number."""

    number: int
    packed: memoryview

    @property
    def field(self) -> str:
        """The field's name."""
        return _NAMES[self.number]

    @property
    def size(self) -> int:
        """How many values there are."""
        fixed = _FIXED.get(self.number)
        if fixed is not None:
            return len(self.packed) // fixed.itemsize
        return int(np.count_nonzero(np.frombuffer(self.packed, np.uint8) < _CONTINUES))

    def values(self, dtype: Any) -> Array:
        """The values, [size], as an array of this dtype.

        Raises:
            Malformed: they are none.
        """
        fixed = _FIXED.get(self.number)
        if fixed is not None and len(self.packed) % fixed.itemsize == 0:
            return np.frombuffer(self.packed, fixed).astype(dtype, copy=False)
        kind, name = message("inference.InferTensorContents"), self.field
        ends = np.flatnonzero(np.frombuffer(self.packed, np.uint8) < _CONTINUES)
        found: list[Array] = []
        start = 0
        while start < len(self.packed):
            # Behind the last value that ends within so many bytes.
            after = int(np.searchsorted(ends, start + UNCHECKED_BYTES))
            stop = int(ends[after]) + 1 if after < len(ends) else len(self.packed)
            part = self.packed[start:stop]
            key = bytes((self.number << 3 | _BYTES,))
            values = getattr(parsed(kind, b"".join((key, _length(len(part)), part))), name)
            found.append(np.fromiter(values, dtype, len(values)))
            start = stop
        return np.concatenate(found)


def without_long_contents(body: bytes) -> tuple[bytes, Mapping[int, LongContents]]:
    """A message without the long contents of its inputs, and these by the places of the inputs.

    Raises:
        LengthyWork: there are numbers of no fixed size.
    """
    pieces: list[bytes] = []
    found: dict[int, LongContents] = {}
    place = kept = 0
    try:
        for field in wire_fields(body, 0, len(body)):
            if field.number != _INPUTS or field.kind != _BYTES:
                continue
            cut = _cut(body, field) if field.end - field.start > UNCHECKED_BYTES else None
            if cut is not None:
                rest, found[place] = cut
                pieces += (body[kept : field.begin], _INPUT_KEY, _length(len(rest)), rest)
                kept = field.end
            place += 1
    except IndexError:
        return body, {}
    if not found:
        return body, found
    return b"".join((*pieces, body[kept:])), found


def _length(size: int) -> bytes:
    """A length as a varint of four bytes, which need not be the shortest."""
    return bytes((size & 0x7F | 0x80, size >> 7 & 0x7F | 0x80, size >> 14 & 0x7F | 0x80, size >> 21))


def _cut(body: bytes, given: WireField) -> tuple[bytes, LongContents] | None:
    """An input without its contents, and these; None where they are not one long packed field alone."""
    contents = [each for each in wire_fields(body, given.start, given.end) if each.number == _CONTENTS]
    if len(contents) != 1 or contents[0].kind != _BYTES:
        return None
    whole = contents[0]
    fields = wire_fields(body, whole.start, whole.end)
    only = next(fields, None)
    if only is None or only.kind != _BYTES or only.number not in _NAMES or next(fields, None) is not None:
        return None
    if only.end - only.start <= UNCHECKED_BYTES:
        return None
    if only.number not in _FIXED:
        leave_loop()
    rest = body[given.start : whole.begin] + body[whole.end : given.end]
    return rest, LongContents(only.number, memoryview(body)[only.start : only.end])
