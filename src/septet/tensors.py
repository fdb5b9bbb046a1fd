"""The tensors of requests that share a run: made together, and cut apart only where somebody looks.

Theory of operation. To make an array of one row, to join it to others and to cut the answer out of theirs costs more
than the row's share of a small model's run. So a decoder may leave the values as they are (`Deferred`), and those of
all requests of a run are made into one array; and an answer may be rows of a run's outputs (`Part`), which become lists
once for all. Both are mappings of arrays like any other `Tensors`: who looks at one, makes it.
"""

import math
from abc import ABCMeta
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Final

import msgspec
import numpy as np

from septet.lengthy_work import VALUES_ON_LOOP, leave_loop
from septet.types import Array, Tensors

#: Bytes; below, a copy is cheaper than a view.
WORTH_A_VIEW: Final = 1 << 14


class _MappingStruct(msgspec.StructMeta, ABCMeta):
    """A struct that is a mapping: one is made for each request, which takes a plain class twice as long."""


class Deferred(Mapping[str, Array], msgspec.Struct, metaclass=_MappingStruct, gc=False, eq=False):
    """Values that become tensors when they are looked at.

    `cells` are bytes or a sequence; those of several requests, one behind the other, are the cells of a request with
    the rows of all. `make` makes the tensors, must not fail, and is the same object for requests that may be joined.
    """

    make: Callable[[Any], Tensors]
    cells: bytes | Sequence[Any]
    made: Tensors | None = None

    def tensors(self) -> Tensors:
        """The tensors as plain arrays."""
        if self.made is None:
            self.made = self.make(self.cells)
        return self.made

    def __getitem__(self, name: str) -> Array:
        return self.tensors()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.tensors())

    def __len__(self) -> int:
        return len(self.tensors())


class Outputs:
    """What one run answered, `rows` rows in each array.

    Attributes:
        values: how many there are in all arrays. Of many, nothing is made for all requests at once.
        memo: what was made of it and is the same for all requests of the run, by whoever's key.
    """

    __slots__ = ("arrays", "memo", "rows", "values")

    def __init__(self, arrays: Tensors, rows: int) -> None:
        self.arrays = arrays
        self.rows = rows
        self.values = sum([array.size for array in arrays.values()])
        self.memo: dict[Any, Any] = {}

    def nested(self, name: str) -> list[Any]:
        """An output as a list of rows."""
        found: list[Any] | None = self.memo.get(name)
        if found is None:
            found = self.memo[name] = listed(self.arrays[name])
        return found

    def flat(self, name: str) -> list[Any]:
        """All values of an output, in row-major order."""
        found: list[Any] | None = self.memo.get((name, "flat"))
        if found is None:
            found = self.memo[name, "flat"] = listed(self.arrays[name].ravel())
        return found


class Part(Mapping[str, Array], msgspec.Struct, metaclass=_MappingStruct, gc=False, eq=False):
    """The rows from `start` to `stop`, those of one request, among the outputs of a run that it shared."""

    shared: Outputs
    start: int
    stop: int

    def __getitem__(self, name: str) -> Array:
        return self.shared.arrays[name][self.start : self.stop]

    def __iter__(self) -> Iterator[str]:
        return iter(self.shared.arrays)

    def __len__(self) -> int:
        return len(self.shared.arrays)


def joined(parts: Sequence[Tensors]) -> Tensors:
    """The tensors of several requests, one behind the other on axis 0, as plain arrays."""
    first = parts[0]
    if type(first) is Deferred:
        make = first.make
        cells: list[Any] = [part.cells for part in parts if type(part) is Deferred and part.make is make]
        if len(cells) == len(parts):
            return make(b"".join(cells) if type(first.cells) is bytes else list(chain.from_iterable(cells)))
    return {name: np.concatenate([part[name] for part in parts]) for name in first}


def plain(tensors: Tensors) -> Tensors:
    """The tensors as plain arrays in a dictionary."""
    return tensors.tensors() if type(tensors) is Deferred else tensors


def nested(name: str, tensors: Tensors) -> Any:
    """One output as lists, nested like the array."""
    if type(tensors) is Part and tensors.shared.values <= VALUES_ON_LOOP:
        return tensors.shared.nested(name)[tensors.start : tensors.stop]
    return listed(tensors[name])


def flat(name: str, tensors: Tensors) -> list[Any]:
    """All values of one output, in row-major order."""
    if type(tensors) is Part and tensors.shared.values <= VALUES_ON_LOOP:
        shared = tensors.shared
        values = shared.flat(name)
        width = len(values) // shared.rows
        return values[tensors.start * width : tensors.stop * width]
    found: list[Any] = listed(tensors[name].ravel())
    return found


def contiguous_bytes(array: Array) -> bytes | memoryview:
    """The bytes of an array of numbers, in row-major order; a large one is not copied where it is contiguous."""
    if array.nbytes < WORTH_A_VIEW:
        return array.tobytes()
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def listed(array: Array) -> Any:
    """An array as lists nested like it: a moment as ISO 8601 text in UTC or local time, a missing one as None.

    Raises:
        LengthyWork: it has many values.
    """
    if array.size > VALUES_ON_LOOP:
        leave_loop()
        return _listed_in_parts(array)
    if array.dtype.kind != "M":
        return array.tolist()
    texts = np.array(np.datetime_as_string(array), object)
    for place, text in np.ndenumerate(texts):
        texts[place] = None if text == "NaT" else text.rstrip("0").rstrip(".") if "." in text else text
    return texts.tolist()


def _listed_in_parts(array: Array) -> list[Any]:
    """The same of a large array, so many values at a time that other threads need not wait for all of them."""
    if array.ndim == 1 or array[0].size <= VALUES_ON_LOOP:
        found: list[Any] = []
        for part in parts(array):
            found += listed(part)
        return found
    return [listed(each) for each in array]


def parts(array: Array) -> Iterator[Array]:
    """Cut an array along its first axis into parts of no more values than an event loop may wait for, if it can be."""
    rows = max(VALUES_ON_LOOP // max(math.prod(array.shape[1:]), 1), 1)
    return (array[start : start + rows] for start in range(0, len(array), rows))
