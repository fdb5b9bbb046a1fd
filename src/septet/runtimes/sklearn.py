"""The scikit-learn runtime: a fitted estimator behind `Runtime`, for models that have no ONNX form."""

import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np

from septet.errors import MissingExtra, UnsupportedModel
from septet.model.signature import DTYPES, Column, Signature, Tensor
from septet.runtimes.base import Independence, InputRejected, LoadOptions
from septet.runtimes.sklearn_columns import Fact, facts_of, first_step, reads_text
from septet.runtimes.sklearn_file import read_estimator
from septet.runtimes.sklearn_outputs import Output, Outputs, outputs_of
from septet.runtimes.sklearn_rows import independence
from septet.types import Array, Tensors

_MATRIX = "input"


class SklearnRuntime:
    """A fitted estimator, its threads confined and its warnings silenced while it runs.

    Attributes:
        signature: read from the estimator.
        independence: known by the classes of the estimator and of all that it holds.
        facts: `engine`, `engine_version`, `estimator`.
    """

    def __init__(
        self,
        rows: "_Rows",
        outputs: Outputs,
        confined: Callable[[], Any],
        independence: Independence,
        facts: Mapping[str, Any],
    ) -> None:
        self._rows = rows
        self.independence = independence
        self._before = outputs.before
        self._each: dict[str, Output] = {output.tensor.name: output for output in outputs.each}
        self._confined = confined
        self.facts = facts
        self.signature = Signature(
            kind=outputs.kind,
            inputs=rows.inputs,
            outputs=tuple(output.tensor for output in outputs.each),
            label=outputs.label,
            scores=outputs.scores,
            labels=outputs.labels,
            classes=outputs.classes,
        )

    def run(self, tensors: Tensors, outputs: Sequence[str] | None = None) -> Tensors:
        """Compute the wanted outputs; see `septet.runtimes.base.Runtime`."""
        wanted = self._each if outputs is None else outputs
        with self._confined():
            try:
                # A step with `copy=False` writes into its rows, which the next output needs as they were.
                rows = self._before(self._rows.native(tensors).copy())
                return {name: self._each[name].compute(copy(rows)) for name in wanted}
            except ValueError as exc:
                raise InputRejected(str(exc)) from exc

    def close(self) -> None:
        """Forget the estimator."""
        self._each = {}


def load(path: Path, options: LoadOptions) -> SklearnRuntime:
    """Load a fitted estimator from a `.skops`, `.joblib`, `.pkl` or `.pickle` file.

    Raises:
        DamagedModel: the file cannot be read.
        Untrusted: reading it would execute code that `options.trust` does not name.
        VersionsMismatch: the libraries here are not those which wrote it.
        UnsupportedModel: it holds no estimator that answers new rows.
        MissingExtra: scikit-learn, skops or pandas is not installed.
    """
    model, _ = read_estimator(path, options.trust)
    _limit_jobs(model, options.threads)
    return runtime_of(model, options, source=str(path))


def runtime_of(model: Any, options: LoadOptions, *, source: str) -> SklearnRuntime:
    """The runtime of a fitted estimator in memory; `source` names it in errors.

    Raises:
        UnsupportedModel: it does not answer new rows.
        MissingExtra: pandas is not installed and the estimator was trained on a DataFrame.
    """
    import sklearn
    from threadpoolctl import ThreadpoolController

    rows = _Rows(model, source)
    limits = ThreadpoolController()
    quiet = _Quiet()

    @contextmanager
    def confined() -> Iterator[None]:
        with quiet.warnings(), limits.limit(limits=options.threads):
            yield

    with confined():
        outputs = _probed(model, rows, source)
    facts = {"engine": "scikit-learn", "engine_version": sklearn.__version__, "estimator": type(model).__name__}
    return SklearnRuntime(rows, outputs, confined, independence(model), facts)


