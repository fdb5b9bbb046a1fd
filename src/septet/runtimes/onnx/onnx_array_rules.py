"""How the operators of ONNX that compute with numbers treat the rows; see `onnx_rows`."""

from collections.abc import Mapping, Sequence
from functools import partial

from septet.runtimes.onnx.onnx_calculations import calculated
from septet.runtimes.onnx.onnx_graph import Node
from septet.runtimes.onnx.onnx_sizes import ONE, Size, Sizes, product
from septet.runtimes.onnx.onnx_value import (
    AbstractValue,
    Rule,
    Scope,
    Unproven,
    Values,
    argument,
    broadcast,
    first,
    fixed,
    integers,
    parameter,
    place_of,
    text,
)

_OVER_ROWS = "works along the rows"
# Versions of ONNX in which an operator changed.
_SOFTMAX_OF_ONE_AXIS, _DROPOUT_TRAINS, _NORMALIZATION_TRAINS, _OUTPUTS_TRAIN = 13, 12, 14, 7


def elementwise(node: Node, values: Values, scope: Scope) -> Sequence[AbstractValue]:
    """Each element is computed from those in the same place."""
    elements = calculated(node, values)
    value = broadcast(values, scope)
    return (AbstractValue(value.shape, value.axis, elements),)


def _single(_node: Node, values: Values, _scope: Scope) -> Sequence[AbstractValue]:
    """Each element is computed from itself; what else is given is the same for all."""
    fixed(values)
    return (AbstractValue(first(values).shape, first(values).axis),)


def _per_element(node: Node, values: Values, _scope: Scope) -> Sequence[AbstractValue]:
    """Quantization: a scale and a zero point, one for all or one for each place of an axis."""
    fixed(values)
    value = first(values)
    if value.axis is None:
        return (AbstractValue(value.shape),)
    axis = place_of(node.number("axis", 1), max(value.rank, 1))
    for other in values[1:]:
        if other is not None and product(other.sizes) != ONE and (axis == value.axis or other.rank != 1):
            raise Unproven(_OVER_ROWS)
    return (AbstractValue(value.shape, value.axis),)


def _reduced(node: Node, values: Values, _scope: Scope) -> Sequence[AbstractValue]:
    value, axes = first(values), parameter(node, values, "axes", 1)
    if value.elements is not None and value.axis is None and node.op == "ReduceProd" and value.rank == 1:
        if None in value.elements:
            raise Unproven("computes with sizes that are not known")
        shape = (ONE,) if node.number("keepdims", 1) else ()
        return (AbstractValue(shape, None, (product(each for each in value.elements if each is not None),)),)
    if value.sized:
        raise Unproven("computes with the number of rows")
    if not axes:
        if node.number("noop_with_empty_axes", 0):
            return (AbstractValue(value.shape, value.axis),)
        axes = tuple(range(value.rank))
    return (_without(value, {place_of(axis, value.rank) for axis in axes}, keep=bool(node.number("keepdims", 1))),)


def _without(value: AbstractValue, gone: set[int], *, keep: bool) -> AbstractValue:
    if value.axis in gone:
        raise Unproven("reduces over the rows")
    if keep:
        return AbstractValue(tuple(ONE if at in gone else size for at, size in enumerate(value.sizes)), value.axis)
    sizes = tuple(size for at, size in enumerate(value.sizes) if at not in gone)
    return AbstractValue(sizes, None if value.axis is None else value.axis - sum(at < value.axis for at in gone))


def _best(node: Node, values: Values, _scope: Scope) -> Sequence[AbstractValue]:
    value = first(values)
    gone = {place_of(node.number("axis", 0), value.rank)}
    return (_without(value, gone, keep=bool(node.number("keepdims", 1))),)


def _top(node: Node, values: Values, scope: Scope) -> Sequence[AbstractValue]:
    value = first(values)
    fixed(values)
    axis = place_of(node.number("axis", -1), value.rank)
    if axis == value.axis:
        raise Unproven("sorts the rows")
    count = parameter(node, values, "k", 1)
    size = Size(count[0]) if count else scope.unknown()
    top = AbstractValue((*value.sizes[:axis], size, *value.sizes[axis + 1 :]), value.axis)
    return (top, top)


def _cumulated(_node: Node, values: Values, _scope: Scope) -> Sequence[AbstractValue]:
    value, axis = first(values), argument(values, 1)
    if axis is None or place_of(axis.numbers[0], value.rank) == value.axis:
        raise Unproven("sums up over the rows")
    return (AbstractValue(value.shape, value.axis),)


