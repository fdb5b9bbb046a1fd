"""Fitted estimators with random settings: every one that scikit-learn lists, alone or at the end of a pipeline."""

import inspect
import warnings
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone, is_classifier, is_clusterer, is_regressor
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.utils import all_estimators
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils._test_common.instance_generator import _construct_instances

from tests.oracle import frames
from tests.oracle.frames import Frame

# What costs much more than it shows on a few rows.
_MOST = {"n_estimators": 8, "max_iter": 40, "n_init": 2, "max_depth": 6, "n_components": 3, "n_jobs": 1, "cv": 2}
# No answer depends on these, or they make a fit slow, loud or random when it answers.
_LEFT = {"n_jobs", "verbose", "random_state", "memory", "copy", "copy_X", "copy_x", "warm_start", "sample_posterior"}
_TARGETS = ("numbers", "bools", "texts", "int32", "floats", "several")
_TRIES = 12
# They read texts; others would have the names of a frame's columns for its rows.
_READERS = {"CountVectorizer", "HashingVectorizer", "TfidfVectorizer"}
# They take targets, dictionaries or pictures, which are no rows.
_NO_ROWS = {
    "DictVectorizer",
    "FeatureHasher",
    "LabelBinarizer",
    "LabelEncoder",
    "MultiLabelBinarizer",
    "PatchExtractor",
}


class Fitted(NamedTuple):
    """A fitted model, the data it was fitted on, and how it was made, for people."""

    name: str
    model: Any
    frame: Frame
    made: str


def names() -> list[str]:
    """Every estimator that answers new rows."""
    found = dict(all_estimators())
    able = [name for name, kind in found.items() if any(hasattr(kind, verb) for verb in ("predict", "transform"))]
    return [name for name in able if name not in _NO_ROWS]


def fitted(name: str, turn: int) -> Fitted | None:
    """The estimator of that name, fitted in a way that the turn decides; None where it takes none of the data."""
    rng = np.random.default_rng([turn, zlib.crc32(name.encode())])
    kind = dict(all_estimators())[name]
    for _ in range(_TRIES):
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                return _attempt(name, kind, rng)
            except Exception:  # noqa: BLE001 - whatever does not fit is not what is asked here
                continue
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for data in (frames.floats, frames.positive, frames.documents):
            try:
                return _fit(name, next(iter(_construct_instances(kind))), data(rng), rng)
            except Exception:  # noqa: BLE001
                continue
    return None


def _attempt(name: str, kind: type, rng: np.random.Generator) -> Fitted:
    bases = list(_construct_instances(kind))
    model = clone(bases[int(rng.integers(len(bases)))])
    for parameter, value in _drawn(model, rng):
        model.set_params(**{parameter: value})
    if "random_state" in inspect.signature(kind).parameters:
        model.set_params(random_state=int(rng.integers(100)))
    draw = rng.random()
    if name in _READERS:
        if "n_features" in model.get_params():
            model.set_params(n_features=32)  # else a million of columns
        return _fit(name, model, frames.documents(rng), rng)
    if draw < 0.3 and hasattr(model, "predict"):
        frame = frames.ENCODED[int(rng.integers(len(frames.ENCODED)))](rng)
        model = make_pipeline(_encoding(frame, rng), model)
    elif draw < 0.35 and hasattr(model, "predict"):
        frame = frames.documents(rng)
        model = make_pipeline(TfidfVectorizer(ngram_range=(1, int(rng.integers(1, 3)))), model)
    else:
        frame = frames.PLAIN[int(rng.integers(len(frames.PLAIN)))](rng)
        if draw > 0.9 and frame.kind != "nullable":
            model = make_pipeline(StandardScaler(), model)
    return _fit(name, model, frame, rng)


