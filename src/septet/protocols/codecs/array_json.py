"""JSON of large answers, written part by part: one call of an encoder for all would keep other threads waiting.

The numbers of a part become Python's own only until it is written, so that they never are in memory all together.
"""

from typing import Any

import msgspec

from septet.lengthy_work import VALUES_ON_LOOP
from septet.tensors import listed, parts
from septet.types import Array

_encode = msgspec.json.encode


def array_json(array: Array) -> bytes:
    """An array as lists nested like it; see `tensors.listed`."""
    if array.ndim == 0 or array.size <= VALUES_ON_LOOP:
        return _encode(listed(array))
    if array.ndim == 1 or array[0].size <= VALUES_ON_LOOP:
        return b"[%b]" % b",".join([_encode(listed(part))[1:-1] for part in parts(array)])
    return b"[%b]" % b",".join(map(array_json, array))


def value_json(value: Any) -> bytes:
    """A value that JSON has; lists of many values part by part."""
    if type(value) is dict:
        return b"{%b}" % b",".join([b"%b:%b" % (_encode(str(name)), value_json(each)) for name, each in value.items()])
    if type(value) is not list or not value:
        return _encode(value)
    each = _leaves(value[0])
    if each * len(value) <= VALUES_ON_LOOP:
        return _encode(value)
    if each > VALUES_ON_LOOP:
        return b"[%b]" % b",".join(map(value_json, value))
    step = VALUES_ON_LOOP // each
    return b"[%b]" % b",".join([_encode(value[at : at + step])[1:-1] for at in range(0, len(value), step)])


def _leaves(value: Any) -> int:
    """How many values there are in one, by the first of each list and object."""
    count = 1
    while type(value) in (list, dict) and value:
        count *= len(value)
        value = next(iter(value.values())) if type(value) is dict else value[0]
    return count
