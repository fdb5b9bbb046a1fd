"""Every estimator that is known to keep its rows apart answers each row alone as it does among 63 others."""

import importlib
import warnings
from typing import Any

import numpy as np
import pytest

from septet.runtimes.sklearn.sklearn_independence import _CLASSES, independence
from septet.types import Array
from tests.runtimes.estimators import CLASSES, MATRIX

pytest.importorskip("sklearn")

from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

_TEXTS = [f"the {'red' if row % 2 else 'blue'} house {row % 7} of {row % 5} \u00e9t\u00e9" for row in range(64)]
_SETTINGS: dict[str, dict[str, Any]] = {
    **{name: {"estimator": LogisticRegression()} for name in ("ClassifierChain", "FixedThresholdClassifier")},
    **{name: {"estimator": LogisticRegression()} for name in ("OneVsOneClassifier", "OneVsRestClassifier")},
    **{name: {"estimator": LogisticRegression()} for name in ("RFE", "RFECV", "MultiOutputClassifier")},
    **{name: {"estimator": Ridge()} for name in ("MultiOutputRegressor", "RegressorChain")},
    "ColumnTransformer": {"transformers": [("a", "passthrough", [0, 1])]},
    **{name: {"max_iter": 5} for name in ("HistGradientBoostingClassifier", "HistGradientBoostingRegressor")},
    "FeatureUnion": {"transformer_list": [("a", "passthrough")]},
    "FrozenEstimator": {"estimator": LogisticRegression()},
    "GridSearchCV": {"estimator": LogisticRegression(), "param_grid": {"C": [1.0]}},
    "LocalOutlierFactor": {"novelty": True},
    "NuSVC": {"nu": 0.2},
    "Pipeline": {"steps": [("a", LogisticRegression())]},
    "RandomizedSearchCV": {"estimator": LogisticRegression(), "param_distributions": {"C": [1.0]}, "n_iter": 1},
    "SelectFromModel": {"estimator": LogisticRegression()},
    "SequentialFeatureSelector": {"estimator": DecisionTreeClassifier(max_depth=2), "cv": 2},
    "StackingClassifier": {"estimators": [("a", DecisionTreeClassifier(max_depth=3))]},
    "StackingRegressor": {"estimators": [("a", DecisionTreeRegressor(max_depth=3))]},
    "SelectKBest": {"k": 2},
    "GenericUnivariateSelect": {"param": 2},
    "TunedThresholdClassifierCV": {"estimator": LogisticRegression()},
    "VotingClassifier": {"estimators": [("a", LogisticRegression()), ("b", DecisionTreeClassifier(max_depth=3))]},
    "VotingRegressor": {"estimators": [("a", Ridge()), ("b", DecisionTreeRegressor(max_depth=3))]},
    "SparseRandomProjection": {"n_components": 2},
    "GaussianRandomProjection": {"n_components": 2},
    "GaussianProcessRegressor": {"alpha": 1.0},
    "OneHotEncoder": {"handle_unknown": "ignore"},
    "QuantileTransformer": {"n_quantiles": 20},
    **{name: {"n_components": 1} for name in ("CCA", "PLSCanonical")},
}
_TWO = ("FixedThresholdClassifier", "TunedThresholdClassifierCV", "LabelBinarizer")
_MANY = ("MultiOutputClassifier", "MultiOutputRegressor", "ClassifierChain", "RegressorChain")
_MANY_NUMBERS = ("MultiTaskElasticNet", "MultiTaskElasticNetCV", "MultiTaskLasso", "MultiTaskLassoCV")
# Their rows are labels, or a kernel; `independence` proves nothing of the first.
_WITHOUT_ROWS = ("KernelCenterer", "LabelBinarizer", "LabelEncoder", "MultiLabelBinarizer", "NearestNeighbors")
_NAMES = [
    (f"{package}.text" if package.endswith("feature_extraction") else package, name)
    for package, names in _CLASSES.items()
    for name in sorted(names)
    if package.startswith("sklearn") and not name.startswith("_") and name not in _WITHOUT_ROWS
]


