"""Finds what an ONNX model is for: its kind, and which outputs hold the chosen class and the scores.

An ONNX file does not say it, so it is read from the shape of the outputs and from the operators behind them.

1. One output of classes (integers or strings, one per row) is the label. With a float output that has a column per
   class, or class names found in the graph, it is a classification. Without class names, a label chosen by ArgMin is
   clustering, and one beside a single score per row, named as the converter of scikit-learn names them, is outlier
   detection.
2. One output of several integers per row beside scores, or behind a classifier, is multilabel.
3. A single float output is a classification where Softmax computes it or the metadata names its columns; a transform
   where a preprocessing operator of `ai.onnx.ml` computes it, or a converter named it as it names transformers'
   outputs and its last step is no regressor, average or matrix product with a bias; else a regression.
4. Anything else is plain tensors.
"""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from septet.model.signature import Kind, Scalar, Tensor
from septet.runtimes.onnx.onnx_graph import Graph, Node, constants

_LABELS = frozenset(("int64", "int32", "string"))
_FLOATS = frozenset(("float16", "float32", "float64"))
_OUTLIER_OUTPUTS = ("label", "scores")
_MATRIX_RANK = 2
_LABEL_KEYS = ("labels", "classes", "class_labels")
_PASSING = frozenset(("Identity", "Cast", "Reshape", "Flatten", "Squeeze", "Clip"))
_PREPROCESSORS = frozenset(
    (
        "Scaler",
        "Normalizer",
        "OneHotEncoder",
        "Imputer",
        "Binarizer",
        "FeatureVectorizer",
        "DictVectorizer",
        "LabelEncoder",
    )
)
_REGRESSORS = frozenset(
    ("LinearRegressor", "TreeEnsembleRegressor", "SVMRegressor", "TreeEnsemble", "Gemm", "ReduceMean")
)


class Roles(msgspec.Struct, frozen=True):
    """What `septet.model.signature.Signature` says under the same names."""

    kind: Kind
    label: str | None = None
    scores: str | None = None
    labels: tuple[str, ...] = ()
    classes: tuple[Scalar, ...] = ()


def listed(metadata: Mapping[str, str], keys: Sequence[str], length: int | None) -> tuple[str, ...]:
    """The first metadata value under `keys` that lists `length` names (None: any), as JSON or with commas; else ()."""
    for key in keys:
        names = _names(metadata.get(key, ""))
        if names and len(names) == (length or len(names)):
            return names
    return ()


def _names(text: str) -> tuple[str, ...]:
    try:
        values = msgspec.json.decode(text, type=list[str | int | float | bool])
    except msgspec.DecodeError:
        names = tuple(part.strip() for part in text.split(","))
        return names if all(names) else ()
    return tuple(str(value) for value in values)


def roles(graph: Graph, outputs: Sequence[Tensor], zipped: Mapping[str, tuple[Scalar, ...]]) -> Roles:
    """Decide kind and roles; `zipped` holds the class labels of the outputs that were ZipMaps."""
    labels = [tensor for tensor in outputs if tensor.dtype in _LABELS and len(tensor.shape) in {1, 2}]
    floats = [tensor for tensor in outputs if tensor.dtype in _FLOATS]
    if len(labels) == 1 and len(labels) + len(floats) == len(outputs):
        return _with_label(graph, labels[0], floats, zipped)
    if len(outputs) == len(floats) == 1 and len(floats[0].shape) in {1, 2}:
        return _single(graph, floats[0], zipped)
    return Roles(Kind.TENSORS)


def _width(tensor: Tensor) -> int | None:
    return 1 if len(tensor.shape) == 1 else tensor.shape[1]


