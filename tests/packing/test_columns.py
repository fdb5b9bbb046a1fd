"""A saved model answers as its own methods do on the user's own rows, whatever the types of these are."""

import hashlib
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from septet.assembly.opening import OpenedModel, open_model
from septet.errors import Invalid, PackageInvalid, UnsupportedModel
from septet.model.signature import Column
from septet.packing.save import Saved
from septet.packing.training_tensors import tensors_of
from septet.settings import Model
from tests.packing.saving import save

pd = pytest.importorskip("pandas")
pytest.importorskip("sklearn")
pytest.importorskip("skl2onnx")
from sklearn.calibration import CalibratedClassifierCV  # noqa: E402
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor  # noqa: E402
from sklearn.ensemble import (  # noqa: E402
    BaggingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: E402
from sklearn.impute import SimpleImputer  # noqa: E402
from sklearn.linear_model import LinearRegression, LogisticRegression  # noqa: E402
from sklearn.model_selection import GridSearchCV  # noqa: E402
from sklearn.multiclass import OneVsRestClassifier  # noqa: E402
from sklearn.multioutput import ClassifierChain  # noqa: E402
from sklearn.pipeline import FeatureUnion, make_pipeline  # noqa: E402
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler  # noqa: E402

from tests.packing.steps import Arrays, Broken, Counted, Described, Hasty, Hours, IsNone, Picky, Twice, Weekdays  # noqa: E402

ROWS = 60
RANDOM = np.random.default_rng(0)
AGE = RANDOM.normal(40, 10, ROWS).round(3)
COUNT = RANDOM.integers(0, 9, ROWS)
FLAG = RANDOM.random(ROWS) < 0.5
CITY = RANDOM.choice(["rome", "oslo", "bonn"], ROWS)
GONE = np.arange(ROWS) % 6 == 1
TARGET = ((AGE > 40) | (CITY == "rome")).astype(int)
WHEN = pd.date_range("2026-01-01", periods=ROWS, freq="7h")


def logistic() -> Any:
    return LogisticRegression(max_iter=2000)


def fitted(model: Any, data: Any, target: Any = TARGET) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(data, target)


def opened(saved: Saved) -> OpenedModel:
    return open_model(saved.package.root, Model(trust=saved.trust), threads=1)


def columns(saved: Saved) -> dict[str, Column]:
    return {column.name: column for column in saved.package.manifest.signature.columns}


def require_equal(model: Any, data: Any, path: Path) -> Saved:
    """Save, load as a server does, and compare row by row with the model's own methods on the user's own rows."""
    saved = save(model, path, data=data)
    served = opened(saved)
    answer = served.runtime.run(tensors_of(data, served.signature))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        own = np.asarray(model.predict(data))
        probabilities = model.predict_proba(data) if hasattr(model, "predict_proba") else None
    if own.dtype.kind == "f":
        np.testing.assert_allclose(answer[next(iter(answer))], own, rtol=1e-4, atol=1e-5)
    else:
        np.testing.assert_array_equal(answer["label"], own)
    if probabilities is not None and not isinstance(probabilities, list):
        np.testing.assert_allclose(answer["probabilities"], probabilities, rtol=1e-4, atol=1e-5)
    return saved


NUMBERS = {
    "floats": pd.DataFrame({"age": AGE, "size": AGE * 2}),
    "floats, whole numbers and booleans": pd.DataFrame({"age": AGE, "count": COUNT, "flag": FLAG}),
    "narrow dtypes": pd.DataFrame(
        {"age": AGE.astype(np.float32), "count": COUNT.astype(np.uint8), "flag": FLAG.astype(np.int8)}
    ),
    "nullable dtypes": pd.DataFrame({"age": AGE, "count": COUNT, "flag": FLAG}).convert_dtypes(),
    "whole numbers beyond 2**53": pd.DataFrame({"age": AGE, "code": 2**60 + COUNT}),
    "names with blanks": pd.DataFrame({"the age": AGE, "größe": AGE * 2, "input": COUNT}),
    "numbered columns": pd.DataFrame(np.stack([AGE, AGE * 2], axis=1)),
    "array": np.stack([AGE, AGE * 2], axis=1),
    "array of float32": np.stack([AGE, AGE * 2], axis=1).astype(np.float32),
    "array of whole numbers": np.stack([COUNT, COUNT[::-1]], axis=1),
    "array of booleans": np.stack([FLAG, FLAG[::-1]], axis=1),
}
READERS_OF_NUMBERS = {
    "pipeline": lambda: make_pipeline(StandardScaler(), logistic()),
    "forest": lambda: RandomForestClassifier(3, random_state=0),
    "without fitted attributes": lambda: make_pipeline(Twice(), logistic()),
    "regressor": LinearRegression,
    "frames inside": lambda: make_pipeline(StandardScaler().set_output(transform="pandas"), logistic()),
}


@pytest.mark.parametrize("frame", NUMBERS)
@pytest.mark.parametrize("reader", READERS_OF_NUMBERS)
def test_numbers_of_all_types_are_answered_as_by_the_model_itself(tmp_path: Path, frame: str, reader: str) -> None:
    data = NUMBERS[frame]
    require_equal(fitted(READERS_OF_NUMBERS[reader](), data), data, tmp_path / "model")


HOLES = {
    "float64": pd.DataFrame({"age": np.where(GONE, np.nan, AGE), "size": AGE * 2}),
    "Float64": pd.DataFrame({"age": pd.array(np.where(GONE, np.nan, AGE), dtype="Float64"), "size": AGE * 2}),
    "Int64": pd.DataFrame({"age": pd.array(np.where(GONE, np.nan, COUNT), dtype="Int64"), "size": AGE * 2}),
    "boolean": pd.DataFrame(
        {
            "age": pd.array([None if gone else flag for gone, flag in zip(GONE, FLAG, strict=True)], dtype="boolean"),
            "size": AGE * 2,
        }
    ),
}
READERS_OF_HOLES = {
    "imputer": lambda: make_pipeline(SimpleImputer(), logistic()),
    "histograms": lambda: HistGradientBoostingClassifier(max_iter=3),
    "bagging": lambda: BaggingClassifier(HistGradientBoostingClassifier(max_iter=2), n_estimators=2, random_state=0),
    "voting": lambda: VotingClassifier(
        [("a", make_pipeline(SimpleImputer(), logistic())), ("b", HistGradientBoostingClassifier(max_iter=2))]
    ),
}


@pytest.mark.parametrize("frame", HOLES)
@pytest.mark.parametrize("reader", READERS_OF_HOLES)
def test_a_missing_number_that_training_had_is_taken(tmp_path: Path, frame: str, reader: str) -> None:
    data = HOLES[frame]
    saved = require_equal(fitted(READERS_OF_HOLES[reader](), data), data, tmp_path / "model")
    assert columns(saved)["age"].nullable
    golden = saved.package.golden
    assert golden is not None
    assert any(np.isnan(array).any() for array in golden.request.values())


MISSING = CITY.astype(object)
MISSING[GONE] = None
TEXTS = {
    "object": pd.Series(CITY, dtype=object),
    "object with None": pd.Series(MISSING, dtype=object),
    "object with NaN": pd.Series(np.where(GONE, np.nan, MISSING), dtype=object),
    "str": pd.Series(MISSING, dtype="str"),
    "string": pd.Series(MISSING, dtype="string"),
    "category": pd.Series(pd.Categorical(MISSING)),
}


def by_city(*, rest: Any = "passthrough", fill: bool = True) -> Any:
    encoder = OneHotEncoder(handle_unknown="ignore")
    step = make_pipeline(SimpleImputer(strategy="constant", fill_value="-"), encoder) if fill else encoder
    return ColumnTransformer([("city", step, ["city"])], remainder=rest)


READERS_OF_TEXTS = {
    "imputer": lambda: make_pipeline(by_city(), logistic()),
    "by name": lambda: make_pipeline(Described(), logistic()),
    "voting": lambda: VotingClassifier(
        [("a", make_pipeline(by_city(rest="drop"), logistic())), ("b", make_pipeline(by_city(), logistic()))],
        voting="soft",
    ),
    "stacking": lambda: StackingClassifier([("a", make_pipeline(by_city(), logistic()))], logistic(), cv=2),
    "union": lambda: make_pipeline(FeatureUnion([("a", by_city()), ("b", by_city(rest="drop"))]), logistic()),
    "search": lambda: GridSearchCV(make_pipeline(by_city(), logistic()), {"logisticregression__C": [1.0, 2.0]}, cv=2),
    "calibrated": lambda: CalibratedClassifierCV(make_pipeline(by_city(), logistic()), cv=2),
    "one against the rest": lambda: OneVsRestClassifier(make_pipeline(by_city(), logistic())),
    "changed target": lambda: TransformedTargetRegressor(
        make_pipeline(by_city(), LinearRegression()), func=np.negative, inverse_func=np.negative
    ),
}


# An imputer of scikit-learn is not fitted on `pandas.NA`; it is tried with each other way to write a missing text.
PAIRS = [(text, "by name") for text in TEXTS]
PAIRS += [(text, "imputer") for text in TEXTS if text != "string"]
PAIRS += [("object with NaN", reader) for reader in READERS_OF_TEXTS if reader not in {"by name", "imputer"}]


@pytest.mark.parametrize(("text", "reader"), PAIRS)
def test_texts_reach_the_model_as_its_training_had_them(tmp_path: Path, text: str, reader: str) -> None:
    data = pd.DataFrame({"city": TEXTS[text], "age": AGE})
    model = fitted(READERS_OF_TEXTS[reader](), data)
    saved = require_equal(model, data, tmp_path / "model")
    assert columns(saved)["city"].dtype == "string"
    if data["city"].isna().any():
        assert columns(saved)["city"].nullable
        golden = saved.package.golden
        assert golden is not None
        assert None in golden.request["city"].ravel().tolist()


@pytest.mark.parametrize("given", ["object with None", "object with NaN", "str", "string"])
@pytest.mark.parametrize("missing", [None, np.nan])
def test_a_missing_text_means_the_same_however_it_is_written(tmp_path: Path, given: str, missing: Any) -> None:
    training = pd.DataFrame({"city": pd.Series(np.where(GONE, missing, MISSING), dtype=object), "age": AGE})
    fill = SimpleImputer(missing_values=missing, strategy="constant", fill_value="")
    step = ColumnTransformer([("city", make_pipeline(fill, OneHotEncoder()), ["city"])], remainder="passthrough")
    model = fitted(make_pipeline(step, logistic()), training)
    data = pd.DataFrame({"city": TEXTS[given], "age": AGE})
    saved = save(model, tmp_path / "model", data=data)
    served = opened(saved)
    answer = served.runtime.run(tensors_of(data, served.signature))
    np.testing.assert_allclose(answer["probabilities"], model.predict_proba(training), rtol=1e-6)


def test_a_column_that_the_model_refuses_is_refused_by_name(tmp_path: Path) -> None:
    data = pd.DataFrame({"age": AGE, "count": COUNT})
    model = fitted(make_pipeline(StandardScaler(), logistic()), data)
    with pytest.raises(Invalid, match="the data has the column 'y' which the model does not know"):
        save(model, tmp_path / "model", data=data.assign(y=TARGET))
    with pytest.raises(Invalid, match="the data has the columns 'y', 'city' which the model does not know"):
        save(model, tmp_path / "model", data=data.assign(y=TARGET, city=CITY))


def test_a_column_that_the_model_passes_over_is_left_out_of_requests(tmp_path: Path) -> None:
    data = pd.DataFrame({"age": AGE, "count": COUNT})
    step = ColumnTransformer([("age", StandardScaler(), ["age"])], remainder="passthrough")
    saved = require_equal(fitted(make_pipeline(step, logistic()), data), data.assign(y=TARGET), tmp_path / "model")
    assert saved.notes == ("not the model's, and may be left out of requests: 'y'",)


def test_a_model_that_tells_none_from_nan_is_given_what_it_saw(tmp_path: Path) -> None:
    data = pd.DataFrame({"city": pd.Series(MISSING, dtype=object)})
    model = fitted(make_pipeline(IsNone(), logistic()), data)
    require_equal(model, data, tmp_path / "none")
    other = pd.DataFrame({"city": pd.Series(np.where(GONE, np.nan, MISSING), dtype=object)})
    require_equal(model, other, tmp_path / "nan")


MOMENTS = {
    "naive": WHEN,
    "milliseconds": WHEN.as_unit("ms"),
    "in a zone": WHEN.tz_localize("Asia/Tokyo"),
    "some missing": pd.Series(WHEN).where(~GONE),
}


@pytest.mark.parametrize("kind", MOMENTS)
def test_moments_reach_the_model_in_their_own_unit_and_zone(tmp_path: Path, kind: str) -> None:
    data = pd.DataFrame({"seen": MOMENTS[kind]})
    saved = require_equal(fitted(make_pipeline(Hours(), logistic()), data), data, tmp_path / "model")
    assert saved.fallback is not None
    assert "moments" in saved.fallback
    assert columns(saved)["seen"].nullable == bool(data["seen"].isna().any())


def test_days_reach_the_model_as_days(tmp_path: Path) -> None:
    days = [None if gone else moment.date() for gone, moment in zip(GONE, WHEN, strict=True)]
    data = pd.DataFrame({"day": pd.Series(days, dtype=object)})
    saved = require_equal(fitted(make_pipeline(Weekdays(), logistic()), data), data, tmp_path / "model")
    assert (columns(saved)["day"].dtype, columns(saved)["day"].pandas_dtype) == ("datetime64[s]", "date")


def test_moments_are_encoded_as_categories(tmp_path: Path) -> None:
    data = pd.DataFrame({"day": WHEN.normalize(), "age": AGE})
    step = ColumnTransformer([("day", OneHotEncoder(handle_unknown="ignore"), ["day"])], remainder="passthrough")
    require_equal(fitted(make_pipeline(step, logistic()), data), data, tmp_path / "model")


def wide() -> Any:
    return pd.DataFrame(
        {
            "id": [f"c{row}" for row in range(ROWS)],
            "city": CITY,
            "count": COUNT,
            "flag": FLAG,
            "seen": WHEN,
            "code": 2**60 + COUNT,
            "age": AGE,
        }
    )


@pytest.mark.parametrize("runtime", ["onnx", "sklearn"])
def test_columns_that_the_model_does_not_read_keep_their_types_and_may_be_missing(tmp_path: Path, runtime: str) -> None:
    data = wide()
    number = StandardScaler() if runtime == "onnx" else FunctionTransformer(np.negative)
    step = ColumnTransformer([("city", OneHotEncoder(), ["city"]), ("age", number, ["age"])])
    saved = require_equal(fitted(make_pipeline(step, logistic()), data), data, tmp_path / "model")
    assert saved.package.manifest.runtime == runtime, saved.fallback
    found = columns(saved)
    optional = {name: column.dtype for name, column in found.items() if column.optional}
    assert optional == {
        "id": "string",
        "count": "int64",
        "flag": "bool",
        "seen": "datetime64[us]",
        "code": "int64",
    }
    served = opened(saved)
    tensors = dict(tensors_of(data, served.signature))
    expected = served.runtime.run(tensors)["probabilities"]
    for name in optional:
        gone = {"O": None, "M": np.datetime64("NaT"), "f": np.nan}[tensors[name].dtype.kind]
        tensors[name] = np.full_like(tensors[name], gone)
    np.testing.assert_array_equal(served.runtime.run(tensors)["probabilities"], expected)


def test_what_no_request_can_carry_and_nobody_reads_is_left_out(tmp_path: Path) -> None:
    data = pd.DataFrame({"age": AGE, "took": pd.to_timedelta(COUNT, "h"), "parts": [[1]] * ROWS})
    model = fitted(make_pipeline(ColumnTransformer([("age", Twice(), ["age"])]), logistic()), data)
    saved = require_equal(model, data, tmp_path / "model")
    assert list(columns(saved)) == ["age"]
    assert "'took', 'parts'" in saved.notes[0]


def test_a_column_is_read_if_any_of_the_inner_pipelines_reads_it(tmp_path: Path) -> None:
    data = wide()
    first = make_pipeline(ColumnTransformer([("age", StandardScaler(), ["age"])]), logistic())
    second = make_pipeline(ColumnTransformer([("city", OneHotEncoder(), ["city"])]), logistic())
    for model in (VotingClassifier([("a", first), ("b", second)]), StackingClassifier([("a", first), ("b", second)])):
        path = tmp_path / type(model).__name__
        saved = require_equal(fitted(model, data), data, path)
        read = [name for name, column in columns(saved).items() if not column.optional]
        assert read == ["city", "age"]
        assert columns(saved)["city"].categories == ("bonn", "oslo", "rome")


def test_the_order_of_columns_does_not_matter_where_they_have_names(tmp_path: Path) -> None:
    frame = NUMBERS["floats"]
    model = fitted(logistic(), frame)
    data = frame[["size", "age"]]
    saved = save(model, tmp_path / "model", data=data)
    assert list(columns(saved)) == ["size", "age"]
    served = opened(saved)
    answer = served.runtime.run(tensors_of(data, served.signature))
    np.testing.assert_allclose(answer["probabilities"], model.predict_proba(frame), atol=1e-5)


@pytest.mark.parametrize("names", [{"age": "alter"}, {"age": "a", "size": "b"}, {"age": "size", "size": "s"}])
def test_names_that_are_not_the_models_are_refused_and_never_taken_by_position(
    tmp_path: Path, names: dict[str, str]
) -> None:
    model = fitted(logistic(), NUMBERS["floats"])
    with pytest.raises(Invalid, match=r"it lacks .* Columns are taken by name"):
        save(model, tmp_path / "model", data=NUMBERS["floats"].rename(columns=names))


def test_only_columns_without_names_are_taken_by_position_and_save_says_so(tmp_path: Path) -> None:
    frame = NUMBERS["floats"]
    saved = save(fitted(logistic(), frame), tmp_path / "names", data=frame.to_numpy())
    assert list(columns(saved)) == ["age", "size"]
    assert "taken by position for 'age', 'size'" in saved.notes[0]
    saved = save(fitted(logistic(), frame.to_numpy()), tmp_path / "array", data=frame)
    assert list(columns(saved)) == ["age", "size"]
    assert "taken by position" in saved.notes[0]


def test_a_missing_value_that_the_model_does_not_take_is_named(tmp_path: Path) -> None:
    data = HOLES["float64"].assign(other=np.where(np.arange(ROWS) % 7 == 2, np.nan, AGE))
    step = ColumnTransformer([("age", SimpleImputer(), ["age"])], remainder="passthrough")
    model = fitted(make_pipeline(step, logistic()), data.fillna(0.0))
    with pytest.raises(Invalid, match=r"missing values that the data have in 'other' \(ValueError"):
        save(model, tmp_path / "model", data=data)


def test_several_outputs_in_a_chain_are_answered_as_by_the_chain(tmp_path: Path) -> None:
    data = NUMBERS["floats"]
    model = fitted(ClassifierChain(logistic()), data, np.stack([TARGET, 1 - TARGET], axis=1))
    require_equal(model, data, tmp_path / "model")


def test_texts_may_be_given_as_a_list_a_series_or_a_frame(tmp_path: Path) -> None:
    texts = [f"{city} {row % 3}" for row, city in enumerate(CITY)]
    model = fitted(make_pipeline(TfidfVectorizer(), logistic()), texts)
    for name, data in {"list": texts, "series": pd.Series(texts), "frame": pd.DataFrame({"text": texts})}.items():
        saved = save(model, tmp_path / name, data=data)
        served = opened(saved)
        answer = served.runtime.run(tensors_of(data, served.signature))
        np.testing.assert_allclose(answer["probabilities"], model.predict_proba(texts), atol=1e-5)


def test_an_array_of_objects_is_read_column_by_column(tmp_path: Path) -> None:
    data = np.empty((ROWS, 2), dtype=object)
    data[:, 0], data[:, 1] = MISSING, AGE
    step = ColumnTransformer([("city", OneHotEncoder(), [0])], remainder="passthrough")
    saved = require_equal(fitted(make_pipeline(step, logistic()), data), data, tmp_path / "model")
    assert [column.dtype for column in columns(saved).values()] == ["string", "float64"]


def test_a_model_that_does_not_answer_each_row_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModel, match="one answer for each row"):
        save(Hasty(), tmp_path / "model", data=NUMBERS["floats"])