def _softmax(node: Node, values: Values, scope: Scope) -> Sequence[AbstractValue]:
    value = first(values)
    if scope.opset >= _SOFTMAX_OF_ONE_AXIS:
        mixes = place_of(node.number("axis", -1), value.rank) == value.axis
    else:  # over all axes from that one on
        mixes = value.axis is not None and value.axis >= place_of(node.number("axis", 1), value.rank)
    if mixes:
        raise Unproven("normalizes over the rows")
    return (AbstractValue(value.shape, value.axis),)


def _on_one_axis(default: int, node: Node, values: Values, _scope: Scope) -> Sequence[AbstractValue]:
    value = first(values)
    fixed(values)
    if place_of(node.number("axis", default), value.rank) == value.axis:
        raise Unproven("normalizes over the rows")
    return (AbstractValue(value.shape, value.axis),)


def _layer_norm(node: Node, values: Values, scope: Scope) -> Sequence[AbstractValue]:
    value = first(values)
    axis = place_of(node.number("axis", -1), value.rank)
    if value.axis is not None and value.axis >= axis:
        raise Unproven("normalizes over the rows")
    fixed(values)
    whole = broadcast(values, scope)
    inner = _without(whole, set(range(axis, value.rank)), keep=True)
    return (whole, inner, inner)[: len(node.outputs)]


def _batch_norm(node: Node, values: Values, scope: Scope) -> Sequence[AbstractValue]:
    trains = bool(node.number("training_mode", 0))
    if scope.opset < _NORMALIZATION_TRAINS:
        trains = sum(map(bool, node.outputs)) > 1
    if scope.opset < _OUTPUTS_TRAIN:
        trains = not node.number("is_test", 0)
    if trains:
        raise Unproven("is set to training, and normalizes over the rows")
    return _of_images(node, values, scope)


def _dropout(node: Node, values: Values, scope: Scope) -> Sequence[AbstractValue]:
    if scope.opset >= _DROPOUT_TRAINS:
        trains = argument(values, 2) is not None
    else:
        trains = scope.opset < _OUTPUTS_TRAIN and not node.number("is_test", 0)
    if trains:
        raise Unproven("may be set to training, and draws at random")
    value = AbstractValue(first(values).shape, first(values).axis)
    return (value, value)[: len(node.outputs)]


def _of_images(_node: Node, values: Values, _scope: Scope) -> Sequence[AbstractValue]:
    """Shape and rows are kept where these are on the first axis."""
    value = first(values)
    fixed(values)
    if value.axis not in {None, 0} or value.rank <= 1:
        raise Unproven("expects the rows on the first axis")
    return (AbstractValue(value.shape, value.axis),)


def _conv(node: Node, values: Values, scope: Scope) -> Sequence[AbstractValue]:
    value, weights = first(values), argument(values, 1)
    fixed(values)
    if value.axis not in {None, 0} or weights is None:
        raise Unproven("expects the rows on the first axis")
    transposed = node.op == "ConvTranspose"
    known = weights.shape if weights.shape is not None and not transposed else None
    kernel = integers(node, "kernel_shape") or (None if known is None else _plain(known[2:]))
    channels = scope.unknown() if known is None else known[0]
    space = _windows(node, value.sizes[2:], None if transposed else kernel, scope)
    return (AbstractValue((value.sizes[0], channels, *space), value.axis),)


def _pool(node: Node, values: Values, scope: Scope) -> Sequence[AbstractValue]:
    value = first(values)
    if value.axis not in {None, 0}:
        raise Unproven("expects the rows on the first axis")
    if sum(map(bool, node.outputs)) > 1:
        raise Unproven("counts places over all rows")
    space = _windows(node, value.sizes[2:], integers(node, "kernel_shape"), scope)
    return (AbstractValue((*value.sizes[:2], *space), value.axis),)


def _global_pool(_node: Node, values: Values, _scope: Scope) -> Sequence[AbstractValue]:
    value = first(values)
    if value.axis not in {None, 0}:
        raise Unproven("expects the rows on the first axis")
    return (AbstractValue((*value.sizes[:2], *(ONE for _ in value.sizes[2:])), value.axis),)


def _plain(sizes: Sizes) -> tuple[int, ...] | None:
    return None if any(size.names for size in sizes) else tuple(size.number for size in sizes)


