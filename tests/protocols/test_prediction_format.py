"""Each kind of model answers its rows in the shape that its user expects."""

from typing import Any

import msgspec
import numpy as np
import pytest

from septet.errors import Invalid, NotFound
from septet.model.signature import Kind, Signature, Tensor
from septet.protocols.codecs.prediction_format import PredictionFormatter
from septet.types import Array

INPUTS = (Tensor("x", "float32", (None, 2)),)
SCORES = Tensor("scores", "float32", (None, 3))
P = np.array([[0.5, 0.25, 0.25], [0.125, 0.25, 0.625]], np.float32)


def label(dtype: str = "int64", shape: tuple[int | None, ...] = (None,)) -> Tensor:
    return Tensor("label", dtype, shape)


def classifier(*outputs: Tensor, **more: Any) -> Signature:
    names = {output.name for output in outputs}
    roles = {role: role for role in ("label", "scores") if role in names}
    return msgspec.structs.replace(Signature(Kind.CLASSIFICATION, INPUTS, outputs), **roles, **more)


def test_a_classifier_answers_scores_and_labels() -> None:
    answers = PredictionFormatter(classifier(label(), SCORES, labels=("a", "b", "c"), classes=(0, 1, 2)))
    tensors = {"label": np.array([0, 2]), "scores": P}
    assert answers.outputs == ("scores",)
    assert answers.prediction({"scores": P}) == P.tolist()
    assert answers.labels(tensors) == ["a", "c"]
    assert answers.top(tensors, 2) == [
        [{"label": "a", "score": 0.5}, {"label": "b", "score": 0.25}],
        [{"label": "c", "score": 0.625}, {"label": "b", "score": 0.25}],
    ]


def test_more_labels_than_there_are_may_be_asked_for() -> None:
    answers = PredictionFormatter(classifier(label(), SCORES, labels=("a", "b", "c")))
    assert [len(row) for row in answers.top({"scores": P}, 50)] == [3, 3]


@pytest.mark.parametrize(
    ("raw", "classes", "labels", "expected"),
    [
        (np.array([7, 3]), (3, 7), ("three", "seven"), ["seven", "three"]),
        (np.array([3.0, 7.0], np.float32), (3, 7), ("three", "seven"), ["three", "seven"]),
        (np.array([True, False]), (0, 1), ("no", "yes"), ["yes", "no"]),
        (np.array(["hi", "lo"], object), ("lo", "hi"), ("low", "high"), ["high", "low"]),
        (np.array(["1", "3"], object), (), ("1", "2", "3"), ["1", "3"]),
        (np.array(["b", "a"], object), (), ("a", "b"), ["b", "a"]),
        (np.array([1, 0]), (), ("a", "b"), ["b", "a"]),
        (np.array([1, 9]), (0, 1), ("a", "b"), ["b", 9]),
        (np.array([[1], [0]]), (0, 1), ("a", "b"), ["b", "a"]),
        (np.array([4, 5]), (), (), [4, 5]),
    ],
)
def test_labels_are_found_by_the_value_that_the_model_answers(
    raw: Array, classes: tuple[Any, ...], labels: tuple[str, ...], expected: list[Any]
) -> None:
    dtype = "string" if raw.dtype == object else raw.dtype.name
    shape: tuple[int | None, ...] = (None,) if raw.ndim == 1 else (None, 1)
    answers = PredictionFormatter(classifier(label(dtype, shape), labels=labels, classes=classes))
    assert answers.labels({"label": raw}) == expected


def test_several_labels_a_row_stay_with_their_row() -> None:
    answers = PredictionFormatter(classifier(label("int64", (None, 2)), labels=("a", "b"), classes=(0, 1)))
    assert answers.labels({"label": np.array([[0, 1], [1, 1]])}) == [[0, 1], [1, 1]]


