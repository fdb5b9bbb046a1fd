"""The native runtime: every kind of estimator answers as scikit-learn itself does, behind a signature of its own."""

import warnings
from typing import Any

import numpy as np
import pytest

from septet.errors import UnsupportedModel
from septet.model.signature import Kind, Signature
from septet.runtimes.base import InputRejected, LoadOptions, Runtime
from septet.runtimes.sklearn.sklearn_runtime import runtime_of

pd = pytest.importorskip("pandas")
datasets = pytest.importorskip("sklearn.datasets")

from sklearn.calibration import CalibratedClassifierCV  # noqa: E402
from sklearn.cluster import DBSCAN, KMeans  # noqa: E402
from sklearn.compose import ColumnTransformer  # noqa: E402
from sklearn.decomposition import SparsePCA  # noqa: E402
from sklearn.ensemble import HistGradientBoostingClassifier, IsolationForest, RandomForestClassifier  # noqa: E402
from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: E402
from sklearn.impute import SimpleImputer  # noqa: E402
from sklearn.linear_model import LinearRegression, LogisticRegression  # noqa: E402
from sklearn.mixture import GaussianMixture  # noqa: E402
from sklearn.model_selection import GridSearchCV  # noqa: E402
from sklearn.multiclass import OneVsRestClassifier  # noqa: E402
from sklearn.multioutput import MultiOutputClassifier  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler  # noqa: E402
from sklearn.svm import SVC, LinearSVC  # noqa: E402
from sklearn.tree import DecisionTreeClassifier  # noqa: E402

MATRIX, CLASSES = datasets.load_iris(return_X_y=True)
FRAME = datasets.load_iris(as_frame=True).data


def runtime(model: Any) -> Runtime:
    return runtime_of(model, LoadOptions(), source="a test")


def outputs(signature: Signature) -> dict[str, tuple[str, tuple[int | None, ...]]]:
    return {tensor.name: (tensor.dtype, tensor.shape) for tensor in signature.outputs}


def test_a_classifier_gives_labels_and_probabilities() -> None:
    model = LogisticRegression(max_iter=500).fit(FRAME, CLASSES)
    served = runtime(model)
    assert served.signature.kind is Kind.CLASSIFICATION
    assert outputs(served.signature) == {"label": ("int64", (None,)), "probabilities": ("float64", (None, 3))}
    assert (served.signature.labels, served.signature.classes) == (("0", "1", "2"), (0, 1, 2))
    assert [column.name for column in served.signature.columns] == list(FRAME.columns)
    answer = served.run({"input": MATRIX})
    np.testing.assert_array_equal(answer["label"], model.predict(FRAME))
    np.testing.assert_array_equal(answer["probabilities"], model.predict_proba(FRAME))


def test_only_the_wanted_outputs_are_computed() -> None:
    served = runtime(LogisticRegression(max_iter=500).fit(MATRIX, CLASSES))
    assert set(served.run({"input": MATRIX}, ["probabilities"])) == {"probabilities"}


def test_text_classes_are_their_own_labels() -> None:
    served = runtime(DecisionTreeClassifier().fit(MATRIX, np.array(["a", "b", "c"])[CLASSES]))
    assert (served.signature.labels, served.signature.classes) == (("a", "b", "c"), ())
    assert served.run({"input": MATRIX[:1]})["label"].tolist() == ["a"]


def test_a_classifier_without_probabilities_gives_a_score_per_class_where_there_is_one() -> None:
    several = runtime(LinearSVC().fit(MATRIX, CLASSES))
    assert several.signature.scores == "scores"
    two = runtime(LinearSVC().fit(MATRIX, CLASSES == 1))
    assert list(outputs(two.signature)) == ["label"]


def test_columns_without_names_are_numbered() -> None:
    served = runtime(LinearRegression().fit(MATRIX, CLASSES))
    assert [column.name for column in served.signature.columns] == ["x0", "x1", "x2", "x3"]


