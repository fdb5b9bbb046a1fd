"""The answer in place of a model is checked against the model's outputs before anyone is given it."""

from typing import Any

import numpy as np
import pytest

from septet.errors import FallbackInvalid
from septet.model.fallback_answer import fallback_from_json, fallback_row
from septet.model.signature import Column, Kind, Signature, Tensor

SIGNATURE = Signature(
    Kind.CLASSIFICATION,
    (Tensor("x", "float32", (None, 1), (Column("x", "float32"),)),),
    (Tensor("label", "int64", (None,)), Tensor("scores", "float32", (None, 2))),
    label="label",
    scores="scores",
    labels=("no", "yes"),
    classes=(3, 4),
)
GOOD: dict[str, Any] = {"label": 4, "scores": [0.25, 0.75]}


def test_it_becomes_one_row_of_the_outputs() -> None:
    row = fallback_row(GOOD, SIGNATURE, "here")
    assert {name: (array.dtype, array.tolist()) for name, array in row.items()} == {
        "label": (np.dtype(np.int64), [4]),
        "scores": (np.dtype(np.float32), [[0.25, 0.75]]),
    }


def test_a_class_may_be_written_as_its_label() -> None:
    assert fallback_row({**GOOD, "label": "yes"}, SIGNATURE, "here")["label"].tolist() == [4]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"label": "maybe"}, "the output 'label' of a row is int64 of shape [], not 'maybe'"),
        ({"label": 1.5}, "int64"),
        ({"label": True}, "int64"),
        ({"label": None}, "int64"),
        ({"label": 2**70}, "int64"),
        ({"label": [4]}, "int64"),
        ({"scores": [0.5]}, "float32 of shape [2], not [0.5]"),
        ({"scores": [[0.5], [0.5, 1]]}, "float32"),
        ({"scores": ["a", "b"]}, "float32"),
        ({"scores": [1e300, 0.0]}, "float32"),
        ({"other": 1}, "has the outputs ['label', 'other', 'scores'], and the model has ['label', 'scores']"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(FallbackInvalid) as refused:
        fallback_row({**GOOD, **change}, SIGNATURE, "here")
    assert said in str(refused.value)
    assert str(refused.value).startswith("here: ")


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000])
def test_text_that_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(FallbackInvalid, match="there: "):
        fallback_from_json(text, "there")
