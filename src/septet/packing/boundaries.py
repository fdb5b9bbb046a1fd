"""Where the native model's answer jumps: found by its constants where they are known, and by bisection where not."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from septet.packing.neighbours import around, beside, spread
from septet.packing.probes import ColumnPosition, Probes, replaced
from septet.packing.thresholds import ThresholdSite
from septet.types import Array, Tensors

# float64 has 53 bits; a bisection between two numbers of like size ends at neighbours after about as many steps.
CONSTANT = "beside a constant of the model"
JUMP = "beside a jump of the native answer"
# The same with eight sections a round, as a call of a model costs more than the rows in it.
_SECTIONS, _ROUNDS = 8, 19
_SAMPLE = 500
_RESPONSES = 8
_NEAREST = 2


def at_sites(
    tensors: Tensors,
    places: tuple[ColumnPosition, ...],
    native_rows: Callable[[Tensors], Any],
    sites: Sequence[ThresholdSite],
    most: int,
    random: np.random.Generator,
) -> Iterator[Probes]:
    """Probes beside the constants of `sites`, at most about `most` rows in all."""
    wanted = sum(len(values) for site in sites for values in site.constants.values())
    each = 12 * (_NEAREST + 1)
    share = min(1.0, most / max(1, wanted * each))
    some = _some(tensors, _SAMPLE, random)
    for site in sites:
        constants = {column: _thinned(values, share, random) for column, values in site.constants.items()}
        constants = {column: values for column, values in constants.items() if len(values)}
        if not constants:
            continue
        yield from _of_site(some, places, native_rows, ThresholdSite(constants, site.reach), random)


def _of_site(
    some: Tensors,
    places: tuple[ColumnPosition, ...],
    native_rows: Callable[[Tensors], Any],
    site: ThresholdSite,
    random: np.random.Generator,
) -> Iterator[Probes]:
    def seen(tensors: Tensors) -> Array:
        rows = native_rows(tensors)
        return _numbers(rows if site.reach is None else site.reach(rows))

    try:
        arrived = seen(some)
        sources = {at: [at] for at in site.constants} if site.reach is None else _sources(some, places, seen, random)
    except Exception:  # noqa: BLE001 - anyone's transformer; what it hides is left to the search for jumps
        return
    for at, constants in site.constants.items():
        if at >= arrived.shape[1]:
            continue
        for column in sources.get(at, ())[:_NEAREST]:
            base, values = _targets(arrived[:, at], constants, random)
            if site.reach is not None:
                try:
                    values = _solved(some, places, seen, (column, at), base, values)
                except Exception:  # noqa: BLE001, S112 - as above, or a step refuses a value between two of the data
                    continue
            every = np.concatenate([beside(values), around(values)], axis=1)
            repeated = np.repeat(base, every.shape[1])
            changed = np.full(len(repeated), column)
            yield replaced(some, places, repeated, changed, every.ravel(), CONSTANT)


def _targets(arrived: Array, constants: Array, random: np.random.Generator) -> tuple[Array, Array]:
    """For each constant the rows whose own value is next to it, which most likely reach it, and one more."""
    order = np.argsort(arrived)
    place = np.searchsorted(arrived[order], constants)
    count = len(order)
    rows = [order[np.clip(place + shift, 0, count - 1)] for shift in range(-_NEAREST // 2, _NEAREST - _NEAREST // 2)]
    rows.append(random.integers(0, count, len(constants)))
    return np.concatenate(rows), np.tile(constants, len(rows))


def _sources(
    some: Tensors, places: tuple[ColumnPosition, ...], seen: Callable[[Tensors], Array], random: np.random.Generator
) -> dict[int, list[int]]:
    """Which places move which column of a site's matrix, found by moving them."""
    moving = [number for number, place in enumerate(places) if place.numeric]
    if not moving:
        return {}
    base = np.full(_RESPONSES * len(moving), int(random.integers(0, len(next(iter(some.values()))))))
    changed = np.repeat(moving, _RESPONSES)
    values = np.concatenate([_typical(places[number].values(some), _RESPONSES) for number in moving])
    moved = replaced(some, places, base, changed, values, "")
    matrix = seen(moved.tensors)
    found: dict[int, list[int]] = {}
    for number in moving:
        part = matrix[moved.changed == number]
        if not len(part):
            continue
        differs = ~((part == part[0]) | (np.isnan(part) & np.isnan(part[0]))).all(axis=0)
        for at in np.flatnonzero(differs):
            found.setdefault(int(at), []).append(number)
    return found


def _typical(values: Array, count: int) -> Array:
    finite = values.astype(np.float64)
    finite = finite[np.isfinite(finite)]
    return np.quantile(finite, np.linspace(0, 1, count), method="nearest") if finite.size else np.zeros(count)