def _rows(name: str) -> Any:
    if name in ("CountVectorizer", "HashingVectorizer", "TfidfVectorizer"):
        return np.array(_TEXTS, dtype=object)
    if name == "IsotonicRegression":
        return MATRIX[:64, 0].astype(float)
    rows = MATRIX[:64].astype(float)
    if name in ("CategoricalNB", "OneHotEncoder", "OrdinalEncoder", "TargetEncoder"):
        return np.digitize(rows, [-1.0, 0.0, 1.0])
    # Ties: decimals that are no binary fractions, some of which come twice.
    rows = np.abs(rows) if name.endswith("NB") or name == "TfidfTransformer" else rows
    return np.concatenate([rows[:48].round(1), rows[:16].round(1)])


def _target(name: str) -> Array:
    labels = CLASSES[:64]
    if name in _MANY:
        return np.stack([labels > 0, labels > 1], axis=1).astype(int)
    numbers = MATRIX[:64].astype(float) @ np.array([1.0, 2.0, 3.0, 4.0])
    if name in _MANY_NUMBERS:
        return np.stack([numbers, -numbers], axis=1)
    if name in ("GammaRegressor", "PoissonRegressor", "TweedieRegressor"):
        return np.asarray(np.exp(numbers / 5))
    if name.endswith(("Regressor", "Regression", "SVR")) and name != "LogisticRegression":
        return np.asarray(numbers)
    return np.asarray(labels > 0, dtype=int) if name in _TWO else labels


def _dense(answer: Any) -> Array:
    if isinstance(answer, list):
        return np.stack([np.asarray(each) for each in answer], axis=1)
    return np.asarray(answer.toarray() if hasattr(answer, "toarray") else answer)


def _fitted(package: str, name: str) -> Any:
    kind = getattr(importlib.import_module(package), name)
    settings = dict(_SETTINGS.get(name, {}))
    known = kind().get_params() if not settings else {}
    settings |= {key: 5 for key in ("n_estimators",) if key in known}
    settings |= {key: 0 for key in ("random_state",) if key in known}
    settings |= {key: 2 for key in ("cv",) if key in known}
    model = kind(**settings)
    if name == "FrozenEstimator":
        model.estimator.fit(_rows(name), _target(name))
    return model.fit(_rows(name), _target(name))


@pytest.mark.parametrize(("package", "name"), _NAMES)
def test_each_row_alone_has_its_answer_among_others(package: str, name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if not hasattr(importlib.import_module(package), name):
            pytest.skip("of another version of scikit-learn")
        model = _fitted(package, name)
        assert independence(model).proven, independence(model).reason
        rows = _rows(name)
        methods = [
            each for each in ("predict", "predict_proba", "decision_function", "transform") if hasattr(model, each)
        ]
        assert methods
        for method in methods:
            answer = getattr(model, method)
            among = _dense(answer(rows))[::9]
            alone = np.concatenate([_dense(answer(rows[at : at + 1])) for at in range(0, len(rows), 9)])
            if among.dtype.kind == "f":
                np.testing.assert_allclose(alone, among, rtol=1e-7, atol=1e-9)
            else:
                np.testing.assert_array_equal(alone, among)


@pytest.mark.parametrize("strategy", ["stratified", "uniform"])
def test_answers_that_are_drawn_are_not_merged(strategy: str) -> None:
    from sklearn.dummy import DummyClassifier

    model = DummyClassifier(strategy=strategy, random_state=0).fit(MATRIX, CLASSES)
    assert not independence(model).proven
    assert "at random" in independence(model).reason


def test_what_encodes_labels_is_not_merged() -> None:
    from sklearn.preprocessing import LabelBinarizer

    assert not independence(LabelBinarizer().fit(CLASSES)).proven
