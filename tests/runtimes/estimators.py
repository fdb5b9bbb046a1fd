"""Fitted estimators of every common kind, by name, on rows of four numbers."""

import warnings
from typing import Any

import numpy as np
import pytest

from septet.types import Array

pytest.importorskip("sklearn")

from sklearn import (
    calibration,
    cluster,
    compose,
    cross_decomposition,
    decomposition,
    discriminant_analysis,
    ensemble,
    feature_selection,
    gaussian_process,
    impute,
    linear_model,
    mixture,
    multiclass,
    multioutput,
    naive_bayes,
    neighbors,
    neural_network,
    pipeline,
    preprocessing,
    random_projection,
    svm,
    tree,
)

_SPREAD = np.random.default_rng(0)
MATRIX: Array = _SPREAD.normal(size=(120, 4)).astype(np.float32)
CLASSES: Array = _SPREAD.integers(0, 3, 120)
_TWO = (CLASSES > 0).astype(int)
_NUMBER = MATRIX @ np.array([1.0, 2.0, 3.0, 4.0]) + _SPREAD.normal(size=120)
_NUMBERS = np.stack([_NUMBER, 2 * _NUMBER + MATRIX[:, 0]], axis=1)
_LABELS = np.stack([_TWO, CLASSES == 2], axis=1).astype(int)
_COUNTS = np.abs(MATRIX)


def _stacked(kind: Any, last: Any, *models: Any) -> Any:
    return kind([(f"m{at}", model) for at, model in enumerate(models)], last)


def _columns(rest: Any) -> Any:
    parts = [("scaled", preprocessing.StandardScaler(), [0, 1]), ("squeezed", preprocessing.MinMaxScaler(), [2])]
    return compose.ColumnTransformer(parts, remainder=rest)


