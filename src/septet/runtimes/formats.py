"""Which runtime reads which file: one table. Another engine is one more module and one more line here."""

from importlib import import_module
from pathlib import Path
from typing import cast

import msgspec

from septet.errors import DamagedModel, ModelNotFound, UnsupportedModel
from septet.runtimes.base import Loader, LoadOptions, Runtime


class Format(msgspec.Struct, frozen=True):
    """The suffixes of a runtime's files, and the module whose `load` reads them, imported when the first one is."""

    suffixes: tuple[str, ...]
    module: str


FORMATS: dict[str, Format] = {
    "onnx": Format((".onnx",), "septet.runtimes.onnx"),
    "sklearn": Format((".skops", ".joblib", ".pkl", ".pickle"), "septet.runtimes.sklearn"),
}
_PACKAGE_FILE = "septet.toml"


def runtime_for(path: Path) -> str:
    """Return the key of the runtime that reads a model file, by its suffix.

    Raises:
        ModelNotFound: there is nothing at the path.
        DamagedModel: the file is empty.
        UnsupportedModel: it is a folder, or no runtime reads such files.
    """
    if path.is_dir():
        message = (
            f"{path}: the folder is no model package: it has no {_PACKAGE_FILE}. Name the model file itself, or make "
            f"a package with `septet pack FILE`."
            if not (path / _PACKAGE_FILE).is_file()
            else f"{path}: this is a model package, and a model file was expected here"
        )
        raise UnsupportedModel(message)
    if not path.exists():
        message = f"{path}: there is no such file or folder. Check the path."
        raise ModelNotFound(message)
    suffix = path.suffix.lower()
    for key, item in FORMATS.items():
        if suffix in item.suffixes:
            if path.stat().st_size == 0:
                message = f"{path}: the file is empty. Export or copy it again."
                raise DamagedModel(message)
            return key
    read = ", ".join(suffix for item in FORMATS.values() for suffix in item.suffixes)
    message = (
        f"{path}: no runtime reads {suffix or 'files without a suffix'!r}. Septet reads {read} and package folders."
    )
    raise UnsupportedModel(message)


def load(key: str, path: Path, options: LoadOptions) -> Runtime:
    """Load an artefact with the runtime of that key.

    Raises:
        UnsupportedModel: there is no such runtime, or it cannot serve the model.
        DamagedModel: the artefact cannot be read.
        MissingExtra: the engine is not installed.
    """
    if key not in FORMATS:
        message = f"{path}: there is no runtime {key!r}; there are {', '.join(FORMATS)}"
        raise UnsupportedModel(message)
    loader = cast("Loader", import_module(FORMATS[key].module).load)
    return loader(path, options)
