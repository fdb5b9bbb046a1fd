"""What was digested is what is served: weights beside a model, files that change, and what a package does not list."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import septet
from septet.assembly import open_service
from septet.assembly.sharing import stamp
from septet.cli.main import main
from septet.errors import DigestMismatch, PackageInvalid
from septet.runtimes.engine_table import ENGINES
from septet.settings import Settings
from tests.runtimes.onnx_models import FLOAT, constant, info, model, node, saved


def weighty(folder: Path, weight: float = 2.0) -> Path:
    made = model(
        [node("MatMul", ["x", "w"], ["y"])],
        [info("x", FLOAT, ["N", 2])],
        [info("y", FLOAT, ["N", 2])],
        [constant("w", np.full((2, 2), weight, np.float32))],
    )
    return saved(folder, made, save_as_external_data=True, location="w.bin", size_threshold=0)


def digest(path: Path) -> str:
    return open_service(path, Settings()).identity.digest


def weights(folder: Path, value: float) -> None:
    (folder / "new").write_bytes(np.full(4, value, np.float32).tobytes())
    (folder / "new").rename(folder / "w.bin")


def test_weights_beside_a_bare_model_belong_to_its_digest(tmp_path: Path) -> None:
    path = weighty(tmp_path)
    before, looked = digest(path), stamp(path)
    weights(tmp_path, 9)
    assert stamp(path) != looked
    assert digest(path) != before
    weights(tmp_path, 2)
    assert digest(path) == before


def test_a_label_file_beside_a_bare_model_belongs_to_its_digest(tmp_path: Path) -> None:
    from tests.runtimes.onnx_models import identity

    path = saved(tmp_path, identity())
    alone = digest(path)
    assert alone == "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()
    (tmp_path / "label.json").write_text('["low", "high"]')
    assert digest(path) != alone


def test_a_package_takes_the_weights_along_and_lists_them(tmp_path: Path) -> None:
    path = weighty(tmp_path)
    packed = septet.pack(path, tmp_path / "packed").package
    assert set(packed.manifest.files) >= {path.name, "w.bin"}
    weights(tmp_path / "packed", 9)
    with pytest.raises(DigestMismatch, match=r"w\.bin: is not the file that was packed"):
        open_service(tmp_path / "packed", Settings())


@pytest.mark.parametrize("command", ["inspect", "check", "serve"])
def test_a_package_that_does_not_list_its_weights_is_refused_with_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    root = septet.pack(weighty(tmp_path), tmp_path / "packed").package.root
    manifest = root / "septet.toml"
    kept = [line for line in manifest.read_text().splitlines() if not line.startswith('"w.bin" =')]
    manifest.write_text("\n".join(kept))
    with pytest.raises(PackageInvalid, match=r"w\.bin"):
        open_service(root, Settings())
    assert main([command, str(root)]) != 0
    out, err = capsys.readouterr()
    assert "w.bin" in out + err


def test_files_that_a_package_does_not_list_are_named_and_not_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = septet.pack(weighty(tmp_path), tmp_path / "packed").package.root
    (root / "notes\x1b[2J.txt").write_text("mine")
    assert main(["inspect", str(root)]) == 0
    out = capsys.readouterr().out
    assert "Not of the package, and not read" in out
    assert "notes\\x1b[2J.txt" in out
    assert "\x1b" not in out


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", ["model.onnx", "w.bin"])
def test_a_file_that_changes_between_digest_and_load_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, *, packed: bool
) -> None:
    path = weighty(tmp_path)
    folder = septet.pack(path, tmp_path / "packed").package.root if packed else tmp_path
    during_load(monkeypatch, lambda: touched(folder / name))
    with pytest.raises(DigestMismatch, match="was changed while the model was being loaded"):
        open_service(folder if packed else path, Settings())


def test_weights_that_change_while_they_are_packed_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = weighty(tmp_path)
    during_load(monkeypatch, lambda: weights(tmp_path, 9))
    with pytest.raises(DigestMismatch, match="was changed while"):
        septet.pack(path, tmp_path / "packed")
    assert not (tmp_path / "packed").exists()


def touched(path: Path) -> None:
    content = path.read_bytes()
    path.with_name("other").write_bytes(content)
    os.replace(path.with_name("other"), path)  # noqa: PTH105 - as a deployment does


def during_load(monkeypatch: pytest.MonkeyPatch, change: Callable[[], None]) -> None:
    from septet.runtimes.onnx import onnx_runtime

    original = onnx_runtime.load

    def load(*given: Any) -> Any:
        runtime = original(*given)
        change()
        return runtime

    monkeypatch.setattr(onnx_runtime, "load", load)
    assert ENGINES["onnx"].module == onnx_runtime.__name__
