"""`save` writes a package whose runtime answers as the estimator itself, whatever its kind."""

import datetime as dt
import logging
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from septet.assembly.opening import open_model
from septet.errors import Invalid, LabelsMismatch, PackageInvalid, UnsupportedModel, Untrusted
from septet.model.golden import mismatches
from septet.model.package import Package, read_package
from septet.model.signature import DTYPES, Kind
from septet.packing.save import Saved
from septet.packing.training_tensors import tensors_of
from septet.runtimes.base import LoadOptions, Runtime
from septet.runtimes.engine_table import load
from septet.settings import Model
from tests.packing.saving import save

pd = pytest.importorskip("pandas")
datasets = pytest.importorskip("sklearn.datasets")
pytest.importorskip("skl2onnx")

from sklearn.calibration import CalibratedClassifierCV  # noqa: E402
from sklearn.cluster import KMeans  # noqa: E402
from sklearn.compose import ColumnTransformer  # noqa: E402
from sklearn.ensemble import IsolationForest, RandomForestClassifier, RandomForestRegressor  # noqa: E402
from sklearn.impute import SimpleImputer  # noqa: E402
from sklearn.linear_model import LinearRegression, LogisticRegression  # noqa: E402
from sklearn.mixture import GaussianMixture  # noqa: E402
from sklearn.multiclass import OneVsRestClassifier  # noqa: E402
from sklearn.neighbors import KNeighborsClassifier  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler  # noqa: E402
from sklearn.svm import LinearSVC  # noqa: E402

MATRIX, CLASSES = datasets.load_iris(return_X_y=True)
FRAME = datasets.load_iris(as_frame=True).data
TWO = np.stack([CLASSES == 1, CLASSES == 2], axis=1).astype(int)
TODAY = dt.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=dt.UTC)


def runtime_of(package: Package, trust: tuple[str, ...] = ()) -> Runtime:
    return load(package.manifest.runtime, package.artefact, LoadOptions(trust=trust))


def answers(saved: Saved, data: Any) -> dict[str, Any]:
    served = open_model(saved.package.root, Model(trust=saved.trust), threads=1)
    return dict(served.runtime.run(tensors_of(data, served.signature)))


def logistic() -> Any:
    return LogisticRegression(max_iter=500)


@pytest.mark.parametrize(
    ("model", "target", "kind", "methods"),
    [
        (
            make_pipeline(StandardScaler(), CalibratedClassifierCV(LinearSVC(), ensemble=False)),
            CLASSES,
            Kind.CLASSIFICATION,
            {"label": "predict", "probabilities": "predict_proba"},
        ),
        (logistic(), np.array(["a", "b", "c"])[CLASSES], Kind.CLASSIFICATION, {"label": "predict"}),
        (
            RandomForestClassifier(n_estimators=4),
            CLASSES,
            Kind.CLASSIFICATION,
            {"label": "predict", "probabilities": "predict_proba"},
        ),
        (LinearSVC(), CLASSES, Kind.CLASSIFICATION, {"label": "predict", "scores": "decision_function"}),
        (
            OneVsRestClassifier(logistic()),
            TWO,
            Kind.MULTILABEL,
            {"label": "predict", "probabilities": "predict_proba"},
        ),
        (LinearRegression(), MATRIX[:, 0], Kind.REGRESSION, {"prediction": "predict"}),
        (LinearRegression(), MATRIX[:, :2], Kind.REGRESSION, {"prediction": "predict"}),
        (RandomForestRegressor(n_estimators=4), MATRIX[:, 0], Kind.REGRESSION, {"prediction": "predict"}),
        (make_pipeline(StandardScaler(), KMeans(3, n_init=1)), None, Kind.CLUSTERING, {"label": "predict"}),
        (GaussianMixture(2), None, Kind.CLUSTERING, {"label": "predict", "probabilities": "predict_proba"}),
        (
            IsolationForest(n_estimators=4),
            None,
            Kind.OUTLIERS,
            {"label": "predict", "scores": "decision_function"},
        ),
        (StandardScaler(), None, Kind.TRANSFORM, {"transformed": "transform"}),
    ],
)
def test_what_is_saved_is_compiled_and_answers_as_the_estimator(
    tmp_path: Path, model: Any, target: Any, kind: Kind, methods: dict[str, str]
) -> None:
    # Rows that float32 holds exactly: what is compared is the compilation, not the rounding of the input.
    rows = MATRIX.astype(np.float32).astype(np.float64)
    model.fit(rows, target)
    saved = save(model, tmp_path / "iris", data=rows, target=target)
    manifest = saved.package.manifest
    assert (saved.fallback, saved.trust) == (None, ())
    assert (manifest.runtime, manifest.signature.kind) == ("onnx", kind)
    assert manifest.parity is not None
    given = answers(saved, rows)
    for output, method in methods.items():
        native = getattr(model, method)(rows)
        assert given[output].shape == native.shape
        if native.dtype.kind == "f":
            np.testing.assert_allclose(given[output], native, rtol=1e-4, atol=1e-5)
        else:
            np.testing.assert_array_equal(given[output], native)
    declared = {tensor.name: (DTYPES[tensor.dtype], len(tensor.shape)) for tensor in manifest.signature.outputs}
    assert declared == {name: (array.dtype, array.ndim) for name, array in given.items()}


