"""What a fitted estimator says of its columns: of several estimators inside, each is asked."""

from typing import Any

import numpy as np
import pytest

from septet.runtimes.base import LoadOptions
from septet.runtimes.sklearn.sklearn_runtime import runtime_of

pd = pytest.importorskip("pandas")
pytest.importorskip("sklearn")

from sklearn.calibration import CalibratedClassifierCV  # noqa: E402
from sklearn.compose import ColumnTransformer  # noqa: E402
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier  # noqa: E402
from sklearn.impute import SimpleImputer  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.multioutput import ClassifierChain  # noqa: E402
from sklearn.pipeline import FeatureUnion, make_pipeline  # noqa: E402
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder  # noqa: E402

from septet.runtimes.sklearn.sklearn_columns import MissingValues, read_facts  # noqa: E402
from tests.packing.steps import Twice  # noqa: E402

FRAME = pd.DataFrame(
    {
        "city": pd.Series(["Rome", "Oslo", "Bonn"] * 6, dtype=object),
        "land": pd.Series(["it", "no", "de"] * 6, dtype=object),
        "age": np.arange(18.0),
    }
)
TARGET = [0, 1] * 9
NAMES = list(FRAME.columns)


def pipeline(*columns: str, encoder: Any = None, **options: Any) -> Any:
    return make_pipeline(
        ColumnTransformer([("encoder", encoder or OneHotEncoder(**options), list(columns))]), LogisticRegression()
    )


def used(model: Any) -> list[str]:
    facts = read_facts(model.fit(FRAME, TARGET), NAMES)
    return [name for name, fact in zip(NAMES, facts, strict=True) if fact.used]


def test_a_column_is_read_if_any_estimator_inside_reads_it() -> None:
    assert used(pipeline("city")) == ["city"]
    assert used(VotingClassifier([("a", pipeline("city")), ("b", pipeline("land"))])) == ["city", "land"]
    assert used(StackingClassifier([("a", pipeline("city")), ("b", pipeline("land"))], cv=2)) == ["city", "land"]
    passed = ColumnTransformer([("age", "passthrough", ["age"])])
    stacked = StackingClassifier([("a", make_pipeline(passed, LogisticRegression()))], cv=2, passthrough=False)
    assert used(stacked) == ["age"]
    assert used(CalibratedClassifierCV(pipeline("city"), cv=2)) == ["city"]
    union = FeatureUnion([("a", pipeline("city")[:1]), ("b", pipeline("land")[:1])])
    assert used(make_pipeline(union, LogisticRegression())) == ["city", "land"]


def test_categories_are_those_that_all_estimators_inside_take() -> None:
    few = OneHotEncoder(categories=[["Rome", "Oslo"]], handle_unknown="ignore")
    strict = pipeline("city")
    for models, categories, others in (
        ([strict, pipeline("city", encoder=few)], ("Bonn", "Oslo", "Rome"), False),
        ([pipeline("city", encoder=few), strict], ("Bonn", "Oslo", "Rome"), False),
        ([pipeline("city", encoder=few), pipeline("city", handle_unknown="ignore")], ("Rome", "Oslo", "Bonn"), True),
        ([strict, strict], ("Bonn", "Oslo", "Rome"), False),
    ):
        voting = VotingClassifier([(str(place), model) for place, model in enumerate(models)]).fit(FRAME, TARGET)
        city = read_facts(voting, NAMES)[0]
        assert (set(city.categories or ()), city.other_categories) == (set(categories), others)


def test_a_missing_value_is_taken_only_if_all_estimators_inside_take_it() -> None:
    numbers = FRAME[["age"]].to_numpy()
    filling = make_pipeline(SimpleImputer(), LogisticRegression())
    both = VotingClassifier([("a", filling), ("b", LogisticRegression())]).fit(numbers, TARGET)
    assert read_facts(both, ["x0"])[0].missing is MissingValues.REFUSED
    either = VotingClassifier([("a", filling), ("b", filling)]).fit(numbers, TARGET)
    assert read_facts(either, ["x0"])[0].missing is MissingValues.STOPS


def test_estimators_that_see_a_part_or_more_than_the_columns_are_read_by_their_places() -> None:
    numbers = np.stack([np.arange(18.0) % 5, np.arange(18.0) % 3], axis=1)
    inner = make_pipeline(OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), LogisticRegression())
    bagging = BaggingClassifier(inner, n_estimators=2, max_features=1, random_state=0).fit(numbers, TARGET)
    facts = read_facts(bagging, ["x0", "x1"])
    seen = {int(places[0]) for places in bagging.estimators_features_}
    assert {place for place, fact in enumerate(facts) if fact.used} == seen
    targets = np.stack([TARGET, TARGET[::-1]], axis=1)
    chain = ClassifierChain(inner).fit(numbers, targets)
    assert [fact.categories for fact in read_facts(chain, ["x0", "x1"])] == [(0, 1, 2, 3, 4), (0, 1, 2)]


def test_a_pipeline_of_steps_without_fitted_attributes_answers() -> None:
    rows = FRAME[["age"]].to_numpy()
    model = make_pipeline(Twice(), "passthrough", LogisticRegression()).fit(rows, TARGET)
    served = runtime_of(model, LoadOptions(), source="a test")
    np.testing.assert_array_equal(served.run({"input": rows})["probabilities"], model.predict_proba(rows))


def test_a_pipeline_that_answers_otherwise_when_it_is_cut_is_run_whole() -> None:
    calls: list[int] = []

    def step(rows: Any) -> Any:
        calls.append(len(rows))
        return rows + len(calls) % 2

    rows = FRAME[["age"]].to_numpy()
    model = make_pipeline(FunctionTransformer(step), LogisticRegression(max_iter=500)).fit(rows, TARGET)
    served = runtime_of(model, LoadOptions(), source="a test")
    calls.clear()
    served.run({"input": rows})
    assert len(calls) in (1, 2)


def test_what_is_no_estimator_of_scikit_learn_is_judged_by_its_methods() -> None:
    class Plain:
        """Has a classifier's methods and no tags."""

        classes_ = np.array([0, 1])

        def predict(self, rows: Any) -> Any:
            return (rows[:, 0] > 0).astype(int)

        def predict_proba(self, rows: Any) -> Any:
            return np.stack([rows[:, 0] <= 0, rows[:, 0] > 0], axis=1).astype(float)

    served = runtime_of(Plain(), LoadOptions(), source="a test")
    assert served.signature.label == "label"
    assert served.run({"input": np.array([[1.0]])})["label"].tolist() == [1]
