"""All engines in one table. Another engine is a folder with its `Engine` and its modules, and one line here."""

from pathlib import Path
from typing import Final

from septet.errors import DamagedModel, ModelNotFound, UnsupportedModel
from septet.runtimes.base import LoadOptions, Runtime
from septet.runtimes.engine import Engine
from septet.runtimes.onnx.onnx_engine import ONNX
from septet.runtimes.sklearn.sklearn_engine import SKLEARN

ENGINES: Final[dict[str, Engine]] = {
    engine.key: engine
    for engine in (
        ONNX,
        SKLEARN,
    )
}
_PACKAGE_FILE = "septet.toml"


def engine_for(path: Path) -> Engine:
    """The engine that reads a model file, by its suffix.

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
    for engine in ENGINES.values():
        if suffix in engine.suffixes:
            if path.stat().st_size == 0:
                message = f"{path}: the file is empty. Export or copy it again."
                raise DamagedModel(message)
            return engine
    read = ", ".join(suffix for engine in ENGINES.values() for suffix in engine.suffixes)
    message = (
        f"{path}: no runtime reads {suffix or 'files without a suffix'!r}. Septet reads {read} and package folders."
    )
    raise UnsupportedModel(message)


def engine_named(key: str, path: Path) -> Engine:
    """The engine with a key; `path` is the model's, for the message.

    Raises:
        UnsupportedModel: there is none.
    """
    if key not in ENGINES:
        message = f"{path}: there is no runtime {key!r}; there are {', '.join(ENGINES)}"
        raise UnsupportedModel(message)
    return ENGINES[key]


def load(key: str, path: Path, options: LoadOptions) -> Runtime:
    """Load a model file with the engine of a key.

    Raises:
        UnsupportedModel: there is no such engine, or it cannot serve the model.
        DamagedModel: the file cannot be read.
        MissingExtra: the engine is not installed.
    """
    return engine_named(key, path).load(path, options)
