"""The model's tensors -> what a caller is given: in kind, an array for an array, a frame for a frame.

| given | `predict` | `labels` |
|---|---|---|
| array | the output that answers, as an array; where several do, arrays by name | an array |
| arrays by name | every output, by name | an array |
| DataFrame | a DataFrame with the same index | a Series with the same index |
| records, rows | the list that `/predict` answers | the list that `/predict/label` answers |
"""

import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from septet.client.input_adapter import InputKind, ModelInputs
from septet.errors import Invalid, NotFound
from septet.model.labels import shown_labels
from septet.model.signature import Kind, Signature
from septet.protocols.codecs.prediction_format import PredictionFormatter
from septet.types import Array, Tensors

MOST_FRAME_AXES = 2


class OutputAdapter:
    """Shows the answers of one signature."""

    def __init__(self, signature: Signature) -> None:
        self._signature = signature
        self._answers = PredictionFormatter(signature)
        self._names = shown_labels(signature)

    def predicted(self, kind: InputKind) -> tuple[str, ...] | None:
        """The outputs that a prediction needs, or None for all."""
        return None if kind is InputKind.TENSORS else self._answers.outputs

    def prediction(self, given: ModelInputs, tensors: Tensors) -> Any:
        """The prediction, in kind."""
        if given.kind is InputKind.ROWS:
            return self._answers.prediction(tensors)
        if given.kind is InputKind.FRAME:
            return self._frame(tensors, given.index)
        if given.kind is InputKind.ARRAY and self._answers.outputs is not None:
            (name,) = self._answers.outputs
            return self._narrowed(name, tensors[name])
        return dict(tensors)

    def labelled(self) -> tuple[str, ...]:
        """The outputs that labels need.

        Raises:
            NotFound: the model gives no labels.
        """
        signature = self._signature
        name = signature.label or (signature.scores if signature.kind is Kind.CLASSIFICATION else None)
        if name is None:
            raise NotFound(f"This model's kind is {signature.kind.value}: it answers no labels. Use predict.")
        return (name,)

    def labels(self, given: ModelInputs, tensors: Tensors) -> Any:
        """The label of each row, in kind."""
        labels = self._answers.labels(tensors)
        if given.kind is InputKind.ROWS:
            return labels
        if given.kind is InputKind.FRAME:
            return _pandas().Series(labels, index=given.index, name="label")
        if self._signature.kind is not Kind.MULTILABEL:
            return np.array(labels)
        array = np.empty(len(labels), object)
        array[:] = labels
        return array

    def _narrowed(self, name: str, array: Array) -> Array:
        """One value a row as one axis, as `/predict` has it."""
        return array.reshape(-1) if name != self._signature.scores and array.shape[1:] == (1,) else array

    def _frame(self, tensors: Tensors, index: Any) -> Any:
        if not self._signature.rows:
            raise Invalid("The model's outputs have no rows: send arrays instead of a DataFrame.")
        columns: dict[Any, Array] = {}
        for name, array in tensors.items():
            columns |= self._columns(name, self._narrowed(name, array))
        return _pandas().DataFrame(columns, index=index)

    def _columns(self, name: str, array: Array) -> Mapping[Any, Array]:
        if array.ndim > MOST_FRAME_AXES:
            text = (
                f"The output {name!r} has {array.ndim} axes, too many for a DataFrame: send arrays to be given arrays."
            )
            raise Invalid(text)
        if array.ndim == 1:
            return {name: array}
        flags = self._signature.kind is Kind.MULTILABEL and name == self._signature.label
        if (name == self._signature.scores or flags) and len(self._names) == array.shape[1]:
            return {label: array[:, at] for at, label in enumerate(self._names)}
        return {f"{name}_{at}": array[:, at] for at in range(array.shape[1])}


def _pandas() -> Any:
    """Whoever is answered with a frame has imported it already."""
    return importlib.import_module("pandas")
