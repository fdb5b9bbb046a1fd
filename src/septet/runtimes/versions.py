"""Whether the libraries here can run what others trained: asked before anything is unpickled."""

from septet.errors import MissingExtra, VersionsMismatch
from septet.model.manifest import Manifest

# The libraries whose objects a native artefact holds, by runtime. ONNX artefacts hold none.
HELD = {"sklearn": ("scikit-learn",)}


def require_versions(manifest: Manifest) -> None:
    """Refuse a native artefact whose library differs in its major or minor version from the one installed.

    Raises:
        VersionsMismatch: it does: such a model may fail to load or, worse, predict differently.
        MissingExtra: the library is not installed.
    """
    held = HELD.get(manifest.runtime, ())
    if not held:
        return
    from importlib import metadata  # 30 ms and the email package, for those only who need it

    for library in held:
        trained = manifest.training.libraries.get(library)
        if trained is None:
            continue
        try:
            here = metadata.version(library)
        except metadata.PackageNotFoundError:
            raise MissingExtra(
                f"{manifest.name} needs {library}; install it with: pip install 'septet[{manifest.runtime}]'"
            ) from None
        if trained.split(".")[:2] != here.split(".")[:2]:
            raise VersionsMismatch(
                f"{manifest.name} was trained with {library} {trained} and {here} is installed, which may predict "
                f"differently. Install {library}=={trained}, or save the model again with {here}."
            )