@pytest.mark.parametrize(("targets", "shape"), [(CLASSES, (None,)), (MATRIX[:, :2], (None, 2))])
def test_a_regressor_gives_one_prediction_for_each_target(targets: Any, shape: tuple[int | None, ...]) -> None:
    model = LinearRegression().fit(MATRIX, targets)
    served = runtime(model)
    assert served.signature.kind is Kind.REGRESSION
    assert outputs(served.signature) == {"prediction": ("float64", shape)}
    np.testing.assert_array_equal(served.run({"input": MATRIX})["prediction"], model.predict(MATRIX))


@pytest.mark.parametrize(
    "model",
    [
        OneVsRestClassifier(LogisticRegression(max_iter=500)),
        MultiOutputClassifier(LogisticRegression(max_iter=500)),
        RandomForestClassifier(n_estimators=3, random_state=0),
    ],
)
def test_a_multilabel_classifier_gives_the_probability_of_each_label(model: Any) -> None:
    targets = np.stack([CLASSES == 1, CLASSES == 2], axis=1).astype(int)
    served = runtime(model.fit(MATRIX, targets))
    assert served.signature.kind is Kind.MULTILABEL
    assert outputs(served.signature) == {"label": ("int64", (None, 2)), "probabilities": ("float64", (None, 2))}
    answer = served.run({"input": MATRIX})
    np.testing.assert_array_equal(answer["label"], model.predict(MATRIX))
    np.testing.assert_array_equal(answer["label"], (answer["probabilities"] > 0.5).astype(int))


def test_a_label_never_seen_in_training_has_the_probability_zero() -> None:
    targets = np.stack([CLASSES == 1, np.zeros(len(CLASSES))], axis=1).astype(int)
    served = runtime(RandomForestClassifier(n_estimators=3, random_state=0).fit(MATRIX, targets))
    assert served.run({"input": MATRIX})["probabilities"][:, 1].max() == 0


def test_several_targets_with_classes_of_their_own_have_outputs_of_their_own() -> None:
    targets = np.stack([CLASSES, (MATRIX[:, 0] > 5).astype(int)], axis=1)
    model = RandomForestClassifier(n_estimators=3, random_state=0).fit(MATRIX, targets)
    served = runtime(model)
    assert list(outputs(served.signature)) == ["label_0", "probabilities_0", "label_1", "probabilities_1"]
    answer = served.run({"input": MATRIX})
    np.testing.assert_array_equal(answer["label_1"], model.predict(MATRIX)[:, 1])
    np.testing.assert_array_equal(answer["probabilities_0"], model.predict_proba(MATRIX)[0])


def test_a_clustering_gives_the_number_of_the_cluster() -> None:
    served = runtime(make_pipeline(StandardScaler(), KMeans(3, n_init=1, random_state=0)).fit(MATRIX))
    assert served.signature.kind is Kind.CLUSTERING
    assert outputs(served.signature) == {"label": ("int64", (None,))}


def test_a_mixture_gives_the_probability_of_each_component() -> None:
    served = runtime(GaussianMixture(2, random_state=0).fit(MATRIX))
    assert served.signature.kind is Kind.CLUSTERING
    assert outputs(served.signature)["probabilities"] == ("float64", (None, 2))


def test_an_outlier_detector_gives_a_side_and_a_score() -> None:
    model = IsolationForest(n_estimators=5, random_state=0).fit(MATRIX)
    served = runtime(model)
    assert served.signature.kind is Kind.OUTLIERS
    assert (served.signature.labels, served.signature.classes) == (("outlier", "inlier"), (-1, 1))
    answer = served.run({"input": MATRIX})
    np.testing.assert_array_equal(answer["scores"], model.decision_function(MATRIX))


def test_a_transformer_gives_dense_features() -> None:
    served = runtime(OneHotEncoder().fit(CLASSES.reshape(-1, 1)))
    assert served.signature.kind is Kind.TRANSFORM
    assert served.run({"input": np.array([[2.0]])})["transformed"].tolist() == [[0, 0, 1]]


