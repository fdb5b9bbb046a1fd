"""How the operators of ONNX compute with sizes: shapes from shapes, as exported graphs do; see `onnx_sizes`."""

from collections.abc import Callable, Mapping

from septet.runtimes.onnx.onnx_graph import Node
from septet.runtimes.onnx.onnx_sizes import ONE, Elements, Size, over, product, repeated, times
from septet.runtimes.onnx.onnx_value import AbstractValue, Unproven, Values


def calculated(node: Node, values: Values) -> Elements | None:
    """The elements of a result of operators on whole numbers, or None where none of the arguments' are known.

    Raises:
        Unproven: one depends on the number of rows in another way than as a product.
    """
    combine = CALCULATIONS.get(node.op)
    given = [value for value in values if value is not None]
    sized = any(value.sized for value in given)
    if any(value.axis is not None for value in given):
        if sized:
            raise Unproven("computes with the number of rows")
        return None
    if all(value.elements is None for value in given):
        return None
    length = max(0 if value.elements is None else len(value.elements) for value in given)
    columns = [_stretched(value, length) for value in given]
    if combine is None or any(column is None for column in columns):
        if sized:
            raise Unproven("computes with the number of rows")
        return None
    known = [column for column in columns if column is not None]
    return tuple(combine(*each) for each in zip(*known, strict=True))


def _stretched(value: AbstractValue, length: int) -> Elements | None:
    if value.shape is None or value.rank > 1 or product(value.shape).names:
        return None
    own = value.elements or repeated(None, product(value.shape).number)
    if own is None:
        return None
    return own if len(own) == length else own * length if len(own) == 1 else None


def _either(*sizes: Size | None) -> Size | None:
    if any(size is not None and size.of_rows for size in sizes):
        raise Unproven("computes with the number of rows")
    return None


def _multiplied(one: Size | None, other: Size | None) -> Size | None:
    return _either(one, other) if one is None or other is None else times(one, other)


def _divided(one: Size | None, other: Size | None) -> Size | None:
    quotient = None if one is None or other is None else over(one, other)
    return _either(one, other) if quotient is None else quotient


def _added(one: Size | None, other: Size | None, sign: int = 1) -> Size | None:
    if one is None or other is None:
        return _either(one, other)
    if other.number == 0:
        return one
    return Size(one.number + sign * other.number) if not one.names and not other.names else _either(one, other)


def _subtracted(one: Size | None, other: Size | None) -> Size | None:
    return _added(one, other, -1)


def _equal(one: Size | None, other: Size | None) -> Size | None:
    if one is None or other is None:
        return _either(one, other)
    if one == other:
        return ONE
    if not one.names and not other.names:
        return Size(0)
    # A size is never below zero.
    positive, mark = (one, other) if one.names else (other, one)
    return Size(0) if positive.number > 0 > mark.number and not mark.names else _either(one, other)


def _chosen(which: Size | None, one: Size | None, other: Size | None) -> Size | None:
    if which is None or which.names:
        return one if one == other else _either(which, one, other)
    return one if which.number else other


#: Operators on elements that are followed.
CALCULATIONS: Mapping[str, Callable[..., Size | None]] = {
    "Mul": _multiplied,
    "Div": _divided,
    "Add": _added,
    "Sub": _subtracted,
    "Equal": _equal,
    "Where": _chosen,
    "Identity": lambda size: size,
    "Cast": lambda size: size,
}
