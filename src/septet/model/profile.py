"""The profile of training data: what each column looked like, for comparing with what arrives later."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np

from septet.errors import PackageInvalid
from septet.model.values import is_missing
from septet.types import Array

_MOST_CATEGORIES: Final = 100
_FEW_INTEGERS: Final = 20
_DECILES: Final = np.linspace(0.0, 1.0, 11)


class Numbers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The finite values of a numeric column, in its own unit; of moments, in seconds since the start of 1970 (UTC).

    Of bytes it is their lengths.

    `deciles` are the 0, 10, ... 100 % quantiles.
    """

    minimum: float
    maximum: float
    mean: float
    std: float
    deciles: tuple[float, ...]


class Categories(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The values of a column by their share of those present: the 100 most frequent, and all `other` together."""

    shares: dict[str, float]
    other: float = 0.0


class ColumnProfile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One column: `count` rows, `missing` the share (0 to 1) of them that are NaN, None or NaT."""

    dtype: str
    count: int
    missing: float
    numbers: Numbers | None = None
    categories: Categories | None = None


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Training data of `rows` rows: its columns by name, and the share of each label."""

    rows: int
    columns: dict[str, ColumnProfile]
    labels: dict[str, float] = {}


def profile_of(columns: Mapping[str, Array], labels: Sequence[Any] | Array | None = None) -> Profile:
    """Profile columns of equal length (1-dimensional arrays) and the label of each row."""
    rows = max((len(values) for values in columns.values()), default=0 if labels is None else len(labels))
    return Profile(
        rows=rows,
        columns={name: _column(np.asarray(values)) for name, values in columns.items()},
        labels={} if labels is None else _shares(np.asarray(labels).tolist(), None).shares,
    )


def profile_to_json(profile: Profile) -> bytes:
    """Return the bytes of `profile.json`, indented for people."""
    return msgspec.json.format(msgspec.json.encode(profile), indent=2) + b"\n"


def profile_from_json(data: bytes, source: str) -> Profile:
    """Read the bytes of `profile.json`; `source` is where they come from, for messages.

    Raises:
        PackageInvalid: they are not a profile.
    """
    try:
        return msgspec.json.decode(data, type=Profile)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise PackageInvalid(f"{source}: does not hold a profile: {exc}") from exc


def _column(values: Array) -> ColumnProfile:
    count = len(values)
    if values.dtype.kind == "b":
        return ColumnProfile("bool", count, 0.0, categories=_shares(values.tolist(), _MOST_CATEGORIES))
    if values.dtype.kind in "fiu":
        return _numeric(values, count)
    if values.dtype.kind == "M":
        return _moments(values, count)
    present = [value for value in values.tolist() if not is_missing(value)]
    missing = (count - len(present)) / count if count else 0.0
    if present and {bytes}.issuperset(map(type, present)):
        return ColumnProfile("bytes", count, missing, _numbers(np.array(list(map(len, present)), np.float64)))
    dtype = "bool" if present and {bool}.issuperset(map(type, present)) else "string"
    return ColumnProfile(dtype, count, missing, categories=_shares(present, _MOST_CATEGORIES))


def _numeric(values: Array, count: int) -> ColumnProfile:
    missing = float(np.isnan(values).mean()) if count and values.dtype.kind == "f" else 0.0
    finite = values[np.isfinite(values)]
    categories = None
    if values.dtype.kind in "iu" and count and len(np.unique(values)) <= _FEW_INTEGERS:
        categories = _shares(values.tolist(), _MOST_CATEGORIES)
    return ColumnProfile(values.dtype.name, count, missing, _numbers(finite.astype(np.float64)), categories)


def _moments(values: Array, count: int) -> ColumnProfile:
    gone = np.isnat(values)
    seconds = (values[~gone] - np.datetime64(0, "s")) / np.timedelta64(1, "s")
    return ColumnProfile(values.dtype.name, count, float(gone.mean()) if count else 0.0, _numbers(seconds))


def _numbers(finite: Array) -> Numbers | None:
    if not finite.size:
        return None
    # Scaled by the largest magnitude, so that the sums of huge values stay finite.
    scale = float(np.abs(finite).max()) or 1.0
    _, exponent = math.frexp(scale)
    scaled = np.ldexp(finite, -exponent)
    return Numbers(
        minimum=float(finite.min()),
        maximum=float(finite.max()),
        mean=float(np.ldexp(scaled.mean(), exponent)),
        std=float(np.ldexp(scaled.std(), exponent)),
        deciles=tuple(np.ldexp(np.quantile(scaled, _DECILES), exponent).tolist()),
    )


def _shares(values: list[Any], most: int | None) -> Categories:
    counts = Counter(map(str, values)).most_common()
    total = len(values)
    other = 0 if most is None else sum(count for _, count in counts[most:])
    shares = {name: count / total for name, count in counts[:most]}
    return Categories(shares, other / total if total else 0.0)
