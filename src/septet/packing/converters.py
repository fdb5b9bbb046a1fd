"""Converters in place of those that compare numbers otherwise than the estimators do.

- Decision trees and forests of scikit-learn round their input to float32. In a graph of 64-bit numbers the rounding
  stands before them, whatever computes their input.
- Histogram gradient boosting compares in float64. Its thresholds stand in the graph as such, not rounded to float32.
- Votes of forests are summed as the estimators sum them (`septet.packing.forests`).
- Labels of KMeans are decided as the estimator decides them (`septet.packing.clusters`).
- Linear discriminants and logistic regressions one against the rest decide by scores (`septet.packing.linear`).
- Bins have exact edges (`septet.packing.binning`), and powers one float type (`septet.packing.powers`).
- A OneHotEncoder of numbers compares them whole; the engine's operator would cut off what follows the point.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

from septet.packing.binning import convert_bins
from septet.packing.clusters import convert_centres
from septet.packing.forests import convert_forest, is_forest
from septet.packing.imputation import convert_imputer, is_plain
from septet.packing.linear import convert_linear, is_linear
from septet.packing.norms import convert_norms
from septet.packing.powers import convert_powers

Converter: TypeAlias = Callable[[Any, Any, Any], None]

_FLOAT, _DOUBLE = 1, 11
_VERSION = 3  # of `ai.onnx.ml`, from which on a tree may have constants of 64 bits
_WIDE = ("nodes_values", "nodes_hitrates", "class_weights", "target_weights", "base_values")


def own_converters(*, double: bool) -> Mapping[type, Converter]:
    """The converters by class of estimator, for a graph whose numbers are float64 or float32."""
    from sklearn import cluster, discriminant_analysis, ensemble, impute, multiclass, preprocessing, tree

    forests = (
        *(tree.DecisionTreeClassifier, tree.DecisionTreeRegressor, tree.ExtraTreeClassifier, tree.ExtraTreeRegressor),
        *(ensemble.RandomForestClassifier, ensemble.RandomForestRegressor),
        *(ensemble.ExtraTreesClassifier, ensemble.ExtraTreesRegressor),
    )
    found: dict[type, Converter] = {preprocessing.OneHotEncoder: _one_hot, **dict.fromkeys(forests, _forest)}
    found.update(dict.fromkeys((cluster.KMeans, cluster.MiniBatchKMeans), convert_centres))
    linear = (discriminant_analysis.LinearDiscriminantAnalysis, multiclass.OneVsRestClassifier)
    found.update(dict.fromkeys(linear, _linear))
    found[preprocessing.Normalizer] = convert_norms
    found.update({preprocessing.KBinsDiscretizer: convert_bins, preprocessing.PowerTransformer: _powers})
    if not double:
        return found
    found[impute.SimpleImputer] = _imputer
    boosted = (ensemble.GradientBoostingClassifier, ensemble.GradientBoostingRegressor, ensemble.IsolationForest)
    found.update(dict.fromkeys(boosted, _rounding))
    found.update(
        dict.fromkeys((ensemble.HistGradientBoostingClassifier, ensemble.HistGradientBoostingRegressor), _histogram)
    )
    return found


def own_shapes(converters: Mapping[type, Converter]) -> dict[type, Callable[[Any], None]]:
    """The shape calculators of the library for the same classes, with results as wide as what they are made of."""
    from skl2onnx._supported_operators import sklearn_operator_name_map
    from skl2onnx.common._registration import get_shape_calculator

    return {kind: _widening(get_shape_calculator(sklearn_operator_name_map[kind])) for kind in converters}


def _widening(calculate: Callable[[Any], None]) -> Callable[[Any], None]:
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    def widened(operator: Any) -> None:
        calculate(operator)
        if any(isinstance(given.type, DoubleTensorType) for given in operator.inputs):
            for output in operator.outputs:
                if isinstance(output.type, FloatTensorType):
                    output.set_type(DoubleTensorType(output.type.shape))

    return widened


def _library(operator: Any) -> tuple[str, Converter]:
    from skl2onnx._supported_operators import sklearn_operator_name_map
    from skl2onnx.common._registration import get_converter

    alias = sklearn_operator_name_map[type(operator.raw_operator)]
    return alias, get_converter(alias)


def _forest(scope: Any, operator: Any, container: Any) -> None:
    if is_forest(operator.raw_operator) and len(operator.inputs) == 1:
        convert_forest(scope, operator, container)
    else:
        _rounding(scope, operator, container)


def _linear(scope: Any, operator: Any, container: Any) -> None:
    raw = container.get_options(operator.raw_operator, {"raw_scores": False})["raw_scores"]
    if not raw and len(operator.inputs) == 1 and is_linear(operator.raw_operator):
        convert_linear(scope, operator, container)
    else:
        _library(operator)[1](scope, operator, container)


def _powers(scope: Any, operator: Any, container: Any) -> None:
    if operator.raw_operator.method == "yeo-johnson" and len(operator.inputs) == 1:
        convert_powers(scope, operator, container)
    else:
        _library(operator)[1](scope, operator, container)


def _imputer(scope: Any, operator: Any, container: Any) -> None:
    from skl2onnx.common.data_types import DoubleTensorType

    wide = all(isinstance(given.type, DoubleTensorType) for given in operator.inputs)
    if wide and is_plain(operator.raw_operator):
        convert_imputer(scope, operator, container)
    else:
        _library(operator)[1](scope, operator, container)


def _rounding(scope: Any, operator: Any, container: Any) -> None:
    """The library's converter for float32, between a cast to float32 and one back."""
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    alias, convert = _library(operator)
    given = operator.inputs[0]
    if not isinstance(given.type, DoubleTensorType):
        convert(scope, operator, container)
        return
    inner = scope.declare_local_operator(alias, operator.raw_operator)
    narrow = scope.declare_local_variable("rounded", FloatTensorType(given.type.shape))
    container.add_node(
        "Cast", given.full_name, narrow.full_name, to=_FLOAT, name=scope.get_unique_operator_name("Cast")
    )
    inner.inputs.append(narrow)
    for output in operator.outputs:
        wide = isinstance(output.type, (DoubleTensorType, FloatTensorType))
        kind = FloatTensorType(output.type.shape) if wide else output.type
        own = scope.declare_local_variable("of_trees", kind)
        inner.outputs.append(own)
        # Whatever was declared is made true.
        to = {"to": _DOUBLE if isinstance(output.type, DoubleTensorType) else _FLOAT} if wide else {}
        container.add_node(
            "Cast" if wide else "Identity",
            own.full_name,
            output.full_name,
            name=scope.get_unique_operator_name("Cast"),
            **to,
        )


