import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from septet.errors import PackageInvalid
from septet.model.profile import profile_from_json, profile_of, profile_to_json
from septet.model.signature import DTYPES
from septet.types import Array
from tests.budgets import examples

LENGTHS = st.integers(0, 30)
PLAIN = st.sampled_from([dtype for dtype in DTYPES.values() if dtype != np.dtype(object)])
STRINGS = st.none() | st.just(float("nan")) | st.text(st.characters(codec="utf-8"), max_size=5)
COLUMNS = st.tuples(PLAIN, LENGTHS).flatmap(lambda drawn: hnp.arrays(drawn[0], drawn[1])) | hnp.arrays(
    object, LENGTHS, elements=STRINGS, fill=st.nothing()
)


@given(COLUMNS)
@settings(max_examples=examples(75))
def test_a_profile_of_any_column_survives_being_written_and_read(column: Array) -> None:
    profile = profile_of({"c": column}, column)
    assert profile_from_json(profile_to_json(profile), "profile.json") == profile
    assert profile.columns["c"].count == profile.rows == len(column)


def test_numbers_are_profiled_without_what_is_missing() -> None:
    values = np.array([*range(101), np.nan, np.nan, np.inf], np.float32)
    column = profile_of({"x": values}).columns["x"]
    assert (column.dtype, column.count, column.missing, column.categories) == ("float32", 104, 2 / 104, None)
    assert column.numbers is not None
    assert (column.numbers.minimum, column.numbers.maximum, column.numbers.mean) == (0, 100, 50)
    assert column.numbers.std == pytest.approx(np.arange(101).std())
    assert column.numbers.deciles == pytest.approx(range(0, 101, 10))


def test_huge_numbers_do_not_overflow() -> None:
    numbers = profile_of({"x": np.array([1.7e308, 1.7e308, -1.7e308])}).columns["x"].numbers
    assert numbers is not None
    assert numbers.mean == pytest.approx(1.7e308 / 3)


def test_strings_are_profiled_by_share() -> None:
    column = profile_of({"c": np.array(["a", "b", "a", None, np.nan], dtype=object)}).columns["c"]
    assert (column.dtype, column.missing, column.numbers) == ("string", 0.4, None)
    assert column.categories is not None
    assert column.categories.shares == {"a": 2 / 3, "b": 1 / 3}


def test_only_the_hundred_most_frequent_strings_are_named() -> None:
    values = np.array([*["often"] * 50, *(f"once {at}" for at in range(150))], dtype=object)
    categories = profile_of({"c": values}).columns["c"].categories
    assert categories is not None
    assert (len(categories.shares), categories.shares["often"], categories.other) == (100, 0.25, 51 / 200)


def test_whole_numbers_of_few_values_are_categories_too() -> None:
    columns = profile_of({"few": np.array([1, 1, 2]), "many": np.arange(50)}).columns
    assert columns["few"].categories is not None
    assert columns["few"].categories.shares == {"1": 2 / 3, "2": 1 / 3}
    assert columns["few"].numbers is not None
    assert columns["many"].categories is None


def test_booleans_are_categories() -> None:
    categories = profile_of({"b": np.array([True, False])}).columns["b"].categories
    assert categories is not None
    assert categories.shares == {"True": 0.5, "False": 0.5}


def test_labels_are_profiled_by_share() -> None:
    profile = profile_of({}, ["cat", "dog", "cat", "cat"])
    assert (profile.rows, profile.labels) == (4, {"cat": 0.75, "dog": 0.25})
    assert profile_of({}).rows == 0


@pytest.mark.parametrize("content", [b'{"rows": "many"}', b'{"ro\xb3s": 1}'])
def test_a_damaged_profile_is_refused(content: bytes) -> None:
    with pytest.raises(PackageInvalid, match=r"profile\.json: does not hold a profile"):
        profile_from_json(content, "profile.json")


def test_moments_are_profiled_in_seconds_since_1970() -> None:
    when = np.array(["1970-01-01T00:01", "NaT", "1970-01-01T00:03"], dtype="datetime64[ms]")
    column = profile_of({"when": when}).columns["when"]
    assert (column.dtype, column.count) == ("datetime64[ms]", 3)
    assert column.missing == pytest.approx(1 / 3)
    assert column.numbers is not None
    assert (column.numbers.minimum, column.numbers.mean, column.numbers.maximum) == (60, 120, 180)
    assert profile_of({"when": np.array([], "datetime64[s]")}).columns["when"].numbers is None


def test_booleans_some_of_which_are_missing_are_still_booleans() -> None:
    column = profile_of({"flag": np.array([True, None, False, True], dtype=object)}).columns["flag"]
    assert (column.dtype, column.missing) == ("bool", 0.25)
    assert column.categories is not None
    assert column.categories.shares["True"] == pytest.approx(2 / 3)
