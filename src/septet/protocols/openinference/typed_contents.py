"""The typed contents of a tensor in protobuf, `InferTensorContents` <-> arrays.

Each datatype has one repeated field; several integers share the 32-bit ones. FP16 has none: it travels raw only.
"""

from collections.abc import Sequence
from math import prod
from typing import Any, Final

import numpy as np

from septet.errors import Invalid, Problem
from septet.lengthy_work import VALUES_ON_LOOP, leave_loop
from septet.model.signature import DTYPES, Tensor
from septet.model.values import is_text
from septet.protocols.openinference.datatypes import DATATYPES, element_bytes, input_elements, not_utf8
from septet.protocols.openinference.long_contents import LongContents
from septet.protocols.rpc.descriptors import Message
from septet.tensors import listed
from septet.types import Array

#: By the signature's dtype.
FIELDS: Final[dict[str, str]] = {
    "bool": "bool_contents",
    **dict.fromkeys(("int8", "int16", "int32"), "int_contents"),
    "int64": "int64_contents",
    **dict.fromkeys(("uint8", "uint16", "uint32"), "uint_contents"),
    "uint64": "uint64_contents",
    "float32": "fp32_contents",
    "float64": "fp64_contents",
    **{dtype: "bytes_contents" for dtype in DTYPES if is_text(dtype)},
}
_NARROW: Final = {"int8": np.int32, "int16": np.int32, "uint8": np.uint32, "uint16": np.uint32}


def read(contents: Message | LongContents, tensor: Tensor, shape: Sequence[int], at: Sequence[int] = ()) -> Array:
    """The array of an input whose datatype and shape have been checked; `at` are the places of its missing elements.

    Raises:
        Invalid: the values stand in another field, are more or fewer than the shape needs, are out of range, or are
            no moments.
        Malformed: a text is not UTF-8.
    """
    name, dtype = tensor.name, tensor.dtype
    field = FIELDS.get(dtype)
    if field is None:
        text = f"The input {name!r} is {DATATYPES[dtype]}, which has no typed contents: send it in raw_input_contents."
        raise Invalid(text, (Problem(None, name, "raw_input_contents", "contents"),))
    count = prod(shape)
    long = contents if isinstance(contents, LongContents) else None
    fields = _fields(contents) if long is None else [long.field]
    if any(each != field for each in fields):
        found = ", ".join(fields)
        text = f"The input {name!r} is {DATATYPES[dtype]}, whose values stand in {field} alone; received {found}."
        raise Invalid(text, (Problem(None, name, field, found),))
    if count > VALUES_ON_LOOP:
        leave_loop()
    values: Sequence[Any] = () if long is not None else getattr(contents, field)
    given = len(values) if long is None else long.size
    if given != count:
        text = f"The input {name!r} of shape {list(shape)} needs {count} values in {field}, received {given}."
        raise Invalid(text, (Problem(None, name, f"{count} values", f"{given} values"),))
    if is_text(dtype):
        return input_elements(_elements(values, dtype, name).reshape(shape), tensor, at)
    kind = _NARROW.get(dtype, DTYPES[dtype])
    array = _array(values, kind) if long is None else long.values(kind)
    return (_narrow(array, tensor) if dtype in _NARROW else array).reshape(shape)


def write(contents: Message, array: Array, dtype: str) -> None:
    """Add the elements of an array; `dtype` is one of `FIELDS`. A missing text (None) is written as an empty one."""
    values = listed(array.ravel())
    if is_text(dtype):
        values = list(map(element_bytes, values))
    getattr(contents, FIELDS[dtype]).extend(values)


def _fields(contents: Message) -> list[str]:
    return [descriptor.name for descriptor, _ in contents.ListFields()]


def _array(values: Sequence[Any], dtype: Any) -> Array:
    """The values, so many at a time that other threads need not wait for all of them."""
    if len(values) <= VALUES_ON_LOOP:
        return np.fromiter(values, dtype, len(values))
    found = np.empty(len(values), dtype)
    for at in range(0, len(values), VALUES_ON_LOOP):
        found[at : at + VALUES_ON_LOOP] = values[at : at + VALUES_ON_LOOP]
    return found


def _elements(values: Sequence[bytes], dtype: str, name: str) -> Array:
    """The elements of BYTES: bytes for the dtype `bytes`, else texts."""
    if dtype == "bytes":
        return np.fromiter(values, object, len(values))
    try:
        return np.fromiter(map(bytes.decode, values), object, len(values))
    except UnicodeDecodeError:
        raise not_utf8(values, name) from None


def _narrow(wide: Array, tensor: Tensor) -> Array:
    limits = np.iinfo(tensor.dtype)
    outside = (wide < limits.min) | (wide > limits.max)
    if outside.any():
        at = int(np.argmax(outside))
        what, got = f"values from {limits.min} to {limits.max}", f"{wide[at]} at position {at}"
        text = f"The input {tensor.name!r} is {DATATYPES[tensor.dtype]}: expected {what}, received {got}."
        raise Invalid(text, (Problem(None, tensor.name, what, got),))
    return wide.astype(DTYPES[tensor.dtype])
