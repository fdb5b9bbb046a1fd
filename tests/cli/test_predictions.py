"""Predictions written one per row."""

import io
import json
from typing import Any

import pytest

from septet.cli.predictions import PredictionFormat, PredictionWriter
from septet.types import Identity

IRIS = Identity("iris", "1", "sha256:00")
LABELS = ("setosa", "versicolor")


def written(form: PredictionFormat, *batches: list[Any], labels: tuple[str, ...] = LABELS) -> str:
    stream = io.StringIO()
    out = PredictionWriter(form, stream, IRIS, labels)
    for batch in batches:
        out.write(batch)
    out.close()
    return stream.getvalue()


def test_lines_of_json_hold_one_prediction_each() -> None:
    assert written("jsonl", [[0.25, 0.75]], ["setosa", None]) == '[0.25,0.75]\n"setosa"\nnull\n'


def test_json_is_one_document_that_names_the_model() -> None:
    document = json.loads(written("json", [[0.25, 0.75]], [[1.0, 0.0]]))
    assert document["prediction"] == [[0.25, 0.75], [1.0, 0.0]]
    assert document["model"] == {"name": "iris", "version": "1", "digest": "sha256:00"}


@pytest.mark.parametrize(
    ("batch", "labels", "text"),
    [
        ([[0.25, 0.75]], LABELS, "setosa,versicolor\n0.25,0.75\n"),
        ([[0.25, 0.75]], (), "prediction_0,prediction_1\n0.25,0.75\n"),
        ([1.5, None], LABELS, 'prediction\n1.5\n""\n'),
        (['a "b", c'], (), 'prediction\n"a ""b"", c"\n'),
        ([{"y": 1, "z": [1, 2]}], (), 'y,z\n1,"[1,2]"\n'),
        ([True], (), "prediction\ntrue\n"),
    ],
)
def test_csv_has_a_header_and_a_row_for_each(batch: list[Any], labels: tuple[str, ...], text: str) -> None:
    assert written("csv", batch, labels=labels) == text


def test_several_labels_a_row_stand_in_one_column() -> None:
    stream = io.StringIO()
    writer = PredictionWriter("csv", stream, IRIS, (), apart=False)
    writer.write([["a", "b"], ["a"]])
    writer.write([[]])
    writer.close()
    assert stream.getvalue() == 'prediction\n"[""a"",""b""]"\n"[""a""]"\n[]\n'


@pytest.mark.parametrize(("form", "text"), [("csv", "small,n\n/wA=,1\n"), ("jsonl", '{"small":"/wA=","n":1}\n')])
def test_bytes_are_base64(form: PredictionFormat, text: str) -> None:
    assert written(form, [{"small": b"\xff\0", "n": 1}], labels=()) == text