def _solved(
    some: Tensors,
    places: tuple[ColumnPosition, ...],
    seen: Callable[[Tensors], Array],
    moves: tuple[int, int],
    base: Array,
    constants: Array,
) -> Array:
    """The values of a place at which a column of the site's matrix passes the constants, by bisection."""
    column, at = moves
    data = places[column].values(some).astype(np.float64)
    finite = data[np.isfinite(data)]
    width = spread(data)
    low = np.full(len(base), (finite.min() if finite.size else 0.0) - width)
    high = np.full(len(base), (finite.max() if finite.size else 0.0) + width)

    def beyond(values: Array) -> Array:
        """Whether the watched column is past the constants, for values [N, points]."""
        points = values.shape[1]
        copied = {name: np.repeat(array[base], points, axis=0) for name, array in some.items()}
        place = places[column]
        array = copied[place.tensor]
        array[slice(None) if place.at is None else (slice(None), place.at)] = values.ravel()
        result: Array = seen(copied)[:, at].reshape(-1, points) > constants[:, None]
        return result

    shares = np.linspace(0, 1, _SECTIONS + 1)
    rows = np.arange(len(base))
    rising = beyond(high[:, None])
    for _ in range(_ROUNDS):
        values = low[:, None] * (1 - shares) + high[:, None] * shares
        values[:, 0], values[:, -1] = low, high
        # The first value on the side of the upper end; the upper end itself is one.
        first = np.argmax(beyond(values[:, 1:]) == rising, axis=1)
        low, high = values[rows, first], values[rows, first + 1]
    return high


def jumps(
    tensors: Tensors,
    places: tuple[ColumnPosition, ...],
    answer: Callable[[Tensors], Array],
    columns: Array,
    most: int,
    random: np.random.Generator,
) -> Iterator[Probes]:
    """Probes beside the largest jump of the native answer on `most` ways between two values of a column.

    `answer` gives a matrix [N, k] of numbers whose differences are compared.
    """
    if not len(columns):
        return
    count = len(next(iter(tensors.values())))
    changed = random.choice(columns, most)
    base = random.integers(0, count, most)
    low, high = np.zeros(most), np.zeros(most)
    for number in np.unique(changed):
        here = np.flatnonzero(changed == number)
        data = places[int(number)].values(tensors).astype(np.float64)
        data = np.unique(data[np.isfinite(data)])
        if data.size < 2:  # noqa: PLR2004 - between two values
            data = np.array([-1.0, 1.0]) + (data[0] if data.size else 0.0)
        first = random.integers(0, data.size - 1, len(here))
        # Half of the ways lead to the next value in the data, where trees split; half go far.
        last = np.where(random.random(len(here)) < 0.5, first + 1, random.integers(1, data.size, len(here)))  # noqa: PLR2004
        low[here], high[here] = data[np.minimum(first, last)], data[np.maximum(first, last)]

    def at(values: Array) -> Array:
        """The answers for values [ways, points] as [ways, points, numbers]."""
        points = values.shape[1]
        moved = {name: np.repeat(array[base], points, axis=0) for name, array in tensors.items()}
        each = np.repeat(changed, points)
        for number in np.unique(changed):
            here = np.flatnonzero(each == number)
            place = places[int(number)]
            moved[place.tensor][here if place.at is None else (here, place.at)] = values.ravel()[here]
        return answer(moved).reshape(most, points, -1)

    ways = np.arange(most)
    shares = np.linspace(0, 1, _SECTIONS + 1)
    for _ in range(_ROUNDS):
        values = low[:, None] * (1 - shares) + high[:, None] * shares
        values[:, 0], values[:, -1] = low, high
        answers = at(values)
        largest = _distance(answers[:, 1:], answers[:, :-1]).argmax(axis=1)
        low, high = values[ways, largest], values[ways, largest + 1]
    for ends in (low, high):
        every = beside(ends)
        yield replaced(
            tensors,
            places,
            np.repeat(base, every.shape[1]),
            np.repeat(changed, every.shape[1]),
            every.ravel(),
            JUMP,
        )


def _distance(a: Array, b: Array) -> Array:
    with np.errstate(invalid="ignore", over="ignore"):
        apart = np.nan_to_num(np.abs(a - b), nan=1.0)
    distance: Array = apart.max(axis=-1, initial=0.0)
    return distance


def _some(tensors: Tensors, most: int, random: np.random.Generator) -> dict[str, Array]:
    count = len(next(iter(tensors.values())))
    chosen = random.permutation(count)[:most]
    return {name: array[chosen] for name, array in tensors.items()}


def _thinned(values: Array, share: float, random: np.random.Generator) -> Array:
    if share >= 1:
        return values
    count = max(1, int(np.ceil(len(values) * share)))
    return np.sort(random.choice(values, count, replace=False))


def _numbers(rows: Any) -> Array:
    if hasattr(rows, "toarray"):
        rows = rows.toarray()
    array = np.asarray(rows)
    if array.dtype == object:
        flat = [value if isinstance(value, (int, float, np.number)) else np.nan for value in array.ravel().tolist()]
        array = np.array(flat, dtype=np.float64).reshape(array.shape)
    return array.astype(np.float64)