def test_a_text_model_takes_one_text_a_row() -> None:
    texts = np.array(["good film", "bad film", "good", "bad"], dtype=object)
    model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, ["yes", "no", "yes", "no"])
    served = runtime(model)
    (tensor,) = served.signature.inputs
    assert (tensor.shape, tensor.dtype, tensor.columns[0].name) == ((None,), "string", "text")
    assert served.run({"input": np.array(["good good"], dtype=object)})["label"].tolist() == ["yes"]


def mixed() -> tuple[Any, Any]:
    frame = pd.DataFrame(
        {
            "age": [20.0, 30.0, np.nan, 50.0],
            "city": ["Rome", "Oslo", "Oslo", "Rome"],
            "note": ["a", "b", "c", "d"],
            "income": [1.0, 2.0, 3.0, 4.0],
        }
    )
    columns = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), ["age"]),
            ("cities", OneHotEncoder(), ["city"]),
            ("rest", "passthrough", ["income"]),
        ]
    )
    return make_pipeline(columns, LogisticRegression()).fit(frame, [0, 1, 0, 1]), frame


def test_a_column_transformer_gives_one_input_per_column_with_what_it_accepts() -> None:
    model, frame = mixed()
    served = runtime(model)
    age, city, note, income = served.signature.columns
    assert [tensor.shape for tensor in served.signature.inputs] == [(None, 1)] * 4
    assert (age.dtype, age.nullable) == ("float64", True)
    assert (city.dtype, city.nullable, city.categories, city.other_categories) == (
        "string",
        False,
        ("Oslo", "Rome"),
        False,
    )
    assert (note.dtype, note.nullable) == ("string", True)
    assert (income.dtype, income.nullable) == ("float64", False)
    tensors = {name: frame[name].to_numpy(dtype=object if name in {"city", "note"} else float) for name in frame}
    answer = served.run({name: column.reshape(-1, 1) for name, column in tensors.items()})
    np.testing.assert_array_equal(answer["probabilities"], model.predict_proba(frame))


def test_a_missing_text_reaches_an_imputer_as_it_was_in_training() -> None:
    frame = pd.DataFrame({"city": ["Rome", np.nan, "Rome", "Oslo"], "age": [1.0, 2.0, 3.0, 4.0]})
    text = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"))
    columns = ColumnTransformer([("text", text, ["city"])], remainder="passthrough")
    served = runtime(make_pipeline(columns, LogisticRegression()).fit(frame, [0, 1, 0, 1]))
    city = served.signature.columns[0]
    assert (city.nullable, city.categories, city.other_categories) == (True, ("Oslo", "Rome"), True)
    age = np.array([[1.0], [1.0]])
    both = served.run({"city": np.array([["Rome"], [None]], dtype=object), "age": age})["probabilities"]
    assert both[0].tolist() == both[1].tolist()


def test_a_column_is_nullable_only_if_every_step_lets_missing_values_pass() -> None:
    def nullable(model: Any) -> bool:
        return runtime(model.fit(MATRIX, CLASSES)).signature.columns[0].nullable

    trees = HistGradientBoostingClassifier(max_iter=2)
    assert nullable(trees)
    assert nullable(make_pipeline(StandardScaler(), trees))
    assert nullable(make_pipeline(StandardScaler(), SimpleImputer(), LogisticRegression(max_iter=500)))
    assert not nullable(make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)))


def test_wrappers_are_walked_to_the_columns_inside() -> None:
    model, frame = mixed()
    rows, classes = pd.concat([frame] * 3), [0, 1, 0, 1] * 3
    search = GridSearchCV(model, {"logisticregression__C": [1.0, 2.0]}, cv=2).fit(rows, classes)
    calibrated = CalibratedClassifierCV(model, ensemble=False, cv=2).fit(rows, classes)
    for wrapper in (search, calibrated):
        assert runtime(wrapper).signature.columns[1].categories == ("Oslo", "Rome")


