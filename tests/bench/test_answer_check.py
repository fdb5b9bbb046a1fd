"""Which answers are right."""

import pytest

from septet.bench.answer_check import check_for
from septet.bench.load import AnswerForm, Payload

ROWS = Payload(b"", 0, rows=2)
VALUES = Payload(b"", 0, rows=1, expected=[[0.5, "a", {"k": 1}, None]], absolute_tolerance=0.01)


@pytest.mark.parametrize(
    ("form", "body"),
    [
        ("any", b"anything"),
        ("prediction", b'{"prediction": [[1, 2], [3, 4]], "id": "x"}'),
        ("outputs", b'{"outputs": [{"name": "y", "shape": [2, 3], "data": []}]}'),
        ("binary-outputs", b'{"outputs": [{"name": "y", "shape": [2, 3]}]}\x00\xff}{'),
    ],
)
def test_an_answer_with_the_rows_that_were_asked_for_is_right(form: AnswerForm, body: bytes) -> None:
    assert check_for(form)(ROWS, body) is None


@pytest.mark.parametrize(
    ("form", "body", "words"),
    [
        ("prediction", b'{"prediction": [1]}', "2 rows were asked for, 1 were answered"),
        ("prediction", b'{"error": "x"}', "not a prediction"),
        ("prediction", b"", "not a prediction"),
        ("outputs", b'{"outputs": [{"name": "y", "shape": [3]}]}', "3 were answered"),
        ("outputs", b'{"outputs": []}', "no outputs"),
        ("outputs", b"<html>", "not a response"),
        ("binary-outputs", b'{"outputs": [{"name": "y", "shape": []}]}\xff', "1 were answered"),
        ("binary-outputs", b"\xff\x00", "not a response"),
        ("binary-outputs", b"{}", "not a response"),
    ],
)
def test_any_other_is_wrong(form: AnswerForm, body: bytes, words: str) -> None:
    assert words in (check_for(form)(ROWS, body) or "")


def test_a_payload_without_rows_takes_any_number() -> None:
    assert check_for("prediction")(Payload(b"", 0), b'{"prediction": []}') is None


@pytest.mark.parametrize(
    ("prediction", "right"),
    [
        (b'[[0.505, "a", {"k": 1}, null]]', True),
        (b'[[0.52, "a", {"k": 1}, null]]', False),
        (b'[["0.5", "a", {"k": 1}, null]]', False),
        (b'[[0.5, "b", {"k": 1}, null]]', False),
        (b'[[0.5, "a", {"k": 2}, null]]', False),
        (b'[[0.5, "a", {"q": 1}, null]]', False),
        (b'[[0.5, "a", 1, null]]', False),
        (b'[[0.5, "a", {"k": 1}]]', False),
        (b"[0.5]", False),
    ],
)
def test_values_are_compared_within_the_tolerances(prediction: bytes, right: bool) -> None:  # noqa: FBT001
    wrong = check_for("prediction")(VALUES, b'{"prediction": ' + prediction + b"}")
    assert (wrong is None) is right
