"""What `predict()` of the model itself gives, from a response's tensors: how MLflow's callers know its answers.

| model | element, per row |
|---|---|
| one that chooses a class | the class's own value, with its JSON type: a text, a whole number, true or false |
| several targets | a list: of classes, of 0 and 1, of numbers |
| scores alone, and nothing that chooses | the best class, as `/predict/label` |
| any other | as `/predict` |

Names that a label file gives to classes do not stand in the model, so they are not answered where a class has a value.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import msgspec

from septet.model.manifest import Manifest
from septet.model.signature import Kind, Signature, Tensor
from septet.protocols.codecs.examples import has_labels
from septet.protocols.codecs.prediction_format import PredictionFormatter, values_of
from septet.runtimes.engine_table import ENGINES
from septet.tensors import flat, nested
from septet.types import Tensors


class PredictOutput(NamedTuple):
    """How an answer is shown.

    Attributes:
        outputs: the names of the outputs that are needed, or None for all.
        shown: those that are shown, of the shape in which they are; none where it is the best class.
        read: from a response's tensors to one element per row.
    """

    outputs: tuple[str, ...] | None
    shown: tuple[Tensor, ...]
    read: Callable[[Tensors], Any]


def predict_output(signature: Signature, manifest: Manifest) -> PredictOutput:
    """How the answers of one model are shown."""
    targets = targets_of(signature)
    if targets:
        names = tuple(each.name for each in targets)
        return PredictOutput(names, targets, partial(_by_target, names))
    answers = PredictionFormatter(signature)
    if signature.kind is Kind.CLASSIFICATION and signature.label is None and has_labels(signature):
        return PredictOutput(None, (), answers.labels)
    name = signature.label or (None if answers.outputs is None else answers.outputs[0])
    output = next((each for each in signature.outputs if each.name == name), None)
    if output is None or not signature.rows:
        return PredictOutput(answers.outputs, signature.outputs, answers.prediction)
    read: Callable[[str, Tensors], Any] = nested
    if output.shape[1:] == (1,) and not _is_exact(manifest):
        read, output = flat, msgspec.structs.replace(output, shape=output.shape[:1])
    values = values_of(signature) if name == signature.label else {}
    show = partial(_typed, read, output.name, values) if values else partial(read, output.name)
    return PredictOutput((output.name,), (output,), show)


def targets_of(signature: Signature) -> tuple[Tensor, ...]:
    """The outputs `label_0`, `label_1`, ... of a model that chooses a class for each of several targets; else none."""
    names = {each.name: each for each in signature.outputs}
    found: list[Tensor] = []
    while f"label_{len(found)}" in names:
        found.append(names[f"label_{len(found)}"])
    known = {f"{what}_{place}" for what in ("label", "probabilities") for place in range(len(found))}
    several = signature.kind is Kind.TENSORS and signature.rows and known.issuperset(names)
    return tuple(found) if several else ()


def _is_exact(manifest: Manifest) -> bool:
    """Whether shapes are those of `predict()`. A bare ONNX graph has a column where a regressor answers numbers."""
    engine = ENGINES.get(manifest.runtime)
    return engine is None or engine.library_shapes or manifest.parity is not None


def _by_target(names: Sequence[str], tensors: Tensors) -> list[list[Any]]:
    return [list(row) for row in zip(*(nested(name, tensors) for name in names), strict=True)]


def _typed(read: Callable[[str, Tensors], Any], name: str, values: dict[Any, Any], tensors: Tensors) -> list[Any]:
    return [_each(value, values) for value in read(name, tensors)]


def _each(value: Any, values: dict[Any, Any]) -> Any:
    return [_each(one, values) for one in value] if isinstance(value, list) else values.get(value, value)
