"""The rows of an ONNX graph: which outputs have them, and whether each row depends on its own input alone."""

import re

from septet.runtimes.base import Independence
from septet.runtimes.onnx.onnx_graph import Graph
from septet.runtimes.onnx.onnx_rows import RowDependence
from septet.runtimes.onnx.onnx_shapes import DeclaredRows, RowLayout, Shapes

# Names that exporters make up for a free dimension which has none: they differ where the dimension is the same.
_MADE_UP = re.compile(r"unk__\d+|.*_dim_\d+|\?|None")
_COUNTING = frozenset(("Compress", "NonMaxSuppression", "NonZero", "Unique"))
_MOST_NAMED = 3


def declared_rows(graph: Graph, view: RowDependence) -> DeclaredRows:
    """The rows that the graph declares, as far as it settles shapes."""
    axes = {name: axis for name in graph.outputs if (axis := view.axis(name)) is not None}
    inputs = {_name(value.sizes) for value in graph.inputs if value.name not in graph.initializers}
    named = inputs - {""}
    outputs = {value.name: _name(value.sizes) for value in graph.results}
    counting = _counting(graph)
    apart = frozenset(name for name, lead in outputs.items() if lead not in named and (lead or name in counting))
    return DeclaredRows(axes, apart, len(named) <= 1)


def _counting(graph: Graph) -> frozenset[str]:
    """The values behind an operator that decides by their values how many there are."""
    found: set[str] = set()
    for node in graph.nodes:
        if node.op in _COUNTING or not found.isdisjoint(node.inputs):
            found.update(node.outputs)
    return frozenset(found)


def _name(sizes: tuple[int | str, ...] | None) -> str:
    """The name of the first dimension, "" where it has none of its own."""
    lead = sizes[0] if sizes else ""
    return "" if isinstance(lead, int) or _MADE_UP.fullmatch(lead) else lead


def independence(graph: Graph, view: RowDependence, shapes: Shapes) -> Independence:
    """Whether each row's answer depends on that row alone."""
    if shapes.one_by_one:
        return _one_by_one(graph, view, shapes)
    if not shapes.rows:
        return Independence(proven=False, reason=_without_rows(graph, view, shapes), kept=False)
    for tensor in shapes.outputs:
        axis = 1 if shapes.layouts[tensor.name] is RowLayout.SECOND_AXIS else 0
        if view.axis(tensor.name) != axis:
            reason = f"the output {tensor.name!r} is not proven to have its rows apart: {_why(view, tensor.name)}"
            return Independence(proven=False, reason=reason, kept=False)
    if not view.rounding:
        return Independence(proven=True, reason="every operator of the graph works row by row", exact=True)
    some = ", ".join(view.rounding[:_MOST_NAMED])
    more = " and others" if len(view.rounding) > _MOST_NAMED else ""
    reason = f"every operator of the graph works row by row; {some}{more} may round in another order"
    return Independence(proven=True, reason=reason)


def _one_by_one(graph: Graph, view: RowDependence, shapes: Shapes) -> Independence:
    """Of a model that the runtime asks each row by itself: rows stay apart where each has one answer."""
    declared = {value.name: value.sizes for value in graph.results}
    for tensor in shapes.outputs:
        sizes = declared.get(tensor.name)
        if view.axis(tensor.name) != 0 and (not sizes or sizes[0] != 1):
            reason = f"the output {tensor.name!r} is not proven to have one row: {_why(view, tensor.name)}"
            return Independence(proven=False, reason=reason, kept=False)
    return Independence(proven=True, reason="the model takes one row at a time", exact=True)


def _without_rows(graph: Graph, view: RowDependence, shapes: Shapes) -> str:
    """Why the model's axis 0 is not the row."""
    if any(not tensor.shape or tensor.shape[0] is not None for tensor in shapes.inputs):
        return "the model takes a fixed number of rows"
    if not declared_rows(graph, view).alike:
        return "the first dimensions of the inputs have different names"
    apart = declared_rows(graph, view).apart
    for tensor in shapes.outputs:
        if tensor.name in apart and view.axis(tensor.name) is None:
            return f"the output {tensor.name!r} has rows of its own: its first dimension is not that of the inputs"
    lost = next((tensor.name for tensor in shapes.outputs if view.axis(tensor.name) != 0), "")
    return f"the output {lost!r} has no row for each row: {_why(view, lost)}"


def _why(view: RowDependence, name: str) -> str:
    known = view.outputs.get(name, "")
    if isinstance(known, str):
        return known
    return "its rows do not lie on one axis, one place each"
