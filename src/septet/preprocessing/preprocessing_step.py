"""Code of a package that stands before a predictor: from raw columns to the model's tensors, and back from its outputs.

The file holds `prepare(columns) -> tensors`: from one array of N values per raw column to the model's input tensors.
Each array has its column's own dtype; whole numbers and booleans that may be missing are floats with NaN, texts and
bytes are objects with None, and moments have NaT.

It may hold `finish(outputs) -> outputs`, from the model's outputs to those that are answered.
Both take and return dicts of numpy arrays with N rows.

A step knows no predictor. `PreprocessedRuntime` puts it before a local model, where both share one run and one
measured cost; `PreprocessedPredictor` puts it before any predictor, such as one that calls another server.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from septet.columns.stacking import unstacked
from septet.errors import DamagedModel, ModelNotFound, PackageInvalid
from septet.model.digest import bytes_digest, identity_digest
from septet.model.signature import DTYPES, Column, Signature, Tensor
from septet.runtimes.base import InputRejected, LoadOptions
from septet.runtimes.trust import require_trust
from septet.types import Array, Tensors


class PreprocessingCode(msgspec.Struct, frozen=True):
    """The two functions of a file of preprocessing code, its bytes, and `sha256:` with their digest."""

    digest: str
    content: bytes
    prepare: Callable[[dict[str, Array]], dict[str, Any]]
    finish: Callable[[dict[str, Array]], dict[str, Any]] | None


def read_preprocessing_code(source: Path, options: LoadOptions) -> PreprocessingCode:
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
    digest = identity_digest(bytes_digest(content))
    return PreprocessingCode(digest, content, names["prepare"], finish if callable(finish) else None)


class PreprocessingStep:
    """Preprocessing code between raw columns and a model.

    Attributes:
        digest: of the code, `sha256:` and 64 digits.
        inputs: the raw tensors that the step takes.
        finishes: whether it makes the answered outputs from those of the model; all of them are then needed.
    """

    def __init__(self, code: PreprocessingCode, inputs: Sequence[Tensor], model: Signature) -> None:
        """Stand between raw tensors and a model of the signature `model`."""
        self.digest = code.digest
        self.inputs = tuple(inputs)
        self.finishes = code.finish is not None
        self._code = code
        self._model = model

    def prepared(self, tensors: Tensors) -> Tensors:
        """The model's input tensors, of its own dtypes and shapes, made from raw ones.

        Raises:
            InputRejected: `prepare` raised ValueError.
            RuntimeError: it returned other tensors or rows than the model takes.
        """
        # Copies: functions may write into their columns, and tensors may be read-only or somebody else's.
        parts = unstacked(tensors, self.inputs)
        columns = {column.name: _raw(parts[column.name], column) for each in self.inputs for column in each.columns}
        rows = len(next(iter(columns.values())))
        try:
            made = self._code.prepare(columns)
        except ValueError as exc:
            raise InputRejected(str(exc)) from exc
        missing = [tensor.name for tensor in self._model.inputs if tensor.name not in made]
        if missing:
            message = f"prepare returned {sorted(made)} and not {', '.join(missing)}, which the model takes"
            raise RuntimeError(message)
        return {tensor.name: _fitted(made[tensor.name], tensor, rows) for tensor in self._model.inputs}

    def wanted(self, outputs: Sequence[str] | None) -> Sequence[str] | None:
        """Which outputs of the model are needed for these of the answer."""
        return None if self.finishes else outputs

    def finished(self, answers: Tensors, rows: int, outputs: Sequence[str] | None) -> Tensors:
        """The wanted outputs for so many rows, made from the model's.

        Raises:
            RuntimeError: `finish` returned other rows.
        """
        if self._code.finish is None:
            return answers
        made: Mapping[str, Any] = self._code.finish(dict(answers))
        found = {name: _answer(value, name, rows) for name, value in made.items()}
        return found if outputs is None else {name: found[name] for name in outputs}


def _raw(values: Array, column: Column) -> Array:
    """A copy of one column, of its own dtype where that can hold what may be missing."""
    return values.copy() if column.nullable else values.astype(DTYPES[column.dtype])


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
    # numpy would make its own bytes of Python's, which lose zeros at their end.
    of_bytes = isinstance(value, list | tuple) and any(isinstance(each, bytes) for each in value)
    array = np.asarray(value, object if of_bytes else None)
    if array.ndim == 0 or len(array) != rows:
        message = f"finish returned {name!r} of shape {list(array.shape)} for {rows} rows"
        raise RuntimeError(message)
    return array.astype(object) if array.dtype.kind in "US" else array
