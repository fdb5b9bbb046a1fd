"""One value of a row: the type that JSON must have for a column, and the careful reading of a value that failed it.

The type is compiled into msgspec decoders (the fast way); `read` is the slow way, taken when a body was refused,
to say which rows and columns are wrong. Both accept the same values but for one leniency of `read`: an integral
number written with a fraction (`3.0`) is accepted for an integer column, as JSON Schema has it.
"""

import math
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import numpy as np

from septet.model.signature import DTYPES, Column

RECEIVED_LENGTH = 80
# The largest double that rounds to a finite value: the shortest text of float32's own maximum lies above that maximum.
FLOAT_LIMITS = {
    "float16": math.nextafter((2 - 2**-11) * 2.0**15, 0.0),
    "float32": math.nextafter((2 - 2**-24) * 2.0**127, 0.0),
    "float64": float(np.finfo(np.float64).max),
}
# msgspec holds integer bounds in 64 signed bits; uint64 is bounded below only, and numpy refuses what is above.
INT_LIMITS = {name: (int(np.iinfo(name).min), int(np.iinfo(name).max)) for name in DTYPES if "int" in name}


class Mismatch(Exception):
    """Raised by `read`; `expected` says what the cell should have held."""

    def __init__(self, expected: str) -> None:
        super().__init__(expected)
        self.expected = expected


def json_type(dtype: str, *, nullable: bool = False) -> Any:
    """The msgspec type of a JSON value of this dtype."""
    if dtype == "string":
        kind: Any = str
    elif dtype == "bool":
        kind = bool
    elif dtype in FLOAT_LIMITS:
        limit = FLOAT_LIMITS[dtype]
        kind = Annotated[float, msgspec.Meta(ge=-limit, le=limit)] if dtype != "float64" else float
    elif dtype == "uint64":
        kind = Annotated[int, msgspec.Meta(ge=0)]
    else:
        low, high = INT_LIMITS[dtype]
        kind = Annotated[int, msgspec.Meta(ge=low, le=high)]
    return kind | None if nullable else kind


def nested_type(kind: Any, shape: Sequence[int | None], *, rows: bool) -> Any:
    """The msgspec type of lists nested like an array of values of a type; with `rows`, axis 0 is of any size."""
    for axis in reversed(range(len(shape))):
        size = shape[axis]
        free = size is None or (axis == 0 and rows)
        kind = list[kind] if free else Annotated[list[kind], msgspec.Meta(min_length=size, max_length=size)]
    return kind


def expected(dtype: str) -> str:
    """What a cell of this dtype holds, in words."""
    if dtype == "string":
        return "a text"
    if dtype == "bool":
        return "true or false"
    if dtype in FLOAT_LIMITS:
        return f"a finite number ({dtype})"
    low, high = INT_LIMITS[dtype]
    return f"a whole number from {low} to {high}"


def takes_null(column: Column) -> bool:
    """Whether a missing value is accepted: only text and floating point can hold one."""
    return column.nullable and (column.dtype == "string" or column.dtype in FLOAT_LIMITS)


def shown_key(key: str) -> str:
    """A caller's key as an error may repeat it: short, and without unpaired surrogates."""
    return key[:RECEIVED_LENGTH].encode("utf-8", "backslashreplace").decode()


def read(column: Column, value: object) -> Any:
    """Return the value as the column's dtype takes it.

    Raises:
        Mismatch: it is of another type or out of the dtype's range.
    """
    if value is None:
        if takes_null(column):
            return None
        raise Mismatch(expected(column.dtype))
    return scalar(column.dtype, value)


def scalar(dtype: str, value: object) -> Any:
    """As `read`, for a value of a tensor without columns."""
    if dtype == "string" and isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Mismatch("a text without unpaired surrogates") from None
        return value
    if dtype == "bool" and isinstance(value, bool):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        limit = FLOAT_LIMITS.get(dtype)
        if limit is not None and -limit <= value <= limit:
            return float(value)
        low, high = INT_LIMITS.get(dtype, (1, 0))
        if low <= value <= high and value == math.floor(value):
            return int(value)
    raise Mismatch(expected(dtype))


def received(value: object) -> str:
    """A JSON value as a caller would recognise it, at most 80 characters."""
    if isinstance(value, dict):
        return f"an object of {len(value)} keys"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    if isinstance(value, float) and not math.isfinite(value):
        return "a number that is not finite"
    try:
        text = msgspec.json.encode(value).decode()
    except (UnicodeEncodeError, OverflowError):
        text = ascii(value)
    return text if len(text) <= RECEIVED_LENGTH else text[: RECEIVED_LENGTH - 1] + "…"
