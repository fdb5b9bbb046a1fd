"""Converted estimators: kind, roles and classes are found in the graph, and the numbers are the engine's own."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from septet.model.signature import Kind, Signature
from septet.runtimes.base import LoadOptions
from septet.runtimes.onnx.onnx_runtime import OnnxRuntime, load
from tests.runtimes.onnx_models import (
    FLOAT,
    INT64,
    STRING,
    constant,
    converted,
    engine,
    info,
    matrix_of_maps,
    model,
    node,
    onnx,
    saved,
    with_metadata,
)

if "CI" not in os.environ:
    pytest.importorskip("sklearn")
    pytest.importorskip("pandas")

import pandas as pd
import skl2onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier, MultiOutputRegressor
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor, LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.svm import SVC, LinearSVC, OneClassSVM
from sklearn.tree import DecisionTreeClassifier

MATRIX: Any = load_iris().data.astype(np.float32)
NUMBERS: Any = load_iris().target
NAMES: Any = load_iris().target_names[NUMBERS]
FLAGS = np.stack([MATRIX[:, 0] > 5.8, MATRIX[:, 1] > 3, MATRIX[:, 2] > 4], axis=1).astype(np.int64)
SPECIES = ("setosa", "versicolor", "virginica")


def served(folder: Path, made: Any) -> tuple[OnnxRuntime, Signature, Path]:
    path = saved(folder, made)
    runtime = load(path, LoadOptions())
    return runtime, runtime.signature, path


def assert_like_the_engine(runtime: OnnxRuntime, path: Path, rows: Any = MATRIX[::7]) -> None:
    """Every number equals the engine's, and every declared shape and dtype is the answer's."""
    name = runtime.signature.inputs[0].name
    expected, answers = engine(path, {name: rows}), runtime.run({name: rows})
    for tensor in runtime.signature.outputs:
        want, got = expected[tensor.name], answers[tensor.name]
        if isinstance(want, list) and isinstance(want[0], dict):
            want = matrix_of_maps(want, runtime.signature.classes or tuple(runtime.signature.labels))
        elif isinstance(want, list):
            want = np.stack(want, axis=1)
        elif want.ndim == 3 and len(want) != len(rows):
            want = np.moveaxis(want, 1, 0)
        np.testing.assert_array_equal(got, want)
        assert len(got) == len(rows)
        assert got.dtype == ("object" if tensor.dtype == "string" else tensor.dtype)
        assert all(size in {None, real} for size, real in zip(tensor.shape, got.shape, strict=True))


@pytest.mark.parametrize("options", [{}, {"zipmap": False}], ids=["zipmap", "plain"])
@pytest.mark.parametrize(
    "make",
    [
        LogisticRegression,
        SVC,
        LinearSVC,
        GaussianNB,
        DecisionTreeClassifier,
        lambda: RandomForestClassifier(3),
        lambda: KNeighborsClassifier(3),
        lambda: OneVsRestClassifier(LogisticRegression()),
    ],
    ids=["logistic", "svc", "linear svc", "bayes", "tree", "forest", "neighbours", "one vs rest"],
)
@pytest.mark.parametrize("classes", [NAMES, NUMBERS, NUMBERS + 5], ids=["names", "numbers", "gaps"])
def test_classifiers(tmp_path: Path, make: Callable[[], Any], options: dict[str, Any], classes: Any) -> None:
    estimator = make().fit(MATRIX, classes)
    if options and isinstance(estimator, LinearSVC):
        options = {}
    runtime, found, path = served(tmp_path, converted(estimator, MATRIX, **options))
    assert found.kind is Kind.CLASSIFICATION
    assert (found.label, found.scores) == tuple(tensor.name for tensor in found.outputs)
    assert found.labels == tuple(str(name) for name in estimator.classes_)
    assert found.classes == (() if classes is NAMES else tuple(estimator.classes_.tolist()))
    assert_like_the_engine(runtime, path)


def test_two_classes(tmp_path: Path) -> None:
    for estimator in (LogisticRegression(), SVC(), DecisionTreeClassifier()):
        made = converted(estimator.fit(MATRIX, NUMBERS > 0), MATRIX)
        runtime, found, path = served(tmp_path, made)
        assert found.classes == (0, 1)
        assert_like_the_engine(runtime, path)


def test_classes_spread_over_outputs_of_their_own_leave_the_label(tmp_path: Path) -> None:
    _, found, _ = served(tmp_path, converted(LogisticRegression().fit(MATRIX, NAMES), MATRIX, zipmap="columns"))
    assert found.kind is Kind.CLASSIFICATION
    assert (found.label, found.scores, found.labels) == ("output_label", None, SPECIES)
    assert len(found.outputs) == 4


def test_metadata_names_numbered_classes(tmp_path: Path) -> None:
    made = with_metadata(converted(LogisticRegression().fit(MATRIX, NUMBERS), MATRIX), labels='["a", "b", "c"]')
    _, found, _ = served(tmp_path, made)
    assert (found.labels, found.classes) == (("a", "b", "c"), (0, 1, 2))


@pytest.mark.parametrize(
    ("estimator", "kind"),
    [
        (LinearRegression(), Kind.REGRESSION),
        (RandomForestRegressor(3), Kind.REGRESSION),
        (MultiOutputRegressor(Ridge()), Kind.REGRESSION),
        (KNeighborsRegressor(), Kind.REGRESSION),
        (StandardScaler(), Kind.TRANSFORM),
        (MinMaxScaler(), Kind.TRANSFORM),
        (PCA(2), Kind.TRANSFORM),
        (make_pipeline(StandardScaler(), PCA(3)), Kind.TRANSFORM),
    ],
    ids=lambda item: type(item).__name__,
)
def test_regressors_and_transformers_of_several_columns(tmp_path: Path, estimator: Any, kind: Kind) -> None:
    runtime, found, path = served(tmp_path, converted(estimator.fit(MATRIX, MATRIX[:, :2]), MATRIX))
    assert found.kind is kind
    assert (found.label, found.scores, found.labels) == (None, None, ())
    assert_like_the_engine(runtime, path)


@pytest.mark.parametrize(
    "estimator", [OneHotEncoder(sparse_output=False), OrdinalEncoder()], ids=["one hot", "ordinal"]
)
def test_encoders_are_transforms(tmp_path: Path, estimator: Any) -> None:
    rows = FLAGS
    runtime, found, path = served(tmp_path, converted(estimator.fit(rows), rows))
    assert found.kind is Kind.TRANSFORM
    assert_like_the_engine(runtime, path, rows)


def test_a_regressor_of_one_column(tmp_path: Path) -> None:
    runtime, found, path = served(tmp_path, converted(LinearRegression().fit(MATRIX, MATRIX[:, 0]), MATRIX))
    assert found.kind is Kind.REGRESSION
    assert found.outputs[0].shape == (None, 1)
    assert_like_the_engine(runtime, path)


def test_clusters(tmp_path: Path) -> None:
    runtime, found, path = served(tmp_path, converted(KMeans(3, n_init=1).fit(MATRIX), MATRIX))
    assert (found.kind, found.label, found.scores) == (Kind.CLUSTERING, "label", None)
    assert_like_the_engine(runtime, path)


@pytest.mark.parametrize("estimator", [OneClassSVM(), LocalOutlierFactor(novelty=True)], ids=["svm", "lof"])
def test_outliers(tmp_path: Path, estimator: Any) -> None:
    runtime, found, path = served(tmp_path, converted(estimator.fit(MATRIX), MATRIX))
    assert (found.kind, found.label, found.scores) == (Kind.OUTLIERS, "label", None)
    assert (found.labels, found.classes) == (("outlier", "inlier"), (-1, 1))
    assert_like_the_engine(runtime, path)


@pytest.mark.parametrize("options", [{}, {"zipmap": False}], ids=["zipmap", "plain"])
def test_several_labels_with_a_score_each(tmp_path: Path, options: dict[str, Any]) -> None:
    made = converted(OneVsRestClassifier(LogisticRegression()).fit(MATRIX, FLAGS), MATRIX, **options)
    runtime, found, path = served(tmp_path, made)
    assert found.kind is Kind.MULTILABEL
    assert [tensor.shape for tensor in found.outputs] == [(None, 3), (None, 3)]
    assert (found.label, found.scores) == tuple(tensor.name for tensor in found.outputs)
    rows = MATRIX[::7]
    expected = engine(path, {"X": rows})[str(found.scores)]
    wanted = expected if options else matrix_of_maps(expected, [0, 1, 2])
    np.testing.assert_array_equal(runtime.run({"X": rows})[str(found.scores)], wanted)


@pytest.mark.parametrize(
    "estimator",
    [MultiOutputClassifier(LogisticRegression()), KNeighborsClassifier(), RandomForestClassifier(3)],
    ids=["sequence", "second axis", "forest"],
)
def test_several_labels_with_scores_of_each_of_their_classes(tmp_path: Path, estimator: Any) -> None:
    plain = {"zipmap": False}
    runtime, found, path = served(tmp_path, converted(estimator.fit(MATRIX, FLAGS), MATRIX, **plain))
    assert (found.kind, found.label, found.scores) == (Kind.MULTILABEL, "label", None)
    assert [tensor.shape for tensor in found.outputs] == [(None, 3), (None, 3, 2)]
    assert_like_the_engine(runtime, path)


def test_a_zipmap_that_the_engine_itself_refuses_is_served(tmp_path: Path) -> None:
    estimator = KNeighborsClassifier().fit(MATRIX, FLAGS)
    runtime, found, _ = served(tmp_path, converted(estimator, MATRIX))
    assert found.kind is Kind.MULTILABEL
    answers = runtime.run({"X": MATRIX[::7]})
    np.testing.assert_array_equal(answers[str(found.label)], estimator.predict(MATRIX[::7]))


def test_a_pipeline_of_mixed_columns_has_one_input_for_each(tmp_path: Path) -> None:
    ages, cities = MATRIX[:, :2], np.where(NUMBERS == 0, "Rome", "Oslo").astype(object)
    frame = pd.DataFrame({"age": ages[:, 0], "pay": ages[:, 1], "city": cities})
    split = ColumnTransformer(
        [("n", StandardScaler(), ["age", "pay"]), ("c", OneHotEncoder(handle_unknown="ignore"), ["city"])]
    )
    estimator = make_pipeline(split, LogisticRegression()).fit(frame, NAMES)
    types = [
        ("age", FloatTensorType([None, 1])),
        ("pay", FloatTensorType([None, 1])),
        ("city", StringTensorType([None, 1])),
    ]
    runtime, found, path = served(tmp_path, skl2onnx.to_onnx(estimator, initial_types=types))
    assert [(column.name, column.dtype) for column in found.columns] == [
        ("age", "float32"),
        ("pay", "float32"),
        ("city", "string"),
    ]
    assert (found.kind, found.labels) == (Kind.CLASSIFICATION, SPECIES)
    tensors = {"age": ages[:9, :1], "pay": ages[:9, 1:], "city": np.full((9, 1), "Lima", object)}
    expected, answers = engine(path, tensors), runtime.run(tensors)
    np.testing.assert_array_equal(answers["output_label"], expected["output_label"])
    np.testing.assert_array_equal(
        answers["output_probability"], matrix_of_maps(expected["output_probability"], SPECIES)
    )


def network(last: str = "Identity", width: int = 3) -> Any:
    return model(
        [
            node("MatMul", ["x", "weights"], ["h"]),
            node("Add", ["h", "bias"], ["logits"]),
            node(last, ["logits"], ["variable"]),
        ],
        [info("x", FLOAT, [None, 4])],
        [info("variable", FLOAT, [None, width])],
        [constant("weights", np.ones((4, width), np.float32)), constant("bias", np.ones(width, np.float32))],
    )


def test_a_network_that_ends_in_softmax_classifies_by_its_scores(tmp_path: Path) -> None:
    _, found, _ = served(tmp_path, network("Softmax"))
    assert (found.kind, found.label, found.scores, found.labels) == (Kind.CLASSIFICATION, None, "variable", ())


def test_a_network_whose_metadata_name_its_columns_classifies(tmp_path: Path) -> None:
    _, found, _ = served(tmp_path, with_metadata(network(), classes="cat, dog, owl"))
    assert (found.kind, found.scores, found.labels) == (Kind.CLASSIFICATION, "variable", ("cat", "dog", "owl"))


def test_a_network_that_ends_in_a_matrix_product_with_a_bias_is_a_regression(tmp_path: Path) -> None:
    assert served(tmp_path, network())[1].kind is Kind.REGRESSION
    assert served(tmp_path, network(width=1))[1].kind is Kind.REGRESSION


def picked(best: str, kind: int = INT64, **more: Any) -> Any:
    return model(
        [node(best, ["x"], ["y"], axis=1, keepdims=0)], [info("x", FLOAT, [None, 4])], [info("y", kind, [None])], **more
    )


def test_a_label_alone_is_known_by_how_it_is_chosen(tmp_path: Path) -> None:
    assert served(tmp_path, picked("ArgMax"))[1].kind is Kind.CLASSIFICATION
    assert served(tmp_path, picked("ArgMin"))[1].kind is Kind.CLUSTERING
    named = served(tmp_path, with_metadata(picked("ArgMax"), labels="a,b,c,d"))[1]
    assert (named.label, named.labels) == ("y", ("a", "b", "c", "d"))


@pytest.mark.parametrize("kind", [INT64, onnx.TensorProto.INT32, STRING])
@pytest.mark.parametrize("raw", [True, False])
def test_classes_are_read_from_the_constant_that_the_label_is_chosen_from(tmp_path: Path, kind: int, raw: bool) -> None:  # noqa: FBT001
    values: Any = np.array([-3, 4, 500], np.int32 if kind == onnx.TensorProto.INT32 else np.int64)
    if kind == STRING:
        table = onnx.helper.make_tensor("classes", STRING, [3], ["a", "b", "c"])
    elif raw:
        table = constant("classes", values)
    else:
        table = onnx.helper.make_tensor("classes", kind, [3], values)
    made = model(
        [
            node("ArgMax", ["x"], ["best"], axis=1, keepdims=0),
            node("ArrayFeatureExtractor", ["classes", "best"], ["chosen"], domain="ai.onnx.ml"),
            node("Reshape", ["chosen", "flat"], ["label"]),
            node("Identity", ["x"], ["scores"]),
        ],
        [info("x", FLOAT, [None, 3])],
        [info("label", kind, [None]), info("scores", FLOAT, [None, 3])],
        [table, constant("flat", np.array([-1]))],
    )
    _, found, _ = served(tmp_path, made)
    assert (found.kind, found.label, found.scores) == (Kind.CLASSIFICATION, "label", "scores")
    assert (found.classes or found.labels) == (("a", "b", "c") if kind == STRING else (-3, 4, 500))


def test_metadata_that_name_another_number_of_classes_are_not_believed(tmp_path: Path) -> None:
    made = with_metadata(converted(LogisticRegression().fit(MATRIX, NAMES), MATRIX, zipmap=False), labels="a, b")
    assert served(tmp_path, made)[1].labels == SPECIES


def test_scores_alone_that_were_a_zipmap_keep_its_classes(tmp_path: Path) -> None:
    helper = onnx.helper
    value = helper.make_map_type_proto(STRING, helper.make_tensor_type_proto(FLOAT, None))
    made = model(
        [node("ZipMap", ["x"], ["y"], domain="ai.onnx.ml", classlabels_strings=["a", "b"])],
        [info("x", FLOAT, [None, 2])],
        [helper.make_value_info("y", helper.make_sequence_type_proto(value))],
    )
    _, found, _ = served(tmp_path, made)
    assert (found.kind, found.label, found.scores, found.labels) == (Kind.CLASSIFICATION, None, "y", ("a", "b"))


def test_several_outputs_of_no_known_role_are_tensors(tmp_path: Path) -> None:
    made = model(
        [node("Identity", ["x"], ["a"]), node("Neg", ["x"], ["b"])],
        [info("x", FLOAT, [None, 2])],
        [info("a", FLOAT, [None, 2]), info("b", FLOAT, [None, 2])],
    )
    assert served(tmp_path, made)[1].kind is Kind.TENSORS


@pytest.mark.parametrize("shape", [[None], [None, 2]])
def test_numbers_of_no_known_meaning_are_tensors(tmp_path: Path, shape: list[Any]) -> None:
    made = model([node("Neg", ["x"], ["y"])], [info("x", INT64, shape)], [info("y", INT64, shape)])
    assert served(tmp_path, made)[1].kind is Kind.TENSORS