def test_a_model_without_an_onnx_form_is_kept_as_it_is(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = make_pipeline(FunctionTransformer(np.log1p), logistic()).fit(MATRIX, CLASSES)
    with caplog.at_level(logging.WARNING):
        saved = save(model, tmp_path / "iris", data=MATRIX, target=CLASSES)
    assert saved.package.manifest.runtime == "sklearn"
    assert saved.package.manifest.parity is None
    assert saved.fallback is not None
    assert "FunctionTransformer" in saved.fallback
    assert saved.fallback in caplog.text
    np.testing.assert_array_equal(answers(saved, MATRIX)["probabilities"], model.predict_proba(MATRIX))


def test_a_model_whose_onnx_form_answers_otherwise_is_kept_as_it_is(tmp_path: Path) -> None:
    # Equal distances are common in iris, and ties are broken by the last bits.
    model = KNeighborsClassifier().fit(MATRIX, CLASSES)
    saved = save(model, tmp_path / "iris", data=MATRIX, target=CLASSES)
    assert saved.fallback is not None
    assert "'label' differs in" in saved.fallback
    assert "the native model gives" in saved.fallback
    np.testing.assert_array_equal(answers(saved, MATRIX)["probabilities"], model.predict_proba(MATRIX))


def test_numbers_too_fine_for_32_bits_travel_with_64(tmp_path: Path) -> None:
    rows = 1e9 + np.arange(200.0).reshape(-1, 1)
    model = LinearRegression().fit(rows, np.arange(200.0))
    saved = save(model, tmp_path / "fine", data=rows)
    assert saved.package.manifest.runtime == "onnx"
    assert saved.package.manifest.signature.inputs[0].dtype == "float64"


def test_trees_that_split_on_missing_values_are_saved_in_bounded_time(tmp_path: Path) -> None:
    rows = MATRIX.copy()
    rows[CLASSES == 0, 0] = np.nan
    model = RandomForestClassifier(n_estimators=5, random_state=0).fit(rows, CLASSES)
    saved = save(model, tmp_path / "holes", data=rows)
    assert saved.package.manifest.signature.columns[0].nullable
    np.testing.assert_allclose(answers(saved, rows)["probabilities"], model.predict_proba(rows), atol=1e-5)


def test_a_native_model_of_types_that_skops_does_not_know_needs_its_digest(tmp_path: Path) -> None:
    model = RandomForestClassifier(n_estimators=3, random_state=0)
    model.fit(MATRIX, np.stack([CLASSES, CLASSES == 1], axis=1))
    saved = save(model, tmp_path / "iris", data=MATRIX)
    with pytest.raises(Untrusted, match=saved.trust[0]):
        runtime_of(saved.package)
    np.testing.assert_array_equal(answers(saved, MATRIX)["label_0"], model.predict(MATRIX)[:, 0])


def mixed() -> tuple[Any, Any, list[int]]:
    random = np.random.default_rng(0)
    rows = 60
    frame = pd.DataFrame(
        {
            "age": np.where(random.random(rows) < 0.2, np.nan, random.normal(40, 10, rows)),
            "city": random.choice(["Rome", "Oslo", "Bonn"], rows),
            "note": [f"n{row}" for row in range(rows)],
            "children": random.integers(0, 4, rows),
        }
    )
    columns = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), ["age", "children"]),
            ("cities", OneHotEncoder(handle_unknown="ignore"), ["city"]),
        ]
    )
    target = [0, 1] * (rows // 2)
    return make_pipeline(columns, logistic()).fit(frame, target), frame, target


def test_a_frame_of_mixed_columns_has_one_input_per_column(tmp_path: Path) -> None:
    model, frame, target = mixed()
    saved = save(model, tmp_path / "people", data=frame, target=target)
    signature = saved.package.manifest.signature
    assert saved.package.manifest.runtime == "onnx"
    assert [(tensor.name, tensor.dtype, tensor.shape) for tensor in signature.inputs] == [
        ("age", "float32", (None, 1)),
        ("city", "string", (None, 1)),
        ("note", "string", (None, 1)),
        ("children", "float32", (None, 1)),
    ]
    city = signature.columns[1]
    assert (city.categories, city.other_categories) == (("Bonn", "Oslo", "Rome"), True)
    assert signature.columns[0].nullable
    np.testing.assert_allclose(answers(saved, frame)["probabilities"], model.predict_proba(frame), atol=1e-5)


def test_missing_values_and_unknown_categories_were_compared_too(tmp_path: Path) -> None:
    model, frame, _ = mixed()
    saved = save(model, tmp_path / "people", data=frame)
    edges = pd.DataFrame({"age": [np.nan], "city": ["Atlantis"], "note": [""], "children": [1]})
    parity = saved.package.manifest.parity
    assert parity is not None
    assert parity.rows > len(frame)
    np.testing.assert_allclose(answers(saved, edges)["probabilities"], model.predict_proba(edges), atol=1e-5)


def test_missing_values_never_seen_are_not_promised_where_the_compiled_model_differs(tmp_path: Path) -> None:
    model = IsolationForest(n_estimators=10, random_state=0).fit(MATRIX)
    saved = save(model, tmp_path / "iris", data=MATRIX)
    assert saved.package.manifest.runtime == "onnx"
    assert not saved.package.manifest.signature.columns[0].nullable


def test_the_package_proves_itself(tmp_path: Path) -> None:
    save(logistic().fit(FRAME, CLASSES), tmp_path / "iris", data=FRAME, target=CLASSES)
    package = read_package(tmp_path / "iris")
    assert package.golden is not None
    assert len(package.golden.request["input"]) >= 10
    assert mismatches(package.golden, runtime_of(package).run(package.golden.request)) == ()
    assert set(package.golden.answer["label"].tolist()) == {0, 1, 2}
    assert package.profile is not None
    assert list(package.profile.columns) == list(FRAME.columns)
    assert package.profile.rows == 150
    assert package.profile.labels == pytest.approx({"0": 1 / 3, "1": 1 / 3, "2": 1 / 3})


def test_the_manifest_says_where_the_model_comes_from(tmp_path: Path) -> None:
    saved = save(
        make_pipeline(StandardScaler(), LogisticRegression(C=0.5)).fit(FRAME, CLASSES),
        tmp_path / "iris",
        data=FRAME,
        target=CLASSES,
        name="flowers",
        version="2",
        dataset="iris",
        window=("2025-01-01", dt.date(2025, 12, 31)),
        metrics={"accuracy": 0.97},
        valid_for_days=30,
        description="Species by size",
        owner="botany",
        clock=lambda: TODAY,
    )
    manifest = saved.package.manifest
    training = manifest.training
    assert (manifest.name, manifest.version, manifest.description) == ("flowers", "2", "Species by size")
    assert manifest.valid_for_days == 30
    assert training.trained_at == TODAY.replace(microsecond=0)
    assert (training.data.name, training.data.rows) == ("iris", 150)
    assert (training.data.since, training.data.until) == (dt.date(2025, 1, 1), dt.date(2025, 12, 31))
    assert training.algorithm is not None
    assert training.algorithm.startswith("LogisticRegression in Pipeline(")
    assert training.parameters["C"] == 0.5
    assert training.metrics == {"accuracy": 0.97}
    assert training.owner == "botany"
    assert {"python", "numpy", "scikit-learn", "onnxruntime"} <= set(training.libraries)


def test_labels_name_the_classes_in_the_package_and_in_the_bare_file(tmp_path: Path) -> None:
    names = ("setosa", "versicolor", "virginica")
    for given in (list(names), dict(enumerate(names))):
        path = tmp_path / type(given).__name__
        saved = save(logistic().fit(FRAME, CLASSES), path, data=FRAME, labels=given)
        assert saved.package.manifest.signature.labels == names
        bare = runtime_of(saved.package).signature
        assert (bare.labels, bare.classes) == (names, (0, 1, 2))
        assert [column.name for column in bare.columns] == list(FRAME.columns)


def test_labels_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LabelsMismatch, match="holds 2 labels"):
        save(logistic().fit(FRAME, CLASSES), tmp_path / "iris", data=FRAME, labels=["a", "b"])
    assert list(tmp_path.iterdir()) == []


