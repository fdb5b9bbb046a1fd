"""Metadata is derived from the model: the classic keys, and all that the package says."""

import datetime as dt
from typing import Any

import msgspec
import pytest

from septet.model.manifest import Data, Parity, Training
from septet.protocols.native.metadata import metadata
from tests.protocols import models

SERVICES = models.every_kind()
CLASSIC: dict[str, tuple[Any, ...]] = {
    "classifier": ("float32", "(1,4)", [[0.1, 1.7667, 3.4333, 5.1]], "float32", "(1,3)", [[0.9, 0.07, 0.03]]),
    "mixed": ("mixed", "(1,5)", [[29, None, "female", None, True]], "float32", "(1,2)", [[0.2, 0.8]]),
    "regressor": ("float64", "(1,1)", [[2.5]], "float64", "(1,1)", [7.25]),
    "several numbers": ("float32", "(1,2)", [[1.0, 2.0]], "float32", "(1,3)", [[1.0, 2.0, 3.0]]),
    "multilabel": ("float32", "(1,2)", [[1.0, 2.0]], "int64", "(1,2)", [[1, 0]]),
    "clustering": ("float32", "(1,2)", [[1.0, 2.0]], "int32", "(1)", [2]),
    "outliers": ("float32", "(1,2)", [[1.0, 2.0]], "int64", "(1,1)", [-1]),
    "tensors": (
        "mixed",
        "image (1,2,3), mask (1,2)",
        {"image": [[[0, 1, 2], [3, 4, 5]]], "mask": [[True, False]]},
        "mixed",
        "features (1,1,2), count (1)",
        [{"features": [[0.5, 1.5]], "count": 3}],
    ),
    "one unit": (
        "mixed",
        "image (1,2,3), mask (1,2)",
        {"image": [[[0, 1, 2], [3, 4, 5]]], "mask": [[True, False]]},
        "mixed",
        "features (1,1,2), count (1)",
        {"features": [[[0.5, 1.5]]], "count": [3]},
    ),
}
KEYS = ("data_type", "data_structure", "data_sample", "prediction_type", "prediction_structure", "prediction_sample")


@pytest.mark.parametrize("name", CLASSIC)
def test_classic_keys_are_those_of_the_pattern(name: str) -> None:
    said = metadata(SERVICES[name], limits=models.LIMITS)
    expected = dict(zip(KEYS, CLASSIC[name], strict=True))
    if name == "classifier":
        assert said["data_sample"] == [pytest.approx(expected.pop("data_sample")[0], abs=1e-4)]
    assert {key: said[key] for key in expected} == expected


def test_a_float32_sample_is_written_with_the_digits_that_name_it() -> None:
    assert metadata(models.classifier(), limits=models.LIMITS)["data_sample"][0][-1] == 5.1


@pytest.mark.parametrize("name", SERVICES)
def test_metadata_is_plain_json(name: str) -> None:
    said = metadata(SERVICES[name], limits=models.LIMITS)
    assert msgspec.json.decode(msgspec.json.encode(said)) == said


def test_declared_width_changes_structure_columns_and_shape() -> None:
    four = metadata(models.classifier(4), limits=models.LIMITS)
    five = metadata(models.classifier(5), limits=models.LIMITS)
    assert (four["data_structure"], five["data_structure"]) == ("(1,4)", "(1,5)")
    assert (four["inputs"][0]["shape"], five["inputs"][0]["shape"]) == ([-1, 4], [-1, 5])
    assert (len(four["columns"]), len(five["columns"])) == (4, 5)


def test_columns_say_their_bounds_categories_and_unit() -> None:
    age, _, sex, *_ = metadata(models.mixed(), limits=models.LIMITS)["columns"]
    assert (age["minimum"], age["maximum"], age["unit"]) == (0, 120, "years")
    assert sex["categories"] == ["female", "male"]


def test_identity_limits_and_labels_are_those_of_the_service() -> None:
    said = metadata(models.classifier(), limits=models.LIMITS)
    assert (said["name"], said["version"], said["digest"]) == ("iris", "1.2.0", models.IDENTITY.digest)
    assert said["limits"] == {"max_rows": 1000, "max_body_bytes": 1_000_000}
    assert said["labels"] == ["setosa", "versicolor", "virginica"]


def test_provenance_is_written_with_iso_dates() -> None:
    known = models.classifier()
    training = Training(
        trained_at=dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC),
        data=Data("flowers", 150, None, dt.date(2026, 10, 1), dt.date(2026, 10, 31)),
    )
    manifest = msgspec.structs.replace(known.manifest, training=training, parity=Parity(150, 1e-5, 1e-4, 2e-7))
    said = metadata(msgspec.structs.replace(known, manifest=manifest), limits=models.LIMITS)
    assert said["training"]["trained_at"] == "2026-11-01T12:00:00Z"
    assert said["training"]["data"]["until"] == "2026-10-31"
    assert said["parity"]["largest_difference"] == 2e-7
    assert said["freshness"] == msgspec.to_builtins(models.FRESH)


def test_the_code_before_the_model_is_named_with_its_digest() -> None:
    known = models.classifier()
    assert metadata(known, limits=models.LIMITS)["preprocessing"] is None
    manifest = msgspec.structs.replace(known.manifest, prepare="prepare.py", files={"prepare.py": "ab" * 32})
    said = metadata(msgspec.structs.replace(known, manifest=manifest), limits=models.LIMITS)
    assert said["preprocessing"] == {"file": "prepare.py", "digest": "sha256:" + "ab" * 32}


def test_a_model_without_a_sample_still_has_its_structure() -> None:
    known = models.classifier()
    bare = msgspec.structs.replace(known, sample=None, answer=None, expected=None)
    said = metadata(bare, limits=models.LIMITS)
    assert (said["data_structure"], said["prediction_structure"]) == ("(1,4)", "(1,3)")
    assert said["data_sample"] is None
    assert said["prediction_sample"] is None


def test_metadata_names_the_outputs_that_play_a_role() -> None:
    said = metadata(models.classifier(), limits=models.LIMITS)
    assert (said["label"], said["scores"], said["classes"]) == ("label", "probabilities", [0, 1, 2])
    said = metadata(models.regressor(), limits=models.LIMITS)
    assert (said["label"], said["scores"], said["classes"]) == (None, None, [])