_FORESTS = {"n_estimators": 5, "random_state": 0}
_CLASSIFIERS: dict[str, Any] = {
    "LogisticRegression": linear_model.LogisticRegression(),
    "SGDClassifier": linear_model.SGDClassifier(loss="log_loss"),
    "Perceptron": linear_model.Perceptron(),
    "RidgeClassifier": linear_model.RidgeClassifier(),
    "SVC": svm.SVC(),
    "LinearSVC": svm.LinearSVC(),
    "NuSVC": svm.NuSVC(nu=0.2),
    "DecisionTreeClassifier": tree.DecisionTreeClassifier(),
    "RandomForestClassifier": ensemble.RandomForestClassifier(**_FORESTS),
    "ExtraTreesClassifier": ensemble.ExtraTreesClassifier(**_FORESTS),
    "GradientBoostingClassifier": ensemble.GradientBoostingClassifier(**_FORESTS),
    "HistGradientBoostingClassifier": ensemble.HistGradientBoostingClassifier(max_iter=5),
    "AdaBoostClassifier": ensemble.AdaBoostClassifier(**_FORESTS),
    "BaggingClassifier": ensemble.BaggingClassifier(**_FORESTS),
    "MLPClassifier": neural_network.MLPClassifier(hidden_layer_sizes=(8,), max_iter=20, random_state=0),
    "KNeighborsClassifier": neighbors.KNeighborsClassifier(),
    "GaussianNB": naive_bayes.GaussianNB(),
    "BernoulliNB": naive_bayes.BernoulliNB(),
    "LinearDiscriminantAnalysis": discriminant_analysis.LinearDiscriminantAnalysis(),
    "CalibratedClassifierCV": calibration.CalibratedClassifierCV(svm.LinearSVC(), cv=2),
    "isotonic": calibration.CalibratedClassifierCV(naive_bayes.GaussianNB(), method="isotonic", cv=2),
    "OneVsRestClassifier": multiclass.OneVsRestClassifier(linear_model.LogisticRegression()),
    "OneVsOneClassifier": multiclass.OneVsOneClassifier(linear_model.LogisticRegression()),
    "StackingClassifier": _stacked(
        ensemble.StackingClassifier,
        linear_model.LogisticRegression(),
        tree.DecisionTreeClassifier(max_depth=3),
        linear_model.LogisticRegression(),
    ),
    "pipeline": pipeline.make_pipeline(preprocessing.StandardScaler(), decomposition.PCA(2), svm.SVC()),
    "columns": pipeline.make_pipeline(_columns("passthrough"), linear_model.LogisticRegression()),
    "union": pipeline.make_pipeline(
        pipeline.FeatureUnion([("a", decomposition.PCA(2)), ("b", preprocessing.StandardScaler())]),
        linear_model.LogisticRegression(),
    ),
}
_REGRESSORS: dict[str, Any] = {
    "LinearRegression": linear_model.LinearRegression(),
    "Ridge": linear_model.Ridge(),
    "Lasso": linear_model.Lasso(alpha=0.1),
    "BayesianRidge": linear_model.BayesianRidge(),
    "HuberRegressor": linear_model.HuberRegressor(),
    "SVR": svm.SVR(),
    "LinearSVR": svm.LinearSVR(),
    "DecisionTreeRegressor": tree.DecisionTreeRegressor(),
    "RandomForestRegressor": ensemble.RandomForestRegressor(**_FORESTS),
    "ExtraTreesRegressor": ensemble.ExtraTreesRegressor(**_FORESTS),
    "GradientBoostingRegressor": ensemble.GradientBoostingRegressor(**_FORESTS),
    "HistGradientBoostingRegressor": ensemble.HistGradientBoostingRegressor(max_iter=5),
    "AdaBoostRegressor": ensemble.AdaBoostRegressor(**_FORESTS),
    "BaggingRegressor": ensemble.BaggingRegressor(**_FORESTS),
    "MLPRegressor": neural_network.MLPRegressor(hidden_layer_sizes=(8,), max_iter=20, random_state=0),
    "KNeighborsRegressor": neighbors.KNeighborsRegressor(),
    "GaussianProcessRegressor": gaussian_process.GaussianProcessRegressor(alpha=1.0),
    "VotingRegressor": ensemble.VotingRegressor(
        [("a", linear_model.LinearRegression()), ("b", tree.DecisionTreeRegressor(max_depth=3))]
    ),
    "StackingRegressor": _stacked(
        ensemble.StackingRegressor,
        linear_model.Ridge(),
        linear_model.LinearRegression(),
        tree.DecisionTreeRegressor(max_depth=3),
    ),
}
_SEVERAL: dict[str, Any] = {
    "LinearRegression of several": linear_model.LinearRegression(),
    "RandomForestRegressor of several": ensemble.RandomForestRegressor(**_FORESTS),
    "MultiOutputRegressor": multioutput.MultiOutputRegressor(linear_model.Ridge()),
    "PLSRegression": cross_decomposition.PLSRegression(2),
}
_LABELLED: dict[str, Any] = {
    "RandomForestClassifier of several": ensemble.RandomForestClassifier(**_FORESTS),
    "MultiOutputClassifier": multioutput.MultiOutputClassifier(linear_model.LogisticRegression()),
}
_UNTAUGHT: dict[str, Any] = {
    "PCA": decomposition.PCA(2),
    "IncrementalPCA": decomposition.IncrementalPCA(2),
    "TruncatedSVD": decomposition.TruncatedSVD(2),
    "KernelPCA": decomposition.KernelPCA(2, kernel="rbf"),
    "StandardScaler": preprocessing.StandardScaler(),
    "MinMaxScaler": preprocessing.MinMaxScaler(),
    "RobustScaler": preprocessing.RobustScaler(),
    "MaxAbsScaler": preprocessing.MaxAbsScaler(),
    "Normalizer": preprocessing.Normalizer(),
    "Binarizer": preprocessing.Binarizer(),
    "PolynomialFeatures": preprocessing.PolynomialFeatures(2),
    "KBinsDiscretizer": preprocessing.KBinsDiscretizer(
        3, encode="onehot-dense", quantile_method="averaged_inverted_cdf"
    ),
    "PowerTransformer": preprocessing.PowerTransformer(),
    "QuantileTransformer": preprocessing.QuantileTransformer(n_quantiles=10),
    "SimpleImputer": impute.SimpleImputer(),
    "VarianceThreshold": feature_selection.VarianceThreshold(),
    "GaussianRandomProjection": random_projection.GaussianRandomProjection(2, random_state=0),
    "KMeans": cluster.KMeans(3, n_init=1, random_state=0),
    "GaussianMixture": mixture.GaussianMixture(2, random_state=0),
    "IsolationForest": ensemble.IsolationForest(**_FORESTS),
    "LocalOutlierFactor": neighbors.LocalOutlierFactor(novelty=True),
    "OneClassSVM": svm.OneClassSVM(nu=0.2),
}
_OF_COUNTS: dict[str, Any] = {
    "MultinomialNB": naive_bayes.MultinomialNB(),
    "ComplementNB": naive_bayes.ComplementNB(),
}
_TARGETS = (
    (_CLASSIFIERS, CLASSES),
    (_REGRESSORS, _NUMBER),
    (_SEVERAL, _NUMBERS),
    (_LABELLED, _LABELS),
    (_UNTAUGHT, None),
    (_OF_COUNTS, CLASSES),
)

NAMES = [name for models, _ in _TARGETS for name in models]


def fitted(name: str, dtype: type[np.floating[Any]] = np.float64) -> Any:
    """An estimator of the table, fitted."""
    models, target = next((models, target) for models, target in _TARGETS if name in models)
    rows = _COUNTS if models is _OF_COUNTS else MATRIX
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return models[name].fit(rows.astype(dtype), target)


def rows() -> Array:
    """64 rows, none below zero, of which some are far from the others."""
    made = np.abs(np.random.default_rng(1).normal(size=(64, 4)))
    made[7] = 1e6
    made[8] = 0.0
    made[9] = 1e-30
    return made
