"""Missing texts and moments in the Open Inference Protocol, which has no null for BYTES.

The parameter `missing` of an input of BYTES lists the places of its missing values: whole numbers from 0, in row-major
order, joined by commas, such as `"0,4"`. At these places stands an empty text. Missing numbers are NaN.
"""

import re
from collections.abc import Iterable, Sequence
from math import prod
from typing import Any, Final

import numpy as np

from septet.errors import Invalid, Problem
from septet.model.received import received
from septet.model.signature import Tensor
from septet.model.values import is_text
from septet.tensors import listed
from septet.types import Array

#: The parameter's name.
MISSING: Final = "missing"
_PLACES: Final = re.compile(r"\d{1,18}(,\d{1,18})*", re.ASCII)


def missing_places(values: Iterable[object]) -> str | None:
    """The parameter for values in row-major order, None where one is missing; None where it is not needed."""
    return ",".join(str(place) for place, value in enumerate(values) if value is None) or None


def missing_parameters(array: Array) -> dict[str, str]:
    """The parameters of an input that say which of its texts or moments are missing; none where none is."""
    missing = missing_places(listed(array.ravel())) if array.dtype.kind in "OM" else None
    return {} if missing is None else {MISSING: missing}


def places(tensor: Tensor, datatype: str, shape: Sequence[int], value: object) -> list[int]:
    """The places that the parameter lists for an input whose shape has been checked.

    Raises:
        Invalid: it is no list of places in the input, or the input takes no such parameter.
    """
    name = tensor.name
    if not is_text(tensor.dtype):
        what = "NaN" if tensor.dtype.startswith("float") else "no missing values"
        text = f"The input {name!r} is {datatype}, which takes {what}: leave the parameter {MISSING!r} out."
        raise Invalid(text, (Problem(None, name, what, f"the parameter {MISSING!r}"),))
    count = prod(shape)
    expected = f"places from 0 to {count - 1} in row-major order, joined by commas"
    if value == "":
        return []
    if not isinstance(value, str) or not _PLACES.fullmatch(value):
        raise _wrong(name, expected, received(value))
    found = [int(place) for place in value.split(",")]
    if max(found) >= count:
        raise _wrong(name, expected, str(max(found)))
    if len(set(found)) != len(found):
        raise _wrong(name, f"{expected}, each once", received(value))
    return found


def without(texts: Array, at: Sequence[int], name: str, shape: Sequence[int]) -> Array:
    """Texts with None at these places; `name` and `shape` are the input's.

    Raises:
        Invalid: a text stands at one of them.
    """
    flat = np.array(texts, object).reshape(-1)
    for place in at:
        if flat[place]:
            row = place // max(prod(shape[1:]), 1) if shape else None
            problem = Problem(row, name, f"an empty text, for {MISSING!r} lists it", received(flat[place]))
            text = f"The input {name!r} has a text at place {place}, which its parameter {MISSING!r} lists as missing."
            raise Invalid(text, (problem,))
        flat[place] = None
    return flat.reshape(texts.shape)


def _wrong(name: str, expected: str, got: Any) -> Invalid:
    text = f"The parameter {MISSING!r} of {name!r} must list {expected}; received {got}."
    return Invalid(text, (Problem(None, name, expected, got),))
