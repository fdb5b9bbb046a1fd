"""Reads what Septet needs of an ONNX file, without the onnx package.

Importing `onnx` and `protobuf` would cost more start-up time and memory than serving the model. Field numbers are
those of the public schema, `onnx.proto3`. Nothing here copies a weight: values are views of the mapped file.
"""

from collections.abc import Iterator, Mapping
from itertools import islice

import msgspec

from septet.errors import DamagedModel
from septet.model.signature import Scalar
from septet.runtimes.onnx import onnx_wire as wire

_WIDTHS = {6: 4, 7: 8}  # bytes of an int32 and an int64
_STRING = 8

TENSOR_TYPE = 1
_NAME, _TYPE, _SHAPE = 1, 2, 2
_DOMAIN, _VERSION = 1, 2
_EXTERNAL = 1
_CLASSES = ("classlabels_strings", "classlabels_int64s", "classlabels_ints")
# The attributes that are read; the arrays of a forest are not among them.
_ATTRIBUTES = frozenset(
    (
        *_CLASSES,
        *("cats_strings", "cats_int64s", "zeros"),
        *("keys_strings", "keys_int64s", "values_strings"),
        *("axis", "to"),
        # What decides whether rows stay apart; see `onnx_rows`.
        *("axes", "perm", "keepdims", "noop_with_empty_axes", "transA", "transB", "batch_dims", "batch_axis", "k"),
        *("kernel_shape", "strides", "pads", "dilations", "auto_pad", "ceil_mode", "group", "output_padding"),
        *("output_shape", "layout", "direction", "hidden_size", "blocksize", "start", "end", "starts", "ends"),
        *("split", "num_outputs", "shape", "allowzero", "select_last_index", "equation", "value_int", "value_ints"),
        *(
            "training_mode",
            "is_test",
            "stopwords",
            "pad_value",
            "pool_strings",
            "ngram_indexes",
            "n_targets",
            "targets",
            "mark",
        ),
        *("num_scan_inputs", "scan_input_axes", "scan_output_axes", "scan_input_directions", "prob_a", "norm"),
        *("value", "body", "then_branch", "else_branch"),
    )
)
_BRANCHES = frozenset(("then_branch", "else_branch"))
_INT_ATTRIBUTE = 2
# Graphs in attributes of nodes of graphs: protobuf's own readers end at 100 messages in each other, three a graph.
_DEEPEST = 32
_MOST_AXES = 255
# Beside the graph a model has operators of its own, metadata and little else.
_MOST_MODEL_FIELDS = 100_000


class Node(msgspec.Struct, frozen=True):
    """One operation.

    Attributes:
        attributes: those that say what classes and categories there are, and what an operation does with rows and
            columns.
        tensor: the constant that it holds (its attribute `value`), if any.
        body: the graph that it runs again and again, for a Scan or Loop.
        branches: the graphs of which it runs one, for an If.
    """

    domain: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, tuple[Scalar, ...]]
    tensor: "Initializer | None" = None
    body: "Graph | None" = None
    branches: "tuple[Graph, ...]" = ()

    @property
    def classes(self) -> tuple[Scalar, ...]:
        """Its class labels, for the operators of `ai.onnx.ml` that carry some."""
        return next((self.attributes[name] for name in _CLASSES if self.attributes.get(name)), ())

    def number(self, name: str, default: int) -> int:
        """An attribute that is a whole number."""
        values = self.attributes.get(name, ())
        return values[0] if len(values) == 1 and isinstance(values[0], int) else default


class GraphValue(msgspec.Struct, frozen=True):
    """A declared input or output.

    `sizes` are those of its shape: a number, the name that the file gives a free one, or "" for a free one without a
    name; None where no shape is declared.
    """

    name: str
    sizes: tuple[int | str, ...] | None

    @property
    def shaped(self) -> bool:
        """Whether it declares a shape, be it a free one."""
        return self.sizes is not None


class Initializer(msgspec.Struct, frozen=True):
    """A constant of the graph; `external`: its elements are in another file, see `onnx_external`."""

    name: str
    element: int
    data: memoryview
    external: bool = False
    shape: tuple[int, ...] = ()


