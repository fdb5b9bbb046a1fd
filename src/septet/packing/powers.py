"""The transformation of Yeo and Johnson as ONNX, in the floats of the graph throughout."""

from typing import Any

import numpy as np

from septet.packing.graph_writer import GraphWriter
from septet.types import Array

_ZERO = float(np.finfo(np.float64).eps)


def convert_powers(scope: Any, operator: Any, container: Any) -> None:
    """Write a PowerTransformer of that method to the graph."""
    model = operator.raw_operator
    write = GraphWriter(scope, operator, container)
    exponents = np.asarray(model.lambdas_, dtype=np.float64)[None]
    rows, zero = write.rows(), write.numbers([0.0])
    positive = write.node("GreaterOrEqual", [rows, zero], version=16)
    above = write.node("Where", [positive, rows, zero], version=16)
    below = write.node("Where", [positive, zero, write.node("Neg", [rows])], version=16)
    risen = _powers(write, above, exponents)
    fallen = write.node("Neg", [_powers(write, below, 2 - exponents)])
    scaler = model._scaler if model.standardize else None  # noqa: SLF001 - it has no public name
    if scaler is None:
        write.node("Where", [positive, risen, fallen], output=0, version=16)
        return
    joined = write.node("Where", [positive, risen, fallen], version=16)
    centred = write.node("Sub", [joined, write.numbers(scaler.mean_[None])], version=14)
    write.node("Div", [centred, write.numbers(scaler.scale_[None])], output=0, version=14)


def _powers(write: GraphWriter, values: str, exponents: Array) -> str:
    """`((values + 1) ** exponents - 1) / exponents`, and what that tends to where an exponent is zero."""
    none = np.abs(exponents) < _ZERO
    logarithm = write.node("Log", [write.node("Add", [values, write.numbers([1.0])], version=14)])
    power = write.node("Exp", [write.node("Mul", [logarithm, write.numbers(exponents)], version=14)])
    less = write.node("Sub", [power, write.numbers([1.0])], version=14)
    share = write.node("Div", [less, write.numbers(np.where(none, 1.0, exponents))], version=14)
    if not none.any():
        return share
    flags = write.node("Equal", [write.numbers(none), write.numbers([1.0])])
    return write.node("Where", [flags, logarithm, share], version=16)
