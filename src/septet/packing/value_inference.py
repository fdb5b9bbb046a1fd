"""Values of a column of Python objects: their common dtype, inferred from each value."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from septet.types import Array

_LARGEST = {"int64": 2**63 - 1, "uint64": 2**64 - 1}
_TOO_LARGE = "whole numbers beyond 64 bits"


class InferredValues(msgspec.Struct, frozen=True, eq=False):
    """The values of one column with their inferred dtype.

    Attributes:
        dtype: a key of `DTYPES`, or None where no request can carry such values.
        values: as a tensor carries them, [N]: floats with NaN, texts with None, or moments with NaT where missing.
        missing: which values are missing, [N] of bool.
        spelled: how a missing value is written there: `None`, `nan`, `NA` or `NaT`; empty where there is none.
        timezone: of moments.
        dates: whether they are days rather than moments.
        fault: what it holds instead, in words, where `dtype` is None.
    """

    dtype: str | None
    values: Array
    missing: Array
    spelled: str = ""
    timezone: str | None = None
    dates: bool = False
    fault: str = ""


def spelling(value: object) -> str:
    """How a missing value is written: `None`, `nan`, `NA` or `NaT`; empty where it is not."""
    if value is None:
        return "None"
    if isinstance(value, float):
        return "nan" if value != value else ""  # noqa: PLR0124 - NaN is what differs from itself
    if isinstance(value, np.datetime64):
        return "NaT" if np.isnat(value) else ""
    return {"NAType": "NA", "NaTType": "NaT"}.get(type(value).__name__, "")


def infer_values(values: Sequence[Any]) -> InferredValues:
    """Read the values of one column, [N], of any Python or numpy types."""
    spellings = [spelling(value) for value in values]
    missing = np.array([bool(each) for each in spellings], dtype=np.bool_)
    spelled = next((each for each in ("None", "NA", "nan", "NaT") if each in set(spellings)), "")
    present = [value for value, gone in zip(values, spellings, strict=True) if not gone]
    made = _read(present)
    if isinstance(made, str):
        return InferredValues(None, np.array([], dtype=object), missing, spelled, fault=made)
    dtype, inner, timezone, dates = made
    if dtype == "string":
        carried: Array = np.full(len(values), None, dtype=object)
    elif dtype.startswith("datetime64"):
        carried = np.full(len(values), np.datetime64("NaT"), dtype=dtype)
    elif missing.any():
        carried = np.full(len(values), np.nan)
    else:
        carried = np.empty(len(values), dtype=inner.dtype)
    carried[~missing] = inner
    return InferredValues(dtype, carried, missing, spelled, timezone, dates)


def _read(present: Sequence[Any]) -> tuple[str, Array, str | None, bool] | str:
    """The dtype, values, time zone of values that are all there, and whether they are days; else what they are."""
    types = set(map(type, present))
    if all(issubclass(each, str) for each in types):
        return texts_of(present)
    if types <= {bool, np.bool_}:
        return "bool", np.array(present, dtype=np.bool_), None, False
    if types == {dt.date}:
        return "datetime64[s]", np.array(present, dtype="datetime64[s]"), None, True
    if all(issubclass(each, (dt.datetime, np.datetime64)) for each in types):
        return _moments(present)
    if all(_is_number(each) for each in types):
        return _numbers(present)
    return _in_words(present)


def _is_number(kind: type) -> bool:
    # To numpy a duration is an integer, and to Python a boolean is.
    return issubclass(kind, (int, float, np.integer, np.floating)) and not issubclass(kind, (bool, np.timedelta64))


def texts_of(present: Sequence[Any]) -> tuple[str, Array, None, bool] | str:
    """The same, of values that are texts."""
    texts = [str(value) for value in present]
    try:
        "\n".join(texts).encode()
    except UnicodeEncodeError:
        return "texts with half of a surrogate pair, which have no form in UTF-8"
    return "string", _objects(texts), None, False


def _objects(values: Sequence[Any]) -> Array:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _numbers(present: Sequence[Any]) -> tuple[str, Array, None, bool] | str:
    if any(isinstance(value, (float, np.floating)) for value in present):
        return "float64", np.array([float(value) for value in present]), None, False
    low, high = min(map(int, present)), max(map(int, present))
    for dtype, largest in _LARGEST.items():
        if high <= largest and low >= (-largest - 1 if dtype == "int64" else 0):
            return dtype, np.array([int(value) for value in present], dtype=dtype), None, False
    return _TOO_LARGE


def _moments(present: Sequence[Any]) -> tuple[str, Array, str | None, bool] | str:
    import pandas as pd

    zones = {str(getattr(value, "tzinfo", None)) for value in present}
    if len(zones) > 1:
        return f"moments of several time zones ({', '.join(sorted(zones)[:3])})"
    zone = zones.pop()
    try:
        if zone == "None":
            index = pd.DatetimeIndex(list(present))
            return f"datetime64[{index.unit}]", index.to_numpy(), None, False
        index = pd.DatetimeIndex(pd.to_datetime(list(present), utc=True)).tz_localize(None)
    except (ValueError, TypeError, OverflowError) as exc:
        return f"moments that pandas cannot hold ({exc})"
    return f"datetime64[{index.unit}]", index.to_numpy(), zone, False


def _in_words(present: Sequence[Any]) -> str:
    seen: dict[str, Any] = {}
    for value in present:
        seen.setdefault(type(value).__name__, value)
    shown = [f"{name} ({value!r:.40})" for name, value in list(seen.items())[:3]]
    return f"values of {'several types: ' if len(seen) > 1 else 'the type '}{', '.join(shown)}"
