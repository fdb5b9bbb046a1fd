"""Which models are loaded once for all workers, and when a worker notices that one has changed."""

import shutil
from pathlib import Path

import pytest

from septet.assembly.sharing import shareable, stamp
from septet.settings import Model, Server, Settings
from tests.e2e.process import IRIS

ONE_THREAD = Settings(model=Model(threads=1))


def test_onnx_models_of_one_thread_are_shared() -> None:
    assert shareable(IRIS, ONE_THREAD)
    assert shareable(IRIS / "model.onnx", ONE_THREAD)
    assert shareable(IRIS, Settings(server=Server(workers=1024)))


def test_models_whose_engines_may_have_threads_are_not_shared(tmp_path: Path) -> None:
    assert not shareable(IRIS, Settings(model=Model(threads=2)))
    (tmp_path / "model.skops").write_bytes(b"anything")
    assert not shareable(tmp_path / "model.skops", ONE_THREAD)


@pytest.mark.parametrize("name", ["nothing.onnx", "empty.onnx", ".", "broken"])
def test_what_cannot_be_read_is_left_to_the_loader_to_explain(name: str, tmp_path: Path) -> None:
    (tmp_path / "empty.onnx").touch()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "septet.toml").write_text("no manifest")
    assert not shareable(tmp_path / name, ONE_THREAD)


def test_a_stamp_changes_with_the_files_of_a_model(tmp_path: Path) -> None:
    package = tmp_path / "iris"
    shutil.copytree(IRIS, package)
    before = stamp(package)
    assert before == stamp(package)
    (package / "model.onnx").write_bytes(b"another")
    assert stamp(package) != before

    bare = tmp_path / "model.onnx"
    shutil.copy(IRIS / "model.onnx", bare)
    before = stamp(bare)
    (tmp_path / "label.json").write_text("[]")
    assert stamp(bare) != before
