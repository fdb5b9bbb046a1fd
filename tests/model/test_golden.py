import numpy as np
import pytest
from hypothesis import given, settings

from septet.errors import PackageInvalid
from septet.model.golden import Golden, golden_from_json, golden_to_json, mismatches
from septet.types import Tensors
from tests.budgets import examples
from tests.model.strategies import tensor_maps

ANSWER = {
    "label": np.array([0, 1]),
    "name": np.array(["a", "b"], dtype=object),
    "scores": np.array([[0.25, 0.75], [np.nan, np.inf]], np.float32),
}
GOLDEN = Golden({"x": np.ones((2, 1), np.float32)}, ANSWER, absolute_tolerance=1e-3, relative_tolerance=0.0)


def changed(**tensors: object) -> Tensors:
    return {**ANSWER, **{name: np.asarray(value) for name, value in tensors.items()}}


@given(tensor_maps(), tensor_maps())
@settings(max_examples=examples(50))
def test_golden_rows_survive_being_written_and_read(request: Tensors, answer: Tensors) -> None:
    read = golden_from_json(golden_to_json(Golden(request, answer, 0.1, 0.2)), "golden.json")
    assert (read.absolute_tolerance, read.relative_tolerance) == (0.1, 0.2)
    for before, after in ((request, read.request), (answer, read.answer)):
        assert list(before) == list(after)
        for name, array in before.items():
            assert after[name].dtype == array.dtype
            np.testing.assert_array_equal(after[name], array, strict=True)


def test_the_file_has_one_row_a_line_and_spells_out_what_json_lacks() -> None:
    text = golden_to_json(GOLDEN).decode()
    assert '        [0.25,0.75],\n        ["NaN","Infinity"]\n' in text


def test_a_missing_string_is_null_however_it_was_marked() -> None:
    rows = Golden({"x": np.array(["a", np.nan, None], dtype=object)}, {}, 0.0, 0.0)
    assert golden_from_json(golden_to_json(rows), "golden.json").request["x"].tolist() == ["a", None, None]


def test_the_same_answer_has_no_mismatches() -> None:
    assert mismatches(GOLDEN, ANSWER) == ()


def test_floats_may_differ_by_the_tolerance() -> None:
    scores = ANSWER["scores"]
    assert mismatches(GOLDEN, changed(scores=scores + np.float32(0.0005))) == ()
    assert mismatches(GOLDEN, changed(scores=scores + np.array([[0.01, 0], [0, 0]], np.float32))) == (
        "output 'scores', row 0 [0]: expected 0.25, got 0.25999999046325684",
    )


def test_labels_and_strings_have_to_be_equal() -> None:
    other = {**ANSWER, "label": np.array([0, 2]), "name": np.array(["a", "c"], dtype=object)}
    assert mismatches(GOLDEN, other) == (
        "output 'label', row 1: expected 1, got 2",
        "output 'name', row 1: expected 'b', got 'c'",
    )


def test_missing_outputs_and_other_shapes_and_dtypes_are_named() -> None:
    other = {"label": np.array([0, 1], np.int32), "scores": np.zeros((2, 3), np.float32)}
    assert mismatches(GOLDEN, other) == (
        "output 'label': expected int64[2], got int32[2]",
        "output 'name': expected string[2], got nothing",
        "output 'scores': expected float32[2, 2], got float32[2, 3]",
    )


def test_only_the_first_ten_mismatches_are_named() -> None:
    golden = Golden({}, {"y": np.zeros(50)}, 0.0, 0.0)
    assert len(mismatches(golden, {"y": np.ones(50)})) == 10


def test_huge_floats_are_compared_without_overflow() -> None:
    golden = Golden({}, {"y": np.array([-3e38, 1e308, np.inf], np.float64)}, 0.0, 0.5)
    assert mismatches(golden, {"y": np.array([3e38, -1e308, np.inf])}) == (
        "output 'y', row 0: expected -3e+38, got 3e+38",
        "output 'y', row 1: expected 1e+308, got -1e+308",
    )


def test_an_answer_without_rows_is_compared_too() -> None:
    golden = Golden({}, {"y": np.array(1.0)}, 0.0, 0.0)
    assert mismatches(golden, {"y": np.array(2.0)}) == ("output 'y', row 0: expected 1.0, got 2.0",)


@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        ('{"dtype": "float32", "shape": [2], "data": [1.0]}', "data does not fit float32[2]"),
        ('{"dtype": "int8", "shape": [1], "data": [1000]}', "data does not fit int8[1]"),
        ('{"dtype": "string", "shape": [2], "data": ["a"]}', "data does not fit string[2]"),
        ('{"dtype": "string", "shape": [1], "data": [1]}', "neither a string nor null"),
        ('{"dtype": "float32", "shape": [-1], "data": [1]}', "shape"),
        ('{"dtype": "complex", "shape": [1], "data": [1]}', "unknown dtype 'complex'"),
        ('{"dtype": "float32", "shape": 1, "data": [1]}', "shape"),
        ("[]", "does not hold golden rows"),
    ],
)
def test_damaged_golden_rows_are_refused(tensor: str, words: str) -> None:
    text = f'{{"absolute_tolerance": 0.0, "relative_tolerance": 0.0, "request": {{"x": {tensor}}}, "answer": {{}}}}'
    with pytest.raises(PackageInvalid, match=r"golden\.json: ") as caught:
        golden_from_json(text.encode(), "golden.json")
    assert words in caught.value.message


def test_golden_rows_that_are_not_utf_8_are_refused() -> None:
    with pytest.raises(PackageInvalid, match=r"golden\.json: does not hold golden rows"):
        golden_from_json(b'{"absolute_to\xb3erance": 1}', "golden.json")


def test_moments_are_iso_8601_and_missing_ones_null() -> None:
    when = np.array([["2026-01-01T12:00:00.5"], ["NaT"]], dtype="datetime64[us]")
    golden = Golden({"when": when}, {"when": when}, 0.0, 0.0)
    text = golden_to_json(golden)
    assert b'["2026-01-01T12:00:00.500000"]' in text
    assert b"[null]" in text
    read = golden_from_json(text, "a test")
    assert read.request["when"].dtype == when.dtype
    np.testing.assert_array_equal(read.request["when"], when)
    assert mismatches(read, {"when": when}) == ()
    later = when + np.timedelta64(1, "s")
    assert "2026-01-01T12:00:01.500000" in mismatches(read, {"when": later})[0]


@pytest.mark.parametrize("value", ['["yesterday"]', "[5]"])
def test_what_is_no_moment_is_refused(value: str) -> None:
    tensor = f'{{"dtype": "datetime64[us]", "shape": [1], "data": {value}}}'
    text = f'{{"absolute_tolerance": 0, "relative_tolerance": 0, "request": {{"a": {tensor}}}, "answer": {{}}}}'
    with pytest.raises(PackageInvalid, match="data does not fit"):
        golden_from_json(text.encode(), "a test")
