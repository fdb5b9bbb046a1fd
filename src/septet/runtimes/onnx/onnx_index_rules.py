"""How the operators of ONNX that pick or place values by indices treat the rows; see `onnx_rows`."""

from collections.abc import Mapping, Sequence

from septet.runtimes.onnx.onnx_graph import Node
from septet.runtimes.onnx.onnx_sizes import Elements, Size
from septet.runtimes.onnx.onnx_value import (
    AbstractValue,
    Rule,
    Scope,
    Unproven,
    Values,
    alike,
    argument,
    first,
    fixed,
    place_of,
    whole_numbers,
)

_OVER_ROWS = "works along the rows"


def _gather(node: Node, values: Values, scope: Scope) -> Sequence[AbstractValue]:
    data, indices = first(values), argument(values, 1)
    if indices is None:
        raise Unproven("lacks its indices")
    axis = place_of(node.number("axis", 0), data.rank)
    if data.elements is not None and data.rank == 1 and indices.axis is None:
        return (_picked(data.elements, indices, scope),)
    if data.sized or indices.sized or (data.axis is not None and indices.axis is not None):
        raise Unproven("picks rows by the values of others")
    if data.axis == axis:
        raise Unproven(_OVER_ROWS)
    sizes = (*data.sizes[:axis], *indices.sizes, *data.sizes[axis + 1 :])
    place = None
    if data.axis is not None:
        place = data.axis if data.axis < axis else data.axis + indices.rank - 1
    elif indices.axis is not None:
        place = axis + indices.axis
    return (AbstractValue(sizes, place),)


def _picked(elements: Elements, indices: AbstractValue, scope: Scope) -> AbstractValue:
    known = None if indices.elements is None else whole_numbers(indices.elements)
    if known is not None and all(-len(elements) <= at < len(elements) for at in known):
        return AbstractValue(indices.shape, None, tuple(elements[at] for at in known))
    if indices.sized or any(each is not None and each.of_rows for each in elements):
        raise Unproven("computes with the number of rows")
    return AbstractValue(indices.shape or (scope.unknown(),))


def _gather_elements(node: Node, values: Values, _scope: Scope) -> Sequence[AbstractValue]:
    data, indices = first(values), argument(values, 1)
    if indices is None or indices.axis is None:
        raise Unproven(_OVER_ROWS)
    axis = place_of(node.number("axis", 0), indices.rank)
    # A constant table has no rows but along the axis of the indices.
    fits = axis == indices.axis if data.axis is None else (axis != indices.axis and alike(data, indices))
    if not fits:
        raise Unproven("picks rows by the values of others")
    return (AbstractValue(indices.shape, indices.axis),)


def _scatter_elements(node: Node, values: Values, _scope: Scope) -> Sequence[AbstractValue]:
    data, *others = [first(values), *values[1:]]
    axis = place_of(node.number("axis", 0), data.rank)
    if data.axis is None or axis == data.axis or not all(each is not None and alike(data, each) for each in others):
        raise Unproven("writes to rows by the values of others")
    return (AbstractValue(data.shape, data.axis),)


def _gather_nd(node: Node, values: Values, _scope: Scope) -> Sequence[AbstractValue]:
    data, indices = first(values), argument(values, 1)
    batch = node.number("batch_dims", 0)
    if indices is None or indices.axis is None or indices.axis == indices.rank - 1:
        raise Unproven(_OVER_ROWS)
    if data.axis is not None and not (alike(data, indices) and data.axis < batch):
        raise Unproven("picks rows by the values of others")
    if data.axis is None and indices.axis < batch:
        raise Unproven("picks rows by the values of others")
    width = indices.sizes[-1]
    if width.names:
        raise Unproven("takes a value of unknown shape")
    return (AbstractValue((*indices.sizes[:-1], *data.sizes[batch + width.number :]), indices.axis),)


def _one_hot(node: Node, values: Values, scope: Scope) -> Sequence[AbstractValue]:
    indices, depth = first(values), argument(values, 1)
    fixed(values)
    axis = place_of(node.number("axis", -1), indices.rank + 1)
    known = None if depth is None or depth.elements is None else whole_numbers(depth.elements)
    size = Size(known[0]) if known else scope.unknown()
    place = None if indices.axis is None else indices.axis + (axis <= indices.axis)
    return (AbstractValue((*indices.sizes[:axis], size, *indices.sizes[axis:]), place),)


RULES: Mapping[tuple[str, str], Rule] = {
    ("", "Gather"): _gather,
    ("", "GatherElements"): _gather_elements,
    ("", "GatherND"): _gather_nd,
    ("", "ScatterElements"): _scatter_elements,
    ("", "OneHot"): _one_hot,
}
