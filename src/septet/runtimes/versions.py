"""Whether the libraries here can run what others trained: asked before anything is unpickled."""

from types import ModuleType

from septet.errors import MissingExtra, VersionsMismatch
from septet.model.manifest import Manifest
from septet.runtimes.engine_table import ENGINES

# One library under several names.
_ALSO = {"xgboost": "xgboost-cpu", "xgboost-cpu": "xgboost"}


def require_versions(manifest: Manifest) -> None:
    """Refuse a native artefact whose library differs in its major or minor version from the one installed.

    Raises:
        VersionsMismatch: it does: such a model may fail to load or, worse, predict differently.
        MissingExtra: the library is not installed.
    """
    engine = ENGINES.get(manifest.runtime)
    if engine is None or not engine.compared:
        return
    from importlib import metadata  # 30 ms and the email package, for those only who need it

    for library in engine.compared:
        trained = manifest.training.libraries.get(library)
        if trained is None:
            continue
        here = _installed(library, metadata)
        if here is None:
            wanted = f"'septet[{engine.key}]'" if library in engine.held else f"{library}=={trained}"
            raise MissingExtra(f"{manifest.name} needs {library}; install it with: pip install {wanted}")
        if trained.split(".")[:2] != here.split(".")[:2]:
            raise VersionsMismatch(
                f"{manifest.name} was trained with {library} {trained} and {here} is installed, which may predict "
                f"differently. Install {library}=={trained}, or save the model again with {here}."
            )


def _installed(library: str, metadata: ModuleType) -> str | None:
    for name in (library, _ALSO.get(library)):
        try:
            return None if name is None else str(metadata.version(name))
        except metadata.PackageNotFoundError:
            continue
    return None
