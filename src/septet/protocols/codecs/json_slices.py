"""Long lists of JSON, decoded slice by slice: one call of a decoder for all would keep other threads waiting.

Invariant: a list that is cut behind a comma between two of its values is the one list behind the other. Whether a comma
stands there is not looked at: one within a text, or within a list in the list, leaves slices that are no JSON, or not
of the type of the values. Then the list is left to who decodes it at once.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

#: Bytes of a slice, and of a list that is not cut.
SLICE_BYTES: Final = 1 << 18
#: Between two lists, two objects, and two values that are neither.
LISTS: Final = re.compile(rb"\]\s*(,)\s*\[")
OBJECTS: Final = re.compile(rb"\}\s*(,)\s*\{")
VALUES: Final = re.compile(rb"(,)")
# A decoder, and one for what that refuses.
_Decoders = tuple[Callable[[bytes], list[Any]], Callable[[bytes], list[Any]]]


def decoded_slices(text: bytes, between: re.Pattern[bytes], decoders: _Decoders) -> Iterator[list[Any]]:
    """The values of a list, those of each slice.

    Raises:
        msgspec.MsgspecError, ValueError: it is no list, or none that can be cut so.
    """
    text = text.strip()
    if text[:1] != b"[" or text[-1:] != b"]":
        raise msgspec.DecodeError("no list")
    start, last = 1, len(text) - 1
    narrow, wide = decoders
    while start < last:
        found = between.search(text, start + SLICE_BYTES, last)
        end = last if found is None else found.start(1)
        part = b"[%b]" % text[start:end]
        try:
            yield narrow(part)
        except msgspec.ValidationError:
            yield wide(part)
        start = end + 1
