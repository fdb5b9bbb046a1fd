"""Columns chosen by place instead of by name, in a copy of an estimator that is to be compiled.

A converter knows columns by the names of its graph's inputs, and these are not always the user's: one matrix carries
many columns, and a name may be one that the graph uses itself.
"""

from collections.abc import Sequence
from copy import copy
from typing import Any

import numpy as np

from septet.runtimes.sklearn.sklearn_columns import places

_DEEPEST = 12


def by_position(model: Any, order: Sequence[str]) -> Any:
    """The estimator with every ColumnTransformer in it choosing by place. What changes is copied, the rest shared.

    `order` are the names of the columns as the graph has them, which need not be that of the rows in training, and may
    lack columns that are dropped.
    """
    return _rewritten(model, tuple(order), _DEEPEST)


def columns_of(transformer: Any) -> list[str]:
    """The names of the columns that a fitted ColumnTransformer takes; made up where it was fitted on an array."""
    names = getattr(transformer, "feature_names_in_", None)
    width = int(transformer.n_features_in_)
    return [str(place) for place in range(width)] if names is None else [str(name) for name in names]


def _rewritten(value: Any, order: tuple[str, ...] | None, depth: int) -> Any:
    if depth == 0 or isinstance(value, type):
        return value
    if type(value).__name__ == "ColumnTransformer" and hasattr(value, "transformers_"):
        return _placed(value, order, depth)
    if type(value) in (list, tuple):
        parts = [_rewritten(part, order, depth - 1) for part in value]
        return value if all(map(_same, parts, value)) else type(value)(parts)
    # What a fitted estimator holds besides estimators is of no interest, and may be large.
    if not (hasattr(value, "get_params") or hasattr(value, "predict_proba")):
        return value
    found = {name: _rewritten(part, order, depth - 1) for name, part in getattr(value, "__dict__", {}).items()}
    if isinstance(found.get("steps"), list):
        found["steps"] = _with_identities(found["steps"])
    differing = {name: part for name, part in found.items() if part is not vars(value)[name]}
    if type(value).__name__ == "VotingClassifier":
        # How its `transform` would answer, which no converter knows, is nothing to its `predict`.
        differing["flatten_transform"] = False
    if not differing:
        return value
    changed = copy(value)
    vars(changed).update(differing)
    return changed


def _with_identities(steps: list[Any]) -> list[Any]:
    """A pipeline's steps with an estimator, which converters know, for each that passes everything through."""
    if not any(step is None or isinstance(step, str) for _, step in steps):
        return steps
    from sklearn.preprocessing import FunctionTransformer

    return [(name, FunctionTransformer() if step is None or isinstance(step, str) else step) for name, step in steps]


def _same(new: Any, old: Any) -> bool:
    return new is old


def _placed(transformer: Any, order: tuple[str, ...] | None, depth: int) -> Any:
    names = columns_of(transformer)
    named = hasattr(transformer, "feature_names_in_")
    at = {name: place for place, name in enumerate(order if named and order is not None else names)}
    changed = copy(transformer)
    changed.transformers_ = []
    for name, step, selected in transformer.transformers_:
        found = [at[names[place]] for place in places(selected, names) if names[place] in at]
        if not found and (isinstance(step, str) or not len(np.atleast_1d(np.asarray(selected, dtype=object)))):
            continue
        # A single name gives a transformer one dimension, a list gives it two.
        single = isinstance(selected, (str, int, np.integer))
        # What stands in it sees only what it is given.
        changed.transformers_.append((name, _rewritten(step, None, depth - 1), found[0] if single else found))
    return changed
