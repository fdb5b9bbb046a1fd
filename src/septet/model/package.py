"""A package: a folder that carries everything a model's answers depend on, and proves it when it is read."""

import os
import re
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Final

import msgspec

from septet.errors import DigestMismatch, LabelsMismatch, ModelNotFound, PackageInvalid
from septet.model.consistency import check_signature
from septet.model.digest import DigestedFiles, bytes_digest, identity_digest
from septet.model.golden import Golden, golden_from_json
from septet.model.label_files import LABEL_NAMES, files_beside
from septet.model.labels import read_labels, with_labels
from septet.model.manifest import Manifest
from septet.model.profile import Profile, profile_from_json
from septet.model.septet_toml import manifest_from_toml
from septet.settings import NAME_PATTERN, VERSION_PATTERN

MANIFEST_NAME: Final = "septet.toml"
GOLDEN_NAME: Final = "golden.json"
PROFILE_NAME: Final = "profile.json"
_MOST_UNLISTED: Final = 1000


class Package(msgspec.Struct, frozen=True, eq=False):
    """A package as read and verified.

    Attributes:
        root: its folder.
        manifest: what `septet.toml` says.
        digest: `sha256:` and the SHA-256 of the bytes of `septet.toml`, which names the digest of every other file.
        artefact: the path of the model file.
        golden, profile: read from their files, or None where the package has none.
        digested: its files as they were when they were verified.
    """

    root: Path
    manifest: Manifest
    digest: str
    artefact: Path
    golden: Golden | None
    profile: Profile | None
    digested: DigestedFiles

    @property
    def unlisted(self) -> tuple[str, ...]:
        """The files in its folder that the manifest does not list, and that nothing reads; sorted, at most 1,000."""
        known = {*self.manifest.files, MANIFEST_NAME}
        names = (path.relative_to(self.root).as_posix() for path in islice(self.root.rglob("*"), _MOST_UNLISTED))
        # Label files have rules of their own, see `check_unlisted_labels`.
        ours = (name for name in names if name not in known and name not in LABEL_NAMES and "__pycache__" not in name)
        return tuple(sorted(name for name in ours if not (self.root / name).is_dir()))


def read_package(root: Path) -> Package:
    """Read a package and verify that its files are those it was packed with. Runs none of them.

    Raises:
        ModelNotFound: the folder does not exist.
        PackageInvalid: the manifest is missing, unreadable or contradicts the files.
        DigestMismatch: a file's bytes are not those that were packed.
        LabelsMismatch: the labels are missing or do not fit the model's output.
    """
    if not root.exists():
        raise ModelNotFound(f"{root}: does not exist; give the path of a package folder or a model file")
    if not root.is_dir():
        raise PackageInvalid(f"{root}: is a file, not a package folder; give the folder that holds its {MANIFEST_NAME}")
    source = root / MANIFEST_NAME
    if not source.is_file():
        raise PackageInvalid(
            f"{root}: is a folder without {MANIFEST_NAME}; give a folder that `septet pack` or `septet.save` wrote, "
            "or a model file"
        )
    data = file_bytes(source)
    manifest = manifest_from_toml(data, str(source))
    check_names(manifest, str(source))
    check_signature(manifest.signature, str(source))
    digested = DigestedFiles()
    for name, digest in manifest.files.items():
        _check_file(root, name, digest, digested)
    for name in (GOLDEN_NAME, PROFILE_NAME):
        if name not in manifest.files and (root / name).exists():
            raise PackageInvalid(
                f"{source}: 'files' does not list {name}, which stands in the folder; list or remove it"
            )
    golden, profile = root / GOLDEN_NAME, root / PROFILE_NAME
    return Package(
        root=root,
        manifest=_with_label_file(manifest, root),
        digest=identity_digest(bytes_digest(data)),
        artefact=root / manifest.artefact,
        golden=golden_from_json(file_bytes(golden), str(golden)) if GOLDEN_NAME in manifest.files else None,
        profile=profile_from_json(file_bytes(profile), str(profile)) if PROFILE_NAME in manifest.files else None,
        digested=digested,
    )