def test_scores_alone_give_labels() -> None:
    assert PredictionFormatter(classifier(SCORES, labels=("a", "b", "c"))).labels({"scores": P}) == ["a", "c"]
    assert PredictionFormatter(classifier(SCORES)).labels({"scores": P}) == [0, 2]
    assert PredictionFormatter(classifier(SCORES)).top({"scores": P}, 1) == [
        [{"label": 0, "score": 0.5}],
        [{"label": 2, "score": 0.625}],
    ]


@pytest.mark.parametrize("labels", [("red", "blue"), ()])
def test_several_labels_at_once_are_those_that_are_on(labels: tuple[str, ...]) -> None:
    output = label("int64", (None, 2))
    answers = PredictionFormatter(Signature(Kind.MULTILABEL, INPUTS, (output,), label="label", labels=labels))
    on = np.array([[1, 0], [1, 1], [0, 0]])
    assert answers.prediction({"label": on}) == on.tolist()
    assert answers.labels({"label": on}) == ([["red"], ["red", "blue"], []] if labels else on.tolist())


@pytest.mark.parametrize(
    ("kind", "shape", "values", "expected"),
    [
        (Kind.REGRESSION, (None, 1), [[1.5], [2.5]], [1.5, 2.5]),
        (Kind.REGRESSION, (None,), [1.5, 2.5], [1.5, 2.5]),
        (Kind.REGRESSION, (None, 2), [[1, 2], [3, 4]], [[1, 2], [3, 4]]),
        (Kind.CLUSTERING, (None,), [3, 1], [3, 1]),
        (Kind.OUTLIERS, (None, 1), [[1], [-1]], [1, -1]),
        (Kind.TRANSFORM, (None, 2), [[1, 2], [3, 4]], [[1, 2], [3, 4]]),
        (Kind.TENSORS, (None, 1, 2), [[[1, 2]], [[3, 4]]], [[[1, 2]], [[3, 4]]]),
    ],
)
def test_one_output_is_answered_as_it_is(kind: Kind, shape: tuple[int | None, ...], values: Any, expected: Any) -> None:
    answers = PredictionFormatter(Signature(kind, INPUTS, (Tensor("y", "float32", shape),)))
    assert answers.prediction({"y": np.array(values, np.float32)}) == expected


def test_several_outputs_are_an_object_per_row() -> None:
    outputs = (Tensor("p", "int64", (None,)), Tensor("q", "string", (None, 1)))
    answers = PredictionFormatter(Signature(Kind.TENSORS, INPUTS, outputs))
    tensors = {"p": np.array([1, 2]), "q": np.array([["a"], ["b"]], object)}
    assert answers.outputs is None
    assert answers.prediction(tensors) == [{"p": 1, "q": ["a"]}, {"p": 2, "q": ["b"]}]


def test_a_unit_is_one_object_of_all_outputs() -> None:
    signature = Signature(Kind.TENSORS, INPUTS, (Tensor("p", "int64", (2,)),), rows=False)
    assert PredictionFormatter(signature).prediction({"p": np.array([1, 2])}) == {"p": [1, 2]}


def test_a_model_without_labels_has_none_and_one_without_scores_has_no_best() -> None:
    answers = PredictionFormatter(Signature(Kind.REGRESSION, INPUTS, (Tensor("y", "float32", (None,)),)))
    with pytest.raises(NotFound, match="/predict"):
        answers.labels({"y": np.array([1.0])})
    with pytest.raises(Invalid, match="top"):
        answers.top({"y": np.array([1.0])}, 2)


def test_classes_that_nobody_named_are_answered_as_the_model_has_them() -> None:
    unnamed = PredictionFormatter(classifier(SCORES, labels=("7", "8", "9"), classes=(7, 8, 9)))
    assert unnamed.labels({"scores": P}) == [7, 9]
    named = PredictionFormatter(classifier(SCORES, labels=("a", "b", "c"), classes=(7, 8, 9)))
    assert named.labels({"scores": P}) == ["a", "c"]
