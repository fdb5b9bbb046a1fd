"""The file that a package serves: the compiled model where it answers like the native one, else the native one."""

import hashlib
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from septet.errors import UnsupportedModel
from septet.model.manifest import EngineCost, EngineLibrary, Parity
from septet.model.signature import Signature
from septet.packing.compilation import compiled, quiet
from septet.packing.measurement import cheaper, measured
from septet.packing.parity import ParityGate
from septet.packing.precision import reason_for_float64
from septet.packing.signatures import as_compiled, without_unseen_missing
from septet.packing.storage import first_line, stored
from septet.runtimes.base import LoadOptions, Runtime
from septet.runtimes.declared_inputs import with_declared_inputs
from septet.runtimes.onnx.onnx_engine import ONNX
from septet.runtimes.sklearn.sklearn_engine import SKLEARN
from septet.types import Tensors

_PROBED_ROWS = 8
_HARD_ROWS = 16


class Trained(msgspec.Struct, frozen=True, eq=False):
    """A fitted estimator, its native runtime, the signature to declare and the rows to compare on.

    `strict` is set where the trainer named the nullable columns: the compiled model must then agree on them.
    Each engine is run for about `measurement_seconds` with each number of rows.
    """

    model: Any
    native: Runtime
    signature: Signature
    rows: Tensors
    measurement_seconds: float
    strict: bool = False


class Artefact(msgspec.Struct, frozen=True, eq=False):
    """A file, the key of its runtime, and the runtime itself, loaded from it.

    `hard` are rows beside the constants of a model that was compiled, in its dtypes.
    `parity` is measured where the model was compiled; `fallback` says why where the native model is kept.
    """

    key: str
    path: Path
    runtime: Runtime
    signature: Signature
    engine: EngineLibrary
    hard: Tensors | None = None
    parity: Parity | None = None
    fallback: str | None = None


def trusting(path: Path) -> LoadOptions:
    """Options that trust this very file: for one that the caller names, or that was just written."""
    content = path.read_bytes() if path.is_file() else b""
    return LoadOptions(trust=(hashlib.sha256(content).hexdigest(),))


def artefact_of(trained: Trained, folder: Path) -> Artefact:
    """Write the model to `folder`: as ONNX with float32, else with float64, else as skops, else as joblib.

    ONNX is taken where it costs no more than the native model and passes the gate.

    Raises:
        UnsupportedModel: it can be stored in none of these ways.
    """
    comparison = _Comparison(trained)
    reasons: list[str] = []
    for double in (False, True):
        found = _compiled(comparison, folder / "model.onnx", double=double)
        if isinstance(found, EngineLibrary):
            try:
                return _native(trained, folder, found)
            except UnsupportedModel:
                # A dear answer is better than none.
                comparison.at_any_cost = True
                found = _compiled(comparison, folder / "model.onnx", double=double)
        if isinstance(found, Artefact):
            return found
        reasons.append(str(found))
    single, wide = reasons
    apart = f"ONNX does not do with 32-bit numbers: {single}; nor with 64-bit numbers: {wide}"
    reason = f"ONNX does not do: {single}" if single == wide else apart
    return _native(trained, folder, EngineLibrary(SKLEARN.key, reason))


class _Comparison:
    """A native model with its costs and its gate, each made once and only when it is asked for."""

    def __init__(self, trained: Trained) -> None:
        self.trained = trained
        self.at_any_cost = False

    @cached_property
    def costs(self) -> tuple[EngineCost, ...]:
        return measured(self.trained.native, self.trained.rows, self.trained.measurement_seconds)

    @cached_property
    def gate(self) -> ParityGate:
        trained = self.trained
        return ParityGate(trained.native, trained.signature, trained.rows, trained.model)


def _compiled(comparison: _Comparison, path: Path, *, double: bool) -> Artefact | EngineLibrary | str:
    """The compiled model; or the choice of the native one, because it costs less; or why it does not do."""
    trained = comparison.trained
    choices = [trained.signature]
    if not trained.strict:
        # A model may accept missing values that it never saw, and then the compiled one need not agree on them.
        choices.append(without_unseen_missing(trained.signature, trained.rows))
    reason = None if double else reason_for_float64(trained.rows, trained.signature)
    if reason is not None:
        return reason
    try:
        with quiet():
            path.write_bytes(compiled(trained.model, trained.signature, double=double))
        runtime = with_declared_inputs(ONNX.load(path, LoadOptions()), trained.signature)
        # Costs first: a model that takes gigabytes is not run on thousands of rows.
        costs = measured(runtime, trained.rows, trained.measurement_seconds)
        chosen, why = cheaper(costs, comparison.costs)
        engine = EngineLibrary(chosen, why, costs, comparison.costs)
        if chosen != ONNX.key:
            if not comparison.at_any_cost:
                return engine
            engine = EngineLibrary(ONNX.key, f"{why}, but the native model cannot be stored", costs, comparison.costs)
        for accepted in choices:
            verdict = comparison.gate.check(runtime, accepted)
            if isinstance(verdict, Parity):
                served = as_compiled(accepted, runtime.signature)
                hard = comparison.gate.hard(served, _HARD_ROWS)
                return Artefact(ONNX.key, path, runtime, served, engine, hard, verdict)
            reason = verdict.reason
    except Exception as exc:  # noqa: BLE001 - converter and engine raise anything; each means "not compiled"
        reason = first_line(_first_cause(exc)).replace(f"{path}: ", "").replace(str(path), path.name)
    return reason or ""


def _first_cause(exc: BaseException) -> BaseException:
    """The error that led to this one: a converter's last error often holds a whole model."""
    while exc.__cause__ is not None:
        exc = exc.__cause__
    return exc


def _native(trained: Trained, folder: Path, engine: EngineLibrary) -> Artefact:
    found: list[Runtime] = []
    head = _head(trained.rows)
    wanted = trained.native.run(head)

    def proven(path: Path) -> None:
        options = msgspec.structs.replace(trusting(path), signature=trained.signature, rows=head)
        runtime = SKLEARN.load(path, options)
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
        raise UnsupportedModel(f"{exc.message}; and {engine.reason}") from exc
    return Artefact(SKLEARN.key, path, found[0], trained.signature, engine, fallback=engine.reason)


def _steady(runtime: Runtime, rows: Tensors, wanted: Tensors) -> bool:
    """Whether a model gives the same answers twice: one that draws lots does not."""
    again = runtime.run(rows)
    return all(np.array_equal(again[name], array, equal_nan=array.dtype.kind == "f") for name, array in wanted.items())


def _head(rows: Tensors) -> Tensors:
    return {name: array[:_PROBED_ROWS] for name, array in rows.items()}