def test_a_model_that_looks_at_more_than_its_columns_is_refused(tmp_path: Path) -> None:
    data = NUMBERS["floats"].copy()
    data.attrs["secret"] = 7
    with pytest.raises(UnsupportedModel, match="answers the given rows otherwise"):
        save(Counted(), tmp_path / "model", data=data)


def test_a_model_that_takes_no_frame_is_given_an_array(tmp_path: Path) -> None:
    data = NUMBERS["floats, whole numbers and booleans"]
    saved = save(Arrays(), tmp_path / "model", data=data)
    assert "is given an array" in saved.notes[0]
    served = opened(saved)
    answer = served.runtime.run(tensors_of(data, served.signature))
    np.testing.assert_array_equal(answer["prediction"], AGE * 2)


def test_an_error_of_the_models_own_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModel, match=r"does not answer the given rows \(AttributeError: .*nowhere"):
        save(Broken(), tmp_path / "model", data=NUMBERS["array"])
    assert not (tmp_path / "model").exists()


def test_a_rare_row_that_the_model_refuses_does_not_hinder_the_others(tmp_path: Path) -> None:
    # Of 6,000 rows 2,000 are tried, and this is none of them; the compiled model is compared on more.
    data = np.arange(6000.0).reshape(-1, 1)
    saved = save(Picky(), tmp_path / "model", data=data)
    assert saved.fallback is not None


