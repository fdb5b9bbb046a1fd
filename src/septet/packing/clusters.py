"""Nearest centres as ONNX, compared as the estimators compare them.

The distance of a row to a centre is the square of the row, which is the same for all centres, and a rest. Far from
all centres the square takes every digit of the rest with it, so labels are decided by the rest alone.
"""

from typing import Any

import numpy as np

_FLOAT, _DOUBLE = 1, 11


def convert_centres(scope: Any, operator: Any, container: Any) -> None:
    """Write a KMeans to the graph: its label, and its distances to all centres."""
    wide = "Double" in type(operator.outputs[1].type).__name__
    element, kind = (_DOUBLE, np.float64) if wide else (_FLOAT, np.float32)
    centres = np.asarray(operator.raw_operator.cluster_centers_).astype(kind)
    names = ("rows", "centres", "squares", "rest", "square", "sum", "above")
    rows, known, squares, rest, square, summed, above = (scope.get_unique_variable_name(name) for name in names)

    def add(operation: str, given: list[str], output: str, version: int, **attributes: Any) -> None:
        name = scope.get_unique_operator_name(operation)
        container.add_node(operation, given, output, op_version=version, name=name, **attributes)

    container.add_initializer(known, element, list(centres.shape), centres.ravel().tolist())
    container.add_initializer(squares, element, [1, len(centres)], (centres * centres).sum(axis=1).tolist())
    add("Cast", [operator.inputs[0].full_name], rows, 13, to=element)
    add("Gemm", [rows, known, squares], rest, 13, alpha=-2.0, transB=1)
    add("ArgMin", [rest], operator.outputs[0].full_name, 13, axis=1, keepdims=0)
    add("ReduceSumSquare", [rows], square, 13, axes=[1], keepdims=1)
    add("Add", [rest, square], summed, 14)
    # Rounding may leave less than nothing of a row that is a centre.
    add("Relu", [summed], above, 14)
    add("Sqrt", [above], operator.outputs[1].full_name, 13)