def _histogram(scope: Any, operator: Any, container: Any) -> None:
    """The library's converter, with the constants of its trees written anew as float64."""
    from onnx import helper, numpy_helper
    from skl2onnx.common.data_types import DoubleTensorType

    _, convert = _library(operator)
    before = len(container.nodes)
    convert(scope, operator, container)
    if not isinstance(operator.inputs[0].type, DoubleTensorType):
        return
    stages = operator.raw_operator._predictors  # noqa: SLF001 - it has no public name
    trees = [tree.nodes for stage in stages for tree in stage]
    for node in container.nodes[before:]:
        if not node.op_type.startswith("TreeEnsemble"):
            continue
        known = {each.name: helper.get_attribute_value(each) for each in node.attribute}
        leaf = np.array([mode == b"LEAF" for mode in known["nodes_modes"]])
        exact = np.concatenate([nodes["num_threshold"] for nodes in trees]).astype(np.float64)
        constants = {"nodes_values": np.where(leaf, 0.0, exact)}
        weights = np.concatenate([nodes["value"][nodes["is_leaf"] > 0] for nodes in trees]).astype(np.float64)
        constants |= {key: weights for key in ("class_weights", "target_weights") if key in known}
        base = np.asarray(operator.raw_operator._baseline_prediction, dtype=np.float64).ravel()  # noqa: SLF001
        constants |= {"nodes_hitrates": np.ones(len(leaf)), "base_values": base}
        kept = [each for each in node.attribute if each.name not in _WIDE]
        del node.attribute[:]
        node.attribute.extend(kept)
        for key, values in constants.items():
            node.attribute.append(helper.make_attribute(f"{key}_as_tensor", numpy_helper.from_array(values, key)))
    container.node_domain_version_pair_sets.add(("ai.onnx.ml", _VERSION))


def _one_hot(scope: Any, operator: Any, container: Any) -> None:
    """Numbers are compared with each category; of texts, or with rare categories, the library's converter."""
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    encoder = operator.raw_operator
    _, convert = _library(operator)
    numeric = all(isinstance(given.type, (DoubleTensorType, FloatTensorType)) for given in operator.inputs)
    if not numeric or getattr(encoder, "_infrequent_enabled", False) or not _comparable(encoder):
        convert(scope, operator, container)
        return
    parts = []
    at = 0
    for given in operator.inputs:
        wide = isinstance(given.type, DoubleTensorType)
        for column in range(given.type.shape[1]):
            parts.append(_equal(scope, container, given.full_name, column, _kept(encoder, at), wide=wide))
            at += 1
    joined = scope.get_unique_variable_name("joined")
    container.add_node("Concat", parts, joined, axis=1, name=scope.get_unique_operator_name("Concat"))
    to = _DOUBLE if isinstance(operator.outputs[0].type, DoubleTensorType) else _FLOAT
    container.add_node(
        "Cast", joined, operator.outputs[0].full_name, to=to, name=scope.get_unique_operator_name("Cast")
    )


def _comparable(encoder: Any) -> bool:
    numbers = [np.asarray(values) for values in encoder.categories_]
    plain = all(values.dtype.kind in "biuf" and not np.isnan(values.astype(np.float64)).any() for values in numbers)
    return plain and np.dtype(encoder.dtype).kind == "f"


def _kept(encoder: Any, at: int) -> np.ndarray[Any, Any]:
    values = np.asarray(encoder.categories_[at]).astype(np.float64)
    dropped = None if encoder.drop_idx_ is None else encoder.drop_idx_[at]
    return values if dropped is None else np.delete(values, int(dropped))


def _equal(scope: Any, container: Any, name: str, column: int, values: np.ndarray[Any, Any], *, wide: bool) -> str:
    element, kind = (_DOUBLE, np.float64) if wide else (_FLOAT, np.float32)
    place, known, picked, same, number = (
        scope.get_unique_variable_name(each) for each in ("place", "known", "picked", "same", "number")
    )
    container.add_initializer(place, 7, [1], [column])
    container.add_initializer(known, element, [1, len(values)], values.astype(kind).tolist())
    container.add_node("Gather", [name, place], picked, axis=1, name=scope.get_unique_operator_name("Gather"))
    container.add_node("Equal", [picked, known], same, op_version=13, name=scope.get_unique_operator_name("Equal"))
    container.add_node("Cast", same, number, to=_FLOAT, name=scope.get_unique_operator_name("Cast"))
    return str(number)