def _windows(node: Node, space: Sizes, kernel: tuple[int, ...] | None, scope: Scope) -> Sizes:
    """How often a window fits along each axis of an image; unknown where padding is left to the engine."""
    sizes = _plain(space)
    if sizes is None or kernel is None or text(node, "auto_pad", "NOTSET") not in {"NOTSET", "VALID"}:
        return tuple(scope.unknown() for _ in space)
    rank = len(sizes)
    steps = integers(node, "strides") or (1,) * rank
    gaps = integers(node, "dilations") or (1,) * rank
    pads = integers(node, "pads") or (0,) * (2 * rank)
    found = []
    for at in range(rank):
        room = sizes[at] + pads[at] + pads[at + rank] - gaps[at] * (kernel[at] - 1) - 1
        # A window that starts in the padding may be left out when sizes are rounded up.
        unsure = bool(node.number("ceil_mode", 0)) and room % steps[at]
        found.append(scope.unknown() if unsure else Size(room // steps[at] + 1))
    return tuple(found)


def _of_blocks(_node: Node, values: Values, scope: Scope) -> Sequence[AbstractValue]:
    value = first(values)
    if value.axis not in {None, 0}:
        raise Unproven("expects the rows on the first axis")
    return (AbstractValue((value.sizes[0], *(scope.unknown() for _ in value.sizes[1:])), value.axis),)


def matmul(_node: Node, values: Values, scope: Scope) -> Sequence[AbstractValue]:
    """A product of matrices, which may be stacked."""
    one, other = first(values), argument(values, 1)
    if other is None or not one.rank or not other.rank:
        raise Unproven("lacks an argument")
    left = one.sizes if one.rank > 1 else (ONE, *one.sizes)
    right = other.sizes if other.rank > 1 else (*other.sizes, ONE)
    at = None if one.axis is None else one.axis + (one.rank == 1)
    beside = other.axis
    if at == len(left) - 1 or (beside is not None and beside == len(right) - 2):
        raise Unproven("sums over the rows")
    of_left = at is not None and at == len(left) - 2
    of_right = beside is not None and beside == len(right) - 1
    if (of_left and beside is not None) or (of_right and at is not None):
        raise Unproven("joins the rows on one axis with the rows on another")
    stacks = broadcast(
        (AbstractValue(left[:-2], None if of_left else at), AbstractValue(right[:-2], None if of_right else beside)),
        scope,
    )
    sizes = stacks.sizes
    axis = stacks.axis
    if one.rank > 1:
        axis = len(sizes) if of_left else axis
        sizes = (*sizes, left[-2])
    if other.rank > 1:
        axis = len(sizes) if of_right else axis
        sizes = (*sizes, right[-1])
    return (AbstractValue(sizes, axis),)


def _gemm(node: Node, values: Values, scope: Scope) -> Sequence[AbstractValue]:
    pair = []
    for place, name in ((0, "transA"), (1, "transB")):
        value = argument(values, place)
        if value is None or value.rank != 2:  # noqa: PLR2004 - matrices
            raise Unproven("takes other than matrices")
        flipped = bool(node.number(name, 0))
        axis = None if value.axis is None else value.axis ^ flipped
        pair.append(AbstractValue(tuple(reversed(value.sizes)) if flipped else value.sizes, axis))
    return (broadcast((*matmul(node, pair, scope), argument(values, 2)), scope),)


def _einsum(node: Node, values: Values, _scope: Scope) -> Sequence[AbstractValue]:
    terms, arrow, result = text(node, "equation", "").replace(" ", "").partition("->")
    letters = terms.split(",")
    given = [value for value in values if value is not None]
    if not arrow or "." in terms or len(letters) != len(given):
        raise Unproven("is written in a way that is not followed")
    rows = {term[value.axis] for term, value in zip(letters, given, strict=True) if value.axis is not None}
    if not rows:
        raise Unproven("has no rows")
    row = rows.pop()
    for term, value in zip(letters, given, strict=True):
        if term.count(row) != (value.axis is not None):
            raise Unproven("sums over the rows")
    if rows or result.count(row) != 1:
        raise Unproven("sums over the rows")
    sizes = {
        each: size
        for term, value in zip(letters, given, strict=True)
        for each, size in zip(term, value.sizes, strict=True)
    }
    return (AbstractValue(tuple(sizes[each] for each in result), result.index(row)),)


def _recurrent(node: Node, values: Values, scope: Scope) -> Sequence[AbstractValue]:
    value = first(values)
    rows = 0 if node.number("layout", 0) else 1
    if value.axis != rows or value.rank != 3:  # noqa: PLR2004 - steps, rows, features
        raise Unproven("has the rows where it expects steps")
    fixed(values[1:4], 0)
    fixed(values[7:8], 0)
    lengths = argument(values, 4)
    states = [each for each in values[5:7] if each is not None]
    lead = value.sizes[rows]
    if lengths is not None and (lengths.axis != 0 or lengths.sizes[0] != lead):
        raise Unproven("takes lengths that are not of the rows")
    if any(state.axis != rows or state.sizes[rows] != lead for state in states):
        raise Unproven("begins with states that are not of the rows")
    ways = Size(2 if text(node, "direction", "forward") == "bidirectional" else 1)
    hidden = Size(node.number("hidden_size", 0)) if node.number("hidden_size", 0) else scope.unknown()
    steps = value.sizes[1 - rows]
    each = (steps, ways, lead, hidden) if rows else (lead, steps, ways, hidden)
    last = AbstractValue((ways, lead, hidden) if rows else (lead, ways, hidden), rows)
    return (AbstractValue(each, 2 if rows else 0), last, last)[: len(node.outputs)]


# Of these each element is what it would be alone, to the bit: one operation that every processor rounds alike.
_EXACT_ELEMENTWISE = (
    *("Abs", "Add", "And", "BitShift", "BitwiseAnd", "BitwiseNot", "BitwiseOr", "BitwiseXor", "Cast", "Ceil", "Clip"),
    *("Div", "Equal", "Floor", "Greater", "GreaterOrEqual", "Identity", "IsInf", "IsNaN", "LeakyRelu", "Less"),
    *("LessOrEqual", "Max", "Min", "Mod", "Mul", "Neg", "Not", "Or", "PRelu", "Relu", "Round", "Shrink", "Sign"),
    *("Sqrt", "Sub", "Sum", "ThresholdedRelu", "Where", "Xor"),
)
_ELEMENTWISE = (
    *("Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Celu", "Cos", "Cosh", "Elu", "Erf", "Exp", "Gelu"),
    *("HardSigmoid", "HardSwish", "Log", "Mean", "Mish", "Pow", "Reciprocal", "Selu", "Sigmoid", "Sin", "Sinh"),
    *("Softplus", "Softsign", "Swish", "Tan", "Tanh"),
)
_EXACT_REDUCTIONS = ("ReduceMax", "ReduceMin")
_REDUCTIONS = (
    *("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMean", "ReduceProd", "ReduceSum"),
    "ReduceSumSquare",
)

#: The operators whose results are the same to the bit for a row alone and among others.
EXACT = frozenset(
    (
        *_EXACT_ELEMENTWISE,
        *_EXACT_REDUCTIONS,
        *("ArgMax", "ArgMin", "CumSum", "DequantizeLinear", "MaxPool", "GlobalMaxPool", "QuantizeLinear", "TopK"),
        *("ConvInteger", "DepthToSpace", "Dropout", "MatMulInteger", "SpaceToDepth"),
    )
)

RULES: Mapping[tuple[str, str], Rule] = {
    **{("", op): elementwise for op in (*_EXACT_ELEMENTWISE, *_ELEMENTWISE)},
    **{("", op): _reduced for op in (*_EXACT_REDUCTIONS, *_REDUCTIONS)},
    **{("", op): _best for op in ("ArgMax", "ArgMin")},
    **{("", op): _softmax for op in ("Softmax", "LogSoftmax", "Hardmax")},
    **{("", op): _conv for op in ("Conv", "ConvTranspose")},
    **{("", op): _pool for op in ("MaxPool", "AveragePool", "LpPool")},
    **{("", op): _global_pool for op in ("GlobalMaxPool", "GlobalAveragePool", "GlobalLpPool")},
    **{("", op): _of_blocks for op in ("DepthToSpace", "SpaceToDepth")},
    **{("", op): _of_images for op in ("InstanceNormalization", "GroupNormalization", "LRN")},
    **{("", op): _per_element for op in ("QuantizeLinear", "DequantizeLinear")},
    **{("", op): _recurrent for op in ("LSTM", "GRU", "RNN")},
    ("", "CastLike"): _single,
    ("", "TopK"): _top,
    ("", "CumSum"): _cumulated,
    ("", "LpNormalization"): partial(_on_one_axis, -1),
    ("", "LayerNormalization"): _layer_norm,
    ("", "BatchNormalization"): _batch_norm,
    ("", "Dropout"): _dropout,
    ("", "MatMul"): matmul,
    ("", "Gemm"): _gemm,
    ("", "Einsum"): _einsum,
}
