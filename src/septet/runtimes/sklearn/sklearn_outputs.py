"""What a fitted scikit-learn estimator gives: its kind, its outputs, and how each is computed.

| kind | outputs |
|---|---|
| classification | `label` [N], `probabilities` [N, classes] (else `scores` [N, classes] of a decision function) |
| multilabel | `label` [N, labels] of 0 and 1, `probabilities` [N, labels] of being 1 |
| tensors | several targets with classes of their own: `label_0` [N], `probabilities_0` [N, classes], `label_1`, ... |
| regression | `prediction` [N], or [N, targets] |
| clustering | `label` [N], and `probabilities` [N, components] of a mixture |
| outliers | `label` [N]: 1 inside, -1 outlier; `scores` [N]: the lower, the more unusual |
| transform | `transformed` [N, features] |
"""

from collections.abc import Callable, Sequence
from copy import copy
from typing import Any

import msgspec
import numpy as np

from septet.model.signature import Kind, Scalar, Tensor
from septet.types import Array


class EstimatorOutput(msgspec.Struct, frozen=True):
    """One output: its tensor, and the function from the estimator's input to its array."""

    tensor: Tensor
    compute: Callable[[Any], Array]


class EstimatorOutputs(msgspec.Struct, frozen=True):
    """All outputs of an estimator, and the roles they play (as in `Signature`).

    Each output is computed from what `before` makes of the estimator's input.
    """

    kind: Kind
    each: tuple[EstimatorOutput, ...]
    label: str | None = None
    scores: str | None = None
    labels: tuple[str, ...] = ()
    classes: tuple[Scalar, ...] = ()
    before: Callable[[Any], Any] = lambda rows: rows


def outputs_of(model: Any, sample: Any) -> EstimatorOutputs:
    """What `model` gives, learned from its type and its answers to the rows of `sample`.

    Raises:
        Exception: whatever the estimator raises on `sample`.
    """
    from sklearn.pipeline import Pipeline

    # Most of the time of a pipeline goes into its transformers, which all outputs share. A subclass may do otherwise.
    if type(model) is not Pipeline or len(model.steps) == 1 or not hasattr(model, "predict"):
        return _outputs_of(model, sample)
    whole = _outputs_of(model, sample)
    steps = [step for _, step in model.steps[:-1] if step is not None and step != "passthrough"]

    def before(rows: Any) -> Any:
        for step in steps:
            rows = step.transform(rows)
        return rows

    try:
        cut = msgspec.structs.replace(_outputs_of(model.steps[-1][1], before(copy(sample))), before=before)
        return cut if _agree(whole, cut, sample) else whole
    except Exception:  # noqa: BLE001 - what cannot be proven equal is not used, whatever the reason
        return whole


def _agree(whole: EstimatorOutputs, cut: EstimatorOutputs, sample: Any) -> bool:
    """Whether a pipeline cut in two has the tags and the outputs of the whole one."""
    if msgspec.structs.replace(whole, each=(), before=cut.before) != msgspec.structs.replace(cut, each=()):
        return False
    if [output.tensor for output in whole.each] != [output.tensor for output in cut.each]:
        return False
    rows = cut.before(copy(sample))
    pairs = (
        (one.compute(copy(sample)), other.compute(copy(rows))) for one, other in zip(whole.each, cut.each, strict=True)
    )
    return all(np.array_equal(one, other, equal_nan=one.dtype.kind == "f") for one, other in pairs)


def _outputs_of(model: Any, sample: Any) -> EstimatorOutputs:
    from sklearn.base import is_classifier, is_clusterer, is_outlier_detector

    if not hasattr(model, "predict"):
        return EstimatorOutputs(Kind.TRANSFORM, (_output("transformed", model.transform, sample),))
    if _is(is_classifier, model) or (not hasattr(model, "__sklearn_tags__") and hasattr(model, "predict_proba")):
        return _classifier(model, sample)
    label = _output("label", model.predict, sample)
    if _is(is_outlier_detector, model):
        extra = (_output("scores", model.decision_function, sample),) if hasattr(model, "decision_function") else ()
        return EstimatorOutputs(Kind.OUTLIERS, (label, *extra), "label", None, ("outlier", "inlier"), (-1, 1))
    if _is(is_clusterer, model) or hasattr(model, "predict_proba"):
        mixture = hasattr(model, "predict_proba")
        extra = (_output("probabilities", model.predict_proba, sample),) if mixture else ()
        return EstimatorOutputs(Kind.CLUSTERING, (label, *extra), "label", "probabilities" if mixture else None)
    return EstimatorOutputs(Kind.REGRESSION, (_output("prediction", model.predict, sample),))


def _is(test: Callable[[Any], bool], model: Any) -> bool:
    try:
        return test(model)
    except Exception:  # noqa: BLE001 - what is no estimator of scikit-learn's does not declare its kind
        return False


