"""Response -> the `prediction` of the native routes: one value per row, in the shape that its user expects.

| kind | `/predict`, per row | `/predict/label`, per row |
|---|---|---|
| classification | scores in the order of the labels (the label, where the model gives no scores) | the label |
| multilabel | scores (else 0 or 1) in the order of the labels | the list of labels that are on |
| regression | a number; a list where several targets are predicted | - |
| clustering | the cluster's number | the same |
| outliers | 1 or -1 | `inlier` or `outlier`, where the model knows these names; else the same |
| transform, tensors | the value; an object by output name where there are several | - |

NaN and infinities in a model's output are written as null: JSON has no others. Bytes are bytes until the encoder
writes them as base64.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np

from septet.errors import Invalid, NotFound
from septet.lengthy_work import VALUES_ON_LOOP, leave_loop
from septet.model.labels import shown_labels
from septet.model.signature import DTYPES, Kind, Scalar, Signature
from septet.protocols.codecs.array_json import array_json, value_json
from septet.tensors import flat, listed, nested
from septet.types import Array, Tensors

MAX_TOP = 1_000


class PredictionFormatter:
    """Shows a response's tensors as predictions, compiled from the signature."""

    def __init__(self, signature: Signature) -> None:
        self._signature = signature
        self._shown = shown_labels(signature)
        self._names = _names(signature, self._shown)
        # The output that alone is shown, and whether each row of it is one value.
        self._shown_array: tuple[str, bool] | None = None
        self.outputs, self.prediction = self._prediction()

    def _prediction(self) -> tuple[tuple[str, ...] | None, Callable[[Tensors], Any]]:
        """The outputs needed for `/predict`, and how they are shown."""
        signature = self._signature
        name = signature.scores if signature.kind in (Kind.CLASSIFICATION, Kind.MULTILABEL) else signature.label
        if name is None:
            name = signature.label
        if name is None and len(signature.outputs) == 1:
            name = signature.outputs[0].name
        if name is None or not signature.rows:
            return None, self._every_output
        shape = next(output.shape for output in signature.outputs if output.name == name)
        single = name != signature.scores and len(shape) == 2 and shape[1] == 1  # noqa: PLR2004
        self._shown_array = name, single
        return (name,), partial(flat if single else nested, name)

    def prediction_json(self, tensors: Tensors) -> bytes:
        """`prediction` as JSON, written in parts: of any size, in a thread that no event loop waits for."""
        if self._shown_array is None:
            return value_json(self.prediction(tensors))
        name, single = self._shown_array
        return array_json(tensors[name].ravel() if single else tensors[name])

    def _every_output(self, tensors: Tensors) -> Any:
        lists = {name: nested(name, tensors) for name in tensors}
        # Outputs of different lengths have no rows in common, whatever the graph declares.
        if not self._signature.rows or not alike(lists.values()):
            return lists
        return [dict(zip(lists, values, strict=True)) for values in zip(*lists.values(), strict=True)]

    def labels(self, tensors: Tensors) -> list[Any]:
        """The label of each row.

        Raises:
            NotFound: the model's answers have no labels.
        """
        signature = self._signature
        if signature.kind is Kind.MULTILABEL and signature.label is not None:
            return self._labels_on(tensors[signature.label])
        if signature.label is not None and signature.rows:
            array = tensors[signature.label]
            if array.size != len(array):  # several labels a row
                return listed(array)  # type: ignore[no-any-return]
            raw = flat(signature.label, tensors)
            return [self._names.get(value, value) for value in raw] if self._names else raw
        if signature.scores is not None and signature.kind is Kind.CLASSIFICATION and signature.rows:
            best = listed(np.argmax(tensors[signature.scores], axis=1))
            return [self._shown[i] if self._shown else i for i in best]
        raise NotFound(f"This model answers a {signature.kind.value}, which has no labels. Use /predict.")

    def _labels_on(self, on: Array) -> list[Any]:
        labels = self._signature.labels
        if not labels:
            return listed(on)  # type: ignore[no-any-return]
        return [[label for label, flag in zip(labels, row, strict=True) if flag] for row in listed(on)]

    def top(self, tensors: Tensors, count: int) -> list[list[dict[str, Any]]]:
        """Per row the `count` best labels with their scores, best first.

        Raises:
            Invalid: the model gives no scores.
        """
        signature = self._signature
        if signature.scores is None or signature.kind is not Kind.CLASSIFICATION:
            raise Invalid("This model gives no scores per class, so 'top' cannot be answered.")
        scores = tensors[signature.scores]
        if scores.size > VALUES_ON_LOOP:
            leave_loop()
        labels = self._shown or range(scores.shape[1])
        best = np.argsort(-scores, axis=1, kind="stable")[:, :count].tolist()
        return [
            [{"label": labels[i], "score": row[i]} for i in order]
            for order, row in zip(best, listed(scores), strict=True)
        ]


def values_of(signature: Signature) -> dict[Scalar, Scalar]:
    """The model's own class for each value of the output `label`, where their types differ; else empty.

    A compiled model answers 0 and 1 for false and true. Of 1, 1.0 and true, one stands for all.
    """
    dtypes = {output.name: output.dtype for output in signature.outputs}
    dtype = dtypes.get(signature.label or "")
    if dtype in (None, "string") or signature.kind is Kind.OUTLIERS:
        return {}
    own = type(DTYPES[dtype].type().item())
    return (
        {} if all(type(each) is own for each in signature.classes) else dict(zip(*[signature.classes] * 2, strict=True))
    )


def alike(outputs: Iterable[Any]) -> bool:
    """Whether all outputs are lists of one length."""
    lengths = {len(values) if isinstance(values, list) else None for values in outputs}
    return len(lengths) == 1 and None not in lengths


def _names(signature: Signature, shown: tuple[Scalar, ...]) -> dict[Scalar, Scalar]:
    """The label of each raw value of the output `label`; of 1, 1.0 and true, one stands for all."""
    if signature.classes:
        return values_of(signature) if shown == signature.classes else dict(zip(signature.classes, shown, strict=False))
    dtypes = {output.name: output.dtype for output in signature.outputs}
    if dtypes.get(signature.label or "") == "string":  # the model answers the labels themselves
        return {}
    return dict(enumerate(shown))