def test_ranges_and_nullable_columns_can_be_stated(tmp_path: Path) -> None:
    model = make_pipeline(SimpleImputer(), logistic()).fit(MATRIX, CLASSES)
    saved = save(model, tmp_path / "iris", data=MATRIX, nullable=["x1"], ranges={"x0": (0, 10), "x2": (None, 9)})
    x0, x1, x2, _ = saved.package.manifest.signature.columns
    assert (x0.nullable, x0.minimum, x0.maximum) == (False, 0, 10)
    assert (x1.nullable, x1.minimum, x1.maximum) == (True, None, None)
    assert (x2.minimum, x2.maximum) == (None, 9)


def test_a_statement_about_an_unknown_column_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PackageInvalid, match="ranges names 'size'"):
        save(logistic().fit(MATRIX, CLASSES), tmp_path / "iris", data=MATRIX, ranges={"size": (0, 1)})


def test_an_unknown_statement_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="colour"):
        save(logistic().fit(MATRIX, CLASSES), tmp_path / "iris", data=MATRIX, colour="red")  # type: ignore[call-arg]


def test_data_of_another_width_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="takes 4"):
        save(logistic().fit(MATRIX, CLASSES), tmp_path / "iris", data=MATRIX[:, :3])


def test_a_package_is_replaced_only_when_asked(tmp_path: Path) -> None:
    model = logistic().fit(MATRIX, CLASSES)
    save(model, tmp_path / "iris", data=MATRIX)
    with pytest.raises(PackageInvalid, match="replace"):
        save(model, tmp_path / "iris", data=MATRIX)
    assert save(model, tmp_path / "iris", data=MATRIX, version="2", replace=True).package.manifest.version == "2"


