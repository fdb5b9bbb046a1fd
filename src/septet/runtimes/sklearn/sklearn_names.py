"""The names under which a fitted estimator knows its columns."""

import re
from collections.abc import Sequence
from typing import Any

from septet.errors import Invalid
from septet.runtimes.sklearn.sklearn_columns import first_step, inner_estimators

# What LightGBM calls the columns of an array.
_NUMBERED = re.compile(r"Column_\d+")
_MOST = 10


def feature_names(model: Any) -> list[str] | None:
    """The names of the columns that `model` was fitted on, or None where it was not fitted on named ones."""
    for estimator in (model, first_step(model), *(first_step(inner) for inner in inner_estimators(model))):
        names = getattr(estimator, "feature_names_in_", None)
        if names is None or not all(isinstance(name, str) for name in names):
            continue
        if getattr(estimator, "n_features_in_", len(names)) != len(names):
            # Of an earlier fit: some meta-estimators keep the names when they are fitted again, on an array.
            continue
        known = [str(name) for name in names]
        return None if known and all(map(_NUMBERED.fullmatch, known)) else known
    return None


def placed(given: Sequence[str], known: Sequence[str]) -> list[int | None]:
    """For each name that a model knows, the place of the given column of that name, or None where there is none.

    LightGBM writes an underscore for each blank in a name.
    """
    places = {name: place for place, name in enumerate(given)}
    if not set(known) & set(given) or not set(known) <= set(given):
        for name, place in list(places.items()):
            places.setdefault(re.sub(r"\s", "_", name), place)
    return [places.get(name) for name in known]


def require_names(given: Sequence[str], known: Sequence[str], optional: Sequence[str] = ()) -> None:
    """Refuse data that lacks columns by name.

    Raises:
        Invalid: it does; `optional` names those that the model does not read.
    """
    found = placed(given, known)
    lacking = [name for name, place in zip(known, found, strict=True) if place is None and name not in optional]
    if lacking:
        others = [name for name in given if name not in known]
        hint = f", and has {', '.join(map(repr, others[:_MOST]))} instead" if others else ""
        raise Invalid(
            f"the data has {len(given)} columns and the model takes {len(known)}: "
            f"it lacks {', '.join(map(repr, lacking[:_MOST]))}{hint}. "
            "Columns are taken by name: rename them as in training"
        )