class Graph(msgspec.Struct, frozen=True):
    """The main graph, and the facts of the model around it.

    `bodies` are the graphs of the operators that the file defines itself, by domain and name; `results` are the outputs
    as they are declared.
    """

    nodes: tuple[Node, ...]
    inputs: tuple[GraphValue, ...]
    results: tuple[GraphValue, ...]
    initializers: Mapping[str, Initializer]
    opsets: Mapping[str, int]
    metadata: Mapping[str, str]
    ir_version: int
    producer: str
    bodies: "Mapping[tuple[str, str], Graph]" = {}

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of the outputs."""
        return tuple(value.name for value in self.results)

    @property
    def producers(self) -> dict[str, Node]:
        """Which node computes each value."""
        return {name: node for node in self.nodes for name in node.outputs if name}


def read_node(data: memoryview, depth: int = 0) -> Node:
    """Read one node, of a graph that lies so deep in others.

    Raises:
        DamagedModel: it has no operator, or its graphs are nested too deep.
    """
    domain = op = ""
    inputs, outputs = [], []
    attributes: dict[str, tuple[Scalar, ...]] = {}
    parts: dict[str, Initializer | Graph] = {}
    for number, value in wire.fields(data):
        match number:
            case 1:
                inputs.append(wire.text(value))
            case 2:
                outputs.append(wire.text(value))
            case 4:
                op = wire.text(value)
            case 5:
                _attribute(wire.view(value), attributes, parts, depth)
            case 7:
                domain = wire.text(value)
            case _:
                pass
    if not op:
        raise DamagedModel("a node of its graph has no operator")
    tensor, body = parts.get("value"), parts.get("body")
    return Node(
        _domain(domain),
        op,
        tuple(inputs),
        tuple(outputs),
        attributes,
        tensor if isinstance(tensor, Initializer) else None,
        body if isinstance(body, Graph) else None,
        tuple(part for name, part in parts.items() if name in _BRANCHES and isinstance(part, Graph)),
    )


def _domain(name: str) -> str:
    return "" if name == "ai.onnx" else name


def _attribute(
    data: memoryview, found: dict[str, tuple[Scalar, ...]], parts: dict[str, "Initializer | Graph"], depth: int
) -> None:
    """Add an attribute's numbers or texts, tensor or graph under its name; of one that nobody asks for nothing."""
    name, kind = "", 0
    values: list[Scalar] = []
    for number, value in wire.fields(data):
        match number:
            case 1:
                name = wire.text(value)
                # Every known writer puts the name first, so the arrays of a forest are never walked.
                if name not in _ATTRIBUTES:
                    return
            case 5:
                parts[name] = _initializer(wire.view(value))
            case 6:
                if depth >= _DEEPEST:
                    raise DamagedModel(f"its graphs are nested more than {_DEEPEST} deep")
                parts[name] = _graph(wire.view(value), depth + 1)
            case 20:
                kind = wire.signed(value)
            case _:
                values.extend(_scalars(number, value))
    # A writer may leave out a number that is 0.
    found[name] = tuple(values) or ((0,) if kind == _INT_ATTRIBUTE else ())


def _scalars(number: int, value: wire.Value) -> Iterator[Scalar]:
    """The numbers or texts of one field of an attribute."""
    match number:
        case 3:
            yield wire.signed(value)
        case 4 | 9:
            yield wire.text(value)
        case 7:
            yield from wire.floats(value)
        case 8:
            yield from wire.integers(value)
        case _:
            pass


def read_value(data: memoryview) -> GraphValue:
    """Read a declared input or output."""
    name, sizes = "", None
    for number, value in wire.fields(data):
        if number == _NAME:
            name = wire.text(value)
        elif number == _TYPE:
            tensors = (wire.view(item) for field, item in wire.fields(wire.view(value)) if field == TENSOR_TYPE)
            shapes = [item for tensor in tensors for field, item in wire.fields(tensor) if field == _SHAPE]
            if shapes:
                sizes = tuple(_size(wire.view(item)) for _, item in wire.fields(wire.view(shapes[0])))
    return GraphValue(name, sizes)


def _size(data: memoryview) -> int | str:
    for number, value in wire.fields(data):
        if number == 1:
            return wire.signed(value)
        if number == 2:  # noqa: PLR2004 - dim_param
            return wire.text(value)
    return ""


