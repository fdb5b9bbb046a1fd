"""The table of formats: a file's suffix names its runtime, and what no runtime reads is refused in plain words."""

from pathlib import Path

import pytest

from septet.errors import DamagedModel, ModelNotFound, UnsupportedModel
from septet.runtimes.base import LoadOptions
from septet.runtimes.formats import FORMATS, load, runtime_for
from tests.runtimes.onnx_models import identity, saved


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("m.onnx", "onnx"),
        ("M.ONNX", "onnx"),
        ("m.skops", "sklearn"),
        ("m.joblib", "sklearn"),
        ("m.pkl", "sklearn"),
        ("m.pickle", "sklearn"),
    ],
)
def test_the_suffix_names_the_runtime(tmp_path: Path, name: str, key: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"x")
    assert runtime_for(path) == key


def test_a_missing_path_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="no such file"):
        runtime_for(tmp_path / "m.onnx")


@pytest.mark.parametrize("name", ["m.txt", "model"])
def test_an_unknown_suffix_is_refused_with_all_that_are_read(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(UnsupportedModel) as caught:
        runtime_for(tmp_path / name)
    for item in FORMATS.values():
        assert all(suffix in caught.value.message for suffix in item.suffixes)


def test_an_empty_file_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").touch()
    with pytest.raises(DamagedModel, match="empty"):
        runtime_for(tmp_path / "m.onnx")


def test_a_folder_is_no_model_file(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModel, match=r"no septet\.toml"):
        runtime_for(tmp_path)
    (tmp_path / "septet.toml").touch()
    with pytest.raises(UnsupportedModel, match="model package"):
        runtime_for(tmp_path)


def test_a_runtime_is_loaded_by_its_key(tmp_path: Path) -> None:
    runtime = load("onnx", saved(tmp_path, identity()), LoadOptions())
    assert runtime.signature.inputs[0].name == "x"


def test_an_unknown_runtime_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModel, match="no runtime 'abacus'; there are onnx, sklearn"):
        load("abacus", tmp_path / "m", LoadOptions())
