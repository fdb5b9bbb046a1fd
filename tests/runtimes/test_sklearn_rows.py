"""Rows of an estimator are independent where its class, and all that it holds, is known to keep them apart."""

from typing import Any

import numpy as np
import pytest

from septet.runtimes.base import LoadOptions
from septet.runtimes.sklearn.sklearn_runtime import runtime_of
from septet.types import Array
from tests.runtimes.alone import assert_rows_apart
from tests.runtimes.estimators import CLASSES, MATRIX, NAMES, fitted, rows

pytest.importorskip("sklearn")

from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import NMF, LatentDirichletAllocation
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier


def centred(table: Array) -> Array:
    return np.asarray(table - np.mean(table, axis=0))


class Centring(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    def fit(self, table: Array, target: Array | None = None) -> "Centring":  # noqa: ARG002
        self.n_features_in_ = table.shape[1]
        return self

    def transform(self, table: Array) -> Array:
        return centred(table)


class SilentEstimator(LogisticRegression):  # type: ignore[misc]
    """A subclass may do anything."""


def weights(distances: Array) -> Array:
    return np.asarray(distances / distances.max())


def distance(one: Array, other: Array) -> float:
    return float(np.abs(one - other).sum())


def independence(model: Any, data: Array = MATRIX) -> Any:
    return runtime_of(model.fit(np.abs(data).astype(float), CLASSES), LoadOptions(), source="test").independence


@pytest.mark.parametrize("name", NAMES)
def test_a_known_estimator_is_merged_and_each_row_keeps_its_answer(name: str) -> None:
    runtime = runtime_of(fitted(name), LoadOptions(), source="test")
    assert runtime.independence.proven, runtime.independence.reason
    assert_rows_apart(runtime, {"input": rows()})


@pytest.mark.parametrize(
    ("model", "named"),
    [
        (make_pipeline(FunctionTransformer(centred), LogisticRegression()), "FunctionTransformer"),
        (
            make_pipeline(FunctionTransformer(np.abs, inverse_func=centred, check_inverse=False), LogisticRegression()),
            "FunctionTransformer",
        ),
        (make_pipeline(Centring(), LogisticRegression()), "Centring"),
        (SilentEstimator(), "SilentEstimator"),
        (ColumnTransformer([("a", StandardScaler(), [0])], remainder=Centring()), "Centring"),
        (VotingClassifier([("a", LogisticRegression()), ("b", make_pipeline(Centring(), SVC()))]), "Centring"),
        (StackingClassifier([("a", DecisionTreeClassifier())], make_pipeline(Centring(), SVC()), cv=2), "Centring"),
        (KNeighborsClassifier(weights=weights), "weights"),
        (KNeighborsClassifier(metric=distance), "distance"),
        (NMF(2, max_iter=50, tol=0.1), "NMF"),
        (make_pipeline(LatentDirichletAllocation(2), LogisticRegression()), "LatentDirichletAllocation"),
    ],
)
def test_what_may_look_at_its_whole_batch_is_not_merged_and_is_named(model: Any, named: str) -> None:
    found = independence(model)
    assert not found.proven
    assert found.foreign
    assert named in found.reason


def test_a_method_that_was_replaced_on_the_estimator_itself_is_foreign_code() -> None:
    model = LogisticRegression()
    model.decision_function = centred
    assert "centred" in independence(model).reason


def test_functions_of_numpy_for_each_value_are_known() -> None:
    assert independence(make_pipeline(FunctionTransformer(np.log1p), LogisticRegression())).proven
    assert independence(make_pipeline(FunctionTransformer(), LogisticRegression())).proven


def test_trees_are_the_same_to_the_bit_and_sums_are_not_promised_to_be() -> None:
    assert independence(DecisionTreeClassifier()).exact
    assert not independence(LogisticRegression()).exact


@pytest.mark.parametrize("library", ["lightgbm", "xgboost"])
def test_boosted_trees_of_other_libraries_are_known(library: str) -> None:
    module = pytest.importorskip(library)
    kinds = {"lightgbm": ("LGBMClassifier", {"verbose": -1}), "xgboost": ("XGBClassifier", {})}
    name, options = kinds[library]
    model = getattr(module, name)(n_estimators=3, **options).fit(MATRIX, CLASSES)
    runtime = runtime_of(model, LoadOptions(), source="test")
    assert runtime.independence.proven, runtime.independence.reason
