"""The files of a package's model: whatever of them its manifest does not list could change unnoticed."""

from pathlib import PurePosixPath

from septet.errors import PackageInvalid
from septet.model.package import MANIFEST_NAME, Package
from septet.runtimes.engine_table import engine_named


def check_artefact_files(package: Package) -> None:
    """Refuse a package whose manifest does not list all files of its model. Runs none of them.

    Raises:
        PackageInvalid: a file is not listed; the message names it.
        StartupError: the model file cannot be read, or its runtime is not known.
    """
    manifest = package.manifest
    folder = PurePosixPath(manifest.artefact).parent
    for name in engine_named(manifest.runtime, package.artefact).side_files(package.artefact):
        listed = str(folder / name)
        if listed not in manifest.files:
            raise PackageInvalid(
                f"{package.root}: {manifest.artefact} has weights in {listed!r}, which 'files' in {MANIFEST_NAME} does "
                "not list, so that they could change unnoticed; pack the model file again with `septet pack`, which "
                "takes its weights along"
            )
