"""What is known of a value of an ONNX graph before it runs: its shape, and how it depends on the rows of a run."""

from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import count
from math import prod
from typing import TypeAlias

import msgspec

from septet.runtimes.onnx.onnx_graph import Initializer, Node, constants
from septet.runtimes.onnx.onnx_sizes import MANY, ONE, Elements, Size, Sizes, numbers, over, product

# A constant of more elements is no shape, axis or list of indices that matters here.
_MOST_ELEMENTS = 64
_INT32, _INT64 = 6, 7


class Unproven(Exception):
    """A value's rows may depend on each other; the text gives the reason."""


class AbstractValue(msgspec.Struct, frozen=True):
    """One value.

    Where `axis` is a number, the value has the rows there, `f` of its places to each row in their order, and what lies
    in them depends on that row alone; `shape[axis]` is `f` times the rows, and no other size depends on the rows.
    Where `axis` is None, the value does not depend on the rows, but perhaps on how many they are (`sized`).

    Attributes:
        shape: None where not even the rank is known.
        elements: in row-major order, of whole numbers that make up a shape or index one.
        filler: the text that fills up the last axis, whose length depends on all rows.
    """

    shape: Sizes | None
    axis: int | None = None
    elements: Elements | None = None
    filler: str | None = None

    @property
    def rank(self) -> int:
        """How many axes it has.

        Raises:
            Unproven: nobody knows.
        """
        return len(self.sizes)

    @property
    def sizes(self) -> Sizes:
        """Its shape.

        Raises:
            Unproven: nobody knows it.
        """
        if self.shape is None:
            raise Unproven("takes a value of unknown shape")
        return self.shape

    @property
    def sized(self) -> bool:
        """Whether its elements depend on how many rows there are."""
        return self.elements is not None and any(each is not None and each.of_rows for each in self.elements)

    @property
    def numbers(self) -> tuple[int, ...]:
        """Its elements.

        Raises:
            Unproven: they are not known before the model runs.
        """
        found = None if self.elements is None else numbers(self.elements)
        if found is None:
            raise Unproven("is told only while it runs what to take")
        return found


CONSTANT = AbstractValue(None)

#: Arguments, None for each that is left out.
Values: TypeAlias = Sequence[AbstractValue | None]


class Scope:
    """What the rules of all operators of a graph share: its version of ONNX, and new names for sizes."""

    def __init__(self, opsets: Mapping[str, int]) -> None:
        self.opset = opsets.get("", 1)
        self._numbers = count()
        self._least: dict[Size, Size] = {}

    def unknown(self) -> Size:
        """A size that is not known, and does not depend on the rows."""
        return Size(1, (f"size {next(self._numbers)}",))

    def least(self, size: Size) -> Size:
        """The smaller of a size and of a number above 1."""
        found = self.unknown()
        self._least[found] = size
        return found

    def agreed(self, sizes: Collection[Size]) -> Size | None:
        """The one size that so many of them, none of them 1, can have together when the model runs, if any."""
        if len(sizes) == 1:
            return next(iter(sizes))
        # The smaller of a size and of a number above 1 is either that size or does not fit to it.
        same = {self._least.get(size, size) for size in sizes}
        return same.pop() if len(same) == 1 else None


#: From an operator and its arguments to its results; raises `Unproven`.
Rule: TypeAlias = Callable[[Node, Values, Scope], Sequence[AbstractValue]]


def constant(item: Initializer) -> AbstractValue:
    """A constant of the file."""
    shape = tuple(Size(size) for size in item.shape)
    size = prod(item.shape)
    if item.element not in {_INT32, _INT64} or len(shape) > 1 or size > _MOST_ELEMENTS:
        return AbstractValue(shape)
    elements = tuple(Size(int(each)) for each in constants(item))
    return AbstractValue(shape, None, elements if len(elements) == size else None)


def first(values: Values) -> AbstractValue:
    """The first argument.

    Raises:
        Unproven: it is missing.
    """
    if not values or values[0] is None:
        raise Unproven("lacks its first argument")
    return values[0]


def argument(values: Values, place: int) -> AbstractValue | None:
    """An argument that may be left out."""
    return values[place] if len(values) > place else None


def fixed(values: Values, start: int = 1) -> None:
    """Demand that all arguments from a place on depend neither on the rows nor on how many they are.

    Raises:
        Unproven: one does.
    """
    if any(value is not None and (value.axis is not None or value.sized) for value in values[start:]):
        raise Unproven("takes more than its first argument from the rows")


