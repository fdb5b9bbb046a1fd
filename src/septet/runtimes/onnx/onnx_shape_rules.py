"""How the operators of ONNX that move values, and those that compute shapes, treat the rows; see `onnx_rows`."""

from collections.abc import Mapping, Sequence

from septet.runtimes.onnx.onnx_calculations import CALCULATIONS
from septet.runtimes.onnx.onnx_graph import Node, constants
from septet.runtimes.onnx.onnx_sizes import MOST_ELEMENTS, ONE, Elements, Size, Sizes, over, product, repeated, times
from septet.runtimes.onnx.onnx_value import (
    AbstractValue,
    Rule,
    Scope,
    Unproven,
    Values,
    alike,
    argument,
    broadcast,
    constant,
    first,
    fixed,
    integers,
    parameter,
    place_of,
    reshaped,
    whole_numbers,
)

_INT64 = 7
_TO_THE_END = 2**31 - 1
_OVER_ROWS = "works along the rows"


def _shape(node: Node, values: Values, scope: Scope) -> Sequence[AbstractValue]:
    value = first(values)
    if value.shape is None:
        return (AbstractValue((scope.unknown(),)),)
    start, end = node.number("start", 0), node.attributes.get("end")
    sizes = value.shape[slice(start, int(end[0]) if end else None)]
    return (AbstractValue((Size(len(sizes)),), None, sizes),)


def _size(_node: Node, values: Values, _scope: Scope) -> Sequence[AbstractValue]:
    return (AbstractValue((), None, (product(first(values).sizes),)),)


def _constant(node: Node, _values: Values, scope: Scope) -> Sequence[AbstractValue]:
    if node.tensor is not None:
        return (constant(node.tensor),)
    for name in ("value_int", "value_ints"):
        found = integers(node, name)
        if found is not None:
            shape = () if name == "value_int" else (Size(len(found)),)
            return (AbstractValue(shape, None, tuple(map(Size, found))),)
    return (AbstractValue((scope.unknown(),)),)


def _reshape(node: Node, values: Values, _scope: Scope) -> Sequence[AbstractValue]:
    value, target = first(values), argument(values, 1)
    elements = target.elements if target is not None else tuple(map(Size, integers(node, "shape") or ()))
    if elements is None or (target is not None and target.axis is not None):
        raise Unproven("takes its shape from the values of a request")
    sizes = _target(value, elements, zeros=not node.number("allowzero", 0))
    return (reshaped(value, sizes),)


def _target(value: AbstractValue, elements: Elements, *, zeros: bool) -> Sizes:
    sizes: list[Size] = []
    for at, each in enumerate(elements):
        if each is None:
            raise Unproven("takes its shape from the values of a request")
        sizes.append(value.sizes[at] if each == Size(0) and zeros else each)
    rest = Size(-1)
    if rest not in sizes:
        return tuple(sizes)
    inferred = over(product(value.sizes), product(size for size in sizes if size != rest))
    if inferred is None:
        raise Unproven("may move values of one row to another")
    return tuple(inferred if size == rest else size for size in sizes)


def _flatten(node: Node, values: Values, _scope: Scope) -> Sequence[AbstractValue]:
    value = first(values)
    axis = place_of(node.number("axis", 1), value.rank)
    return (reshaped(value, (product(value.sizes[:axis]), product(value.sizes[axis:]))),)


def _transpose(node: Node, values: Values, _scope: Scope) -> Sequence[AbstractValue]:
    value = first(values)
    order = integers(node, "perm") or tuple(reversed(range(value.rank)))
    axis = None if value.axis is None else order.index(value.axis)
    return (AbstractValue(tuple(value.sizes[at] for at in order), axis),)


def _squeeze(node: Node, values: Values, _scope: Scope) -> Sequence[AbstractValue]:
    value, axes = first(values), parameter(node, values, "axes", 1)
    if axes is None:
        # One row alone would lose its axis.
        raise Unproven("removes every axis of one place")
    gone = {place_of(axis, value.rank) for axis in axes}
    if value.axis in gone:
        raise Unproven(_OVER_ROWS)
    sizes = tuple(size for at, size in enumerate(value.sizes) if at not in gone)
    axis = None if value.axis is None else value.axis - sum(at < value.axis for at in gone)
    return (AbstractValue(sizes, axis, value.elements, value.filler if value.rank - 1 not in gone else None),)


def _unsqueeze(node: Node, values: Values, _scope: Scope) -> Sequence[AbstractValue]:
    value, axes = first(values), parameter(node, values, "axes", 1) or ()
    rank = value.rank + len(axes)
    new = {place_of(axis, rank) for axis in axes}
    old = [at for at in range(rank) if at not in new]
    sizes = tuple(ONE if at in new else value.sizes[old.index(at)] for at in range(rank))
    return (AbstractValue(sizes, None if value.axis is None else old[value.axis], value.elements),)


