"""A fitted estimator in a file: as skops where that gives the same estimator back, else as joblib."""

import pickle
import pickletools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from septet.errors import UnsupportedModel

_SCRIPT = "__main__"


def stored(model: Any, folder: Path, proven: Callable[[Path], None]) -> Path:
    """Write the estimator to `folder` and return the file; `proven` raises where a file does not answer like it.

    Raises:
        UnsupportedModel: it can be stored in neither way; the message says why.
    """
    ways = {"model.skops": _as_skops, "model.joblib": _as_joblib}
    reasons = []
    for name, write in ways.items():
        path = folder / name
        try:
            write(model, path)
            proven(path)
        except Exception as exc:  # noqa: BLE001 - both libraries raise anything
            reasons.append(f"{path.suffix[1:]} ({first_line(exc)})")
            path.unlink(missing_ok=True)
        else:
            return path
    raise UnsupportedModel(
        f"the {type(model).__name__} cannot be stored as {' nor as '.join(reasons)}. "
        "Functions and classes of a script must stand in a module that can be imported"
    )


def _as_skops(model: Any, path: Path) -> None:
    import skops.io

    skops.io.dump(model, path)
    _refuse_script(name.rpartition(".")[0] for name in skops.io.get_untrusted_types(file=path))


def _as_joblib(model: Any, path: Path) -> None:
    import joblib

    # Protocol 2 names each class and function by one operation.
    operations = pickletools.genops(pickle.dumps(model, protocol=2))
    _refuse_script(str(value).partition(" ")[0] for code, value, _ in operations if code.name == "GLOBAL")
    joblib.dump(model, path)


def _refuse_script(modules: Any) -> None:
    """Nobody else can import what a script defines.

    Raises:
        UnsupportedModel: one of the modules is the script's.
    """
    if _SCRIPT in set(modules):
        raise UnsupportedModel("it holds a class or a function of the script that trained it")


def first_line(exc: BaseException) -> str:
    """The error's type and the first line of its text, 200 characters at most."""
    lines = str(exc).strip().splitlines() or [""]
    return f"{type(exc).__name__}: {lines[0][:200]}"
