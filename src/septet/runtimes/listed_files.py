"""Whether a package lists every file that its engine reads: what is not listed has no digest and may be changed."""

from pathlib import Path, PurePosixPath

from septet.control_characters import escaped
from septet.errors import PackageInvalid
from septet.model.manifest import Manifest
from septet.runtimes.engine_table import engine_named


def require_listed(manifest: Manifest, artefact: Path) -> None:
    """Refuse a package whose manifest does not list a file beside its artefact that belongs to the model.

    Raises:
        PackageInvalid: the message names the file, and what to do.
        StartupError: the artefact cannot be read, or one of its files is missing or lies elsewhere.
    """
    folder = PurePosixPath(manifest.artefact).parent
    for name in engine_named(manifest.runtime, artefact).side_files(artefact):
        listed = (folder / name).as_posix()
        if listed not in manifest.files:
            raise PackageInvalid(
                f"{artefact}: reads weights from '{escaped(listed)}', and 'files' of the manifest does not list it, so "
                "nobody would notice if it were changed. Pack the model again with `septet pack`, or add the file and "
                "its SHA-256 to 'files'"
            )
