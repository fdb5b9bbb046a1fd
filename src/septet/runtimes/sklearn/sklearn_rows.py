"""The way from tensors to what a fitted scikit-learn estimator takes: a DataFrame, an array or texts."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from septet.columns.stacking import unstacked
from septet.errors import MissingExtra
from septet.model.layout import MATRIX, arranged
from septet.model.signature import DTYPES, Column, Tensor
from septet.runtimes.data_frames import as_objects, restored, unframed
from septet.runtimes.sklearn.sklearn_columns import facts_of, first_step, reads_text
from septet.runtimes.sklearn.sklearn_names import feature_names, placed
from septet.types import Array, Tensors


class EstimatorRows:
    """Turns the tensors of `inputs` into an estimator's rows.

    `inputs` are a package's: then its columns say how the rows are rebuilt. Without them they are read from the
    estimator itself, as far as it knows its columns.
    """

    def __init__(self, model: Any, source: str, inputs: tuple[Tensor, ...] | None = None) -> None:
        names = feature_names(model)
        self._frame = None
        self._nones: list[bool] = []
        if inputs is None:
            inputs = self._bare(model, names)
        else:
            self._nones = _nones(model, [column.name for tensor in inputs for column in tensor.columns])
        self.inputs = inputs
        columns = [column for tensor in inputs for column in tensor.columns]
        if names is not None or any(column.pandas_dtype is not None for column in columns):
            self._frame = _data_frame(source)
        self.native = self._way(columns, names)

    def _bare(self, model: Any, names: Sequence[str] | None) -> tuple[Tensor, ...]:
        if names is None and reads_text(model):
            return (Tensor(MATRIX, "string", (None,), (Column("text", "string"),)),)
        width = width_of(model) if names is None else len(names)
        known = names or [f"x{place}" for place in range(width or 0)]
        facts = facts_of(model, known)
        self._nones = [fact.none for fact in facts]
        return arranged([fact.column(name) for fact, name in zip(facts, known, strict=True)])

    def _way(self, columns: Sequence[Column], names: Sequence[str] | None) -> Callable[[Tensors], Any]:
        """The function from tensors to rows, for these columns."""
        first = self.inputs[0]
        if len(first.shape) == 1:
            return lambda tensors: tensors[first.name].reshape(-1)
        given = [column.name for column in columns]
        if self._frame is None:
            return self._array_of(columns)
        plain = all(column.pandas_dtype in (None, "float64") for column in columns)
        numbers = all(column.dtype == "float64" for column in columns)
        if len(self.inputs) == 1 and plain and numbers and names in (None, given):
            frame = self._frame
            return lambda tensors: frame(tensors[first.name], columns=_labels(given, names))
        return self._frame_of(columns, names)

    def _array_of(self, columns: Sequence[Column]) -> Callable[[Tensors], Any]:
        first = self.inputs[0]
        dtypes = {column.dtype for column in columns}
        if len(self.inputs) == 1 and "string" not in dtypes:
            whole = len(dtypes) == 1 and dtypes <= {"int64", "uint64", "bool"} and first.dtype not in dtypes
            if not whole:
                return lambda tensors: tensors[first.name]
            dtype = DTYPES[dtypes.pop()]
            if any(column.nullable for column in columns):
                return lambda tensors: tensors[first.name]
            return lambda tensors: _exactly(tensors[first.name], dtype)

        def native(tensors: Tensors) -> Array:
            parts = [_with_nan(part, none=none) for part, none in zip(self._split(tensors), self._nones, strict=True)]
            if len({part.dtype for part in parts}) == 1:
                return np.stack(parts, axis=1)
            stacked = np.empty((len(parts[0]), len(parts)), dtype=object)
            for place, part in enumerate(parts):
                stacked[:, place] = part
            return stacked

        return native

    def _frame_of(self, columns: Sequence[Column], names: Sequence[str] | None) -> Callable[[Tensors], Any]:
        given = [column.name for column in columns]
        order = list(range(len(given))) if names is None else placed(given, names)
        labels = _labels(given, names)
        nones = self._nones

        def native(tensors: Tensors) -> Any:
            parts = self._split(tensors)
            made: dict[Any, Any] = {}
            for label, place in zip(labels, order, strict=True):
                if place is None:
                    # Left out of the package: nobody reads it, and the frame has it all the same.
                    made[label] = as_objects(np.full(len(parts[0]), None, dtype=object))
                elif columns[place].pandas_dtype is not None:
                    made[label] = restored(parts[place], columns[place])
                else:
                    values = _with_nan(parts[place], none=nones[place])
                    # pandas would choose a dtype for texts by what is missing among them.
                    made[label] = as_objects(values) if values.dtype == object else values
            return self._frame(made)  # type: ignore[misc]

        return native

    def _split(self, tensors: Tensors) -> list[Array]:
        """One array [N] for each column, whole numbers and booleans as such."""
        parts = unstacked(tensors, self.inputs)
        return [
            parts[column.name] if column.pandas_dtype is not None else unframed(parts[column.name], column)
            for tensor in self.inputs
            for column in tensor.columns
        ]

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


def _nones(model: Any, names: Sequence[str]) -> list[bool]:
    """For each column, whether a missing text was None, rather than NaN, in training."""
    try:
        return [fact.none for fact in facts_of(model, names)]
    except Exception:  # noqa: BLE001 - an estimator of anyone's may be built in any way
        return [False] * len(names)


def _labels(given: Sequence[str], names: Sequence[str] | None) -> list[Any]:
    """The labels of the model's DataFrame: whole numbers where those of its training were."""
    if names is not None:
        return list(names)
    numbers = all(name.isdecimal() and str(int(name)) == name for name in given)
    return [int(name) for name in given] if numbers else list(given)


def _exactly(matrix: Array, dtype: np.dtype[Any]) -> Array:
    return matrix if np.isnan(matrix).any() else matrix.astype(dtype)


def _with_nan(values: Array, *, none: bool) -> Array:
    """A missing text becomes NaN, as pandas reads it, unless the model was trained with None."""
    if values.dtype != object or none or not any(value is None for value in values):
        return values
    return np.array([np.nan if value is None else value for value in values], dtype=object)


def width_of(model: Any) -> int | None:
    """How many columns the estimator, or what sees its input first, was fitted on; None where it does not say."""
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