def check_names(manifest: Manifest, source: str) -> None:
    """Refuse names that a package cannot have.

    Raises:
        PackageInvalid: the manifest has one; `source` is what the message names.
    """
    for key, given, pattern in (
        ("name", manifest.name, NAME_PATTERN),
        ("version", manifest.version, VERSION_PATTERN),
    ):
        # Both go into headers, paths and metrics.
        if not re.fullmatch(pattern, given):
            more = "" if key == "name" else " and '+'"
            raise PackageInvalid(
                f"{source}: {key} is {given!r}; up to 128 letters, digits, '.', '-', '_'{more} are expected, a letter "
                "or digit first"
            )
    for name in manifest.files:
        path = PurePosixPath(name)
        if (
            path.is_absolute()
            or ".." in path.parts
            or path.as_posix() != name
            or "\\" in name
            or not name.isprintable()
        ):
            raise PackageInvalid(f"{source}: 'files' lists {name!r}; a file's path is relative and inside the package")
        if name in (".", MANIFEST_NAME):
            raise PackageInvalid(f"{source}: 'files' lists '{name}', which cannot have a digest there")
    for role, required in (("artefact", manifest.artefact), ("prepare", manifest.prepare)):
        if required is not None and required not in manifest.files:
            raise PackageInvalid(f"{source}: {role} is '{required}', which 'files' does not list")


def _check_file(root: Path, name: str, digest: str, digested: DigestedFiles) -> None:
    path = root / name
    # `Path.resolve` raises RuntimeError on links in a circle; these are then missing.
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root)):
        raise PackageInvalid(f"{path}: is a link to outside of the package; copy the file into the package")
    if not path.exists():
        if name in LABEL_NAMES:
            raise LabelsMismatch(f"{path}: the label file that {MANIFEST_NAME} lists is missing; pack the model again")
        raise PackageInvalid(f"{path}: {MANIFEST_NAME} lists this file and it is missing; pack the model again")
    if not path.is_file():
        raise PackageInvalid(f"{path}: {MANIFEST_NAME} lists this as a file and it is none")
    try:
        found = digested.digest(path)
    except OSError as exc:
        raise PackageInvalid(f"{path}: cannot be read: {exc}") from exc
    if found != digest.lower():
        raise DigestMismatch(
            f"{path}: is not the file that was packed (it has {path.stat().st_size} bytes): expected SHA-256 {digest}, "
            f"got {found}; it was changed or truncated, so copy or pack it again"
        )


def _with_label_file(manifest: Manifest, root: Path) -> Manifest:
    name = next((name for name in LABEL_NAMES if name in manifest.files), None)
    if name is None:
        return manifest
    fitted = with_labels(manifest.signature, read_labels(root / name), root / name)
    stated = manifest.signature.labels
    if stated and fitted.labels != stated:
        raise LabelsMismatch(
            f"{root / name}: says {list(fitted.labels)}, and signature.labels in {MANIFEST_NAME} says {list(stated)}"
        )
    return manifest if stated else msgspec.structs.replace(manifest, signature=fitted)


def check_unlisted_labels(package: Package) -> None:
    """Refuse a label file in the package's folder that is not of the package and says otherwise.

    Raises:
        LabelsMismatch: there is one.
    """
    signature = package.manifest.signature
    for path in files_beside(package.root):
        if path.name in package.manifest.files:
            continue
        fitted = with_labels(signature, read_labels(path), path, in_any_order=True)
        if fitted.labels != signature.labels:
            raise LabelsMismatch(
                f"{path}: is not of the package and calls the classes {list(fitted.labels)}, which the package calls "
                f"{list(signature.labels)}; remove the file, or say --labels {path.name} to use its names all the "
                "same, or --labels none to use the package's"
            )


def file_bytes(path: Path) -> bytes:
    """Read a file of a package.

    Raises:
        PackageInvalid: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as exc:
        raise PackageInvalid(f"{path}: cannot be read: {exc}") from exc
