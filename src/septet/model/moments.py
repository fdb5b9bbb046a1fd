"""Moments as ISO 8601 text: the extended form of a date, or of a date and a time, and nothing that has two meanings.

A moment is counted in units since 1970-01-01T00:00:00, as numpy's datetime64 has it. Where the training data had a
time zone, a text must say its offset and the count is that of UTC; where it had none, a text must say none.
"""

import datetime as dt
import re
from collections.abc import Sequence
from typing import Final

import numpy as np

from septet.model.signature import Column
from septet.tensors import listed
from septet.types import Array

#: How numpy counts a missing moment (NaT).
NAT: Final = -(2**63)
_LAST: Final = 2**63 - 1
_DIGITS: Final = {"s": 0, "ms": 3, "us": 6, "ns": 9}
_EPOCH: Final = dt.date(1970, 1, 1).toordinal()
_DAY: Final = 86_400
_HOUR: Final = 3600
_MINUTE: Final = 60
_MOST_MINUTES: Final = 59
_MOST_HOURS: Final = 23
_TEXT: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)"
    r"(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?(?:([Zz])|([+-])(\d\d):?(\d\d))?)?",
    re.ASCII,
)


def is_moment(dtype: str) -> bool:
    """Whether values of a dtype of the signature are moments."""
    return dtype.startswith("datetime64")


def is_date(column: Column) -> bool:
    """Whether a column has dates, without a time of day."""
    return column.pandas_dtype == "date"


def expected(column: Column) -> str:
    """What a text of the column holds, in words."""
    if is_date(column):
        return "a date as ISO 8601 has it, such as 2026-01-31"
    if column.timezone is not None:
        return "a moment as ISO 8601 has it, with its offset, such as 2026-01-31T12:00:00Z"
    return "a moment as ISO 8601 has it, without an offset, such as 2026-01-31T12:00:00"


def counted(text: str, column: Column) -> int:
    """The moment of a text in the unit of the column's dtype.

    Raises:
        ValueError: it is none, or cannot be held; the error's text says what was expected.
    """
    found = _TEXT.fullmatch(text)
    if found is None:
        raise ValueError(expected(column))
    year, month, day, hour, minute, second, fraction, utc, sign, ahead, beyond = found.groups()
    if (utc or sign) is None and column.timezone is not None:
        raise ValueError(expected(column))
    if (utc or sign) is not None and column.timezone is None:
        raise ValueError(expected(column))
    try:
        days = dt.date(int(year), int(month), int(day)).toordinal() - _EPOCH
    except ValueError:
        raise ValueError(f"{expected(column)}; there is no such day") from None
    hours, minutes, seconds = int(hour or 0), int(minute or 0), int(second or 0)
    offset = int(ahead or 0) * _HOUR + int(beyond or 0) * _MINUTE
    # A leap second, and the 24th hour, would be moments of the next minute or day under another name.
    if max(hours, int(ahead or 0)) > _MOST_HOURS or max(minutes, seconds, int(beyond or 0)) > _MOST_MINUTES:
        raise ValueError(f"{expected(column)}; there is no such time")
    whole = days * _DAY + hours * _HOUR + minutes * _MINUTE + seconds + (offset if sign == "-" else -offset)
    return _in_unit(whole, (fraction or "").rstrip("0"), column)


def written(moment: np.datetime64, column: Column) -> str | None:
    """A moment of the column as ISO 8601 text; None where it is missing."""
    found: str | None = as_texts(np.array(moment), (column,)).item()
    return found


def as_texts(array: Array, columns: Sequence[Column]) -> Array:
    """Moments as ISO 8601 texts, None where one is missing; `columns` are those of axis 1, or the only one."""
    flat = [_suffixed(text, columns[at % len(columns)]) for at, text in enumerate(listed(array.ravel()))]
    found = np.empty(len(flat), object)
    found[:] = flat
    return found.reshape(array.shape)


def _suffixed(text: str | None, column: Column) -> str | None:
    if text is None:
        return None
    if is_date(column):
        return text.partition("T")[0]
    return text if column.timezone is None else f"{text}Z"


def _in_unit(seconds: int, fraction: str, column: Column) -> int:
    unit = column.dtype.removeprefix("datetime64[").removesuffix("]")
    digits = _DIGITS[unit]
    if len(fraction) > digits:
        raise ValueError(f"{expected(column)}, no finer than a unit of {unit}")
    if is_date(column) and (seconds % _DAY or fraction):
        raise ValueError(f"{expected(column)}, without a time of day")
    count: int = seconds * 10**digits + int(fraction.ljust(digits, "0") or 0)
    if not NAT < count <= _LAST:
        raise ValueError(f"a moment that {column.dtype} can hold (1677-09-22 to 2262-04-11)")
    return count