class _Rows:
    """The way from tensors to what the estimator takes: a DataFrame if it was trained on one, else an array."""

    def __init__(self, model: Any, source: str) -> None:
        self._names = _feature_names(model)
        self._text = self._names is None and reads_text(model)
        self._frame = _data_frame(source) if self._names is not None else None
        width = _width(model) if self._names is None else len(self._names)
        names = self._names or [f"x{place}" for place in range(width or 0)]
        self._facts = [] if self._text else facts_of(model, names)
        self.inputs = self._tensors(names)

    def _tensors(self, names: Sequence[str]) -> tuple[Tensor, ...]:
        if self._text:
            return (Tensor(_MATRIX, "string", (None,), (Column("text", "string"),)),)
        columns = tuple(fact.column(name) for fact, name in zip(self._facts, names, strict=True))
        if not columns:
            return (Tensor(_MATRIX, "float64", (None, None)),)
        dtypes = {column.dtype for column in columns}
        if len(dtypes) == 1:
            return (Tensor(_MATRIX, dtypes.pop(), (None, len(columns)), columns),)
        return tuple(Tensor(column.name, column.dtype, (None, 1), (column,)) for column in columns)

    def native(self, tensors: Tensors) -> Any:
        """The rows of `tensors` as the estimator takes them."""
        if self._text:
            return tensors[_MATRIX].reshape(-1)
        if len(self.inputs) == 1:
            matrix = tensors[self.inputs[0].name]
            if matrix.dtype == object:
                facts = self._facts
                matrix = np.stack([_missing(matrix[:, place], fact) for place, fact in enumerate(facts)], axis=1)
            return matrix if self._frame is None else self._frame(matrix, columns=self._names)
        columns = {
            tensor.name: _missing(tensors[tensor.name].reshape(-1), fact)
            for tensor, fact in zip(self.inputs, self._facts, strict=True)
        }
        if self._frame is not None:
            return self._frame(columns)
        return np.stack([column.astype(object) for column in columns.values()], axis=1)

    def sample(self, value: float) -> Tensors:
        """Two rows to learn the shapes of the outputs from: a known category in each column, else `value`."""
        tensors: dict[str, Array] = {}
        for tensor in self.inputs:
            width = 1 if len(tensor.shape) == 1 else (tensor.shape[1] or 1)
            cells = np.full((2, width), "text" if tensor.dtype == "string" else value, dtype=DTYPES[tensor.dtype])
            for place, column in enumerate(tensor.columns):
                if column.categories:
                    cells[:, place] = column.categories[0]
            tensors[tensor.name] = cells[:, 0] if len(tensor.shape) == 1 else cells
        return tensors


def _missing(values: Array, fact: Fact) -> Array:
    """A missing text becomes NaN, as pandas reads it, unless the model was trained with None."""
    if values.dtype != object or fact.none or not any(value is None for value in values):
        return values
    return np.array([np.nan if value is None else value for value in values], dtype=object)


def _probed(model: Any, rows: _Rows, source: str) -> Outputs:
    failure: Exception | None = None
    for value in (0.0, 1.0, 0.5):
        try:
            return outputs_of(model, rows.native(rows.sample(value)))
        except Exception as exc:  # noqa: BLE001 - an estimator may hold anyone's code, which may raise anything
            failure = exc
    kind = type(model).__name__
    message = (
        f"{source}: {kind} does not answer a plain row of numbers ({type(failure).__name__}: {failure}): "
        "check that it is fitted, that it can predict new rows, and that its columns are known"
    )
    raise UnsupportedModel(message) from failure


def _feature_names(model: Any) -> list[str] | None:
    names = getattr(model, "feature_names_in_", None)
    if names is None:
        names = getattr(first_step(model), "feature_names_in_", None)
    return None if names is None else [str(name) for name in names]


def _width(model: Any) -> int | None:
    for estimator in (model, first_step(model)):
        width = getattr(estimator, "n_features_in_", None)
        if width is not None:
            return int(width)
    return None


def _data_frame(source: str) -> Any:
    try:
        import pandas as pd
    except ModuleNotFoundError as exc:
        message = f"{source} was trained on a DataFrame and needs pandas: pip install 'septet[sklearn]'"
        raise MissingExtra(message) from exc
    return pd.DataFrame


def _limit_jobs(model: Any, threads: int) -> None:
    """Estimators that start jobs of their own must keep to the same number of threads."""
    if not hasattr(model, "get_params"):
        return
    for name, value in model.get_params(deep=True).items():
        if name.rsplit("__", 1)[-1] == "n_jobs" and value not in (None, threads):
            model.set_params(**{name: threads})


class _Quiet:
    """Silences warnings while any thread predicts.

    `warnings.catch_warnings` changes the whole process and is not safe between threads, so the first thread in
    enters it and the last one out leaves.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._stack = ExitStack()

    @contextmanager
    def warnings(self) -> Iterator[None]:
        with self._lock:
            if self._inside == 0:
                self._stack.enter_context(warnings.catch_warnings())
                warnings.simplefilter("ignore")
            self._inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
                if self._inside == 0:
                    self._stack.close()