def test_values_the_estimator_refuses_are_the_callers_fault() -> None:
    served = runtime(LogisticRegression(max_iter=500).fit(MATRIX, CLASSES))
    with pytest.raises(InputRejected, match="NaN"):
        served.run({"input": np.full((1, 4), np.nan)})


def test_warnings_of_the_estimator_stay_inside() -> None:
    frame = pd.DataFrame({"city": ["Rome", "Oslo", "Bonn"]})
    served = runtime(OneHotEncoder(drop="first", handle_unknown="ignore").fit(frame))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        served.run({"input": np.array([["Paris"]], dtype=object)})


def test_an_estimator_in_memory_keeps_its_own_number_of_jobs() -> None:
    model = RandomForestClassifier(n_estimators=3, n_jobs=2).fit(MATRIX, CLASSES)
    runtime(make_pipeline(model))
    assert model.n_jobs == 2


@pytest.mark.parametrize("model", [SVC(), DBSCAN()])
def test_an_estimator_that_cannot_answer_new_rows_is_refused(model: Any) -> None:
    with pytest.raises(UnsupportedModel):
        runtime(model)


def test_a_step_that_writes_into_its_rows_changes_no_answer_and_no_tensor() -> None:
    model = make_pipeline(StandardScaler(copy=False), LogisticRegression(max_iter=500)).fit(MATRIX.copy(), CLASSES)
    served = runtime(model)
    tensors = {served.signature.inputs[0].name: MATRIX[::50].copy()}
    tensors[served.signature.inputs[0].name].setflags(write=False)
    for _ in range(2):
        answered = served.run(tensors)
        np.testing.assert_array_equal(answered["label"], model.predict(MATRIX[::50].copy()))
        np.testing.assert_array_equal(answered["probabilities"], model.predict_proba(MATRIX[::50].copy()))


def test_all_outputs_share_one_pass_through_the_transformers_and_each_has_its_own_rows() -> None:
    class Halved(LogisticRegression):  # type: ignore[misc]
        """Writes into its rows, as an estimator with `copy=False` may."""

        def predict_proba(self, rows: Any) -> Any:
            rows *= 0.5
            return super().predict_proba(rows)

    passes = []

    def step(rows: Any) -> Any:
        passes.append(len(rows))
        return rows + 1.0

    model = make_pipeline(FunctionTransformer(step), Halved(max_iter=500)).fit(MATRIX, CLASSES)
    served = runtime(model)
    passes.clear()
    for outputs in (["probabilities", "label"], ["label", "probabilities"]):
        answered = served.run({"input": MATRIX[::50]}, outputs)
        assert passes == [3]
        np.testing.assert_array_equal(answered["label"], model.predict(MATRIX[::50]))
        np.testing.assert_array_equal(answered["probabilities"], model.predict_proba(MATRIX[::50].copy()))
        passes.clear()


def test_the_rows_are_answered_in_order_whatever_their_number() -> None:
    model = make_pipeline(StandardScaler(), DecisionTreeClassifier()).fit(FRAME, CLASSES)
    served = runtime(model)
    for rows in (1, 2, 149):
        np.testing.assert_array_equal(served.run({"input": MATRIX[-rows:]})["label"], model.predict(FRAME[-rows:]))


def test_a_transformer_that_answers_a_single_row_without_its_axis_is_answered_by_row() -> None:
    matrix = np.random.default_rng(0).normal(size=(20, 4))
    model = SparsePCA(2, random_state=0).fit(matrix)
    runtime = runtime_of(model, LoadOptions(rows={"input": matrix}), source="the model")
    alone = runtime.run({"input": matrix[:1]})["transformed"]
    assert alone.shape == (1, 2)
    assert alone[0].tolist() == np.ravel(model.transform(matrix[:1])).tolist()
