"""What is known of a model or package, gathered without running code that is not trusted."""

from pathlib import Path
from typing import Any

import msgspec

from septet.assembly.composition import age_of, open_service
from septet.assembly.opening import bare_digest, files_of
from septet.errors import Untrusted
from septet.model.digest import DigestedFiles, identity_digest
from septet.model.freshness import Freshness
from septet.model.manifest import Manifest
from septet.model.package import Package, read_package
from septet.packing.save import trust_needed
from septet.runtimes.artefact_files import check_artefact_files
from septet.settings import Settings


class ModelSummary(msgspec.Struct, frozen=True):
    """A model or package.

    Attributes:
        digest: its identity's; of a file that is not trusted, the file's.
        manifest: the package's or the one derived from the file; None where only running its code would tell.
        files: SHA-256 by name, of a package every file but the manifest.
        golden_rows: how many cases the package carries; None for a file.
        unlisted: files in the folder of a package that its manifest does not list, and that nothing reads.
        trust: digests of the files that run code of their own when loaded; usually none.
    """

    path: Path
    package: bool
    digest: str
    manifest: Manifest | None
    freshness: Freshness | None
    files: dict[str, str]
    golden_rows: int | None = None
    trust: tuple[str, ...] = ()
    unlisted: tuple[str, ...] = ()


def describe(path: Path, settings: Settings) -> ModelSummary:
    """Describe a package from its manifest, and a model file by loading it if that is safe.

    Raises:
        StartupError: it is missing, damaged or of no known format.
    """
    if not path.is_dir():
        return _of_file(path, settings)
    package = read_package(path)
    check_artefact_files(package)
    return _of_package(package, settings)


def golden_rows(package: Package) -> int:
    """Count the cases that the package proves itself by."""
    if package.golden is None:
        return 0
    return len(next(iter(package.golden.request.values()))) if package.manifest.signature.rows else 1


def plain(description: ModelSummary) -> dict[str, Any]:
    """Write a description as JSON values; keys do not depend on what is known."""
    manifest, fresh = description.manifest, description.freshness
    return {
        "path": str(description.path),
        "package": description.package,
        "name": manifest.name if manifest else None,
        "version": manifest.version if manifest else None,
        "digest": description.digest,
        "runtime": manifest.runtime if manifest else None,
        "artefact": manifest.artefact if manifest else description.path.name,
        "description": manifest.description if manifest else None,
        "signature": msgspec.to_builtins(manifest.signature) if manifest else None,
        "training": msgspec.to_builtins(manifest.training) if manifest else None,
        "valid_for_days": manifest.valid_for_days if manifest else None,
        "parity": msgspec.to_builtins(manifest.parity) if manifest else None,
        "engine": msgspec.to_builtins(manifest.engine) if manifest else None,
        "prepare": manifest.prepare if manifest else None,
        "freshness": msgspec.to_builtins(fresh) if fresh else None,
        "files": description.files,
        "unlisted": list(description.unlisted),
        "golden_rows": description.golden_rows,
        "trust": list(description.trust),
    }


def _of_package(package: Package, settings: Settings) -> ModelSummary:
    return ModelSummary(
        path=package.root,
        package=True,
        digest=package.digest,
        manifest=package.manifest,
        unlisted=package.unlisted,
        freshness=age_of(package.manifest, settings.model),
        files=package.manifest.files,
        golden_rows=golden_rows(package),
        trust=trust_needed(package),
    )


def _of_file(path: Path, settings: Settings) -> ModelSummary:
    try:
        service = open_service(path, settings)
    except Untrusted:
        files = files_of(path, settings.model.labels, DigestedFiles())
        return ModelSummary(
            path=path,
            package=False,
            digest=bare_digest(path, files),
            manifest=None,
            freshness=None,
            files=files,
            trust=(identity_digest(files[path.name]),),
        )
    return ModelSummary(
        path=path,
        package=False,
        digest=service.identity.digest,
        manifest=service.manifest,
        freshness=service.freshness(),
        files=service.manifest.files,
    )
