"""Linear classifiers as ONNX, where the library's converters decide by probabilities or compute other ones.

Probabilities far from the boundary are 0 and 1, and tied; the estimators decide by the scores.
"""

from typing import Any

import numpy as np

from septet.packing.graph_writer import GraphWriter


def is_linear(model: Any) -> bool:
    """Whether this converter knows the estimator: discriminants, or logistic regressions one against the rest."""
    if np.asarray(model.classes_).dtype.kind not in "biuUO":
        return False
    if type(model).__name__ == "LinearDiscriminantAnalysis":
        return True
    parts = model.estimators_
    return not model.multilabel_ and all(type(part).__name__ == "LogisticRegression" for part in parts)


def convert_linear(scope: Any, operator: Any, container: Any) -> None:
    """Write the classifier to the graph: `label` and `probabilities`."""
    model = operator.raw_operator
    write = GraphWriter(scope, operator, container)
    apart = hasattr(model, "estimators_")
    parts = model.estimators_ if apart else [model]
    weights = write.numbers(np.concatenate([np.atleast_2d(part.coef_) for part in parts]))
    offsets = write.numbers(np.concatenate([np.broadcast_to(part.intercept_, len(part.coef_)) for part in parts]))
    scores = write.node("Gemm", [write.rows(), weights, offsets], transB=1)
    classes = np.asarray(model.classes_)
    if len(classes) == 2:  # noqa: PLR2004 - one score for both
        positive = write.node("Sigmoid", [scores])
        negative = write.node("Sub", [write.numbers([1.0]), positive], version=14)
        write.node("Concat", [negative, positive], output=1, axis=1)
        scores = write.node("Concat", [write.node("Neg", [scores]), scores], axis=1)
    elif apart:
        each = write.node("Sigmoid", [scores])
        total = write.node("ReduceSum", [each, write.whole([1])], keepdims=1)
        # Where all are zero they stay so.
        some = write.node("Greater", [total, write.numbers([0.0])])
        divisor = write.node("Where", [some, total, write.numbers([1.0])], version=16)
        write.node("Div", [each, divisor], output=1, version=14)
    else:
        write.node("Softmax", [scores], output=1, axis=1)
    write.label(scores, classes)
