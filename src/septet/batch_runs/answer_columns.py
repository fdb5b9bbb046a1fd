"""The answers of a model as columns of Arrow, by the kind of the model.

| kind | columns |
|---|---|
| classification | `label`; `score_LABEL` for each class, where the model gives scores |
| multilabel | `labels`, those that are on; `score_LABEL` for each, where the model gives scores |
| regression, clustering | `prediction`; `prediction_0`, `prediction_1`, ... where several values are predicted |
| outliers | `prediction`, 1 or -1, and `label` |
| transform, tensors | each output by its name: a value, or a list of them |

They hold what `POST /predict` and `POST /predict/label` answer, in the dtypes of the model's outputs.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from septet.model.labels import shown_labels
from septet.model.signature import DTYPES, Kind, Signature, Tensor
from septet.protocols.codecs.prediction_format import PredictionFormatter
from septet.tables.arrow_values import pa
from septet.types import Array, Tensors

_MATRIX = 2
_Column: TypeAlias = Callable[[Tensors], pa.Array]


class AnswerColumns:
    """Makes the columns for one signature.

    Attributes:
        fields: their names and types, in their order.
        outputs: of the model, that are needed for them.
    """

    def __init__(self, signature: Signature) -> None:
        self._signature = signature
        self._formatter = PredictionFormatter(signature)
        self._outputs = {output.name: output for output in signature.outputs}
        labels = self._labels() if self._has_labels() else None
        self._columns: dict[str, _Column] = {}
        if labels is not None and signature.kind is not Kind.OUTLIERS:
            self._columns["labels" if signature.kind is Kind.MULTILABEL else "label"] = labels
        for name in self._values():
            self._columns.update(self._of_output(self._outputs[name]))
        if labels is not None:
            # Of outliers the number comes first: it is what `/predict` answers.
            self._columns.setdefault("labels" if signature.kind is Kind.MULTILABEL else "label", labels)
        label = signature.label or signature.scores
        needed = (*(() if labels is None or label is None else (label,)), *self._values())
        self.outputs = tuple(dict.fromkeys(needed))
        self.fields: Sequence[pa.Field] = [pa.field(name, array.type) for name, array in self(self.nothing()).items()]

    def __call__(self, tensors: Tensors) -> Mapping[str, pa.Array]:
        """The columns of some answers, in the order of `fields`."""
        return {name: column(tensors) for name, column in self._columns.items()}

    def nothing(self) -> Tensors:
        """The answers to no rows."""
        return {
            name: np.zeros((0, *(size or 0 for size in output.shape[1:])), DTYPES[output.dtype])
            for name, output in self._outputs.items()
        }

    def _has_labels(self) -> bool:
        signature = self._signature
        if signature.kind is Kind.CLASSIFICATION:
            return signature.label is not None or signature.scores is not None
        if signature.kind is Kind.OUTLIERS:
            return signature.label is not None and bool(signature.labels)
        return signature.kind is Kind.MULTILABEL and signature.label is not None

    def _values(self) -> Sequence[str]:
        """The outputs that are shown as they are."""
        signature = self._signature
        if signature.kind in (Kind.CLASSIFICATION, Kind.MULTILABEL):
            return () if signature.scores is None else (signature.scores,)
        shown = self._formatter.outputs
        return tuple(self._outputs) if shown is None else shown

    def _labels(self) -> _Column:
        signature = self._signature
        kind = self._type_of_labels()
        if signature.kind is Kind.MULTILABEL:
            return lambda tensors: pa.array(self._listed(tensors), pa.list_(kind))
        if signature.label is None:
            return partial(self._best, signature.scores or "", kind)
        if not _is_single(self._outputs[signature.label]):
            return lambda tensors: pa.array(self._listed(tensors), pa.list_(kind))
        return partial(self._named, signature.label, kind)

    def _type_of_labels(self) -> pa.DataType:
        signature = self._signature
        if signature.kind is Kind.MULTILABEL:
            return pa.string() if signature.labels else pa.int64()
        shown = shown_labels(signature)
        if shown:
            return pa.array(list(shown)).type
        return pa.int64() if signature.label is None else _arrow_type(self._outputs[signature.label].dtype)

    def _listed(self, tensors: Tensors) -> list[Any]:
        return self._formatter.labels(tensors) if len(next(iter(tensors.values()))) else []

    def _best(self, scores: str, kind: pa.DataType, tensors: Tensors) -> pa.Array:
        """The label of the best score: named once for each class, for there are few."""
        array = tensors[scores]
        if not array.size:
            return pa.array([], kind)
        known = pa.array(self._formatter.labels({scores: np.eye(array.shape[1], dtype=array.dtype)}), kind)
        return known.take(pa.array(np.argmax(array, axis=1)))

    def _named(self, label: str, kind: pa.DataType, tensors: Tensors) -> pa.Array:
        """The label that the model answers, named once for each."""
        classes = pa.array(tensors[label].ravel()).dictionary_encode()
        values = np.asarray(classes.dictionary.to_numpy(zero_copy_only=False))
        named = self._formatter.labels({label: values}) if len(values) else []
        if pa.types.is_string(kind):
            # One that the model does not name is shown as it is.
            named = [each if isinstance(each, str) else str(each) for each in named]
        return pa.array(named, kind).take(classes.indices)

    def _of_output(self, output: Tensor) -> Iterator[tuple[str, _Column]]:
        signature, dtype = self._signature, output.dtype
        whole = partial(_whole, output.name, dtype)
        width = output.shape[1] if len(output.shape) == _MATRIX else None
        if output.name == signature.scores:
            labels = shown_labels(signature) or (None if width is None else range(width))
            if labels is None:
                yield "scores", whole
            for at, label in enumerate(labels or ()):
                yield f"score_{label}", partial(_column, output.name, at, dtype)
        elif signature.kind in (Kind.TRANSFORM, Kind.TENSORS) or len(self._values()) > 1:
            yield output.name, whole
        elif width is None or width == 1:
            yield "prediction", whole
        else:
            for at in range(width):
                yield f"prediction_{at}", partial(_column, output.name, at, dtype)


def _is_single(output: Tensor) -> bool:
    return len(output.shape) == 1 or output.shape[1:] == (1,)


def _whole(name: str, dtype: str, tensors: Tensors) -> pa.Array:
    array = tensors[name]
    return _arrow(array[:, 0] if array.shape[1:] == (1,) else array, dtype)


def _column(name: str, at: int, dtype: str, tensors: Tensors) -> pa.Array:
    array = tensors[name]
    return _arrow(np.ascontiguousarray(array[:, at]) if array.shape[1:] else array, dtype)


def _arrow_type(dtype: str) -> pa.DataType:
    if dtype == "string":
        return pa.string()
    return pa.binary() if dtype == "bytes" else pa.from_numpy_dtype(DTYPES[dtype])


def _arrow(array: Array, dtype: str) -> pa.Array:
    """Values, or lists nested like the array."""
    if array.ndim > 1:
        width = array.shape[1]
        flat = _arrow(array.reshape(len(array) * width, *array.shape[2:]), dtype)
        return pa.ListArray.from_arrays(pa.array(np.arange(len(array) + 1, dtype=np.int32) * width), flat)
    return pa.array(array.tolist() if array.dtype.kind == "O" else array, _arrow_type(dtype))
