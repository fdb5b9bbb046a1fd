"""A model is compiled only where it answers as the native one beside every value at which the answer may turn."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from septet.model.signature import Column, Kind, Signature, Tensor
from septet.packing.parity import ParityGate, Unequal
from septet.packing.recheck import recheck_parity
from septet.packing.save import Saved
from septet.packing.training_tensors import tensors_of
from septet.runtimes.base import Independence, InputRejected, LoadOptions
from septet.runtimes.declared_inputs import with_declared_inputs
from septet.runtimes.engine_table import load
from tests.packing.saving import save

pd = pytest.importorskip("pandas")
pytest.importorskip("sklearn")
pytest.importorskip("skl2onnx")

import joblib  # noqa: E402
from sklearn.base import clone  # noqa: E402
from sklearn.cluster import KMeans, MiniBatchKMeans  # noqa: E402
from sklearn.compose import ColumnTransformer  # noqa: E402
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis  # noqa: E402
from sklearn.ensemble import (  # noqa: E402
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.impute import SimpleImputer  # noqa: E402
from sklearn.linear_model import LinearRegression, LogisticRegression, SGDClassifier  # noqa: E402
from sklearn.multiclass import OneVsRestClassifier  # noqa: E402
from sklearn.naive_bayes import GaussianNB  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import (  # noqa: E402
    KBinsDiscretizer,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    PowerTransformer,
    StandardScaler,
)
from sklearn.svm import SVC, LinearSVC, OneClassSVM  # noqa: E402
from sklearn.tree import DecisionTreeClassifier  # noqa: E402

RANDOM = np.random.default_rng(0)
ROWS = RANDOM.normal(size=(200, 3)) * 100
SIGN = (ROWS[:, 0] + ROWS[:, 1] > 0).astype(int)


def answers(saved: Saved, data: Any) -> dict[str, Any]:
    manifest = saved.package.manifest
    runtime = load(manifest.runtime, saved.package.artefact, LoadOptions(trust=saved.trust))
    served = with_declared_inputs(runtime, manifest.signature)
    return dict(served.run(tensors_of(data, manifest.signature)))


def beside(values: Any) -> Any:
    values = np.asarray(values, dtype=np.float64)
    narrow = values.astype(np.float32)
    wide = [np.nextafter(narrow, np.float32(way)).astype(np.float64) for way in (-np.inf, np.inf)]
    return np.concatenate([values, np.nextafter(values, -np.inf), np.nextafter(values, np.inf), narrow, *wide])


def test_histogram_boosting_on_unix_times_answers_on_the_right_side_of_each_threshold(tmp_path: Path) -> None:
    times = 1_700_000_000.0 + np.arange(400.0).reshape(-1, 1)
    model = HistGradientBoostingRegressor(max_iter=5, min_samples_leaf=5).fit(times, np.arange(400.0) % 7)
    saved = save(model, tmp_path / "times", data=times)
    assert saved.package.manifest.signature.inputs[0].dtype == "float64"
    nodes = np.concatenate([stage[0].nodes for stage in model._predictors])
    probes = beside(nodes["num_threshold"][nodes["is_leaf"] == 0]).reshape(-1, 1)
    np.testing.assert_allclose(answers(saved, probes)["prediction"], model.predict(probes), rtol=1e-5)


def test_thresholds_that_are_no_float32_travel_as_float64(tmp_path: Path) -> None:
    model = HistGradientBoostingClassifier(max_iter=5).fit(ROWS, SIGN)
    saved = save(model, tmp_path / "fine", data=ROWS)
    manifest = saved.package.manifest
    assert (manifest.runtime, manifest.signature.inputs[0].dtype) == ("onnx", "float64")


def test_a_forest_behind_a_scaler_is_compiled_and_exact(tmp_path: Path) -> None:
    for scaler in (StandardScaler(), MinMaxScaler()):
        model = make_pipeline(scaler, RandomForestClassifier(20, random_state=0)).fit(ROWS, SIGN)
        saved = save(model, tmp_path / type(scaler).__name__, data=ROWS)
        assert saved.package.manifest.runtime == "onnx"
        others = RANDOM.normal(size=(2000, 3)) * 150
        np.testing.assert_array_equal(answers(saved, others)["label"], model.predict(others))


def test_ties_of_a_forest_are_broken_as_the_estimator_breaks_them(tmp_path: Path) -> None:
    model = RandomForestClassifier(10, random_state=0).fit(ROWS, RANDOM.integers(0, 2, 200))
    saved = save(model, tmp_path / "ties", data=ROWS)
    others = RANDOM.normal(size=(3000, 3)) * 100
    tied = np.isclose(model.predict_proba(others)[:, 0], 0.5)
    assert tied.sum() > 20
    assert saved.package.manifest.runtime == "onnx"
    np.testing.assert_array_equal(answers(saved, others)["label"], model.predict(others))


@pytest.mark.parametrize("unknown", ["ignore", "error"])
def test_neighbours_of_categories_are_no_categories(tmp_path: Path, unknown: str) -> None:
    items = 20_000_000 + 4 * np.arange(6)
    rows = np.stack([RANDOM.choice(items, 300).astype(float), RANDOM.normal(size=300)], axis=1)
    encoder = ColumnTransformer([("o", OneHotEncoder(handle_unknown=unknown), [0])], remainder="passthrough")
    model = make_pipeline(encoder, LogisticRegression()).fit(rows, rows[:, 0] == items[0])
    saved = save(model, tmp_path / "items", data=rows)
    signature = saved.package.manifest.signature
    assert signature.inputs[0].dtype == "float64"
    assert signature.columns[0].other_categories is (unknown == "ignore")
    if unknown == "ignore":
        probes = np.array([[20_000_001.0, 0], [20_000_000.5, 0], [20_000_000, 0]])
        np.testing.assert_allclose(answers(saved, probes)["probabilities"], model.predict_proba(probes), atol=1e-5)


def test_a_label_that_the_compiled_model_makes_up_is_found(tmp_path: Path) -> None:
    # Between inside and outside the converter's model answers 0.
    saved = save(OneClassSVM().fit(ROWS), tmp_path / "one", data=ROWS)
    assert saved.package.manifest.runtime == "sklearn"
    assert saved.fallback is not None
    assert "native model gives" in saved.fallback


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", [KMeans, MiniBatchKMeans])
def test_far_rows_are_of_the_cluster_that_the_native_model_says(tmp_path: Path, kind: Any, dtype: Any) -> None:
    rows = (np.random.default_rng(0).normal(size=(60, 4)) * [1, 1e-3, 1e4, 1]).astype(dtype)
    model = make_pipeline(StandardScaler(), kind(2, n_init=1, random_state=0)).fit(rows)
    saved = save(model, tmp_path / "far", data=rows)
    assert saved.package.manifest.runtime == "onnx"
    asked = np.repeat([[sign * 10.0**power] for power in range(1, 10) for sign in (1, -1)], 4, axis=1).astype(dtype)
    assert answers(saved, asked)["label"].tolist() == model.predict(asked).tolist()


def test_rows_that_are_far_off_in_several_columns_are_asked() -> None:
    signature = Signature(
        Kind.REGRESSION,
        (Tensor("input", "float64", (None, 2), (Column("a", "float64"), Column("b", "float64"))),),
        SIGNATURE.outputs,
    )
    compiled = RecordingRuntime()
    ParityGate(RecordingRuntime(), signature, {"input": np.random.default_rng(0).normal(size=(50, 2))}).check(
        compiled, signature
    )
    a, b = np.concatenate(compiled.asked).T
    assert ((a == 1e6) & (b == 1e6)).any()
    assert ((a == 1e6) & (b == -1e6)).any()
    assert ((np.abs(a) > 1e8) & (np.abs(b) < 10)).any()


def test_a_support_vector_classifier_behind_a_scaler_is_compiled(tmp_path: Path) -> None:
    model = make_pipeline(StandardScaler(), LinearSVC()).fit(ROWS, SIGN)
    saved = save(model, tmp_path / "linear", data=ROWS)
    assert saved.package.manifest.runtime == "onnx"
    assert answers(saved, ROWS)["label"].tolist() == model.predict(ROWS).tolist()


@pytest.mark.parametrize(("dtype", "classes"), [(np.float32, 2), (np.float64, 3)])
@pytest.mark.parametrize(
    "model",
    [
        LinearDiscriminantAnalysis(),
        OneVsRestClassifier(LogisticRegression()),
        make_pipeline(KBinsDiscretizer(4, quantile_method="averaged_inverted_cdf"), LogisticRegression()),
        make_pipeline(KBinsDiscretizer(3, encode="ordinal", strategy="uniform"), LogisticRegression()),
        make_pipeline(StandardScaler(), PolynomialFeatures(2), LogisticRegression()),
        make_pipeline(StandardScaler(), PowerTransformer(), LogisticRegression()),
        make_pipeline(StandardScaler(), PowerTransformer(standardize=False), LogisticRegression()),
    ],
    ids=["lda", "ovr", "bins", "ordinal", "polynomial", "power", "bare power"],
)
def test_common_models_are_compiled_and_equal_far_away(tmp_path: Path, model: Any, dtype: Any, classes: int) -> None:
    rows = np.random.default_rng(1).normal(size=(120, 3)).astype(dtype)
    names = np.array(["no", "yes", "so"])[np.digitize(rows[:, 0] + rows[:, 1], [-0.4, 0.4][: classes - 1])]
    fitted = clone(model).fit(rows, names)
    saved = save(fitted, tmp_path / "common", data=rows)
    assert saved.package.manifest.runtime == "onnx"
    far = np.random.default_rng(2).normal(size=(60, 3)) * 10.0 ** np.repeat(np.arange(6), 10)[:, None]
    asked = np.concatenate([rows, far]).astype(dtype)
    given = answers(saved, asked)
    assert given["label"].tolist() == fitted.predict(asked).tolist()
    assert np.allclose(given["probabilities"], fitted.predict_proba(asked), atol=1e-5)


def test_steps_that_pass_everything_and_fill_large_numbers_in_are_compiled(tmp_path: Path) -> None:
    rows = pd.DataFrame({"at": 1.7e9 + np.arange(200.0), "size": np.where(ROWS[:, 0] > 90, np.nan, ROWS[:, 0])})
    inner = make_pipeline(SimpleImputer(), "passthrough")
    model = make_pipeline(ColumnTransformer([("n", inner, ["at", "size"])]), StandardScaler(), LogisticRegression())
    model.fit(rows, SIGN)
    saved = save(model, tmp_path / "filled", data=rows)
    assert saved.package.manifest.runtime == "onnx"
    assert saved.package.manifest.signature.inputs[0].dtype == "float64"
    assert answers(saved, rows)["label"].tolist() == model.predict(rows).tolist()


@pytest.mark.parametrize("norm", ["l1", "l2", "max"])
def test_rows_of_next_to_nothing_are_normalized_as_the_estimator_does(tmp_path: Path, norm: str) -> None:
    rows = np.random.default_rng(3).normal(size=(80, 2)) * 10
    model = make_pipeline(Normalizer(norm), SGDClassifier(random_state=0)).fit(rows, rows[:, 0] > 2)
    saved = save(model, tmp_path / "zeros", data=rows)
    assert saved.package.manifest.runtime == "onnx"
    asked = np.array([[0.0, 0.0], [1e-16, -1e-16], [1e-12, 1e-12], [-1e-18, 0.0], [1e200, 1.0]])
    given = answers(saved, asked)
    assert given["label"].tolist() == model.predict(asked).tolist()


def test_a_forest_behind_an_encoder_that_refuses_what_it_does_not_know_is_compiled(tmp_path: Path) -> None:
    rows = pd.DataFrame({"grade": np.arange(200) % 5, "size": ROWS[:, 0]})
    encoded = ColumnTransformer([("g", OrdinalEncoder(), ["grade"])], remainder="passthrough")
    model = make_pipeline(encoded, RandomForestClassifier(3, random_state=0)).fit(rows, SIGN)
    saved = save(model, tmp_path / "graded", data=rows)
    assert saved.package.manifest.parity or "Found unknown" not in str(saved.fallback)
    assert answers(saved, rows)["label"].tolist() == model.predict(rows).tolist()


def test_clusters_behind_encoders_are_compiled(tmp_path: Path) -> None:
    rows = pd.DataFrame({"town": ["Rome", "Oslo", "Lima", "Bonn"] * 50, "size": ROWS[:, 0], "age": ROWS[:, 1]})
    encoded = ColumnTransformer(
        [("t", OneHotEncoder(handle_unknown="ignore"), ["town"]), ("n", MinMaxScaler(), ["size", "age"])]
    )
    model = make_pipeline(encoded, KMeans(3, n_init=1, random_state=0)).fit(rows)
    saved = save(model, tmp_path / "encoded", data=rows)
    assert saved.package.manifest.runtime == "onnx"
    assert answers(saved, rows)["label"].tolist() == model.predict(rows).tolist()


def test_a_power_of_nothing_is_a_logarithm(tmp_path: Path) -> None:
    rows = np.random.default_rng(1).normal(size=(120, 3))
    model = make_pipeline(PowerTransformer(), LinearRegression()).fit(rows, rows[:, 0])
    model.steps[0][1].lambdas_[:] = (0.0, 2.0, 1.0)
    saved = save(model, tmp_path / "logarithm", data=rows)
    assert saved.package.manifest.runtime == "onnx"
    assert np.allclose(answers(saved, rows)["prediction"], model.predict(rows), atol=1e-5)


def test_labels_beside_the_boundary_of_a_smooth_model_may_turn_on_the_last_bit(tmp_path: Path) -> None:
    for model in (LogisticRegression(), SVC(), make_pipeline(StandardScaler(), SVC())):
        saved = save(model.fit(ROWS, SIGN), tmp_path / "smooth", data=ROWS, replace=True)
        assert saved.package.manifest.runtime == "onnx"


def test_missing_values_go_where_the_forest_was_trained_to_send_them(tmp_path: Path) -> None:
    rows = ROWS.copy()
    rows[RANDOM.random(rows.shape) < 0.2] = np.nan
    model = RandomForestClassifier(8, random_state=0).fit(rows, SIGN)
    saved = save(model, tmp_path / "holes", data=rows)
    assert saved.package.manifest.runtime == "onnx"
    assert all(column.nullable for column in saved.package.manifest.signature.columns)
    np.testing.assert_array_equal(answers(saved, rows)["label"], model.predict(rows))


def test_voting_classifiers_are_compiled(tmp_path: Path) -> None:
    parts = [("a", LogisticRegression()), ("b", GaussianNB()), ("c", DecisionTreeClassifier(max_depth=3))]
    model = VotingClassifier(parts, voting="soft").fit(ROWS, SIGN)
    saved = save(model, tmp_path / "votes", data=ROWS)
    assert saved.package.manifest.runtime == "onnx"
    assert model.flatten_transform is True


@pytest.mark.parametrize(
    "name", ["age", "body mass", "größe", "a.b", "label", "probabilities", "input", "", "septet_input_0"]
)
def test_columns_of_any_name_compile(tmp_path: Path, name: str) -> None:
    frame = pd.DataFrame(ROWS, columns=[name, "second", "third"])
    columns = ColumnTransformer([("s", StandardScaler(), [name]), ("m", MinMaxScaler(), ["third"])])
    model = make_pipeline(columns, LogisticRegression()).fit(frame, SIGN)
    saved = save(model, tmp_path / "named", data=frame)
    signature = saved.package.manifest.signature
    assert saved.fallback is None
    assert [column.name for column in signature.columns] == [name, "second", "third"]
    assert len(signature.inputs) == 1
    np.testing.assert_allclose(answers(saved, frame)["probabilities"], model.predict_proba(frame), atol=1e-5)
    assert model.steps[0][1].transformers_[0][2] == [name]


@pytest.mark.parametrize("name", ["label", "probabilities", "label_shape", "größe"])
def test_a_text_column_may_have_the_name_of_an_output(tmp_path: Path, name: str) -> None:
    frame = pd.DataFrame({name: RANDOM.choice(["a", "b", "c"], 200), "size": ROWS[:, 0]})
    columns = ColumnTransformer(
        [("o", OneHotEncoder(handle_unknown="ignore"), [name]), ("s", StandardScaler(), ["size"])]
    )
    model = make_pipeline(columns, LogisticRegression()).fit(frame, SIGN)
    saved = save(model, tmp_path / "named", data=frame)
    assert saved.fallback is None
    assert [tensor.name for tensor in saved.package.manifest.signature.inputs] == [name, "size"]
    np.testing.assert_allclose(answers(saved, frame)["probabilities"], model.predict_proba(frame), atol=1e-5)


def test_what_was_chosen_is_logged_and_recorded(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        saved = save(LogisticRegression().fit(ROWS, SIGN), tmp_path / "chosen", data=ROWS)
    engine = saved.package.manifest.engine
    assert engine is not None
    assert engine.chosen == "onnx"
    assert engine.reason in caplog.text
    assert [cost.rows for cost in engine.onnx[:2]] == [1, 64]
    assert [cost.rows for cost in engine.native[:2]] == [1, 64]
    assert engine.onnx[-1].rows == 10_000


def test_the_package_proves_itself_at_the_thresholds_too(tmp_path: Path) -> None:
    model = DecisionTreeClassifier(max_depth=3).fit(ROWS, SIGN)
    saved = save(model, tmp_path / "tree", data=ROWS)
    golden = saved.package.golden
    assert golden is not None
    rows = golden.request["input"]
    assert len(rows) > 10
    np.testing.assert_array_equal(golden.answer["label"], model.predict(rows))


def test_the_gate_is_repeated_on_the_native_model(tmp_path: Path) -> None:
    model = DecisionTreeClassifier(max_depth=3).fit(ROWS, SIGN)
    package = save(model, tmp_path / "tree", data=ROWS).package
    file = tmp_path / "tree.joblib"
    joblib.dump(model, file)
    from septet.packing.artefact import trusting

    trust = trusting(file).trust
    assert not isinstance(recheck_parity(package, file, trust), Unequal)
    joblib.dump(DecisionTreeClassifier(max_depth=3).fit(ROWS, 1 - SIGN), file)
    other = recheck_parity(package, file, trusting(file).trust)
    assert isinstance(other, Unequal)
    assert "'label' differs in" in other.reason


SIGNATURE = Signature(
    Kind.REGRESSION,
    (Tensor("input", "float64", (None, 2), (Column("whole", "int64"), Column("flag", "bool"))),),
    (Tensor("prediction", "float64", (None,)),),
)


class RecordingRuntime:
    """A model that notes what it is asked."""

    def __init__(self, refused: float | None = None) -> None:
        self.signature = SIGNATURE
        self.independence = Independence(proven=True, reason="it is a function of its row", exact=True)
        self.open_ended: str | None = None
        self.asked: list[Any] = []
        self._refused = refused

    def run(self, tensors: Any, outputs: Any = None) -> dict[str, Any]:  # noqa: ARG002 - all are given
        matrix = tensors["input"]
        self.asked.append(matrix)
        if self._refused is not None and (matrix[:, 0] == self._refused).any():
            raise InputRejected("not this one")
        return {"prediction": matrix[:, 0].astype(np.float64)}

    def close(self) -> None: ...


def test_whole_numbers_and_booleans_in_a_matrix_of_floats_are_probed_as_such() -> None:
    native, compiled = RecordingRuntime(), RecordingRuntime()
    rows = {"input": np.array([[1.0, 0.0], [3.0, 1.0], [7.0, 0.0]])}
    verdict = ParityGate(native, SIGNATURE, rows).check(compiled, SIGNATURE)
    assert not isinstance(verdict, Unequal)
    asked = np.concatenate(compiled.asked)
    assert (asked[:, 0] == np.floor(asked[:, 0])).all()
    assert 2.0**53 - 1 in np.abs(asked[:, 0])
    assert set(asked[:, 1]) == {0.0, 1.0}


def test_what_the_native_model_refuses_must_be_refused() -> None:
    rows = {"input": np.array([[1.0, 0.0], [3.0, 1.0], [7.0, 0.0]])}
    verdict = ParityGate(RecordingRuntime(4.0), SIGNATURE, rows).check(RecordingRuntime(), SIGNATURE)
    assert isinstance(verdict, Unequal)
    assert "the native model refuses and ONNX answers" in verdict.reason
    assert "whole = 4.0" in verdict.reason
    verdict = ParityGate(RecordingRuntime(), SIGNATURE, rows).check(RecordingRuntime(4.0), SIGNATURE)
    assert isinstance(verdict, Unequal)
    assert "the native model answers and ONNX refuses" in verdict.reason
