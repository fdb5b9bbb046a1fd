"""Finds the values that an ONNX model knows in a column, where its graph lists them.

What encodes a column has a list of its values: a OneHotEncoder, or a LabelEncoder that numbers texts. An encoder that
knows no other values fails on them: its list is closed. Then a request is refused with the row, the column and what
would fit, before the engine fails on all that share its run. And of a list, closed or not, a row that suits the model
can be made up. The encoder's input must be a column of the model's as converters write it: picked from a matrix, joined
to others, cast to the same kind.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import msgspec

from septet.model.signature import Scalar, Tensor
from septet.runtimes.onnx.onnx_graph import Graph, Node, constants

#: A column: its input's name, and its place in a row.
ColumnKey: TypeAlias = tuple[str, int]

# The attributes that list texts and whole numbers.
_ENCODERS = {"OneHotEncoder": ("cats_strings", "cats_int64s"), "LabelEncoder": ("keys_strings", "keys_int64s")}
_MATRIX_RANK = 2
# Columns that the joins of a graph may have, all together.
_MOST_PLACES = 1 << 22
_INT64, _STRING = 7, 8
_SHAPING = frozenset(("Reshape", "Flatten", "Squeeze", "Unsqueeze"))


class EncoderCategories(msgspec.Struct, frozen=True):
    """The values of a column, of its type; `closed` where the model takes no others."""

    values: tuple[Scalar, ...]
    closed: bool


def categories(graph: Graph, inputs: Sequence[Tensor]) -> Mapping[ColumnKey, EncoderCategories]:
    """The lists of values, by column. Of several the first closed one counts, else the first."""
    encoders = [node for node in graph.nodes if node.op in _ENCODERS]
    if not encoders:
        return {}
    dtypes = {tensor.name: tensor.dtype for tensor in inputs}
    columns = _columns(graph, inputs)
    found: dict[ColumnKey, EncoderCategories] = {}
    for node in encoders:
        listed: dict[str, tuple[Scalar, ...]] = {}
        for place in columns.get(node.inputs[0], ()) if node.inputs else ():
            dtype = dtypes[place[0]]
            if dtype not in listed:
                listed[dtype] = _values(node, dtype)
            values = listed[dtype]
            # Of a float the engine takes the whole part, so others than those of the list may do.
            closed = node.op == "OneHotEncoder" and not node.number("zeros", 1) and not dtype.startswith("float")
            if values and (place not in found or (closed and not found[place].closed)):
                found[place] = EncoderCategories(values, closed)
    return found


def _values(node: Node, dtype: str) -> tuple[Scalar, ...]:
    texts, numbers = _ENCODERS[node.op]
    if dtype == "string":
        # A LabelEncoder from texts to texts replaces some of them; the others are no worse.
        return () if "values_strings" in node.attributes else node.attributes.get(texts, ())
    values = node.attributes.get(numbers, ())
    if dtype.startswith("float"):
        return tuple(float(value) for value in values)
    return values if "int" in dtype else ()


def _columns(graph: Graph, inputs: Iterable[Tensor]) -> Mapping[str, tuple[ColumnKey, ...]]:
    """Of each value that is made of whole columns of the inputs: which, in order."""
    known = {tensor.name: tuple((tensor.name, at) for at in range(_width(tensor))) for tensor in inputs}
    known = {name: places for name, places in known.items() if places}
    left = _MOST_PLACES
    # Nodes are sorted: what one takes was made before.
    for node in graph.nodes:
        if node.op == "Concat":
            # Of a value joined to itself again and again nothing is left to be known.
            left -= sum(len(known.get(name, ())) for name in node.inputs)
            if left < 0:
                break
        places = _places(graph, node, known)
        if places and node.outputs:
            known[node.outputs[0]] = places
    return known


def _width(tensor: Tensor) -> int:
    if len(tensor.shape) == 1:
        return 1
    return (tensor.shape[1] or 0) if len(tensor.shape) == _MATRIX_RANK else 0


def _places(graph: Graph, node: Node, known: Mapping[str, tuple[ColumnKey, ...]]) -> tuple[ColumnKey, ...]:
    first = known.get(node.inputs[0], ()) if node.inputs else ()
    if node.op == "Concat":
        parts = [known.get(name, ()) for name in node.inputs]
        return tuple(place for part in parts for place in part) if all(parts) and _along_columns(node) else ()
    if node.op in {"Gather", "ArrayFeatureExtractor"}:
        picked = node.op == "ArrayFeatureExtractor" or _along_columns(node)
        return _picked(graph, node.inputs[1], first) if picked else ()
    if node.op == "Cast":
        return first if node.number("to", 0) in {_INT64, _STRING} else ()
    if node.op == "Identity" or (node.op in _SHAPING and len(first) == 1):
        return first
    return ()


def _along_columns(node: Node) -> bool:
    return node.number("axis", 0) in {1, -1}


def _picked(graph: Graph, name: str, places: tuple[ColumnKey, ...]) -> tuple[ColumnKey, ...]:
    table = graph.initializers.get(name)
    at = constants(table) if table else ()
    width = len(places)
    if not all(isinstance(index, int) and -width <= index < width for index in at):
        return ()
    return tuple(places[int(index)] for index in at)
