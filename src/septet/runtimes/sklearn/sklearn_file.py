"""A scikit-learn file on disk: read once, checked for trust, and turned into an estimator."""

import hashlib
import io
import warnings
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from septet.errors import DamagedModel, MissingExtra, ModelNotFound, StartupError, UnsupportedModel, VersionsMismatch
from septet.runtimes.trust import require_trust

#: What a skops file may unpack to, in bytes: so many, or so many times its own.
MOST_UNPACKED_BYTES: Final = 1 << 28
MOST_RATIO: Final = 20
#: Its entries, one for each array; and the bytes of the document that describes them, which becomes objects of Python.
MOST_ENTRIES: Final = 200_000
MOST_SCHEMA_BYTES: Final = 1 << 26
_SCHEMA: Final = "schema.json"
_NOT_INSTALLED = "{path} needs scikit-learn and skops, and {module!r} is not installed: pip install 'septet[sklearn]'"


def read_estimator(path: Path, trust: Sequence[str]) -> tuple[Any, str]:
    """The fitted estimator in a `.skops`, `.joblib`, `.pkl` or `.pickle` file, and `sha256:` with the file's digest.

    Raises:
        ModelNotFound, DamagedModel: the file is missing, or it cannot be read.
        Untrusted: reading it would execute code that `trust` does not name.
        VersionsMismatch: the libraries here are not those which wrote it.
        UnsupportedModel: it holds something else than an estimator.
        MissingExtra: scikit-learn or skops is not installed.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError as exc:
        message = f"{path} does not exist"
        raise ModelNotFound(message) from exc
    except OSError as exc:
        message = f"{path} cannot be read: {exc.strerror}"
        raise DamagedModel(message) from exc
    if not content:
        message = f"{path} is empty: copy or save the model again"
        raise DamagedModel(message)
    reader = _from_skops if path.suffix == ".skops" else _from_pickle
    model = reader(path, content, trust)
    if isinstance(model, type) or not (hasattr(model, "predict") or hasattr(model, "transform")):
        message = (
            f"{path} holds a {type(model).__module__}.{type(model).__qualname__}, which has no method predict "
            "or transform: save the fitted estimator (or the whole Pipeline) itself"
        )
        raise UnsupportedModel(message)
    return model, f"sha256:{hashlib.sha256(content).hexdigest()}"


def _from_skops(path: Path, content: bytes, trust: Sequence[str]) -> Any:
    try:
        import sklearn  # noqa: F401 - skops without scikit-learn would fail later and less clearly
        import skops.io
    except ModuleNotFoundError as exc:
        raise MissingExtra(_NOT_INSTALLED.format(path=path, module=exc.name)) from exc
    if not zipfile.is_zipfile(io.BytesIO(content)):
        message = f"{path} is not a skops file, or only a part of one: copy or save the model again"
        raise DamagedModel(message)
    _check_size(path, content)
    unknown = _translated(path, lambda: sorted(skops.io.get_untrusted_types(data=content)))
    if unknown:
        reason = f"it holds types that skops does not know to be safe: {', '.join(unknown)}"
        require_trust(path, content, trust, reason)
    return _translated(path, lambda: skops.io.loads(content, trusted=unknown))


def _check_size(path: Path, content: bytes) -> None:
    """Refuse an archive that unpacks to far more than a model has, before anything of it is unpacked.

    The sizes are those of its directory, beyond which `zipfile` reads nothing.

    Raises:
        DamagedModel: it has too many entries or bytes, or no directory.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as exc:
        message = f"{path} is not a skops file, or only a part of one ({exc}): copy or save the model again"
        raise DamagedModel(message) from exc
    size, most = sum(entry.file_size for entry in entries), max(MOST_UNPACKED_BYTES, MOST_RATIO * len(content))
    schema = max((entry.file_size for entry in entries if entry.filename == _SCHEMA), default=0)
    for what, found, allowed in (
        ("entries", len(entries), MOST_ENTRIES),
        ("bytes when it is unpacked", size, most),
        (f"bytes in its {_SCHEMA}", schema, MOST_SCHEMA_BYTES),
    ):
        if found > allowed:
            message = (
                f"{path} has {found} {what}, and {allowed} are read of a skops file of {len(content)} bytes: it is no "
                "model, or save it again without compression"
            )
            raise DamagedModel(message)


def _from_pickle(path: Path, content: bytes, trust: Sequence[str]) -> Any:
    reason = "it is a pickle, and a pickle runs whatever code its author put into it (a .skops or .onnx file does not)"
    require_trust(path, content, trust, reason)
    try:
        import joblib
        import sklearn  # noqa: F401 - see above
    except ModuleNotFoundError as exc:
        raise MissingExtra(_NOT_INSTALLED.format(path=path, module=exc.name)) from exc
    return _translated(path, lambda: joblib.load(io.BytesIO(content)))


def _translated(path: Path, read: Callable[[], Any]) -> Any:
    from sklearn.exceptions import InconsistentVersionWarning

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", InconsistentVersionWarning)
            return read()
    except StartupError:
        raise
    except InconsistentVersionWarning as exc:
        message = (
            f"{path} was trained with scikit-learn {exc.original_sklearn_version}, and {exc.current_sklearn_version} "
            f"is installed here: install scikit-learn=={exc.original_sklearn_version}, or train and save it again"
        )
        raise VersionsMismatch(message) from exc
    except ModuleNotFoundError as exc:
        message = f"{path} needs the Python module {exc.name!r}, which is not installed here: install it, or save again"
        raise VersionsMismatch(message) from exc
    except (AttributeError, ImportError) as exc:
        message = (
            f"{path} needs something that the installed libraries do not have ({exc}): it was saved with other "
            "versions, or with a class of the training script; install those versions, or make the class importable"
        )
        raise VersionsMismatch(message) from exc
    except Exception as exc:
        # A damaged pickle can raise anything; whatever it is, the file cannot be read.
        message = f"{path} cannot be read ({type(exc).__name__}: {exc}): it is damaged, or not what its name says"
        raise DamagedModel(message) from exc
