import datetime as dt
import tomllib

import numpy as np
import pytest
from hypothesis import given, settings

from septet.errors import PackageInvalid
from septet.model.manifest import Manifest, Training
from septet.model.septet_toml import manifest_from_toml, manifest_to_toml
from septet.model.signature import Column, Kind, Signature, Tensor
from tests.budgets import examples
from tests.model.strategies import manifests

SIGNATURE = Signature(
    Kind.REGRESSION,
    (Tensor("x", "float32", (None, 2), (Column("a", "float32", minimum=0), Column("b", "float32"))),),
    (Tensor("y", "float32", (None, 1)),),
)
MANIFEST = Manifest("boiler", "3", "onnx", "model.onnx", SIGNATURE)


def edited(old: str, new: str) -> bytes:
    text = manifest_to_toml(MANIFEST)
    assert old in text
    return text.replace(old, new).encode()


@given(manifests())
@settings(max_examples=examples(50))
def test_a_manifest_survives_being_written_and_read(manifest: Manifest) -> None:
    assert manifest_from_toml(manifest_to_toml(manifest).encode(), "septet.toml") == manifest


def test_top_keys_come_first_and_a_free_dimension_is_minus_one() -> None:
    text = manifest_to_toml(MANIFEST)
    assert text.index("format = 1") < text.index('name = "boiler"') < text.index("[signature]")
    assert "shape = [-1, 2]" in text
    assert tomllib.loads(text)["signature"]["inputs"][0]["columns"][1] == {"name": "b", "dtype": "float32"}


def test_parameters_of_any_type_are_written_as_toml_can_hold_them() -> None:
    parameters = {
        "depth": None,
        "c": np.float64(1.5),
        "n": np.int64(3),
        "grid": (1, None),
        "w": np.ones(1),
        "loss": {1: print},
    }
    training = Training(parameters=parameters, metrics={"accuracy": np.float32(0.5)})  # type: ignore[dict-item]
    manifest = Manifest("m", "1", "onnx", "m.onnx", SIGNATURE, training=training)
    read = manifest_from_toml(manifest_to_toml(manifest).encode(), "septet.toml").training
    assert read.parameters == {
        "depth": "None",
        "c": 1.5,
        "n": 3,
        "grid": [1, "None"],
        "w": [1.0],
        "loss": {"1": str(print)},
    }
    assert read.metrics == {"accuracy": 0.5}


def test_dates_are_written_as_dates() -> None:
    training = Training(trained_at=dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC))
    text = manifest_to_toml(Manifest("m", "1", "onnx", "m.onnx", SIGNATURE, training=training))
    assert "trained_at = 2026-01-02 03:04:05+00:00" in text


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('runtime = "onnx"', 'runtime = "onnx"\nmotor = 1', "unknown field `motor`"),
        ('kind = "regression"', 'kind = "regression"\ncolour = 1', "unknown field `colour` - at `signature`"),
        ("minimum = 0", "lowest = 0", "unknown field `lowest` - at `signature.inputs[0].columns[0]`"),
        ('version = "3"', "version = 3", "Expected `str`, got `int` - at `version`"),
        ("shape = [-1, 2]", 'shape = ["n", 2]', "at `signature.inputs[0].shape[0]`"),
        ('kind = "regression"', 'kind = "guess"', "at `signature.kind`"),
        ('name = "boiler"', "", "missing required field `name`"),
        ("format = 1", "format = 2", "is of format 2, and this Septet reads formats up to 1"),
        ("format = 1", 'format = "one"', "at `format`"),
        ("format = 1", "format = ", "not readable as TOML"),
    ],
)
def test_a_wrong_manifest_is_refused_with_the_path_of_its_key(old: str, new: str, words: str) -> None:
    with pytest.raises(PackageInvalid, match=r"^iris/septet\.toml: ") as caught:
        manifest_from_toml(edited(old, new), "iris/septet.toml")
    assert words in caught.value.message


def test_a_manifest_that_is_not_utf_8_is_refused() -> None:
    with pytest.raises(PackageInvalid, match="not readable as TOML"):
        manifest_from_toml(b"name = '\xff'", "septet.toml")


def test_a_manifest_that_toml_cannot_hold_is_refused() -> None:
    with pytest.raises(PackageInvalid, match="'bad' cannot be written as TOML"):
        manifest_to_toml(Manifest("bad", "\ud800", "onnx", "m.onnx", SIGNATURE))
