"""One value of a row: the type that JSON must have for a column.

The type is compiled into msgspec decoders (the fast way); `septet.model.values.read` is the slow way, taken when a body
was refused, to say which rows and columns are wrong. Both accept the same values but for two leniencies of `read`: an
integral number written with a fraction (`3.0`) is accepted for an integer column, as JSON Schema has it, and a whole
number beyond the first that a carrier of floating point must round, where it is one that need not be.

A number of floating point has two types. As long as each whole number is one of the dtype, nothing can be changed by
reading it as a float, which is the faster one. Beyond, a `wide` type tells whole numbers from decimals.
"""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

from septet.model.signature import Column
from septet.model.values import (
    EXACT_LIMITS,
    FLOAT_LIMITS,
    INT_LIMITS,
    finest,
    is_text,
    takes_null,
    whole_limits,
)


def json_type(column: Column, carrier: str, *, wide: bool = False) -> Any:
    """The msgspec type of a JSON value of a column, in a tensor of the dtype `carrier`; a moment is a text.

    A text of base64 is decoded to bytes while it is read.
    """
    kind = _type(column, carrier, wide=wide)
    return kind | None if takes_null(column, carrier) else kind


def carried_type(carrier: str, *, nullable: bool, wide: bool = False) -> Any:
    """The msgspec type of a JSON value of a tensor, whatever its columns."""
    kind = _type(Column("", carrier), carrier, wide=wide)
    return kind | None if nullable else kind


def _type(column: Column, carrier: str, *, wide: bool) -> Any:
    dtype = column.dtype
    if dtype == "bytes":
        return bytes
    if is_text(dtype):
        return str
    if dtype == "bool":
        return bool
    return _float(finest(column, carrier), wide=wide) if dtype in FLOAT_LIMITS else _whole(column, carrier, wide=wide)


def _float(dtype: str, *, wide: bool) -> Any:
    most, limit = EXACT_LIMITS[dtype], FLOAT_LIMITS[dtype]
    if wide:
        return Annotated[int, msgspec.Meta(ge=-most, le=most)] | Annotated[float, msgspec.Meta(ge=-limit, le=limit)]
    # The next whole number behind the last that is exact would be read as that one.
    return Annotated[float, msgspec.Meta(ge=1 - most, le=most - 1)]


def _whole(column: Column, carrier: str, *, wide: bool) -> Any:
    low, high = whole_limits(column, carrier)
    # msgspec holds integer bounds in 64 signed bits; uint64 is bounded below only, and numpy refuses what is above.
    bounds = msgspec.Meta(ge=low) if high > INT_LIMITS["int64"][1] else msgspec.Meta(ge=low, le=high)
    if carrier not in EXACT_LIMITS:
        return Annotated[int, bounds]
    # Libraries write the whole numbers of a column with missing ones as 3.0; that they are whole is checked of all.
    if wide:
        return Annotated[int, bounds] | Annotated[float, bounds]
    last = EXACT_LIMITS[carrier] - 1
    return Annotated[float, msgspec.Meta(ge=max(low, -last), le=min(high, last))]


def nested_type(kind: Any, shape: Sequence[int | None], *, rows: bool) -> Any:
    """The msgspec type of lists nested like an array of values of a type; with `rows`, axis 0 is of any size."""
    for axis in reversed(range(len(shape))):
        size = shape[axis]
        free = size is None or (axis == 0 and rows)
        kind = list[kind] if free else Annotated[list[kind], msgspec.Meta(min_length=size, max_length=size)]
    return kind
