"""Writing a package."""

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from septet.errors import PackageInvalid
from septet.model.consistency import check_signature
from septet.model.digest import DigestedFiles
from septet.model.folder import NewFolder, add_all
from septet.model.golden import Golden, golden_to_json
from septet.model.manifest import Manifest
from septet.model.package import (
    GOLDEN_NAME,
    MANIFEST_NAME,
    PROFILE_NAME,
    Package,
    check_names,
    file_bytes,
    read_package,
)
from septet.model.profile import Profile, profile_to_json
from septet.model.septet_toml import manifest_from_toml, manifest_to_toml


def write_package(
    root: Path,
    manifest: Manifest,
    files: Mapping[str, bytes | Path],
    *,
    golden: Golden | None = None,
    profile: Profile | None = None,
    replace: bool = False,
    digested: DigestedFiles | None = None,
) -> Package:
    """Write a package whole or not at all, with the digests of its files in the manifest, and read it back.

    `digested` are files that were loaded before and must be the same still when they have been copied.

    Raises:
        PackageInvalid: the folder exists and may not be replaced, a name or the signature is impossible, or a file
            cannot be read or written.
        LabelsMismatch: the labels do not fit the model's output.
        DigestMismatch: a file of `digested` was changed.
    """
    root = Path(os.path.realpath(root))
    if root.exists():
        _check_replaceable(root, replace=replace)
    contents = dict(files)
    for name in (GOLDEN_NAME, PROFILE_NAME):
        if name in contents:
            raise PackageInvalid(f"{name}: a file of the model cannot have this name, which a package uses; rename it")
    if golden is not None:
        contents[GOLDEN_NAME] = golden_to_json(golden)
    if profile is not None:
        contents[PROFILE_NAME] = profile_to_json(profile)
    declared = msgspec.structs.replace(manifest, files=dict.fromkeys(contents, ""))
    check_names(declared, str(root))
    check_signature(manifest.signature, str(root))
    try:
        with NewFolder(root) as folder:
            written = msgspec.structs.replace(manifest, files=add_all(folder, contents))
            folder.add(MANIFEST_NAME, manifest_to_toml(written).encode())
            package = read_package(folder.path)
            if digested is not None:
                digested.check_unchanged()
            folder.publish()
    except OSError as exc:
        raise PackageInvalid(f"{root}: the package cannot be written: {exc}") from exc
    return msgspec.structs.replace(package, root=root, artefact=root / manifest.artefact)


def _check_replaceable(root: Path, *, replace: bool) -> None:
    if not root.is_dir() or not (root / MANIFEST_NAME).is_file():
        raise PackageInvalid(f"{root}: exists and is not a Septet package, so it is left alone; choose another path")
    if not replace:
        raise PackageInvalid(f"{root}: exists; give --replace (in Python: replace=True) or choose another path")
    known = {*manifest_from_toml(file_bytes(root / MANIFEST_NAME), str(root / MANIFEST_NAME)).files, MANIFEST_NAME}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if not path.is_dir() and name not in known and "__pycache__" not in path.parts:
            raise PackageInvalid(f"{root}: holds '{name}', which is not of the package; move it before replacing")
