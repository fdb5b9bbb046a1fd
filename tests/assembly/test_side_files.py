"""What a model's answers depend on is of its digest: weights and labels beside a file, and every file of a package."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from septet.assembly.opening import open_model
from septet.assembly.sharing import stamp
from septet.cli.main import main
from septet.cli.model_summary import describe
from septet.errors import DigestMismatch, PackageInvalid
from septet.model.digest import file_digest
from septet.model.package import read_package
from septet.model.septet_toml import manifest_to_toml
from septet.packing import packaging
from septet.packing.evidence import golden_of
from septet.packing.packaging import pack
from septet.runtimes.onnx import onnx_runtime
from septet.settings import Model, Settings
from tests.e2e.process import IRIS
from tests.runtimes.external_data import answer, mapped, places, weights, written


def digest(path: Path, **settings: Any) -> str:
    return open_model(path, Model(**settings), threads=1).identity.digest


@pytest.mark.parametrize("place", places())
def test_the_digest_of_a_bare_file_is_that_of_its_weights_too(place: str, tmp_path: Path) -> None:
    path = written(tmp_path, places()[place])
    before = digest(path)
    assert before == digest(path)
    (tmp_path / "w.bin").write_bytes(weights(9))
    assert digest(path) != before
    (tmp_path / "w.bin").write_bytes(weights(2))
    assert digest(path) == before
    assert describe(path, Settings()).digest == before
    assert set(describe(path, Settings()).files) == {"model.onnx", "w.bin"}


def test_the_digest_of_one_file_alone_is_its_own(tmp_path: Path) -> None:
    shutil.copy(IRIS / "model.onnx", tmp_path / "any.onnx")
    assert digest(tmp_path / "any.onnx") == f"sha256:{file_digest(IRIS / 'model.onnx')}"


def test_the_digest_is_that_of_the_label_file_too(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    shutil.copy(IRIS / "model.onnx", path)
    alone = digest(path)
    (tmp_path / "label.json").write_text('{"0": "a", "1": "b", "2": "c"}')
    named = digest(path)
    (tmp_path / "label.json").write_text('{"0": "c", "1": "b", "2": "a"}')
    renamed = digest(path)
    assert len({alone, named, renamed}) == 3
    assert digest(path, labels="none") == alone
    assert digest(path, labels=str(tmp_path / "label.json")) == renamed


def test_labels_that_replace_those_of_a_package_change_its_digest(tmp_path: Path) -> None:
    labels = tmp_path / "own.json"
    labels.write_text('["a", "b", "c"]')
    assert digest(IRIS, labels=str(labels)) != digest(IRIS) == digest(IRIS, labels="none")


@pytest.mark.parametrize("place", places())
def test_a_change_of_weights_is_seen_by_whoever_watches_the_model(place: str, tmp_path: Path) -> None:
    path = written(tmp_path, places()[place])
    before = stamp(path)
    assert before == stamp(path)
    (tmp_path / "new").write_bytes(weights(9))
    (tmp_path / "new").rename(tmp_path / "w.bin")
    assert stamp(path) != before


def test_weights_that_come_later_are_seen(tmp_path: Path) -> None:
    path = mapped(tmp_path)
    (tmp_path / "w.bin").unlink()
    before = stamp(path)
    (tmp_path / "w.bin").write_bytes(weights(2))
    assert stamp(path) != before


def test_a_change_of_the_label_file_that_is_named_is_seen(tmp_path: Path) -> None:
    (tmp_path / "own.json").write_text("[]")
    before = stamp(IRIS, str(tmp_path / "own.json"))
    (tmp_path / "own.json").write_text("{}")
    assert stamp(IRIS, str(tmp_path / "own.json")) != before


@pytest.mark.parametrize("place", places())
def test_pack_takes_weights_along_and_their_change_is_refused(place: str, tmp_path: Path) -> None:
    path = written(tmp_path, places()[place])
    package = pack(path, tmp_path / "package").package
    assert set(package.manifest.files) == {"model.onnx", "w.bin", "golden.json"}
    opened = open_model(package.root, Model(), threads=1)
    np.testing.assert_array_equal(answer(opened.runtime), [[2, 2]] if "sparse" in place else [[4, 4]])
    (package.root / "w.bin").write_bytes(weights(9))
    with pytest.raises(DigestMismatch, match=r"w\.bin: is not the file that was packed"):
        open_model(package.root, Model(), threads=1)


@pytest.mark.parametrize("place", places())
def test_a_package_that_does_not_list_its_weights_is_refused_by_their_name(
    place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package = unlisted(tmp_path, written(tmp_path, places()[place]))
    with pytest.raises(PackageInvalid, match=r"weights in 'w\.bin', which 'files' .* pack the model file again"):
        open_model(package, Model(), threads=1)
    for command in ("check", "inspect"):
        assert main([command, str(package)]) != 0
        printed = capsys.readouterr()
        assert "w.bin" in printed.out + printed.err


def unlisted(folder: Path, path: Path) -> Path:
    package = pack(path, folder / "package").package
    files = {name: digest for name, digest in package.manifest.files.items() if name != "w.bin"}
    text = manifest_to_toml(msgspec.structs.replace(package.manifest, files=files))
    (package.root / "septet.toml").write_text(text)
    return package.root


def test_a_file_that_the_manifest_does_not_list_is_ignored(tmp_path: Path) -> None:
    package = tmp_path / "iris"
    shutil.copytree(IRIS, package)
    (package / "README.md").write_text("notes")
    (package / "prepare.py").write_text("raise SystemExit('it was run')")
    (package / "w.bin").write_bytes(b"anything")
    assert digest(package) == digest(IRIS)


def _replaced_by(path: Path, number: float) -> Callable[..., Any]:
    """`load` of the engine, with weights that are replaced just before."""
    load = onnx_runtime.load

    def late(*given: Any, **named: Any) -> Any:
        (path.parent / "w.bin").write_bytes(weights(number))
        return load(*given, **named)

    return late


def test_a_file_that_changes_between_digest_and_loading_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = mapped(tmp_path)
    package = pack(path, tmp_path / "package").package
    for model in (path, package.artefact):
        with monkeypatch.context() as patched:
            patched.setattr(onnx_runtime, "load", _replaced_by(model, 9))
            with pytest.raises(DigestMismatch, match=r"w\.bin: was changed while the model was being loaded"):
                open_model(path if model == path else package.root, Model(), threads=1)


def test_a_file_that_changes_between_loading_and_packing_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = mapped(tmp_path)
    monkeypatch.setattr(packaging, "golden_of", _after(golden_of, tmp_path / "w.bin"))
    with pytest.raises(DigestMismatch, match=r"w\.bin: was changed"):
        pack(path, tmp_path / "package")
    assert not (tmp_path / "package").exists()


def _after(step: Callable[..., Any], file: Path) -> Callable[..., Any]:
    def changed(*given: Any) -> Any:
        found = step(*given)
        file.write_bytes(weights(9))
        return found

    return changed


def test_weights_in_a_folder_of_their_own_keep_their_place(tmp_path: Path) -> None:
    from tests.runtimes.external_data import external
    from tests.runtimes.onnx_models import FLOAT, info, model, node

    (tmp_path / "data").mkdir()
    nodes = [node("MatMul", ["x", "w"], ["y"])]
    inputs, outputs = [info("x", FLOAT, ["N", 2])], [info("y", FLOAT, ["N", 2])]
    path = written(tmp_path, model(nodes, inputs, outputs, [external(location="./data/w.bin")]))
    (tmp_path / "w.bin").rename(tmp_path / "data" / "w.bin")
    package = pack(path, tmp_path / "package").package
    assert read_package(package.root).manifest.files["data/w.bin"] == file_digest(tmp_path / "data" / "w.bin")
    np.testing.assert_array_equal(answer(open_model(package.root, Model(), threads=1).runtime), [[4, 4]])