def _pair(data: memoryview) -> tuple[str, str]:
    pair = {number: wire.text(value) for number, value in wire.fields(data) if number in {1, 2}}
    return pair.get(1, ""), pair.get(2, "")


def _initializer(data: memoryview) -> Initializer:
    name, element, external = "", 0, False
    shape: list[int] = []
    for number, value in wire.fields(data):
        match number:
            case 1:
                shape.extend(islice(wire.integers(value), _MOST_AXES + 1))
                if len(shape) > _MOST_AXES:
                    raise DamagedModel(f"a constant of its graph has more than {_MOST_AXES} axes")
            case 2:
                element = wire.signed(value)
            case 8:
                name = wire.text(value)
            case 14:
                external = wire.signed(value) == _EXTERNAL
            case _:
                pass
    return Initializer(name, element, data, external, tuple(shape))


def constants(initializer: Initializer) -> tuple[Scalar, ...]:
    """The elements of a constant of strings or integers kept inside the model file; of any other, nothing."""
    width = _WIDTHS.get(initializer.element, 0)
    if initializer.external or not (width or initializer.element == _STRING):
        return ()
    values: list[Scalar] = []
    for number, value in wire.fields(initializer.data):
        match number:
            case 6:
                values.append(wire.text(value))
            case 5 | 7:
                values.extend(wire.integers(value))
            case 9:
                raw = wire.view(value)
                starts = range(0, len(raw), width or 1)
                values.extend(int.from_bytes(raw[at : at + width], "little", signed=True) for at in starts)
            case _:
                pass
    return tuple(values)


def read(data: memoryview) -> Graph:
    """Read a model file's image.

    Raises:
        DamagedModel: it is truncated, or no ONNX model.
    """
    opsets: dict[str, int] = {}
    metadata: dict[str, str] = {}
    bodies: dict[tuple[str, str], Graph] = {}
    ir_version, producer, version, graph = 0, "", "", memoryview(b"")
    for number, value in wire.fields(data, _MOST_MODEL_FIELDS):
        match number:
            case 1:
                ir_version = wire.signed(value)
            case 2:
                producer = wire.text(value)
            case 3:
                version = wire.text(value)
            case 7:
                graph = wire.view(value)
            case 8:
                domain, opset = _opset(wire.view(value))
                opsets[domain] = opset
            case 14:
                key, item = _pair(wire.view(value))
                metadata[key] = item
            case 25:
                bodies.update([_function(wire.view(value))])
            case _:
                pass
    return msgspec.structs.replace(
        _graph(graph),
        opsets=opsets,
        metadata=metadata,
        ir_version=ir_version,
        producer=f"{producer} {version}".strip(),
        bodies=bodies,
    )


def _function(data: memoryview) -> tuple[tuple[str, str], Graph]:
    name = domain = ""
    nodes: list[Node] = []
    inputs: list[GraphValue] = []
    outputs: list[GraphValue] = []
    for number, value in wire.fields(data):
        match number:
            case 1:
                name = wire.text(value)
            case 4:
                inputs.append(GraphValue(wire.text(value), None))
            case 5:
                outputs.append(GraphValue(wire.text(value), None))
            case 7:
                nodes.append(read_node(wire.view(value)))
            case 10:
                domain = wire.text(value)
            case _:
                pass
    return (_domain(domain), name), Graph(tuple(nodes), tuple(inputs), tuple(outputs), {}, {}, {}, 0, "")


def _opset(data: memoryview) -> tuple[str, int]:
    domain, version = "", 0
    for number, value in wire.fields(data):
        if number == _DOMAIN:
            domain = wire.text(value)
        elif number == _VERSION:
            version = wire.signed(value)
    return _domain(domain), version


def _graph(data: memoryview, depth: int = 0) -> Graph:
    nodes, inputs, outputs, initializers = [], [], [], []
    for number, value in wire.fields(data):
        match number:
            case 1:
                nodes.append(read_node(wire.view(value), depth))
            case 5:
                initializers.append(_initializer(wire.view(value)))
            case 11:
                inputs.append(read_value(wire.view(value)))
            case 12:
                outputs.append(read_value(wire.view(value)))
            case _:
                pass
    known = {item.name: item for item in initializers}
    return Graph(tuple(nodes), tuple(inputs), tuple(outputs), known, {}, {}, 0, "")
