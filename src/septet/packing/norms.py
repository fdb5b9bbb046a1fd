"""Rows of unit norm as ONNX, with the estimator's way of leaving rows of nothing as they are."""

from typing import Any

import numpy as np

from septet.packing.graph_writer import FLOAT, GraphWriter


def convert_norms(scope: Any, operator: Any, container: Any) -> None:
    """Write a Normalizer to the graph."""
    write = GraphWriter(scope, operator, container)
    kind = operator.raw_operator.norm
    rows = write.rows()
    sizes = write.node("Mul", [rows, rows], version=14) if kind == "l2" else write.node("Abs", [rows])
    across = "ReduceMax" if kind == "max" else "ReduceSum"
    norm = write.node(across, [sizes, write.whole([1])], keepdims=1, version=18 if kind == "max" else 13)
    if kind == "l2":
        norm = write.node("Sqrt", [norm])
    least = 10 * float(np.finfo(np.float32 if write.element == FLOAT else np.float64).eps)
    divisor = write.node(
        "Where", [write.node("Less", [norm, write.numbers([least])]), write.numbers([1.0]), norm], version=16
    )
    write.node("Div", [rows, divisor], output=0, version=14)
