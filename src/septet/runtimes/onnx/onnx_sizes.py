"""Sizes of tensors as far as a graph tells them before it runs: a whole number times names, one of which is the rows.

Exported graphs compute shapes from shapes: the size of a batch is read from an input, multiplied, joined to other sizes
and used to reshape a value. Such a size is a product: of a number, of names that stand for the free sizes of a
request's own shape (the same for all requests that share a run), and of `ROWS`, which stands for how many rows a run
has.
"""

from collections.abc import Iterable
from typing import TypeAlias

import msgspec

#: The name of the number of rows in a run.
ROWS = "rows of the run"


class Size(msgspec.Struct, frozen=True):
    """A product of a number and of names, which are sorted. Numbers may be negative: shapes have marks such as -1."""

    number: int
    names: tuple[str, ...] = ()

    @property
    def of_rows(self) -> bool:
        """Whether it depends on how many rows a run has."""
        return ROWS in self.names


#: Sizes along each axis, or the elements of a tensor of whole numbers. An element that is None is not known, and is
#: known not to depend on the rows.
Sizes: TypeAlias = tuple[Size, ...]
Elements: TypeAlias = tuple[Size | None, ...]

#: Elements of a tensor that are followed, and names in a product: those of shapes are few.
MOST_ELEMENTS = 1024
_LARGEST = 2**63

ONE = Size(1)
MANY = Size(1, (ROWS,))


def times(first: Size, second: Size) -> Size:
    """The product.

    Raises:
        ValueError: it is none of a tensor: a graph may multiply a size by itself again and again.
    """
    number, names = first.number * second.number, first.names + second.names
    if abs(number) > _LARGEST or len(names) > MOST_ELEMENTS:
        raise ValueError("a size is larger than that of any tensor")
    return Size(number, tuple(sorted(names)))


def product(sizes: Iterable[Size]) -> Size:
    """The product of all; 1 of none."""
    result = ONE
    for size in sizes:
        result = times(result, size)
    return result


def over(first: Size, second: Size) -> Size | None:
    """The quotient, or None where it is not certain that there is one without a remainder."""
    if second.number == 0 or first.number % second.number:
        return None
    names = list(first.names)
    for name in second.names:
        if name not in names:
            return None
        names.remove(name)
    return Size(first.number // second.number, tuple(names))


def repeated(element: Size | None, count: int) -> Elements | None:
    """So many of the same element; None where they are too many to be followed."""
    return (element,) * count if 0 <= count <= MOST_ELEMENTS else None


def numbers(elements: Elements) -> tuple[int, ...] | None:
    """The elements as numbers, or None where one is not known before the model runs."""
    known = [each.number for each in elements if each is not None and not each.names]
    return tuple(known) if len(known) == len(elements) else None
