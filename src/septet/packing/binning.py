"""Bins of numbers as ONNX, with edges that are exact in the graph's floats."""

from typing import Any

import numpy as np

from septet.packing.graph_writer import FLOAT, INT64, GraphWriter
from septet.types import Array


def convert_bins(scope: Any, operator: Any, container: Any) -> None:
    """Write a KBinsDiscretizer to the graph: numbers of bins, or one column for each bin."""
    model = operator.raw_operator
    write = GraphWriter(scope, operator, container)
    rows = write.rows()
    found = []
    for column, edges in enumerate(model.bin_edges_):
        inner = np.asarray(edges, dtype=np.float64)[1:-1]
        if write.element == FLOAT:
            inner = _narrow(inner)
        value = write.node("Gather", [rows, write.whole([column])], axis=1)
        bins = int(model.n_bins_[column])
        if len(inner):
            passed = write.node("GreaterOrEqual", [value, write.numbers(inner[None])], version=16)
            counted = write.node("Cast", [passed], to=INT64)
            place = write.node("ReduceSum", [counted, write.whole([1])], keepdims=1)
        else:
            place = write.node("Cast", [write.node("Mul", [value, write.numbers([0.0])], version=14)], to=INT64)
        if model.encode != "ordinal":
            place = write.node("Equal", [place, write.whole(np.arange(bins)[None])])
        found.append(write.node("Cast", [place], to=write.element))
    write.node("Concat", found, output=0, axis=1)


def _narrow(edges: Array) -> Array:
    """The least float32 that is not below each edge: no float32 lies between the two."""
    with np.errstate(over="ignore"):
        near = edges.astype(np.float32)
        above = np.nextafter(near, np.float32(np.inf))
    result: Array = np.where(near.astype(np.float64) < edges, above, near)
    return result