def test_a_target_of_another_length_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="the target has 3 rows and the data 60"):
        save(fitted(logistic(), NUMBERS["array"]), tmp_path / "model", data=NUMBERS["array"], target=[0, 1, 0])


@pytest.mark.parametrize("bounds", [("low", 1), (1, 2, 3), (True, None)])
def test_a_range_that_is_none_is_refused(tmp_path: Path, bounds: Any) -> None:
    model = fitted(logistic(), NUMBERS["floats"])
    with pytest.raises(PackageInvalid, match="ranges: 'age' is"):
        save(model, tmp_path / "model", data=NUMBERS["floats"], ranges={"age": bounds})


def test_columns_reach_preprocessing_code_with_their_own_dtypes(tmp_path: Path) -> None:
    code = tmp_path / "code.py"
    code.write_text(
        "import numpy as np\n"
        "def prepare(columns):\n"
        "    kinds = [columns[name].dtype.kind for name in ('age', 'count', 'flag', 'note', 'seen')]\n"
        "    assert kinds == ['f', 'i', 'b', 'O', 'M'], kinds\n"
        "    hours = columns['seen'].astype('datetime64[h]').astype(int) % 24\n"
        "    return {'input': np.stack([columns['age'], columns['count'] + columns['flag'], hours], 1).astype(float)}\n"
    )
    data = pd.DataFrame({"age": AGE, "count": COUNT, "flag": FLAG, "note": MISSING, "seen": WHEN})
    inner = np.stack([AGE, COUNT + FLAG, WHEN.hour], axis=1)
    model = fitted(logistic(), inner)
    saved = save(model, tmp_path / "model", data=data, prepare=code)
    assert [column.dtype for column in columns(saved).values()] == [
        "float64",
        "int64",
        "bool",
        "string",
        "datetime64[us]",
    ]
    served = opened(saved)
    answer = served.runtime.run(tensors_of(data, served.signature))
    np.testing.assert_allclose(answer["probabilities"], model.predict_proba(inner), atol=1e-5)


def test_a_bare_file_says_what_it_cannot_know(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    joblib = pytest.importorskip("joblib")
    path = tmp_path / "model.joblib"
    joblib.dump(fitted(logistic(), NUMBERS["floats"]), path)
    with caplog.at_level("WARNING"):
        open_model(path, Model(trust=(hashlib.sha256(path.read_bytes()).hexdigest(),)), threads=1)
    assert "guessed from the estimator" in caplog.text
