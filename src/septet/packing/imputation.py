"""Missing numbers filled in as ONNX; the engine's own operator knows 32-bit numbers only."""

from typing import Any

import numpy as np

from septet.packing.graph_writer import GraphWriter


def is_plain(model: Any) -> bool:
    """Whether this converter knows the estimator: NaN is replaced by one number a column, and no column is left out."""
    values = np.asarray(model.statistics_)
    missing = model.missing_values
    numbers = values.dtype.kind in "fiu" and np.isfinite(values.astype(np.float64)).all()
    return bool(numbers) and not model.add_indicator and isinstance(missing, float) and np.isnan(missing)


def convert_imputer(scope: Any, operator: Any, container: Any) -> None:
    """Write a SimpleImputer of numbers to the graph."""
    write = GraphWriter(scope, operator, container)
    rows = write.rows()
    values = write.numbers(np.asarray(operator.raw_operator.statistics_, dtype=np.float64)[None])
    write.node("Where", [write.node("IsNaN", [rows]), values, rows], output=0, version=16)