def _concat(node: Node, values: Values, scope: Scope) -> Sequence[AbstractValue]:
    given = [value for value in values if value is not None]
    axis = place_of(node.number("axis", 1), first(values).rank)
    return (joined(given, axis, scope),)


def joined(values: Sequence[AbstractValue], axis: int, scope: Scope) -> AbstractValue:
    """Values one behind the other on an axis.

    Raises:
        Unproven: the rows lie on that axis, or not all are of the rows.
    """
    rows = {value.axis for value in values}
    if rows == {None}:
        return _joined_constants(values, axis, scope)
    if None in rows or len(rows) > 1 or axis in rows:
        raise Unproven("joins the rows to something else")
    place = values[0].axis or 0
    if len({value.sizes[place] for value in values}) > 1:
        raise Unproven("joins the rows to something else")
    along = [value.sizes[axis] for value in values]
    sizes = values[0].sizes
    return AbstractValue((*sizes[:axis], _sum(along, scope), *sizes[axis + 1 :]), place)


def _joined_constants(values: Sequence[AbstractValue], axis: int, scope: Scope) -> AbstractValue:
    sizes = values[0].sizes
    elements: Elements | None = ()
    for value in values:
        length = product(value.sizes)
        if value.rank != 1 or (value.elements is None and length.names):
            elements = None
        if elements is not None:
            more = value.elements if value.elements is not None else repeated(None, length.number)
            elements = None if more is None or len(elements) + len(more) > MOST_ELEMENTS else elements + more
    if elements is None and any(value.sized for value in values):
        raise Unproven("computes with the number of rows")
    along = _sum([value.sizes[axis] for value in values], scope)
    return AbstractValue((*sizes[:axis], along, *sizes[axis + 1 :]), None, elements)


def _sum(sizes: Sequence[Size], scope: Scope) -> Size:
    names = {size.names for size in sizes}
    return Size(sum(size.number for size in sizes), names.pop()) if len(names) == 1 else scope.unknown()


def _split(node: Node, values: Values, scope: Scope) -> Sequence[AbstractValue]:
    value, parts = first(values), parameter(node, values, "split", 1)
    axis = place_of(node.number("axis", 0), value.rank)
    if axis == value.axis:
        raise Unproven(_OVER_ROWS)
    count = len(node.outputs)
    even = over(value.sizes[axis], Size(count))
    sizes = [Size(part) for part in parts] if parts else [even or scope.unknown() for _ in range(count)]
    return [AbstractValue((*value.sizes[:axis], size, *value.sizes[axis + 1 :]), value.axis) for size in sizes]


def _slice(node: Node, values: Values, scope: Scope) -> Sequence[AbstractValue]:
    value = first(values)
    fixed(values)
    if "starts" in node.attributes:
        bounds = [integers(node, name) for name in ("starts", "ends", "axes")] + [None]
    else:
        given = [argument(values, place) for place in (1, 2, 3, 4)]
        bounds = [None if each is None or each.elements is None else whole_numbers(each.elements) for each in given]
        if given[2] is not None and bounds[2] is None:
            raise Unproven("is told only while it runs which axis to cut")
    starts, ends, axes, steps = bounds
    count = next((len(each) for each in (axes, starts, ends) if each is not None), value.rank)
    places = [place_of(axis, value.rank) for axis in axes or range(count)]
    sizes = list(value.sizes)
    elements = value.elements
    for at, place in enumerate(places):
        cut = None if starts is None or ends is None else slice(starts[at], ends[at], steps[at] if steps else 1)
        if place == value.axis:
            if cut is None or cut.start != 0 or cut.stop < _TO_THE_END or cut.step != 1:
                raise Unproven(_OVER_ROWS)
            continue
        size = sizes[place]
        if cut is not None and not size.names:
            sizes[place] = Size(len(range(*cut.indices(size.number))))
        else:
            sizes[place] = _cut_off(size, at, values, scope)
        if elements is not None:
            elements = elements[cut] if cut is not None else None
    if elements is None and value.sized:
        raise Unproven("computes with the number of rows")
    return (AbstractValue(tuple(sizes), value.axis, elements),)


def _cut_off(size: Size, at: int, values: Values, scope: Scope) -> Size:
    """What is left of an axis that ends where a request's own size sets it, as a table of positions does."""
    start, stop, step = (argument(values, place) for place in (1, 2, 4))
    if start is None or stop is None or start.elements is None or stop.elements is None:
        return scope.unknown()
    until = stop.elements[at]
    plain = step is None or step.elements == (ONE,) * len(stop.elements)
    if not plain or start.elements[at] != Size(0) or until is None or size.names or size.number <= 1:
        return scope.unknown()
    return scope.least(until) if until.names and until.number == 1 else scope.unknown()


