"""Whether a row's answer alone is its answer among others, measured."""

from collections.abc import Iterator, Mapping, Sequence

import msgspec
import numpy as np

from septet.errors import GoldenMismatch
from septet.model.golden import Golden
from septet.model.signature import Signature
from septet.predictor.extreme_rows import extreme_rows, nulls
from septet.runtimes.base import Runtime
from septet.types import Array, Tensors

#: Sums in another order differ by so much at most: of a value, in parts of the largest of its row and in its own unit.
RELATIVE, ABSOLUTE = 1e-4, 1e-5
# How often rows are shuffled, and how many of them come together at most.
_SHUFFLES = 4
_MOST_ROWS = 64


class Difference(msgspec.Struct, frozen=True):
    """Between a row's answers alone and among others.

    Attributes:
        largest: absolute, of all numbers of floating point.
        where: what differs by more than the tolerance, in words; "" where nothing does.
    """

    largest: float = 0.0
    where: str = ""

    def __or__(self, other: "Difference") -> "Difference":
        return Difference(max(self.largest, other.largest), self.where or other.where)


def difference(alone: Tensors, together: Tensors, row: int) -> Difference:
    """Between the answer to one row and the same row of a larger answer."""
    found = Difference()
    for name, one in alone.items():
        many = together.get(name)
        if many is None or many.ndim == 0 or len(many) <= row or len(one) != 1 or many.shape[1:] != one.shape[1:]:
            return Difference(np.inf, f"the output {name!r} has another shape")
        found |= _between(name, one[:1], many[row : row + 1])
    return found


def _between(name: str, alone: Array, among: Array) -> Difference:
    if alone.dtype.kind != "f":
        if np.array_equal(alone, among):
            return Difference()
        return Difference(np.inf, f"the output {name!r} is {_shown(alone)} alone and {_shown(among)} among others")
    if alone.tobytes() == among.tobytes() or np.array_equal(alone, among, equal_nan=True):
        return Difference()
    one, other = np.asarray(alone, np.float64), np.asarray(among, np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        apart = np.where((one == other) | (np.isnan(one) & np.isnan(other)), 0.0, np.abs(one - other))
        largest = float(np.max(np.nan_to_num(apart, nan=np.inf)))
        scale = float(np.max(np.abs(one[np.isfinite(one)]), initial=0.0))
    if largest <= ABSOLUTE + RELATIVE * scale:
        return Difference(largest)
    return Difference(largest, f"the output {name!r} is {_shown(alone)} alone and {_shown(among)} among others")


def _shown(value: Array) -> str:
    text = repr(np.asarray(value).tolist())
    return text if len(text) <= 60 else text[:57] + "..."  # noqa: PLR2004 - a line of a log


def stacked(parts: Sequence[Tensors]) -> Tensors:
    """Rows one behind the other."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def require_independence(path: object, runtime: Runtime, signature: Signature, golden: Golden) -> None:
    """Ask each golden row, with nulls, unknown texts and extreme values, alone and in shuffled batches.

    Raises:
        GoldenMismatch: a row has another answer among others than alone.
    """
    answers = list(_answered(runtime, _evidence(signature, golden)))
    rows = [row for row, _ in answers]
    shuffled = np.random.default_rng(0)
    for _ in range(_SHUFFLES):
        order = shuffled.permutation(len(rows)).tolist()
        for start in range(0, len(order), _MOST_ROWS):
            batch = order[start : start + _MOST_ROWS]
            where = _mixed(runtime, rows, [answer for _, answer in answers], batch)
            if where:
                raise GoldenMismatch(
                    f"{path}: the package says row_independent = true, and its rows are not independent: {where}. Let "
                    "its code compute each row from that row alone, or leave row_independent out: then the rows of "
                    "different requests are not run together."
                )


def _evidence(signature: Signature, golden: Golden) -> Iterator[Tensors]:
    request: Mapping[str, Array] = golden.request
    count = len(next(iter(request.values())))
    for at in range(min(count, _MOST_ROWS)):
        yield {name: array[at : at + 1] for name, array in request.items()}
    yield from nulls(signature, request)
    unusual = extreme_rows(signature, request)
    for at in range(len(next(iter(unusual.values())))):
        yield {name: array[at : at + 1] for name, array in unusual.items()}


def _answered(runtime: Runtime, rows: Iterator[Tensors]) -> Iterator[tuple[Tensors, Tensors]]:
    for row in rows:
        try:
            answer = runtime.run(row)
        except Exception:  # noqa: BLE001, S112 - a row that is refused alone shares no run
            continue
        yield row, answer


def _mixed(runtime: Runtime, rows: Sequence[Tensors], alone: Sequence[Tensors], batch: Sequence[int]) -> str:
    try:
        together = runtime.run(stacked([rows[at] for at in batch]))
    except Exception as error:  # noqa: BLE001 - whatever it raises, each of them was answered alone
        return f"{len(batch)} rows fail together, and each is answered alone ({error})"
    found = Difference()
    for place, at in enumerate(batch):
        found |= difference(alone[at], together, place)
    return found.where
