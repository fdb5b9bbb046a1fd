"""A runtime with a package's own Python code before and after it.

The file holds `prepare(columns) -> tensors`: from one array of N values per raw column to the model's input tensors.
Each array has its column's own dtype; whole numbers and booleans that may be missing are floats with NaN, texts have
None and moments NaT. It may hold `finish(outputs) -> outputs`, from the model's outputs to those that are answered.
Both take and return dicts of numpy arrays with N rows.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from septet.columns.stacking import unstacked
from septet.errors import DamagedModel, ModelNotFound, PackageInvalid
from septet.model.signature import DTYPES, Column, Signature, Tensor
from septet.runtimes.base import Independence, InputRejected, LoadOptions, Runtime
from septet.runtimes.trust import require_trust
from septet.types import Array, Tensors


class PreparationSteps(msgspec.Struct, frozen=True):
    """The two functions of a file of preprocessing code."""

    prepare: Callable[[dict[str, Array]], dict[str, Any]]
    finish: Callable[[dict[str, Array]], dict[str, Any]] | None


def read_steps(source: Path, options: LoadOptions) -> PreparationSteps:
    """Run a file of preprocessing code, if it is trusted, and take its functions.

    Raises:
        ModelNotFound: the file does not exist.
        Untrusted: `options.trust` does not name it.
        DamagedModel: it is not Python, or fails.
        PackageInvalid: it has no function `prepare`.
    """
    try:
        content = source.read_bytes()
    except OSError as exc:
        raise ModelNotFound(f"{source} cannot be read: {exc.strerror}") from exc
    require_trust(source, content, options.trust, "it is Python code that runs with every request")
    names: dict[str, Any] = {"__name__": source.stem, "__file__": str(source)}
    try:
        exec(compile(content, str(source), "exec"), names)  # noqa: S102 - trusted by its digest, just above
    except Exception as exc:
        raise DamagedModel(f"{source} cannot be run: {type(exc).__name__}: {exc}") from exc
    if not callable(names.get("prepare")):
        raise PackageInvalid(f"{source} has no function prepare(columns); it must give the model's input tensors")
    finish = names.get("finish")
    return PreparationSteps(names["prepare"], finish if callable(finish) else None)


class Prepared:
    """A runtime that takes raw columns, as `signature` describes them, and answers through the two functions."""

    def __init__(self, runtime: Runtime, steps: PreparationSteps, signature: Signature) -> None:
        self.signature = signature
        self.independence = _independence(runtime.independence)
        self._runtime = runtime
        self._steps = steps

    def run(self, tensors: Tensors, outputs: Sequence[str] | None = None) -> Tensors:
        """Compute the wanted outputs; see `septet.runtimes.base.Runtime`."""
        inner = prepared_tensors(self._steps, tensors, self.signature, self._runtime.signature)
        if self._steps.finish is None:
            return self._runtime.run(inner, outputs)
        rows = len(next(iter(tensors.values())))
        finished = self._steps.finish(dict(self._runtime.run(inner)))
        answers = {name: _answer(value, name, rows) for name, value in finished.items()}
        return answers if outputs is None else {name: answers[name] for name in outputs}

    def close(self) -> None:
        """Free the engine's memory."""
        self._runtime.close()


def _independence(model: Independence) -> Independence:
    """That of a model behind code which may look at its whole batch."""
    if not model.proven and not model.foreign:
        return model
    return Independence(
        proven=False, reason="the package's prepare.py is code that Septet does not know", foreign=True, kept=model.kept
    )


def prepared_tensors(steps: PreparationSteps, tensors: Tensors, raw: Signature, model: Signature) -> Tensors:
    """The model's input tensors, of its own dtypes and shapes, made from raw columns.

    Raises:
        InputRejected: `prepare` raised ValueError.
        RuntimeError: it returned other tensors or rows than the model takes.
    """
    # Copies: functions may write into their columns, and tensors may be read-only or somebody else's.
    parts = unstacked(tensors, raw.inputs)
    columns = {column.name: _raw(parts[column.name], column) for tensor in raw.inputs for column in tensor.columns}
    rows = len(next(iter(columns.values())))
    try:
        made = steps.prepare(columns)
    except ValueError as exc:
        raise InputRejected(str(exc)) from exc
    missing = [tensor.name for tensor in model.inputs if tensor.name not in made]
    if missing:
        message = f"prepare returned {sorted(made)} and not {', '.join(missing)}, which the model takes"
        raise RuntimeError(message)
    return {tensor.name: _fitted(made[tensor.name], tensor, rows) for tensor in model.inputs}


def _raw(values: Array, column: Column) -> Array:
    """A copy of one column, of its own dtype where that can hold what may be missing."""
    return values.copy() if column.nullable or column.dtype == "string" else values.astype(DTYPES[column.dtype])


def _fitted(value: Any, tensor: Tensor, rows: int) -> Array:
    array = np.asarray(value).astype(DTYPES[tensor.dtype], copy=False)
    if array.ndim == 1 and tensor.shape == (None, 1):
        array = array.reshape(-1, 1)
    fits = len(array) == rows and array.ndim == len(tensor.shape)
    if not fits or any(want not in (None, got) for want, got in zip(tensor.shape, array.shape, strict=True)):
        message = f"prepare returned {tensor.name!r} of shape {list(array.shape)} for {rows} rows"
        raise RuntimeError(message)
    return array


def _answer(value: Any, name: str, rows: int) -> Array:
    array = np.asarray(value)
    if array.ndim == 0 or len(array) != rows:
        message = f"finish returned {name!r} of shape {list(array.shape)} for {rows} rows"
        raise RuntimeError(message)
    return array.astype(object) if array.dtype.kind == "U" else array
