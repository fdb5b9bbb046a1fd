"""Texts for ONNX, which has none that is missing: its engine would take None for the text "None"."""

from collections.abc import Iterable

from septet.model.signature import Signature
from septet.runtimes.base import InputRejected
from septet.runtimes.onnx.onnx_graph import Graph
from septet.types import Tensors


def read_texts(graph: Graph, signature: Signature) -> tuple[str, ...]:
    """The inputs of texts that the graph reads; one that it only declares may hold anything."""
    used = {name for node in graph.nodes for name in node.inputs} | set(graph.outputs)
    return tuple(tensor.name for tensor in signature.inputs if tensor.dtype == "string" and tensor.name in used)


def refuse_missing(tensors: Tensors, names: Iterable[str]) -> None:
    """Refuse a missing text in one of these inputs.

    Raises:
        InputRejected: there is one; its text says where.
    """
    for name in names:
        values = tensors[name].ravel().tolist()
        if None in values:
            row = values.index(None) // max(len(values) // max(len(tensors[name]), 1), 1)
            message = f"the text in row {row} of {name!r} is missing, and ONNX has no missing texts: send another one"
            raise InputRejected(message)
