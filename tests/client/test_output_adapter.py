"""What a model answers is given in kind."""

import json
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest

from septet.client.input_adapter import InputKind, ModelInputs
from septet.client.output_adapter import OutputAdapter
from septet.errors import Invalid, NotFound
from septet.protocols.codecs import examples
from septet.protocols.http.http_messages import HttpRequest
from septet.service import Service
from septet.types import Tensors
from tests.protocols import models

SERVICES = models.every_kind()


def asked(form: InputKind, index: Any = None) -> ModelInputs:
    return ModelInputs({}, form, index)


def answer(service: Service, wanted: tuple[str, ...] | None) -> Tensors:
    """Its answer to one row: the wanted outputs."""
    assert service.answer is not None
    return {name: service.answer[name] for name in wanted or service.answer}


def predicted(name: str, form: InputKind, index: Any = None) -> Any:
    shown = OutputAdapter(SERVICES[name].signature)
    return shown.prediction(asked(form, index), answer(SERVICES[name], shown.predicted(form)))


def labelled(name: str, form: InputKind, index: Any = None) -> Any:
    shown = OutputAdapter(SERVICES[name].signature)
    return shown.labels(asked(form, index), answer(SERVICES[name], shown.labelled()))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("classifier", np.array([[0.9, 0.07, 0.03]], np.float32)),
        ("regressor", np.array([7.25])),
        ("several numbers", np.array([[1, 2, 3]], np.float32)),
        ("multilabel", np.array([[1, 0]])),
        ("outliers", np.array([-1])),
    ],
)
def test_an_array_is_answered_with_the_array_that_answers(name: str, expected: np.ndarray[Any, Any]) -> None:
    given = predicted(name, InputKind.ARRAY)
    assert given.dtype == expected.dtype
    np.testing.assert_array_equal(given, expected)


@pytest.mark.parametrize("form", [InputKind.ARRAY, InputKind.TENSORS])
def test_several_answering_outputs_are_given_by_name(form: InputKind) -> None:
    given = predicted("tensors", form)
    assert {name: array.shape for name, array in given.items()} == {"features": (1, 1, 2), "count": (1,)}


def test_arrays_by_name_are_answered_with_every_output() -> None:
    assert list(predicted("classifier", InputKind.TENSORS)) == ["label", "probabilities"]


@pytest.mark.parametrize("name", SERVICES)
def test_rows_are_answered_as_the_server_answers_them(name: str) -> None:
    service = SERVICES[name]
    assert service.sample is not None
    body = msgspec.json.encode({"inputs": examples.inputs(service.signature, service.sample)})
    http = HttpRequest("POST", "/predict", b"", {}, body)
    expected = json.loads(models.reply(service, models.native(service).predict, http).body)["prediction"]
    given = predicted(name, InputKind.ROWS)
    assert msgspec.json.decode(msgspec.json.encode(given)) == expected


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("classifier", ["setosa", "versicolor", "virginica"]),
        ("regressor", ["y"]),
        ("several numbers", ["out_0", "out_1", "out_2"]),
        ("multilabel", ["red", "blue"]),
        ("clustering", ["out"]),
    ],
)
def test_a_frame_is_answered_with_a_frame_of_the_same_index(name: str, columns: list[str]) -> None:
    frame = predicted(name, InputKind.FRAME, pd.Index(["row"]))
    assert list(frame.columns) == columns
    assert list(frame.index) == ["row"]


def test_an_output_of_many_axes_does_not_fit_into_a_frame() -> None:
    with pytest.raises(Invalid, match="'features' has 3 axes"):
        predicted("tensors", InputKind.FRAME, pd.Index([0]))


def test_a_model_without_rows_has_no_frame() -> None:
    with pytest.raises(Invalid, match="no rows"):
        predicted("one unit", InputKind.FRAME, pd.Index([0]))


def test_labels_are_given_in_kind() -> None:
    assert labelled("classifier", InputKind.ROWS) == ["setosa"]
    array = labelled("classifier", InputKind.ARRAY)
    assert isinstance(array, np.ndarray)
    assert array.tolist() == ["setosa"]
    series = labelled("classifier", InputKind.FRAME, pd.Index(["row"]))
    assert series.name == "label"
    assert series.to_dict() == {"row": "setosa"}


def test_the_labels_of_a_multilabel_model_are_one_list_a_row() -> None:
    array = labelled("multilabel", InputKind.ARRAY)
    assert array.shape == (1,)
    assert array[0] == ["red"]
    assert labelled("multilabel", InputKind.FRAME, pd.Index([5])).to_dict() == {5: ["red"]}


@pytest.mark.parametrize("name", ["regressor", "tensors", "transform"])
def test_a_model_without_labels_answers_none(name: str) -> None:
    with pytest.raises(NotFound, match="answers no labels"):
        labelled(name, InputKind.ROWS)
