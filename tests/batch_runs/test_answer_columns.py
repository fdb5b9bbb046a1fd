"""The columns of answers hold what the native routes answer, for every kind of model."""

from typing import Any

import numpy as np
import pytest

from septet.batch_runs.answer_columns import AnswerColumns
from septet.model.signature import Kind, Signature, Tensor
from septet.protocols.codecs.prediction_format import PredictionFormatter
from septet.service import Service
from septet.types import Tensors
from tests.protocols import models

SERVICES = {name: service for name, service in models.every_kind().items() if service.signature.rows}


def answers(service: Service, rows: int) -> Tensors:
    answer = service.answer or {}
    return {name: np.concatenate([array] * rows) if rows else array[:0] for name, array in answer.items()}


def shown(value: Any) -> Any:
    """What a row's columns say, in the shape of `/predict`."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


@pytest.mark.parametrize("name", SERVICES)
def test_they_are_what_is_answered_online(name: str) -> None:
    service = SERVICES[name]
    signature, tensors = service.signature, answers(service, 3)
    columns = AnswerColumns(signature)
    found = {each: array.to_pylist() for each, array in columns({out: tensors[out] for out in columns.outputs}).items()}
    formatter = PredictionFormatter(signature)
    predictions = formatter.prediction(tensors)
    for at in range(3):
        values = {each: column[at] for each, column in found.items() if each not in ("label", "labels")}
        if signature.kind in (Kind.TRANSFORM, Kind.TENSORS):
            assert (values if isinstance(predictions[at], dict) else shown(list(values.values()))) == predictions[at]
        elif values:
            assert shown(list(values.values())) == shown(predictions[at])
        for each in ("label", "labels"):
            if each in found:
                assert found[each][at] == formatter.labels(tensors)[at]


@pytest.mark.parametrize("name", SERVICES)
def test_their_types_do_not_depend_on_the_rows(name: str) -> None:
    service = SERVICES[name]
    columns = AnswerColumns(service.signature)
    assert [field.name for field in columns.fields] == list(columns(answers(service, 1)))
    for rows in (0, 1, 2):
        found = columns(answers(service, rows))
        assert [array.type for array in found.values()] == [field.type for field in columns.fields]
        assert {len(array) for array in found.values()} == {rows}


@pytest.mark.parametrize(
    ("raw", "classes", "labels", "expected"),
    [
        ([7, 3, 7], (3, 7), ("three", "seven"), ["seven", "three", "seven"]),
        ([1, 9], (0, 1), ("a", "b"), ["b", "9"]),
        ([4, 5], (), (), [4, 5]),
    ],
)
def test_labels_are_found_by_what_the_model_answers(
    raw: list[int], classes: tuple[int, ...], labels: tuple[str, ...], expected: list[Any]
) -> None:
    outputs = (Tensor("label", "int64", (None,)),)
    signature = Signature(
        Kind.CLASSIFICATION,
        models.classifier().signature.inputs,
        outputs,
        label="label",
        classes=classes,
        labels=labels,
    )
    assert AnswerColumns(signature)({"label": np.array(raw)})["label"].to_pylist() == expected


def test_scores_without_a_label_have_that_of_the_best() -> None:
    outputs = (Tensor("p", "float32", (None, 2)),)
    signature = Signature(
        Kind.CLASSIFICATION, models.classifier().signature.inputs, outputs, scores="p", labels=("no", "yes")
    )
    found = AnswerColumns(signature)({"p": np.array([[0.25, 0.75], [0.5, 0.5]], np.float32)})
    assert {name: array.to_pylist() for name, array in found.items()} == {
        "label": ["yes", "no"],
        "score_no": [0.25, 0.5],
        "score_yes": [0.75, 0.5],
    }


def test_an_output_of_any_width_is_a_list() -> None:
    outputs = (Tensor("y", "float32", (None, None)),)
    signature = Signature(Kind.REGRESSION, models.classifier().signature.inputs, outputs)
    columns = AnswerColumns(signature)
    assert columns({"y": np.array([[1.0, 2.0]], np.float32)})["prediction"].to_pylist() == [[1.0, 2.0]]
    assert columns.fields[0].type == columns({"y": np.zeros((2, 5), np.float32)})["prediction"].type
