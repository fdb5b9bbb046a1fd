"""The ZipMap nodes of an ONNX file, which make maps of a tensor of scores, and a file image without them.

Only `without_zipmaps` copies weights. Field numbers are those of the public schema, `onnx.proto3`.
"""

from collections.abc import Iterator

from septet.runtimes.onnx import onnx_wire as wire
from septet.runtimes.onnx.onnx_graph import TENSOR_TYPE, Graph, Node, read_node, read_value

_FLOAT = 1
_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_OUTPUT = 1, 12


def zipmaps(graph: Graph) -> dict[str, Node]:
    """The ZipMap nodes that compute an output of the model, by that output's name."""
    producers = graph.producers
    nodes = {name: producers[name] for name in graph.outputs if name in producers}
    return {
        name: node for name, node in nodes.items() if node.inputs and (node.domain, node.op) == ("ai.onnx.ml", "ZipMap")
    }


def without_zipmaps(data: memoryview, names: frozenset[str]) -> bytes:
    """Return the model with the ZipMaps that compute `names` replaced: each such output is a float tensor."""
    parts: list[bytes | memoryview] = []
    for number, value, written in wire.spans(data):
        if number == _MODEL_GRAPH:
            parts.append(wire.encode(number, b"".join(_edited(wire.view(value), names))))
        else:
            parts.append(written)
    return b"".join(parts)


def _edited(graph: memoryview, names: frozenset[str]) -> Iterator[bytes | memoryview]:
    for number, value, written in wire.spans(graph):
        node = read_node(wire.view(value)) if number == _GRAPH_NODE else None
        name = read_value(wire.view(value)).name if number == _GRAPH_OUTPUT else None
        if node and names.intersection(node.outputs):
            identity = (wire.encode(1, node.inputs[0]), wire.encode(2, node.outputs[0]), wire.encode(4, "Identity"))
            yield wire.encode(number, b"".join(identity))
        elif name in names:
            plain = wire.encode(2, wire.encode(TENSOR_TYPE, wire.encode(1, _FLOAT)))
            yield wire.encode(number, wire.encode(1, str(name)) + plain)
        else:
            yield written