def test_an_estimator_that_was_not_fitted_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModel, match="fitted"):
        save(logistic(), tmp_path / "iris", data=MATRIX)


def test_a_model_with_a_function_of_the_script_says_what_to_do(tmp_path: Path) -> None:
    model = make_pipeline(FunctionTransformer(lambda rows: rows + 1), logistic()).fit(MATRIX, CLASSES)
    with pytest.raises(UnsupportedModel, match="module that can be imported"):
        save(model, tmp_path / "iris", data=MATRIX)


def test_what_was_taken_from_where_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "septet"):
        saved = save(logistic().fit(MATRIX, CLASSES), tmp_path / "a", data=MATRIX, target=CLASSES)
    assert saved.sources == {
        "columns": "data",
        "labels": "the model's classes",
        "golden rows": "data",
        "profile": "data and target",
    }
    told = "columns from data, labels from the model's classes, golden rows from data"
    assert told in caplog.text
    first, chosen, sources = str(saved).splitlines()
    assert first == f"a, version 1, in {tmp_path / 'a'}"
    assert re.fullmatch(r"  model\.onnx: .* take .* with ONNX and .* natively, .*", chosen)
    assert sources.startswith(f"  {told}")
    about: Any = {"labels": ["x", "y", "z"], "nullable": [], "ranges": {"x0": (0, None)}}
    named = save(logistic().fit(MATRIX, CLASSES), tmp_path / "b", data=MATRIX, **about)
    assert [named.sources[part] for part in ("labels", "nullable columns", "ranges")] == [
        "labels",
        "nullable",
        "ranges",
    ]
