"""What lies in the folder of a package and is not of it: not read, and named, so that nobody takes it for a part."""

import json
import logging
import shutil
from pathlib import Path

import pytest

from septet.assembly import open_service
from septet.cli.main import main
from septet.errors import PackageInvalid
from septet.model.package import read_package
from septet.model.package_writing import write_package
from septet.settings import Settings
from tests.e2e.process import IRIS


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A package beside whose files others lie, one with a name that would clear a terminal."""
    made = tmp_path / "iris"
    shutil.copytree(IRIS, made)
    (made / "tokenizer.json").write_text("{}")
    (made / "extra").mkdir()
    (made / "extra" / "notes\x1b[2J.txt").write_text("mine")
    (made / "__pycache__").mkdir()
    (made / "__pycache__" / "prepare.pyc").write_bytes(b"")
    return made


def test_files_that_a_package_does_not_list_are_named_by_inspect_and_check(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", str(root)]) == 0
    out = capsys.readouterr().out
    assert "Not of the package, and not read" in out
    assert main(["inspect", str(root), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["unlisted"] == ["extra/notes\x1b[2J.txt", "tokenizer.json"]
    assert main(["check", str(root), "--allow-stale"]) == 0
    checked = capsys.readouterr().out
    for printed in (out, checked):
        assert r"extra/notes\x1b[2J.txt" in printed
        assert "tokenizer.json" in printed


def test_files_that_a_package_does_not_list_are_named_in_the_log_and_change_nothing(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    logging.getLogger("septet").propagate = True
    with caplog.at_level(logging.INFO, "septet"):
        served = open_service(root, Settings())
    assert served.identity == open_service(IRIS, Settings()).identity
    assert "the manifest does not list" in caplog.text
    assert "tokenizer.json" in caplog.text


def test_a_package_of_its_own_files_has_no_others() -> None:
    assert read_package(IRIS).unlisted == ()


@pytest.mark.parametrize("name", ["golden.json", "profile.json"])
def test_a_file_of_weights_cannot_take_the_place_of_a_file_of_the_package(tmp_path: Path, name: str) -> None:
    manifest = read_package(IRIS).manifest
    with pytest.raises(PackageInvalid, match="cannot have this name"):
        write_package(tmp_path / "made", manifest, {manifest.artefact: b"model", name: b"weights"})
