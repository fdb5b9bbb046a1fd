"""Values that nobody trained on and somebody will send: large, tiny, whole, foreign, empty."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from septet.packing.neighbours import around, beside, spread
from septet.packing.probes import ColumnPosition, Probes, replaced, whole
from septet.types import Array, Tensors

_BASES = 3
_QUANTILES = 9
_WHOLE = (2.0**24 - 1, 2.0**24 + 1, 2.0**31, 2.0**53 - 1, 20_000_001.0)
_TINY = (0.0, -0.0, 5e-324, 1e-45, 1e-38, 1e-300, 1e-9)
_LARGE = (1e5, 1e6, 1e9)
_HUGE = (1e12, 1e18, 1e30, 3e38, 1e300)
# Letters that lower-casing, tokenising, normalising or sorting by code point treat each in another way.
TEXTS = (
    "", " ", "\t\n", "\u00a0", "\u00e9", "e\u0301", "\u00c9", "\u00df", "SS", "\u1e9e", "\u0130", "\u0131", "I",
    "\ufb01", "na\u00efve caf\u00e9", "\u00dcn\u00efc\u00f6d\u00e9", "CamelCase", "UPPER",
    "\u043f\u0440\u0438\u0432\u0435\u0442 \u043c\u0438\u0440", "\u03a9 \u03c3\u03c2", "\u6f22\u5b57 \u304b\u306a",
    "\ud55c\uad6d\uc5b4", "\u0627\u0644\u0639\u0631\u0628\u064a\u0629", "\u05e2\u05d1\u05e8\u05d9\u05ea",
    "\u0939\u093f\u0928\u094d\u0926\u0940", "\U0001f44d\U0001f3fd ok", "a\u200bb", "a\u00adb", "x_y-z", "don't",
    "1,234.5", "\u0663\u0664", "\u00b2", "\u00bd", "a", "nan", "None", "null", "the and of", "a.b.c", "#tag @you",
    "\x00", "one\r\ntwo", "\uff0d\uff46\uff55\uff4c\uff4c",
)  # fmt: skip
_LONG = 10_000
# How many times its spread a column is off in rows that are far off in several columns, and what they may be anyway.
_FAR = tuple(10.0**power for power in range(1, 10))
_FAR_EACH = 8
_SMALL = (0.0, 1.0, -1.0, 1e-4, -1e-7, 1e-12, -1e-15, 1e-18)


def numbers(
    tensors: Tensors, places: tuple[ColumnPosition, ...], columns: Array, random: np.random.Generator
) -> Iterator[Probes]:
    """Of the columns (numbers of `places`) values from the data, between, beyond, whole, tiny and huge."""
    for column in columns.tolist():
        data = places[column].values(tensors).astype(np.float64)
        finite = np.unique(data[np.isfinite(data)])
        typical = np.quantile(finite, np.linspace(0, 1, _QUANTILES)) if finite.size else np.zeros(1)
        near = np.unique(finite[np.linspace(0, finite.size - 1, min(finite.size, 2 * _QUANTILES)).astype(int)])
        width = spread(data)
        beyond = [typical[0] - width * far for far in (1e-3, 1, 10)] + [
            typical[-1] + width * far for far in (1e-3, 1, 10)
        ]
        ordinary = np.concatenate([typical, beside(near).ravel(), around(near).ravel(), beyond, (-1.0, 1.0, 0.5, -0.5)])
        yield _put(tensors, places, column, np.append(ordinary, np.nan), random, "beside a value of the data")
        signed = np.array(
            [
                *_TINY,
                *(-value for value in _TINY[2:]),
                *_WHOLE,
                *(-value for value in _WHOLE),
                *_LARGE,
                *(-value for value in _LARGE),
            ]
        )
        yield _put(tensors, places, column, signed, random, "tiny or whole")
        extreme = np.array([sign * value for value in _HUGE for sign in (1, -1)])
        if places[column].free:
            extreme = np.append(extreme, (np.inf, -np.inf))
        yield _put(tensors, places, column, extreme, random, "extreme", lenient=True)


def texts(
    tensors: Tensors, places: tuple[ColumnPosition, ...], columns: Array, random: np.random.Generator
) -> Iterator[Probes]:
    """Of the columns texts of many scripts and forms, known ones changed a little, none, and very long ones."""
    for column in columns.tolist():
        data = [value for value in places[column].values(tensors).tolist() if isinstance(value, str)]
        known = list(places[column].column.categories or ())[:200]
        sample = data[:: max(1, len(data) // 40)][:40] + [str(value) for value in known]
        words = sorted({word for text in data[:500] for word in text.split()})
        words = words[:: max(1, len(words) // 60)][:60]
        values: list[str | None] = [*TEXTS, *sample, None]
        for text in sample[:60]:
            values += [text.upper(), text.lower(), text.title(), f" {text} ", f"{text}é", text + "\u0301", text[:-1]]
        for word in words:
            values += [
                f"{word}é",
                f"é{word}",
                f"{word}s",
                f"{word}-{word}",
                f"{word}_x",
                f"{word},{word}",
                word.upper(),
            ]
            values += [
                f"{word}'s",
                f"{word}\u00a0{word}",
                f"ß{word}",
                f"{word}\n{word}",
                f"{word}1",
                f"\uff46{word}\u044f",
                # Letters whose lower case is several letters, or an ASCII one.
                word.upper().replace("I", "\u0130"),
                word.replace("k", "\u212a"),
            ]
        for count in (2, 5, 30):
            for _ in range(20 if words else 0):
                values.append(" ".join(random.choice(words, count).tolist()))
        values.append(" ".join(data)[:_LONG] or "long " * (_LONG // 5))
        values.append("é" * _LONG)
        array = np.array([*values, None], dtype=object)[:-1]
        yield _put(tensors, places, column, array, random, "a text", bases=1)


def combined(
    tensors: Tensors, places: tuple[ColumnPosition, ...], most: int, random: np.random.Generator
) -> Iterator[tuple[Tensors, str]]:
    """Rows whose columns come from different rows, and the same spread ten times as wide."""
    count = len(next(iter(tensors.values())))
    mixed = {name: np.empty((most, *array.shape[1:]), dtype=array.dtype) for name, array in tensors.items()}
    for name, array in tensors.items():
        if not any(place.tensor == name for place in places):
            mixed[name] = array[random.integers(0, count, most)]
    for place in places:
        index: Any = (slice(None),) if place.at is None else (slice(None), place.at)
        mixed[place.tensor][index] = place.values(tensors)[random.integers(0, count, most)]
    yield mixed, "columns of several rows"
    wide = {name: array.copy() for name, array in mixed.items()}
    for place in places:
        if place.continuous and place.column.categories is None:
            index = (slice(None),) if place.at is None else (slice(None), place.at)
            data = place.values(tensors).astype(np.float64)
            centre = _middle(data)
            values = centre + 10 * (place.values(mixed).astype(np.float64) - centre)
            fits = place.fits(values)
            wide[place.tensor][index] = np.where(fits, values, place.values(mixed).astype(np.float64))
    yield wide, "columns of several rows, ten times as far from their middle"


def far(tensors: Tensors, places: tuple[ColumnPosition, ...], random: np.random.Generator) -> Iterator[Probes]:
    """Rows that are far off in all columns at once, in some, or in one, by 10 to 1e9 times the spread or as such."""
    moving = [place for place in places if place.numeric and place.column.dtype != "bool" and not place.listed]
    if not moving:
        return
    count = len(_FAR) * _FAR_EACH
    by = np.repeat(_FAR, _FAR_EACH)
    shape = (count, len(moving))
    either = np.where(random.random(shape) < 0.5, -1.0, 1.0)  # noqa: PLR2004
    together = np.where(np.arange(count) % 2, 1.0, -1.0)[:, None] * np.ones(shape)
    some = random.random(shape) < random.random((count, 1))
    single = np.arange(len(moving)) == random.integers(0, len(moving), (count, 1))
    uneven = 10.0 ** random.uniform(-0.5, 0.5, shape)
    data = [place.values(tensors).astype(np.float64) for place in moving]
    middle = np.array([_middle(each) for each in data])
    width = np.array([spread(each) for each in data])
    ways = (
        (by[:, None] * together, "every column has the same large number"),
        (by[:, None] * either, "every column has the same large number with a sign of its own"),
        (middle + width * by[:, None] * together, "every column is as far off"),
        (middle + width * by[:, None] * either * uneven, "every column is far off"),
        (np.where(some, middle + width * by[:, None] * either * uneven, np.nan), "some columns are far off"),
        (np.resize(_SMALL, count)[:, None] + np.zeros(shape), "every column has the same small number"),
        (np.where(single, middle + width * by[:, None] * together, np.nan), "one column is far off"),
    )
    for values, reason in ways:
        base = random.integers(0, len(next(iter(tensors.values()))), count)
        yield whole(_moved(tensors, base, moving, values), places, reason)


def _middle(values: Array) -> float:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if finite.size else 0.0


def _moved(tensors: Tensors, base: Array, moving: list[ColumnPosition], values: Array) -> Tensors:
    """Copies of the rows `base` with `values` [rows, places], but where there is none (NaN) or it does not fit."""
    copied = {name: array[base] for name, array in tensors.items()}
    for number, place in enumerate(moving):
        wanted = values[:, number]
        if not place.column.dtype.startswith("float"):
            wanted = np.floor(wanted)
        array = copied[place.tensor]
        fits = place.fits(wanted) & ~np.isnan(wanted)
        if array.dtype.kind in "iu":
            limits = np.iinfo(array.dtype)
            fits &= (wanted >= limits.min) & (wanted <= limits.max)
        rows = np.flatnonzero(fits)
        array[rows if place.at is None else (rows, place.at)] = wanted[rows].astype(array.dtype)
    return copied


def _put(  # noqa: PLR0913 - where, what, why
    tensors: Tensors,
    places: tuple[ColumnPosition, ...],
    column: int,
    values: Array,
    random: np.random.Generator,
    reason: str,
    *,
    lenient: bool = False,
    bases: int = _BASES,
) -> Probes:
    count = len(next(iter(tensors.values())))
    repeated = np.repeat(values, 1 if lenient else bases)
    base = random.integers(0, count, len(repeated))
    return replaced(tensors, places, base, np.full(len(base), column), repeated, reason, lenient=lenient)
