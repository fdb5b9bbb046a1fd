"""Nearest centres as ONNX, compared as the estimators compare them.

The distance of a row to a centre is the square of the row, which is the same for all centres, and a rest. Far from
all centres the square takes every digit of the rest with it, so labels are decided by the rest alone.
"""

from typing import Any

import numpy as np

from septet.packing.graph_writer import GraphWriter


def convert_centres(scope: Any, operator: Any, container: Any) -> None:
    """Write a KMeans to the graph: its label, and its distances to all centres."""
    write = GraphWriter(scope, operator, container)
    centres = np.asarray(operator.raw_operator.cluster_centers_, dtype=np.float64)
    rows = write.rows()
    squares = write.numbers((centres * centres).sum(axis=1)[None])
    rest = write.node("Gemm", [rows, write.numbers(centres), squares], alpha=-2.0, transB=1)
    write.node("ArgMin", [rest], output=0, axis=1, keepdims=0)
    square = write.node("ReduceSum", [write.node("Mul", [rows, rows], version=14), write.whole([1])], keepdims=1)
    # Rounding may leave less than nothing of a row that is a centre.
    distance = write.node("Relu", [write.node("Add", [rest, square], version=14)], version=14)
    write.node("Sqrt", [distance], output=1)