def _classifier(model: Any, sample: Any) -> EstimatorOutputs:
    label = _output("label", model.predict, sample)
    classes = getattr(model, "classes_", None)
    if len(label.tensor.shape) > 1 and isinstance(classes, (list, tuple)):
        each = [np.asarray(one).tolist() for one in classes]
        if not all(set(one) <= {0, 1} for one in each):
            return _targets(model, each, sample)
        return _multilabel(model, label, (), sample, each)
    values = [] if classes is None else np.asarray(classes).tolist()
    if len(label.tensor.shape) > 1:
        return _multilabel(model, label, values, sample, [])
    return _classes(model, label, values, sample)


def _classes(model: Any, label: EstimatorOutput, classes: Sequence[Any], sample: Any) -> EstimatorOutputs:
    outputs = [label]
    scores = None
    if hasattr(model, "predict_proba"):
        scores = "probabilities"
        outputs.append(_output(scores, model.predict_proba, sample))
    elif hasattr(model, "decision_function"):
        decision = _output("scores", model.decision_function, sample)
        # One-against-one decisions have a column per pair: not a score per class.
        if decision.tensor.shape[1:] == (len(classes),):
            scores = "scores"
            outputs.append(decision)
    names, raw = _names(classes)
    return EstimatorOutputs(Kind.CLASSIFICATION, tuple(outputs), "label", scores, names, raw)


def _names(classes: Sequence[Any]) -> tuple[tuple[str, ...], tuple[Scalar, ...]]:
    names = tuple(str(value) for value in classes)
    raw = () if all(isinstance(value, str) for value in classes) else tuple(classes)
    return names, raw


def _multilabel(
    model: Any, label: EstimatorOutput, classes: Sequence[Any], sample: Any, each: Sequence[Sequence[Any]]
) -> EstimatorOutputs:
    names = tuple(str(value) for value in classes)
    if not hasattr(model, "predict_proba"):
        return EstimatorOutputs(Kind.MULTILABEL, (label,), "label", None, names)

    def compute(rows: Any) -> Array:
        answer = model.predict_proba(rows)
        if not isinstance(answer, list):
            return dense(answer)
        columns = [_of_one(part, values) for part, values in zip(answer, each, strict=True)]
        return np.stack(columns, axis=1)

    probabilities = _output("probabilities", compute, sample)
    return EstimatorOutputs(Kind.MULTILABEL, (label, probabilities), "label", "probabilities", names)


def _of_one(probabilities: Array, classes: Sequence[Any]) -> Array:
    """The probability of being 1; a label that was always the same in training has one column only."""
    if 1 in classes:
        return dense(probabilities)[:, list(classes).index(1)]
    return np.zeros(len(probabilities))


def _targets(model: Any, classes: Sequence[Sequence[Any]], sample: Any) -> EstimatorOutputs:
    outputs = []
    for place in range(len(classes)):
        outputs.append(_output(f"label_{place}", _labels_of(model, place, classes[place]), sample))
        if hasattr(model, "predict_proba"):
            outputs.append(_output(f"probabilities_{place}", _probabilities_of(model, place), sample))
    return EstimatorOutputs(Kind.TENSORS, tuple(outputs))


def _labels_of(model: Any, place: int, classes: Sequence[Any]) -> Callable[[Any], Array]:
    # Targets of one array share its dtype in `predict`; each is given back its own.
    dtype = np.asarray(classes).dtype
    return lambda rows: np.asarray(model.predict(rows))[:, place].astype(dtype)


def _probabilities_of(model: Any, place: int) -> Callable[[Any], Array]:
    return lambda rows: dense(model.predict_proba(rows)[place])


def _output(name: str, compute: Callable[[Any], Any], sample: Any) -> EstimatorOutput:
    def answer(rows: Any) -> Array:
        return dense(compute(rows))

    # A step with `copy=False` writes into its rows.
    values = answer(copy(sample))
    dtype = "string" if values.dtype == object else values.dtype.name
    inner = values.shape[1:]

    def by_row(rows: Any) -> Array:
        # Of a single row, some transformers (SparsePCA) answer without the axis of rows.
        found = answer(rows)
        return found if found.ndim == values.ndim else found.reshape(-1, *inner)

    return EstimatorOutput(Tensor(name, dtype, (None, *inner)), by_row)


def dense(values: Any) -> Array:
    """An engine's answer as a dense array of bool, int64, float64 or objects of str."""
    if hasattr(values, "toarray"):
        values = values.toarray()
    array = np.asarray(values)
    if array.dtype.kind == "b":
        return array
    if array.dtype.kind in "iu":
        return array.astype(np.int64, copy=False)
    if array.dtype.kind == "f":
        return array.astype(np.float64, copy=False)
    return np.array([str(value) for value in array.ravel().tolist()], dtype=object).reshape(array.shape)
