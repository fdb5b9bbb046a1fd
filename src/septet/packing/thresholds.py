"""Where a fitted estimator's output may jump: thresholds, bin edges and categories, and the transform before each.

Theory of operation: the estimator is walked from its input on. Wherever something compares a number with constants, a
`ThresholdSite` notes the constants, by column of the matrix there, and how that matrix is made of the estimator's
input. What is not known by its attributes is left to the search for jumps (`septet.packing.boundaries`).
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import msgspec
import numpy as np

from septet.packing.positions import columns_of
from septet.runtimes.sklearn.sklearn_columns import places
from septet.types import Array

Reach: TypeAlias = Callable[[Any], Any]

_DEEPEST = 12
# Attributes that hold estimators as they were before fitting, or that see other columns than their owner's input.
_NOT_ENTERED = frozenset(
    (
        "estimator",
        "estimators",
        "base_estimator",
        "final_estimator",
        "final_estimator_",
        "transformers",
        "steps",
        "loss",
    )
)
_EDGES = ("bin_edges_", "categories_", "quantiles_", "X_thresholds_")


class ThresholdSite(msgspec.Struct, frozen=True, eq=False):
    """Constants by column of a matrix, and the function from the estimator's input to that matrix (None: itself)."""

    constants: Mapping[int, Array]
    reach: Reach | None


def threshold_sites(model: Any) -> list[ThresholdSite]:
    """Every site of a fitted estimator; those that are reached in the same way are one."""
    merged: dict[int, tuple[Reach | None, dict[int, list[Array]]]] = {}
    for site in _sites(model, None, _DEEPEST):
        _, constants = merged.setdefault(id(site.reach), (site.reach, {}))
        for column, values in site.constants.items():
            constants.setdefault(column, []).append(values)
    return [
        ThresholdSite({column: np.unique(np.concatenate(parts)) for column, parts in constants.items()}, reach)
        for reach, constants in merged.values()
    ]


def _sites(model: Any, reach: Reach | None, depth: int) -> Iterator[ThresholdSite]:
    if depth == 0:
        return
    constants = _constants(model)
    if constants:
        yield ThresholdSite(constants, reach)
    name = type(model).__name__
    if isinstance(getattr(model, "steps", None), list):
        yield from _of_steps(model, reach, depth)
    elif name == "ColumnTransformer":
        names = columns_of(model)
        for _, step, selected in model.transformers_:
            if not isinstance(step, str):
                yield from _sites(step, _then(reach, _selecting(places(selected, names))), depth - 1)
    elif name == "FeatureUnion":
        for _, step in model.transformer_list:
            yield from _sites(step, reach, depth - 1)
    else:
        yield from _inside(model, reach, depth)


def _of_steps(pipeline: Any, reach: Reach | None, depth: int) -> Iterator[ThresholdSite]:
    for _, step in pipeline.steps:
        if step is None or isinstance(step, str):
            continue
        yield from _sites(step, reach, depth - 1)
        reach = _then(reach, step.transform) if hasattr(step, "transform") else reach


def _inside(model: Any, reach: Reach | None, depth: int) -> Iterator[ThresholdSite]:
    # A histogram model sees its columns through the encoder of its categories.
    before = getattr(model, "_preprocessor", None)
    if before is not None:
        yield from _sites(before, reach, depth - 1)
    if any(hasattr(model, known) for known in ("tree_", "_predictors")) or is_forest(model):
        return
    subsets = getattr(model, "estimators_features_", None)
    for key, value in getattr(model, "__dict__", {}).items():
        if key in _NOT_ENTERED or key == "_preprocessor":
            continue
        for place, part in enumerate(_estimators(value)):
            own = reach
            if key == "estimators_" and subsets is not None:
                own = _then(reach, _selecting([int(at) for at in subsets[place]]))
            yield from _sites(part, own, depth - 1)


def _estimators(value: Any) -> Iterator[Any]:
    if hasattr(value, "get_params") or hasattr(value, "calibrators"):
        yield value
    elif isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.dtype == object):
        for part in value:
            yield from _estimators(part)
    elif hasattr(value, "estimator") and hasattr(value, "predict_proba"):
        yield value.estimator


def is_forest(model: Any) -> bool:
    """Whether an estimator consists of decision trees that all read its own input."""
    parts = getattr(model, "estimators_", None)
    subsets = getattr(model, "estimators_features_", None)
    if subsets is not None and any(list(own) != list(range(int(model.n_features_in_))) for own in subsets):
        return False
    return parts is not None and len(parts) > 0 and all(hasattr(part, "tree_") for part in np.ravel(parts))


def _constants(model: Any) -> dict[int, Array]:
    if hasattr(model, "tree_"):
        return _of_nodes([(model.tree_.feature, model.tree_.threshold, model.tree_.children_left < 0)])
    if is_forest(model):
        trees = [part.tree_ for part in np.ravel(model.estimators_)]
        return _of_nodes([(tree.feature, tree.threshold, tree.children_left < 0) for tree in trees])
    if hasattr(model, "_predictors"):
        nodes = [tree.nodes for stage in model._predictors for tree in stage]  # noqa: SLF001 - it has no public name
        return _of_nodes([(part["feature_idx"], part["num_threshold"], part["is_leaf"] > 0) for part in nodes])
    found: dict[int, list[Array]] = {}
    for name in _EDGES:
        for column, values in _columns_of_edges(getattr(model, name, None)):
            found.setdefault(column, []).append(values)
    width = int(getattr(model, "n_features_in_", 0) or 0)
    for name in ("threshold", "binarize"):
        single = getattr(model, name, None)
        if isinstance(single, (int, float)) and not isinstance(single, bool):
            for column in range(width):
                found.setdefault(column, []).append(np.array([float(single)]))
    for column, spline in enumerate(getattr(model, "bsplines_", ())):
        found.setdefault(column, []).append(np.asarray(spline.t, dtype=np.float64))
    return {column: np.unique(np.concatenate(parts)) for column, parts in found.items()}


def _of_nodes(nodes: list[tuple[Array, Array, Array]]) -> dict[int, Array]:
    feature = np.concatenate([np.asarray(part[0], dtype=np.int64) for part in nodes])
    threshold = np.concatenate([np.asarray(part[1], dtype=np.float64) for part in nodes])
    inner = ~np.concatenate([np.asarray(part[2], dtype=bool) for part in nodes]) & np.isfinite(threshold)
    return {int(column): np.unique(threshold[inner & (feature == column)]) for column in np.unique(feature[inner])}


def _columns_of_edges(value: Any) -> Iterator[tuple[int, Array]]:
    if value is None:
        return
    if isinstance(value, np.ndarray) and value.dtype != object:
        value = [value] if value.ndim == 1 else list(value.T)
    for column, edges in enumerate(value):
        array = np.asarray(edges)
        if array.dtype == object:
            numbers = [each for each in array.tolist() if isinstance(each, (int, float))]
            array = np.array(numbers, dtype=np.float64)
        if array.dtype.kind in "biuf" and array.size:
            yield column, array.astype(np.float64)[np.isfinite(array.astype(np.float64))]


def _then(first: Reach | None, second: Reach) -> Reach:
    if first is None:
        return second
    return lambda rows: second(first(rows))


def _selecting(chosen: list[int]) -> Reach:
    def select(rows: Any) -> Any:
        return rows.iloc[:, chosen] if hasattr(rows, "iloc") else rows[:, chosen]

    return select