def _with_label(
    graph: Graph, label: Tensor, floats: Sequence[Tensor], zipped: Mapping[str, tuple[Scalar, ...]]
) -> Roles:
    wide = [tensor for tensor in floats if len(tensor.shape) == _MATRIX_RANK and tensor.shape[1] != 1]
    scores = wide[0] if len(wide) == 1 else None
    behind = list(_ancestors(graph, label.name))
    classes = (zipped.get(scores.name) if scores else None) or _classes(graph, behind)
    if _width(label) != 1:
        return _several(graph, label, scores, floats, classes)
    width = scores.shape[1] if scores else None
    if width is not None and len(classes) != width:
        classes = ()
    if classes or (scores and not _by(behind, "ArgMin")):
        named = _named(graph, classes, width)
        return Roles(Kind.CLASSIFICATION, label.name, scores.name if scores else None, *named)
    if _by(behind, "ArgMin"):
        return Roles(Kind.CLUSTERING, label.name)
    if (label.name, *(tensor.name for tensor in floats)) == _OUTLIER_OUTPUTS:
        return Roles(Kind.OUTLIERS, label.name, None, ("outlier", "inlier"), (-1, 1))
    if not floats and _by(behind, "ArgMax"):
        return Roles(Kind.CLASSIFICATION, label.name, None, listed(graph.metadata, _LABEL_KEYS, None))
    return Roles(Kind.TENSORS)


def _several(
    graph: Graph, label: Tensor, scores: Tensor | None, floats: Sequence[Tensor], classes: tuple[Scalar, ...]
) -> Roles:
    width = _width(label)
    if not floats and not classes:
        return Roles(Kind.TRANSFORM if _transformer_name(label.name) else Kind.TENSORS)
    if scores is None or scores.shape[1] != width:
        return Roles(Kind.MULTILABEL, label.name, None, listed(graph.metadata, _LABEL_KEYS, width))
    labels, _ = _named(graph, classes if len(classes) == width else (), width)
    return Roles(Kind.MULTILABEL, label.name, scores.name, labels)


def _single(graph: Graph, output: Tensor, zipped: Mapping[str, tuple[Scalar, ...]]) -> Roles:
    width = _width(output)
    behind = list(_ancestors(graph, output.name))
    last = next((node for node in behind if node.op not in _PASSING), None)
    if output.name in zipped:
        return Roles(Kind.CLASSIFICATION, None, output.name, *_named(graph, zipped[output.name], width))
    if width != 1:
        labels = listed(graph.metadata, _LABEL_KEYS, width)
        if labels or (last and last.op == "Softmax"):
            return Roles(Kind.CLASSIFICATION, None, output.name, labels)
    if last and _is_transform(graph, output, last):
        return Roles(Kind.TRANSFORM)
    return Roles(Kind.REGRESSION)


def _transformer_name(name: str) -> bool:
    return name == "variable" or name.startswith("transformed")


def _is_transform(graph: Graph, output: Tensor, last: Node) -> bool:
    if last.domain == "ai.onnx.ml" and last.op in _PREPROCESSORS:
        return True
    if not _transformer_name(output.name) or _width(output) == 1 or last.op in _REGRESSORS:
        return False
    producers = graph.producers
    before = [producers[name].op for name in last.inputs if name in producers]
    return not (last.op == "Add" and {"MatMul", "Gemm"}.intersection(before)) and not (
        last.op == "Concat" and _REGRESSORS.intersection(node.op for node in _ancestors(graph, output.name))
    )


def _by(behind: Sequence[Node], op: str) -> bool:
    return any(node.op == op for node in behind)


def _ancestors(graph: Graph, name: str) -> Iterator[Node]:
    """The nodes that `name` depends on, nearest first."""
    producers = graph.producers
    waiting, seen = [name], {name}
    for current in waiting:
        node = producers.get(current)
        if node is None:
            continue
        yield node
        fresh = [item for item in node.inputs if item not in seen]
        seen.update(fresh)
        waiting.extend(fresh)


def _classes(graph: Graph, behind: Sequence[Node]) -> tuple[Scalar, ...]:
    """The classes that the nearest classifier carries, or that the nearest look-up by index chooses from."""
    for node in behind:
        if node.classes:
            return node.classes
        table = graph.initializers.get(node.inputs[0]) if node.op == "ArrayFeatureExtractor" and node.inputs else None
        found = constants(table) if table else ()
        if found:
            return found
    return ()


def _named(graph: Graph, classes: tuple[Scalar, ...], width: int | None) -> tuple[tuple[str, ...], tuple[Scalar, ...]]:
    """Names to show, and the raw classes where these are not the names themselves."""
    names = listed(graph.metadata, _LABEL_KEYS, len(classes) or width)
    labels = names or tuple(str(value) for value in classes)
    return labels, () if labels == classes else classes
