"""The file that a package serves: the compiled model where it answers like the native one, else the native one."""

import hashlib
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from septet.errors import UnsupportedModel
from septet.model.manifest import Parity
from septet.model.signature import Signature
from septet.packing.compilation import compiled
from septet.packing.parity import measured, without_unseen_missing
from septet.packing.signatures import as_compiled
from septet.packing.storage import stored
from septet.runtimes.base import LoadOptions, Runtime
from septet.runtimes.formats import load
from septet.runtimes.unread import reading
from septet.types import Tensors

_PROBED_ROWS = 8


class Trained(msgspec.Struct, frozen=True, eq=False):
    """A fitted estimator, its native runtime, the signature to promise and the rows to compare on.

    `strict` is set where the trainer named the nullable columns: the compiled model must then agree on them.
    """

    model: Any
    native: Runtime
    signature: Signature
    rows: Tensors
    strict: bool = False


class Artefact(msgspec.Struct, frozen=True, eq=False):
    """A file, the key of its runtime, and the runtime itself, loaded from it.

    `parity` is measured where the model was compiled; `fallback` says why where it was not.
    """

    key: str
    path: Path
    runtime: Runtime
    signature: Signature
    parity: Parity | None = None
    fallback: str | None = None


def trusting(path: Path) -> LoadOptions:
    """Options that trust this very file: for one that the caller names, or that was just written."""
    content = path.read_bytes() if path.is_file() else b""
    return LoadOptions(trust=(hashlib.sha256(content).hexdigest(),))


def artefact_of(trained: Trained, folder: Path) -> Artefact:
    """Write the model to `folder`: as ONNX with float32, else with float64, else as skops, else as joblib.

    Raises:
        UnsupportedModel: it can be stored in none of these ways.
    """
    reasons = []
    for wide in (False, True):
        found = _compiled(trained, folder / "model.onnx", double=wide)
        if isinstance(found, Artefact):
            return found
        reasons.append(found)
    single, double = reasons
    same = f"ONNX does not do: {single}"
    apart = f"ONNX does not do with 32-bit numbers: {single}; nor with 64-bit numbers: {double}"
    fallback = same if single == double else apart
    return _native(trained, folder, fallback)


def _compiled(trained: Trained, path: Path, *, double: bool) -> Artefact | str:
    choices = [trained.signature]
    if not trained.strict:
        # A model may accept missing values that it never saw, and then the compiled one need not agree on them.
        choices.append(without_unseen_missing(trained.signature, trained.rows))
    reason = ""
    try:
        path.write_bytes(compiled(trained.model, trained.signature, double=double))
        runtime = reading(load("onnx", path, LoadOptions()), trained.signature)
        for accepted in choices:
            verdict = measured(trained.native, runtime, trained.rows, accepted)
            if isinstance(verdict, Parity):
                return Artefact("onnx", path, runtime, as_compiled(accepted, runtime.signature), verdict)
            reason = verdict.reason
    except Exception as exc:  # noqa: BLE001 - converter and engine raise anything; each means "not compiled"
        reason = _first_line(exc).replace(f"{path}: ", "").replace(str(path), path.name)
    return reason


def _first_line(exc: BaseException) -> str:
    # A converter's last error often holds a whole model; what caused it says more.
    while exc.__cause__ is not None:
        exc = exc.__cause__
    lines = str(exc).strip().splitlines() or [""]
    return f"{type(exc).__name__}: {lines[0][:200]}"


def _native(trained: Trained, folder: Path, fallback: str) -> Artefact:
    found: list[Runtime] = []
    head = _head(trained.rows)
    wanted = trained.native.run(head)

    def proven(path: Path) -> None:
        options = msgspec.structs.replace(trusting(path), signature=trained.signature, rows=head)
        runtime = load("sklearn", path, options)
        answers = runtime.run(head)
        same = all(
            np.array_equal(answers[name], array, equal_nan=array.dtype.kind == "f") for name, array in wanted.items()
        )
        if not same and _steady(trained.native, head, wanted):
            raise UnsupportedModel("what is read back answers otherwise")
        found.append(runtime)

    try:
        path = stored(trained.model, folder, proven)
    except UnsupportedModel as exc:
        raise UnsupportedModel(f"{exc.message}; and {fallback}") from exc
    return Artefact("sklearn", path, found[0], trained.signature, fallback=fallback)


def _steady(runtime: Runtime, rows: Tensors, wanted: Tensors) -> bool:
    """Whether a model gives the same answers twice: one that draws lots does not."""
    again = runtime.run(rows)
    return all(np.array_equal(again[name], array, equal_nan=array.dtype.kind == "f") for name, array in wanted.items())


def _head(rows: Tensors) -> Tensors:
    return {name: array[:_PROBED_ROWS] for name, array in rows.items()}
