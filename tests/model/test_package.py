import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from septet.errors import DigestMismatch, LabelsMismatch, ModelNotFound, PackageInvalid
from septet.model.digest import bytes_digest, file_digest
from septet.model.golden import Golden
from septet.model.manifest import Manifest
from septet.model.package import Package, read_package
from septet.model.package_writing import write_package
from septet.model.profile import profile_of
from septet.model.signature import Kind, Signature, Tensor

SIGNATURE = Signature(
    Kind.CLASSIFICATION,
    (Tensor("x", "float32", (None, 2)),),
    (Tensor("scores", "float32", (None, 2)),),
    scores="scores",
    labels=("cat", "dog"),
)
MANIFEST = Manifest("pets", "1", "onnx", "model.onnx", SIGNATURE)
GOLDEN = Golden({"x": np.ones((1, 2), np.float32)}, {"scores": np.ones((1, 2), np.float32)}, 1e-5, 1e-4)
PROFILE = profile_of({"a": np.arange(5.0)})
FILES: dict[str, bytes | Path] = {"model.onnx": b"the model", "weights/part.bin": b"more of it"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "pets"


def written(root: Path, files: dict[str, bytes | Path] = FILES, *, replace: bool = False) -> Package:
    return write_package(root, MANIFEST, files, golden=GOLDEN, profile=PROFILE, replace=replace)


def edit(root: Path, old: str, new: str) -> None:
    path = root / "septet.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_what_is_written_can_be_read(root: Path) -> None:
    package = written(root)
    read = read_package(root)
    assert read.manifest == package.manifest
    assert read.digest == package.digest == "sha256:" + file_digest(root / "septet.toml")
    assert read.artefact == package.artefact == root / "model.onnx"
    assert read.profile == PROFILE
    assert read.golden is not None
    np.testing.assert_array_equal(read.golden.answer["scores"], GOLDEN.answer["scores"], strict=True)
    assert set(read.manifest.files) == {"model.onnx", "weights/part.bin", "golden.json", "profile.json"}
    assert read.manifest.files["model.onnx"] == bytes_digest(b"the model")


def test_golden_rows_and_profile_may_be_absent(root: Path) -> None:
    package = write_package(root, MANIFEST, {"model.onnx": b"m"})
    assert (package.golden, package.profile) == (None, None)


def test_files_are_copied_and_parents_are_made(tmp_path: Path) -> None:
    source = tmp_path / "trained.onnx"
    source.write_bytes(b"trained")
    package = write_package(tmp_path / "a" / "b", MANIFEST, {"model.onnx": source})
    assert package.artefact.read_bytes() == source.read_bytes() == b"trained"


def test_nothing_but_the_package_is_left_behind(root: Path) -> None:
    written(root)
    written(root, replace=True)
    assert [path.name for path in root.parent.iterdir()] == ["pets"]


# Reading: each fault has its own message.


def test_a_path_that_does_not_exist_is_refused(root: Path) -> None:
    with pytest.raises(ModelNotFound, match="pets: does not exist; give the path"):
        read_package(root)


def test_a_file_is_refused(root: Path) -> None:
    root.write_bytes(b"")
    with pytest.raises(PackageInvalid, match="is a file, not a package folder"):
        read_package(root)


def test_a_folder_without_a_manifest_is_refused(root: Path) -> None:
    root.mkdir()
    with pytest.raises(PackageInvalid, match=r"is a folder without septet\.toml"):
        read_package(root)


def test_a_listed_file_that_is_missing_is_refused(root: Path) -> None:
    written(root)
    (root / "model.onnx").unlink()
    with pytest.raises(PackageInvalid, match=r"model\.onnx: septet\.toml lists this file and it is missing"):
        read_package(root)


def test_a_listed_file_that_is_a_folder_is_refused(root: Path) -> None:
    written(root)
    (root / "model.onnx").unlink()
    (root / "model.onnx").mkdir()
    with pytest.raises(PackageInvalid, match="lists this as a file and it is none"):
        read_package(root)


def test_a_changed_file_is_refused_with_both_digests(root: Path) -> None:
    package = written(root)
    (root / "model.onnx").write_bytes(b"another model")
    with pytest.raises(DigestMismatch, match=r"model\.onnx: is not the file that was packed") as caught:
        read_package(root)
    assert f"expected SHA-256 {package.manifest.files['model.onnx']}" in caught.value.message
    assert f"got {bytes_digest(b'another model')}" in caught.value.message


@pytest.mark.parametrize(("size", "words"), [(3, "it has 3 bytes"), (0, "it has 0 bytes")])
def test_a_truncated_file_is_refused_with_its_size(root: Path, size: int, words: str) -> None:
    written(root)
    os.truncate(root / "model.onnx", size)
    with pytest.raises(DigestMismatch, match=words):
        read_package(root)


def test_a_missing_label_file_is_refused(root: Path) -> None:
    written(root, FILES | {"label.json": b'["cat", "dog"]'})
    (root / "label.json").unlink()
    with pytest.raises(LabelsMismatch, match=r"label\.json: the label file that septet\.toml lists is missing"):
        read_package(root)


def test_a_label_file_names_the_classes_where_the_manifest_does_not(root: Path) -> None:
    bare = msgspec.structs.replace(SIGNATURE, labels=())
    manifest = msgspec.structs.replace(MANIFEST, signature=bare)
    write_package(root, manifest, FILES | {"label.json": b'["cat", "dog"]'})
    assert read_package(root).manifest.signature.labels == ("cat", "dog")


def test_a_label_file_that_contradicts_the_manifest_is_refused(root: Path) -> None:
    with pytest.raises(LabelsMismatch, match=r"says \['cat', 'cow'\], and signature.labels in septet.toml says"):
        written(root, FILES | {"label.json": b'["cat", "cow"]'})
    assert not root.exists()


def test_labels_that_do_not_fit_the_scores_are_refused(root: Path) -> None:
    written(root)
    edit(root, '    "dog",\n', '    "dog",\n    "cow",\n')
    with pytest.raises(LabelsMismatch, match="holds 3 labels, and the model's output 'scores' has 2 classes"):
        read_package(root)


@pytest.mark.parametrize("name", ["../model.onnx", "/model.onnx", "a/../../b", "a//b", "./a", "a\\b", "", "."])
def test_a_path_that_may_leave_the_package_is_refused(root: Path, name: str) -> None:
    written(root)
    edit(root, '"weights/part.bin"', f'"{name}"'.replace("\\", "\\\\"))
    with pytest.raises(PackageInvalid, match="'files' lists '"):
        read_package(root)


def test_a_link_out_of_the_package_is_refused(root: Path) -> None:
    written(root)
    outside = root.with_name("outside")
    (root / "model.onnx").rename(outside)
    (root / "model.onnx").symlink_to(outside)
    with pytest.raises(PackageInvalid, match=r"model\.onnx: is a link to outside of the package"):
        read_package(root)


def test_a_link_in_a_circle_is_refused(root: Path) -> None:
    written(root)
    (root / "model.onnx").unlink()
    (root / "model.onnx").symlink_to("model.onnx")
    with pytest.raises(PackageInvalid, match=r"lists this file and it is missing"):
        read_package(root)


@pytest.mark.parametrize("name", ["model.onnx", "septet.toml"])
def test_a_file_that_may_not_be_read_is_refused(root: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    written(root)
    opened: Callable[..., Any] = Path.open

    def guarded(self: Path, mode: str = "r", **options: int) -> object:
        if self.name == name:
            raise PermissionError(13, "Permission denied")
        return opened(self, mode, **options)

    # Not by the file's mode, for root may read everything.
    monkeypatch.setattr(Path, "open", guarded)
    with pytest.raises(PackageInvalid, match=rf"{name}: cannot be read: .*Permission denied"):
        read_package(root)


def test_a_link_inside_the_package_is_followed(root: Path) -> None:
    written(root)
    (root / "model.onnx").rename(root / "..data")
    (root / "model.onnx").symlink_to("..data")
    assert read_package(root).artefact.read_bytes() == b"the model"


@pytest.mark.parametrize("key", ["artefact", "prepare"])
def test_what_the_manifest_names_must_be_listed(root: Path, key: str) -> None:
    written(root)
    edit(root, 'artefact = "model.onnx"', 'artefact = "model.onnx"\nprepare = "model.onnx"')
    edit(root, f'{key} = "model.onnx"', f'{key} = "other.py"')
    with pytest.raises(PackageInvalid, match=rf"{key} is 'other\.py', which 'files' does not list"):
        read_package(root)


@pytest.mark.parametrize("name", ["golden.json", "profile.json"])
def test_golden_rows_and_profile_must_be_listed(root: Path, name: str) -> None:
    write_package(root, MANIFEST, FILES)
    (root / name).write_text("{}")
    with pytest.raises(PackageInvalid, match=f"'files' does not list {name}"):
        read_package(root)


def test_other_files_are_ignored(root: Path) -> None:
    package = written(root)
    (root / "notes.txt").write_text("bought on Monday")
    assert read_package(root).manifest == package.manifest


def test_a_newer_format_is_refused(root: Path) -> None:
    written(root)
    edit(root, "format = 1", "format = 9")
    with pytest.raises(PackageInvalid, match="is of format 9"):
        read_package(root)


# Writing: whole or not at all.


def test_an_existing_package_is_not_replaced_unasked(root: Path) -> None:
    before = written(root)
    with pytest.raises(PackageInvalid, match="exists; give --replace"):
        written(root, {"model.onnx": b"new"})
    assert read_package(root).digest == before.digest


def test_an_existing_package_is_replaced_when_asked(root: Path) -> None:
    written(root)
    after = written(root, {"model.onnx": b"new"}, replace=True)
    assert read_package(root).digest == after.digest
    assert not (root / "weights").exists()


def test_a_link_to_a_package_keeps_being_a_link(root: Path) -> None:
    written(root)
    link = root.with_name("current")
    link.symlink_to(root)
    assert write_package(link, MANIFEST, {"model.onnx": b"new"}, replace=True).root == root
    assert link.is_symlink()
    assert (link / "model.onnx").read_bytes() == b"new"


def test_a_folder_that_is_no_package_is_never_replaced(root: Path) -> None:
    root.mkdir()
    (root / "thesis.tex").write_text("years of work")
    with pytest.raises(PackageInvalid, match="is not a Septet package, so it is left alone"):
        written(root, replace=True)
    assert (root / "thesis.tex").exists()


def test_files_that_people_put_into_a_package_are_not_deleted(root: Path) -> None:
    written(root)
    (root / "notes.txt").write_text("bought on Monday")
    with pytest.raises(PackageInvalid, match=r"holds 'notes\.txt', which is not of the package"):
        written(root, replace=True)
    assert (root / "notes.txt").exists()


def test_an_interrupted_write_leaves_the_old_package(root: Path) -> None:
    before = written(root)
    files: dict[str, bytes | Path] = {"model.onnx": b"new", "weights.bin": root.with_name("missing")}
    with pytest.raises(PackageInvalid, match=r"the package cannot be written: .*missing"):
        written(root, files, replace=True)
    assert read_package(root).digest == before.digest
    assert [path.name for path in root.parent.iterdir()] == ["pets"]


def test_a_failed_rename_puts_the_old_package_back(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = written(root)
    rename = Path.rename

    def failing(self: Path, target: Path) -> Path:
        if self.name.endswith(".new"):
            raise OSError("the disk is gone")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(PackageInvalid, match="the disk is gone"):
        written(root, {"model.onnx": b"new"}, replace=True)
    assert read_package(root).digest == before.digest
    assert [path.name for path in root.parent.iterdir()] == ["pets"]


def test_a_package_that_could_not_be_read_back_is_not_written(root: Path) -> None:
    with pytest.raises(PackageInvalid, match=r"artefact is 'model\.onnx', which 'files' does not list"):
        write_package(root, MANIFEST, {"other.onnx": b"m"})
    with pytest.raises(PackageInvalid, match=r"'files' lists '\.\./x'"):
        write_package(root, MANIFEST, FILES | {"../x": b"m"})
    with pytest.raises(PackageInvalid, match=r"'files' lists 'septet\.toml'"):
        write_package(root, MANIFEST, FILES | {"septet.toml": b"m"})
    assert list(root.parent.iterdir()) == []