def _encoding(frame: Frame, rng: np.random.Generator) -> Any:
    unknown = ["ignore", "error", "infrequent_if_exist"][int(rng.integers(3))]
    encoder: Any = OneHotEncoder(handle_unknown=unknown, sparse_output=False, min_frequency=[None, 5][rng.integers(2)])
    if rng.random() < 0.4:
        encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    if "None" in frame.kind and rng.random() < 0.5:
        encoder = make_pipeline(SimpleImputer(missing_values=None, strategy="constant", fill_value="?"), encoder)
    rest = "drop" if frame.kind == "columns beside" else ["drop", "passthrough"][rng.integers(2)]
    return ColumnTransformer([("texts", encoder, ["town", "size"]), ("n", StandardScaler(), ["pay"])], remainder=rest)


def _fit(name: str, model: Any, frame: Frame, rng: np.random.Generator) -> Fitted:
    what, target = _target(model, frame, rng)
    model.fit(frame.fitted, target)
    # Some settings are found impossible only when it answers.
    (model.predict if hasattr(model, "predict") else model.transform)(frame.fitted)
    return Fitted(name, model, frame, f"{' '.join(repr(model).split())} on {frame.kind}, target {what}")


def _target(model: Any, frame: Frame, rng: np.random.Generator) -> tuple[str, Any]:
    rows = len(frame.fitted)
    signal = rng.normal(size=rows)
    if not isinstance(frame.fitted, list):
        first = np.asarray(frame.fitted)[:, -1]
        signal = signal * 0.3 + np.array(
            [zlib.crc32(str(each).encode()) % 7 if not _is_number(each) else float(each) for each in first]
        )
    order = np.argsort(np.argsort(signal))
    if is_classifier(model):
        what = _TARGETS[int(rng.integers(len(_TARGETS)))]
        classes = order * int(rng.integers(2, 4)) // rows
        return what, _classes(what, classes, rng)
    if is_regressor(model) and rng.random() < 0.15:
        return "two numbers", np.stack([order / rows, signal], axis=1)
    if is_clusterer(model):
        return "none", None
    return "a number", order / rows + 0.5


def _classes(what: str, classes: Any, rng: np.random.Generator) -> Any:
    if what == "bools":
        return classes > 0
    if what == "texts":
        return np.array(["no", "yes", 'ä,"b"'], dtype=[object, str][int(rng.integers(2))])[classes]
    if what == "several":
        return np.stack([classes > 0, rng.permutation(classes) > 0], axis=1).astype(int)
    kinds = {"int32": np.int32, "floats": np.float64}
    return (classes * 3 - 1).astype(kinds.get(what, np.int64))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.number)) and value == value  # noqa: PLR0124 - NaN


def _drawn(model: Any, rng: np.random.Generator) -> Iterator[tuple[str, Any]]:
    """One to three settings with values that the estimator itself says it takes."""
    known = getattr(type(model), "_parameter_constraints", {})
    open_to = [each for each in known if each in model.get_params(deep=False) and each not in _LEFT]
    for parameter in rng.permutation(open_to)[: int(rng.integers(0, 4))].tolist():
        constraints = known[parameter]
        if not isinstance(constraints, list):
            continue
        values = [value for each in constraints for value in _values(parameter, each, rng)]
        if values:
            yield parameter, values[int(rng.integers(len(values)))]


def _values(parameter: str, constraint: Any, rng: np.random.Generator) -> list[Any]:
    if constraint == "boolean":
        return [True, False]
    if constraint is None:
        return [None]
    if isinstance(constraint, StrOptions):
        return sorted(constraint.options)
    if not isinstance(constraint, Interval):
        return []
    low = -3.0 if constraint.left is None or constraint.left == -np.inf else float(constraint.left)
    high = low + 6.0 if constraint.right is None or constraint.right == np.inf else float(constraint.right)
    high = min(high, _MOST.get(parameter, high))
    if constraint.type.__name__ == "Integral":
        first = int(low) + (constraint.closed not in ("left", "both"))
        return [int(rng.integers(first, max(int(high), first) + 1))]
    return [float(rng.uniform(low, high))]
