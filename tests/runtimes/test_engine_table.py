"""The table of engines: a file's suffix names its runtime, and what no runtime reads is refused in plain words."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from septet.assembly.opening import open_model
from septet.assembly.sharing import shareable
from septet.errors import DamagedModel, ModelNotFound, UnsupportedModel
from septet.packing.packaging import pack
from septet.runtimes.base import LoadOptions
from septet.runtimes.engine import Engine
from septet.runtimes.engine_table import ENGINES, engine_for, load
from septet.settings import Settings
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
    assert engine_for(path).key == key


def test_a_missing_path_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="no such file"):
        engine_for(tmp_path / "m.onnx")


@pytest.mark.parametrize("name", ["m.txt", "model"])
def test_an_unknown_suffix_is_refused_with_all_that_are_read(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(UnsupportedModel) as caught:
        engine_for(tmp_path / name)
    for item in ENGINES.values():
        assert all(suffix in caught.value.message for suffix in item.suffixes)


def test_an_empty_file_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").touch()
    with pytest.raises(DamagedModel, match="empty"):
        engine_for(tmp_path / "m.onnx")


def test_a_folder_is_no_model_file(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModel, match=r"no septet\.toml"):
        engine_for(tmp_path)
    (tmp_path / "septet.toml").touch()
    with pytest.raises(UnsupportedModel, match="model package"):
        engine_for(tmp_path)


def test_a_runtime_is_loaded_by_its_key(tmp_path: Path) -> None:
    runtime = load("onnx", saved(tmp_path, identity()), LoadOptions())
    assert runtime.signature.inputs[0].name == "x"


def test_an_unknown_runtime_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModel, match="no runtime 'abacus'; there are onnx, sklearn"):
        load("abacus", tmp_path / "m", LoadOptions())


MODULE = """
from pathlib import Path
from septet.model.signature import Column, Kind, Signature, Tensor
from septet.runtimes.echo.echo_runtime import EchoRuntime

def load(path, options):
    column = Column("x", "float32")
    inputs = (Tensor("x", "float32", (None, 1), (column,)),)
    signature = Signature(Kind.TENSORS, inputs, (Tensor("y", "float32", (None, 1)),))
    return EchoRuntime(signature, scale=float(path.read_text()))

def side_files(path):
    return ("weights.bin",)

def runs_code(path):
    return "!" in path.read_text()
"""


@pytest.fixture
def abacus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An engine of one module and one line in the table, and a model file of it."""
    (tmp_path / "abacus_runtime.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    engine = Engine(key="abacus", suffixes=(".beads",), module="abacus_runtime", has_side_files=True)
    monkeypatch.setitem(ENGINES, "abacus", engine)
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "double.beads").write_text("2")
    (folder / "weights.bin").write_bytes(b"weights")
    return folder / "double.beads"


def test_an_engine_is_added_by_one_folder_and_one_line_in_the_table(tmp_path: Path, abacus: Path) -> None:
    saved_package = pack(abacus, tmp_path / "package")
    assert saved_package.package.manifest.runtime == "abacus"
    assert (tmp_path / "package" / "weights.bin").read_bytes() == b"weights"
    assert saved_package.trust == ()
    for path in (abacus, tmp_path / "package"):
        settings = Settings()
        assert not shareable(path, settings)
        opened = open_model(path, settings.model, threads=1)
        answer = opened.runtime.run({"x": np.array([[21]], np.float32)})
        assert (opened.manifest.runtime, answer["y"].tolist()) == ("abacus", [[42.0]])


def test_code_of_an_added_engine_needs_trust(abacus: Path) -> None:
    assert not ENGINES["abacus"].runs_code(abacus)
    abacus.write_text("2!")
    assert ENGINES["abacus"].runs_code(abacus)


def test_the_table_is_read_without_importing_an_engine() -> None:
    code = (
        "import sys; from septet.runtimes.engine_table import ENGINES; "
        "print([name for name in ('onnxruntime', 'sklearn', 'pandas', 'skops') if name in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
