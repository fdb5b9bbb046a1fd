"""A row of a DataFrame, rebuilt from a request, has the same form and the same answer alone as among others."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from septet.packing.provenance import Statement
from septet.packing.training_table import rows_of
from septet.packing.training_tensors import tensors_of
from septet.packing.trial import try_estimator
from septet.runtimes.base import LoadOptions
from septet.runtimes.sklearn.sklearn_runtime import SklearnRuntime, runtime_of
from septet.types import Array, Tensors
from tests.runtimes.alone import assert_rows_apart

pytest.importorskip("pandas")
pytest.importorskip("sklearn")

import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler, TargetEncoder

ROWS = 60
RANDOM = np.random.default_rng(0)
TARGET = RANDOM.integers(0, 2, ROWS)
GONE = np.arange(ROWS) % 5 == 1
CITY = RANDOM.choice(["rome", "oslo", "bonn"], ROWS).astype(object)
CITY[GONE] = None
WITH_NAN = CITY.copy()
WITH_NAN[GONE] = np.nan
WHOLE = RANDOM.integers(0, 9, ROWS)
HOLES = WHOLE.astype(object)
HOLES[GONE] = None
FLAGS = (WHOLE > 4).astype(object)
FLAGS[GONE] = None
SPELLINGS: dict[str, Any] = {
    "None": pd.Series(CITY, dtype=object),
    "NaN": pd.Series(WITH_NAN, dtype=object),
    "str": pd.Series(CITY, dtype="str"),
    "category": pd.Series(pd.Categorical(CITY)),
}
NUMBERS: dict[str, Any] = {
    "int64": pd.Series(WHOLE),
    "int8": pd.Series(WHOLE, dtype="int8"),
    "Int64": pd.array(HOLES, dtype="Int64"),
    "whole objects": pd.Series(HOLES, dtype=object),
    "float32": pd.Series(np.where(GONE, np.nan, WHOLE / 3), dtype="float32"),
    "bool": pd.Series(WHOLE > 4),
    "boolean": pd.array(FLAGS, dtype="boolean"),
}


def fitted(model: Any, data: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(data, TARGET)


def native(model: Any, data: Any) -> tuple[SklearnRuntime, Tensors]:
    """The native runtime of a package, and rows for it with a missing value in each column that may have one."""
    signature = try_estimator(model, rows_of(data), Statement()).native.signature
    rows = tensors_of(data.iloc[:12], signature)
    for tensor in signature.inputs:
        table = rows[tensor.name].reshape(12, -1)
        for place, column in enumerate(tensor.columns):
            if column.nullable:
                table[9:11, place] = None if column.dtype == "string" else np.nan
            if column.dtype == "string" and (column.categories is None or column.other_categories):
                table[8, place] = "a city never seen"
    runtime = runtime_of(model, LoadOptions(signature=signature, rows=rows), source="test")
    return runtime, rows


def require_apart(runtime: SklearnRuntime, rows: Tensors) -> None:
    """Each row has the same dtypes and values, and the same answers where the estimator is known to keep it apart."""
    many = runtime.native_rows(rows)
    for at in range(len(many)):
        one = runtime.native_rows({name: array[at : at + 1] for name, array in rows.items()})
        among = many.iloc[at : at + 1].reset_index(drop=True)
        categories = [name for name, dtype in one.dtypes.items() if isinstance(dtype, pd.CategoricalDtype)]
        wide = dict.fromkeys(categories, object)
        pd.testing.assert_frame_equal(one.astype(wide), among.astype(wide), check_exact=True)
        assert one.astype(wide).map(repr).equals(among.astype(wide).map(repr))
    if runtime.independence.proven:
        assert_rows_apart(runtime, rows)


def ignoring() -> Any:
    return OneHotEncoder(handle_unknown="ignore")


def numbered() -> Any:
    return OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)


ENCODERS: dict[str, Callable[[], Any]] = {
    "one-hot": ignoring,
    "ordinal": lambda: make_pipeline(numbered(), SimpleImputer()),
    "target": TargetEncoder,
    "most frequent": lambda: make_pipeline(SimpleImputer(strategy="most_frequent"), ignoring()),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("encoder", ENCODERS)
def test_texts_are_encoded_alone_as_among_others(spelling: str, encoder: str) -> None:
    data = pd.DataFrame({"city": SPELLINGS[spelling], "count": WHOLE})
    step = ColumnTransformer([("city", ENCODERS[encoder](), ["city"])], remainder="passthrough")
    require_apart(*native(fitted(make_pipeline(step, LogisticRegression()), data), data))


READERS: dict[str, Callable[[], Any]] = {
    "boosted": lambda: HistGradientBoostingClassifier(max_iter=3),
    "filled": lambda: make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()),
    "by neighbours": lambda: make_pipeline(KNNImputer(n_neighbors=2), LogisticRegression()),
    "one-hot": lambda: make_pipeline(ignoring(), LogisticRegression()),
    "ordinal": lambda: make_pipeline(numbered(), HistGradientBoostingClassifier(max_iter=3)),
}


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("reader", READERS)
def test_numbers_are_read_alone_as_among_others(number: str, reader: str) -> None:
    data = pd.DataFrame({"a": NUMBERS[number], "b": WHOLE % 4})
    if reader == "one-hot" and number == "Int64":
        pytest.skip("scikit-learn does not encode pandas.NA")
    require_apart(*native(fitted(READERS[reader](), data), data))


@pytest.mark.parametrize("library", ["lightgbm.LGBMClassifier", "xgboost.XGBClassifier"])
@pytest.mark.parametrize("number", ["int64", "Int64", "float32", "boolean"])
def test_boosted_trees_of_other_libraries_read_alone_as_among_others(library: str, number: str) -> None:
    package, kind = library.split(".")
    settings: dict[str, Any] = {"enable_categorical": True} if package == "xgboost" else {"verbose": -1}
    model = getattr(pytest.importorskip(package), kind)(n_estimators=3, **settings)
    data = pd.DataFrame({"a": NUMBERS[number], "city": SPELLINGS["category"], "b": WHOLE % 4})
    require_apart(*native(fitted(model, data), data))


@pytest.mark.parametrize("encoder", ["TargetEncoder", "OneHotEncoder"])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_category_encoders_read_alone_as_among_others(encoder: str, spelling: str) -> None:
    encoders = pytest.importorskip("category_encoders")
    data = pd.DataFrame({"city": SPELLINGS[spelling], "count": WHOLE})
    model = make_pipeline(getattr(encoders, encoder)(cols=["city"]), HistGradientBoostingClassifier(max_iter=3))
    require_apart(*native(fitted(model, data), data))


@pytest.mark.parametrize("texts", [["rome", None], [None, "rome"], ["oslo", "never seen"]])
def test_texts_of_a_model_without_its_rows_have_one_dtype(texts: Sequence[str | None]) -> None:
    data = pd.DataFrame({"city": SPELLINGS["str"], "count": WHOLE})
    step = ColumnTransformer([("city", ignoring(), ["city"])], remainder="passthrough")
    runtime = runtime_of(fitted(make_pipeline(step, LogisticRegression()), data), LoadOptions(), source="test")
    rows: dict[str, Array] = {}
    for tensor in runtime.signature.inputs:
        fill = texts if tensor.dtype == "string" else [1, 2]
        rows[tensor.name] = np.array(fill, dtype=object if tensor.dtype == "string" else float).reshape(2, -1)
    require_apart(runtime, rows)


class Spelling:
    """A step that tells 1 from 1.0, and an int8 from an int64."""

    def __init__(self) -> None:
        self.n_features_in_ = 1

    def fit(self, rows: Any, target: Any = None) -> "Spelling":  # noqa: ARG002
        return self

    def transform(self, rows: Any) -> Any:
        return np.stack([rows.iloc[:, 0].astype(str).str.len(), rows.iloc[:, 0].to_numpy() * 100 > 0], axis=1)

    def __sklearn_is_fitted__(self) -> bool:
        return True


def test_a_model_that_reads_the_dtype_takes_what_that_dtype_holds() -> None:
    data = pd.DataFrame({"a": pd.Series(WHOLE, dtype="int8")})
    model = fitted(make_pipeline(Spelling(), HistGradientBoostingClassifier(max_iter=3)), data)
    runtime, rows = native(model, data)
    column = runtime.signature.columns[0]
    assert (column.minimum, column.maximum, column.nullable) == (-128, 127, False)
    assert runtime.native_rows(rows)["a"].dtype == np.int8
    require_apart(runtime, rows)
