"""Decision trees and forests of scikit-learn as ONNX, exact where the library's converters round.

Votes are summed whole and divided once, as the estimators do: shares of votes rounded to float32 first would break
ties between classes otherwise. A missing value goes where the tree was trained to send it. The input is rounded to
float32, as the estimators round it, and each threshold is the largest float32 that decides in the same way.
"""

from typing import Any

import numpy as np

from septet.packing.graph_writer import GraphWriter
from septet.types import Array

_FLOAT, _DOUBLE = 1, 11


def is_forest(model: Any) -> bool:
    """Whether this converter knows the estimator: one target, and classes that a graph can hold."""
    if getattr(model, "n_outputs_", 0) != 1 or getattr(model, "monotonic_cst", None) is not None:
        return False
    classes = getattr(model, "classes_", None)
    return classes is None or np.asarray(classes).dtype.kind in "biuUO"


def convert_forest(scope: Any, operator: Any, container: Any) -> None:
    """Write a tree or a forest to the graph: `label` and `probabilities`, or one number."""
    model = operator.raw_operator
    trees = [part.tree_ for part in getattr(model, "estimators_", [model])]
    classifier = hasattr(model, "classes_")
    name = scope.get_unique_variable_name
    rounded, summed, votes = name("rounded"), name("summed"), name("votes")
    container.add_node("Cast", operator.inputs[0].full_name, rounded, to=_FLOAT, name=_node(scope, "Cast"))
    container.add_node(
        "TreeEnsembleRegressor",
        rounded,
        summed,
        op_domain="ai.onnx.ml",
        op_version=1,
        name=_node(scope, "TreeEnsembleRegressor"),
        **_attributes(trees, classifier=classifier),
    )
    output = operator.outputs[-1]
    element = _DOUBLE if "Double" in type(output.type).__name__ else _FLOAT
    container.add_node("Cast", summed, votes, to=element, name=_node(scope, "Cast"))
    count = name("trees")
    container.add_initializer(count, element, [1], [float(len(trees))])
    container.add_node("Div", [votes, count], output.full_name, op_version=14, name=_node(scope, "Div"))
    if classifier:
        GraphWriter(scope, operator, container).label(output.full_name, np.asarray(model.classes_))


def _attributes(trees: list[Any], *, classifier: bool) -> dict[str, Any]:
    counts = [tree.node_count for tree in trees]
    which = np.repeat(np.arange(len(trees)), counts)
    node = np.concatenate([np.arange(count) for count in counts])
    left = np.concatenate([tree.children_left for tree in trees])
    right = np.concatenate([tree.children_right for tree in trees])
    leaf = left < 0
    threshold = np.concatenate([tree.threshold for tree in trees])
    missing = np.concatenate([np.asarray(tree.missing_go_to_left) for tree in trees])
    feature = np.concatenate([tree.feature for tree in trees])
    values = np.concatenate([tree.value[:, 0, :] for tree in trees])[leaf]
    if classifier:
        values = values / values.sum(axis=1, keepdims=True)
    width = values.shape[1]
    return {
        "n_targets": width,
        "aggregate_function": "SUM",
        "post_transform": "NONE",
        "nodes_treeids": which.tolist(),
        "nodes_nodeids": node.tolist(),
        "nodes_featureids": np.where(leaf, 0, feature).tolist(),
        "nodes_modes": np.where(leaf, "LEAF", "BRANCH_LEQ").tolist(),
        "nodes_values": np.where(leaf, 0.0, _narrow(threshold)).tolist(),
        "nodes_truenodeids": np.where(leaf, 0, left).tolist(),
        "nodes_falsenodeids": np.where(leaf, 0, right).tolist(),
        "nodes_missing_value_tracks_true": np.where(leaf, 0, missing).astype(int).tolist(),
        "nodes_hitrates": [1.0] * len(node),
        "target_treeids": np.repeat(which[leaf], width).tolist(),
        "target_nodeids": np.repeat(node[leaf], width).tolist(),
        "target_ids": np.tile(np.arange(width), int(leaf.sum())).tolist(),
        "target_weights": values.ravel().astype(np.float32).tolist(),
    }


def _narrow(threshold: Array) -> Array:
    """The largest float32 that is not above each threshold."""
    with np.errstate(over="ignore"):
        near = threshold.astype(np.float32)
        below = np.nextafter(near, np.float32(-np.inf))
    return np.where(near.astype(np.float64) > threshold, below, near)


def _node(scope: Any, kind: str) -> str:
    return str(scope.get_unique_operator_name(kind))