def _pad(node: Node, values: Values, scope: Scope) -> Sequence[AbstractValue]:
    value, pads, axes = first(values), parameter(node, values, "pads", 1), parameter(node, values, "axes", 3)
    fixed(values)
    if pads is None:
        raise Unproven("is told only while it runs what to add")
    places = [place_of(axis, value.rank) for axis in axes] if axes is not None else list(range(value.rank))
    sizes = list(value.sizes)
    for at, place in enumerate(places):
        more = pads[at], pads[at + len(places)]
        if more == (0, 0):
            continue
        if place == value.axis:
            raise Unproven(_OVER_ROWS)
        size = sizes[place]
        sizes[place] = scope.unknown() if size.names else Size(size.number + sum(more))
    return (AbstractValue(tuple(sizes), value.axis),)


def _tile(_node: Node, values: Values, _scope: Scope) -> Sequence[AbstractValue]:
    value, times_each = first(values), argument(values, 1)
    repeats = None if times_each is None or times_each.axis is not None or value.sized else times_each.elements
    if repeats is None or None in repeats:
        raise Unproven("is told only while it runs how often to repeat")
    known = [each for each in repeats if each is not None]
    sizes = tuple(times(size, each) for size, each in zip(value.sizes, known, strict=True))
    places = [at for at, each in enumerate(known) if each.of_rows]
    if value.axis is not None:
        if known[value.axis] != ONE or places:
            raise Unproven("repeats the rows")
        return (AbstractValue(sizes, value.axis),)
    if len(places) > 1:
        raise Unproven("has the rows on two axes")
    return (AbstractValue(sizes, places[0] if places else None),)


def _of_shape(elements: Elements | None, scope: Scope) -> AbstractValue:
    """A value of equal rows, of a computed shape."""
    if elements is None:
        raise Unproven("takes its shape from the values of a request")
    sizes = tuple(scope.unknown() if each is None else each for each in elements)
    places = [at for at, size in enumerate(sizes) if size.of_rows]
    if len(places) > 1:
        raise Unproven("has the rows on two axes")
    return AbstractValue(sizes, places[0] if places else None)


def _expand(_node: Node, values: Values, scope: Scope) -> Sequence[AbstractValue]:
    value, target = first(values), argument(values, 1)
    if target is None or target.axis is not None or value.sized:
        raise Unproven("takes its shape from the values of a request")
    return (broadcast((value, _of_shape(target.elements, scope)), scope),)


def _constant_of_shape(node: Node, values: Values, scope: Scope) -> Sequence[AbstractValue]:
    source = first(values)
    if source.axis is not None:
        raise Unproven("takes its shape from the values of a request")
    made = _of_shape(source.elements, scope)
    number = Size(int(constants(node.tensor)[0])) if node.tensor and node.tensor.element == _INT64 else None
    length = product(made.sizes)
    if made.axis is None and made.rank <= 1 and not length.names and number is not None:
        return (AbstractValue(made.shape, None, repeated(number, length.number)),)
    return (made,)


def _trilu(_node: Node, values: Values, _scope: Scope) -> Sequence[AbstractValue]:
    value = first(values)
    fixed(values)
    if value.axis is not None and value.axis >= value.rank - 2:
        raise Unproven(_OVER_ROWS)
    return (AbstractValue(value.shape, value.axis),)


def _sequence(_node: Node, values: Values, _scope: Scope) -> Sequence[AbstractValue]:
    """A sequence of values with the rows on the first axis of each: known as one of them."""
    value = first(values)
    if not all(each is not None and alike(value, each) for each in values):
        raise Unproven("joins the rows to something else")
    return (AbstractValue(value.shape, value.axis),)


#: Operators whose rule may use the number of rows; all others then raise `Unproven`.
COUNTING = frozenset(
    (
        *("Reshape", "Expand", "ConstantOfShape", "Tile", "Concat", "Gather", "Slice", "Squeeze", "Unsqueeze"),
        *("Shape", "Size", "ReduceProd", *CALCULATIONS),
    )
)

RULES: Mapping[tuple[str, str], Rule] = {
    ("", "Shape"): _shape,
    ("", "Size"): _size,
    ("", "Constant"): _constant,
    ("", "Reshape"): _reshape,
    ("", "Flatten"): _flatten,
    ("", "Transpose"): _transpose,
    ("", "Squeeze"): _squeeze,
    ("", "Unsqueeze"): _unsqueeze,
    ("", "Concat"): _concat,
    ("", "Split"): _split,
    ("", "Slice"): _slice,
    ("", "Pad"): _pad,
    ("", "Tile"): _tile,
    ("", "Expand"): _expand,
    ("", "ConstantOfShape"): _constant_of_shape,
    ("", "Trilu"): _trilu,
    ("", "SequenceConstruct"): _sequence,
}
