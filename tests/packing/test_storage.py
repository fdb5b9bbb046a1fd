"""A native model is kept as skops, else as joblib; what nobody else could load is refused."""

import sys
import types
import warnings
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from septet.assembly.opening import open_model
from septet.errors import UnsupportedModel, Untrusted, VersionsMismatch
from septet.model.package_writing import write_package
from septet.packing.training_tensors import tensors_of
from septet.settings import Model
from tests.packing.saving import save

pd = pytest.importorskip("pandas")
pytest.importorskip("sklearn")
pytest.importorskip("skl2onnx")
from sklearn.compose import ColumnTransformer  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402

from tests.packing.steps import Twice  # noqa: E402

ROWS = 60
RANDOM = np.random.default_rng(0)
SIZE = RANDOM.normal(size=ROWS)
CITY = RANDOM.choice(["rome", "oslo", "bonn"], ROWS)
TARGET = ((SIZE > 0) | (CITY == "rome")).astype(int)
GONE = np.arange(ROWS) % 6 == 1
FRAME = pd.DataFrame(
    {
        "city": pd.Categorical(
            [None if gone else city for gone, city in zip(GONE, CITY, strict=True)],
            categories=["rome", "oslo", "bonn", "nowhere"],
        ),
        "code": pd.Categorical(RANDOM.integers(0, 4, ROWS)),
        "the size": SIZE,
    }
)


def answers(saved: Any, data: Any) -> Any:
    served = open_model(saved.package.root, Model(trust=saved.trust), threads=1)
    return served.runtime.run(tensors_of(data, served.signature))


@pytest.mark.parametrize("library", ["lightgbm", "xgboost"])
def test_boosted_trees_take_categories_and_are_kept_as_skops_with_a_digest_to_trust(
    tmp_path: Path, library: str
) -> None:
    module = pytest.importorskip(library)
    trees = (
        module.LGBMClassifier(n_estimators=4, min_child_samples=2, verbose=-1)
        if library == "lightgbm"
        else module.XGBClassifier(n_estimators=4, enable_categorical=True)
    )
    with warnings.catch_warnings():
        # LightGBM warns of the blank in a name, which it writes as an underscore.
        warnings.simplefilter("ignore")
        model = trees.fit(FRAME, TARGET)
    saved = save(model, tmp_path / "trees", data=FRAME)
    assert saved.package.manifest.artefact == "model.skops"
    with pytest.raises(Untrusted):
        open_model(saved.package.root, Model(), threads=1)
    answer = answers(saved, FRAME)
    np.testing.assert_array_equal(answer["probabilities"], model.predict_proba(FRAME))
    city, code, size = saved.package.manifest.signature.columns
    assert (city.dtype, city.categories, city.nullable) == ("string", ("rome", "oslo", "bonn", "nowhere"), True)
    assert (code.dtype, code.categories) == ("int64", (0, 1, 2, 3))
    assert (size.name, size.dtype) == ("the size", "float64")


def test_an_encoder_that_skops_cannot_store_is_kept_as_joblib(tmp_path: Path) -> None:
    encoders = pytest.importorskip("category_encoders")
    data = pd.DataFrame({"city": pd.Series(CITY, dtype=object), "size": SIZE})
    step = ColumnTransformer([("city", encoders.TargetEncoder(), ["city"])], remainder="passthrough")
    with warnings.catch_warnings():
        # It sets an option of pandas that is deprecated.
        warnings.simplefilter("ignore")
        model = make_pipeline(step, LogisticRegression()).fit(data, TARGET)
        expected = model.predict_proba(data)
    saved = save(model, tmp_path / "model", data=data)
    manifest = saved.package.manifest
    assert manifest.artefact == "model.joblib"
    assert saved.trust == (f"sha256:{manifest.files['model.joblib']}",)
    np.testing.assert_array_equal(answers(saved, data)["probabilities"], expected)
    assert "category-encoders" in manifest.training.libraries


def test_another_release_of_the_library_that_a_model_holds_is_refused(tmp_path: Path) -> None:
    module = pytest.importorskip("xgboost")
    data = FRAME[["the size"]]
    saved = save(module.XGBClassifier(n_estimators=2).fit(data, TARGET), tmp_path / "model", data=data)
    manifest = saved.package.manifest
    (name,) = [each for each in manifest.training.libraries if each.startswith("xgboost")]
    training = msgspec.structs.replace(manifest.training, libraries=manifest.training.libraries | {name: "0.1"})
    files: dict[str, bytes | Path] = {manifest.artefact: saved.package.artefact.read_bytes()}
    write_package(tmp_path / "old", msgspec.structs.replace(manifest, training=training, files={}), files)
    with pytest.raises(VersionsMismatch, match=f"trained with {name} 0.1"):
        open_model(tmp_path / "old", Model(trust=saved.trust), threads=1)


def test_a_class_of_the_training_script_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script: Any = types.ModuleType("__main__")

    class Local(Twice):
        """As a script would define it."""

    Local.__module__, Local.__qualname__ = "__main__", "Local"
    script.Local = Local
    monkeypatch.setitem(sys.modules, "__main__", script)
    data = FRAME[["the size"]]
    model = make_pipeline(Local(), LogisticRegression()).fit(data, TARGET)
    with pytest.raises(UnsupportedModel, match=r"of the script that trained it.*module that can be imported"):
        save(model, tmp_path / "model", data=data)
