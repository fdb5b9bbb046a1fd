"""A missing text is given to the model as the estimator that reads it knows it, however the data write it."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from septet.assembly.opening import OpenedModel, open_model
from septet.packing.save import Saved
from septet.packing.training_tensors import tensors_of
from septet.settings import Model
from tests.packing.saving import save

pd = pytest.importorskip("pandas")
pytest.importorskip("sklearn")
from sklearn.compose import ColumnTransformer  # noqa: E402
from sklearn.impute import SimpleImputer  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import OneHotEncoder  # noqa: E402

ROWS = 60
RANDOM = np.random.default_rng(0)
AGE = RANDOM.normal(40, 10, ROWS).round(3)
CITY = RANDOM.choice(["rome", "oslo", "bonn"], ROWS).astype(object)
GONE = np.arange(ROWS) % 6 == 1
TARGET = ((CITY == "rome") | GONE).astype(int)


def fitted(model: Any, data: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(data, TARGET)


def opened(saved: Saved) -> OpenedModel:
    return open_model(saved.package.root, Model(trust=saved.trust), threads=1)


WRITTEN: dict[str, Any] = {"None": None, "NaN": np.nan, "pandas.NA": pd.NA}
MISSING_READERS = {
    "imputer": lambda missing: make_pipeline(
        SimpleImputer(missing_values=missing, strategy="constant", fill_value="-"),
        OneHotEncoder(handle_unknown="ignore"),
    ),
    "encoder": lambda missing: OneHotEncoder(handle_unknown="ignore"),  # noqa: ARG005
}


def with_missing(missing: Any) -> Any:
    city = CITY.copy()
    city[GONE] = missing
    return pd.DataFrame({"city": pd.Series(city, dtype=object), "age": AGE})


@pytest.mark.parametrize("given", WRITTEN)
@pytest.mark.parametrize("trained", ["None", "NaN"])
@pytest.mark.parametrize("reader", MISSING_READERS)
def test_a_missing_text_is_given_as_the_model_knows_it(tmp_path: Path, given: str, trained: str, reader: str) -> None:
    step = ColumnTransformer([("city", MISSING_READERS[reader](WRITTEN[trained]), ["city"])])
    model = fitted(make_pipeline(step, LogisticRegression()), with_missing(WRITTEN[trained]))
    saved = save(model, tmp_path / "model", data=with_missing(WRITTEN[given]))
    assert any(trained in note and "'city'" in note for note in saved.notes) == (given != trained)
    served = opened(saved)
    answer = served.runtime.run(tensors_of(with_missing(WRITTEN[given]), served.signature))
    wanted = model.predict_proba(with_missing(WRITTEN[trained]))
    np.testing.assert_allclose(answer["probabilities"], wanted, rtol=1e-6)


@pytest.mark.parametrize("given", WRITTEN)
def test_a_missing_text_of_an_array_is_given_as_the_model_knows_it(tmp_path: Path, given: str) -> None:
    fill = SimpleImputer(strategy="constant", fill_value="-")
    model = fitted(
        make_pipeline(fill, OneHotEncoder(), LogisticRegression()), with_missing(np.nan)[["city"]].to_numpy()
    )
    saved = save(model, tmp_path / "model", data=with_missing(WRITTEN[given])[["city"]].to_numpy())
    served = opened(saved)
    rows = with_missing(None)[["city"]].to_numpy()
    wanted = model.predict_proba(with_missing(np.nan)[["city"]].to_numpy())
    answer = served.runtime.run(tensors_of(rows, served.signature))
    np.testing.assert_allclose(answer["probabilities"], wanted, rtol=1e-6)


def test_a_null_at_serving_is_given_as_the_model_knows_it_though_the_rows_have_none(tmp_path: Path) -> None:
    step = ColumnTransformer([("city", MISSING_READERS["imputer"](np.nan), ["city"])])
    model = fitted(make_pipeline(step, LogisticRegression()), with_missing(np.nan))
    data = with_missing("oslo")
    saved = save(model, tmp_path / "model", data=data)
    assert saved.package.manifest.signature.columns[0].nullable
    served = opened(saved)
    answer = served.runtime.run(tensors_of(with_missing(None), served.signature))
    np.testing.assert_allclose(answer["probabilities"], model.predict_proba(with_missing(np.nan)), rtol=1e-6)