def place_of(axis: int, rank: int) -> int:
    """An axis counted from the front."""
    return axis + rank if axis < 0 else axis


def parameter(node: Node, values: Values, name: str, place: int) -> tuple[int, ...] | None:
    """Whole numbers that stand in an attribute in old versions of an operator and in an argument in new ones.

    Raises:
        Unproven: they are computed from the request.
    """
    value = argument(values, place)
    if value is not None:
        return value.numbers
    return integers(node, name)


def integers(node: Node, name: str) -> tuple[int, ...] | None:
    """The whole numbers of an attribute, or None without it."""
    found = node.attributes.get(name)
    return None if found is None else tuple(int(each) for each in found)


def text(node: Node, name: str, default: str) -> str:
    """The text of an attribute."""
    found = node.attributes.get(name)
    return str(found[0]) if found else default


def broadcast(values: Values, scope: Scope) -> AbstractValue:
    """What comes of all arguments together, element by element.

    Raises:
        Unproven: the rows of one meet other rows, or other values, of another.
    """
    given = [value for value in values if value is not None]
    if all(value.axis is None for value in given):
        shapes = [value.shape for value in given]
        known = [shape for shape in shapes if shape is not None]
        return AbstractValue(_together(known, scope) if len(known) == len(shapes) else None)
    rank = max(value.rank for value in given)
    places = {value.axis + rank - value.rank for value in given if value.axis is not None}
    leads = {value.sizes[value.axis] for value in given if value.axis is not None}
    if len(places) > 1 or len(leads) > 1:
        raise Unproven("joins the rows on one axis with the rows on another")
    (place,), (lead,) = places, leads
    for value in given:
        at = place - rank + value.rank
        if value.axis is None and at >= 0 and value.sizes[at] != ONE:
            raise Unproven("joins the rows with several values beside them")
    shape = _together([value.sizes for value in given], scope)
    return AbstractValue((*shape[:place], lead, *shape[place + 1 :]), place)


def _together(shapes: Sequence[Sizes], scope: Scope) -> Sizes:
    rank = max(len(shape) for shape in shapes)
    aligned = [(ONE,) * (rank - len(shape)) + shape for shape in shapes]
    return tuple(_wider(sizes, scope) for sizes in zip(*aligned, strict=True))


def _wider(sizes: Sequence[Size], scope: Scope) -> Size:
    wide = {size for size in sizes if size != ONE}
    if not wide:
        return ONE
    # One with a name may be 1 when the model runs; a number cannot be.
    plain = {size for size in wide if not size.names}
    return scope.agreed(wide) or (plain.pop() if len(plain) == 1 else scope.unknown())


def reshaped(value: AbstractValue, shape: Sizes) -> AbstractValue:
    """A value whose elements are the same, in the same order, in another shape.

    Raises:
        Unproven: values of different rows come to lie in one place.
    """
    if value.axis is None:
        if any(size.of_rows for size in shape):
            raise Unproven("computes with the number of rows")
        return AbstractValue(shape, None, value.elements)
    sizes, axis = value.sizes, value.axis
    place = next((at for at, size in enumerate(shape) if size.of_rows), None)
    if place is None or product(shape[:place]) != product(sizes[:axis]):
        raise Unproven("moves values of one row to another")
    inner = product(shape[place + 1 :])
    total = product(sizes[axis:])
    per_row = over(total, MANY)
    if inner.of_rows or per_row is None or over(per_row, inner) is None or over(total, inner) != shape[place]:
        raise Unproven("moves values of one row to another")
    if value.filler is not None and shape[-1] != sizes[-1]:
        # What fills up the last axis would come between values.
        raise Unproven("joins texts to others that fill up the rows")
    return AbstractValue(shape, place, None, value.filler)


def alike(one: AbstractValue, other: AbstractValue) -> bool:
    """Whether both have the rows on the same axis, as many places to each."""
    if one.axis is None or one.axis != other.axis:
        return False
    return one.sizes[one.axis] == other.sizes[one.axis]


def whole_numbers(elements: Elements) -> tuple[int, ...] | None:
    """Elements that are all known and no sizes of a request; None where one is not."""
    known = [each.number for each in elements if each is not None and not each.names]
    return tuple(known) if len(known) == len(elements) else None
