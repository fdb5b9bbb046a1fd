"""How the operators of `ai.onnx.ml`, and the others that whole models are made of, treat the rows; see `onnx_rows`."""

from collections.abc import Mapping, Sequence
from functools import partial

from septet.runtimes.onnx.onnx_array_rules import RULES as ARRAY_RULES
from septet.runtimes.onnx.onnx_array_rules import elementwise, matmul
from septet.runtimes.onnx.onnx_graph import Node
from septet.runtimes.onnx.onnx_shape_rules import joined
from septet.runtimes.onnx.onnx_sizes import ONE, Size, product
from septet.runtimes.onnx.onnx_value import (
    AbstractValue,
    Rule,
    Scope,
    Unproven,
    Values,
    argument,
    broadcast,
    first,
    fixed,
    integers,
    text,
)

_ML, _MICROSOFT = "ai.onnx.ml", "com.microsoft"
_MATRIX = 2


def _matrix(values: Values) -> AbstractValue:
    """The first argument, a matrix of a row each; a vector would be taken for one row."""
    value = first(values)
    fixed(values)
    if value.rank != _MATRIX or value.axis not in {None, 0}:
        raise Unproven("expects a matrix with a row for each row")
    return value


def _classifier(node: Node, values: Values, scope: Scope) -> Sequence[AbstractValue]:
    value = _matrix(values)
    # Without probabilities a support vector machine has a score for each pair of classes.
    known = node.op != "SVMClassifier" or node.attributes.get("prob_a")
    width = Size(len(node.classes)) if node.classes and known else scope.unknown()
    return (AbstractValue(value.sizes[:1], value.axis), AbstractValue((value.sizes[0], width), value.axis))


def _regressor(node: Node, values: Values, _scope: Scope) -> Sequence[AbstractValue]:
    value = _matrix(values)
    width = {"LinearRegressor": "targets", "SVMRegressor": ""}.get(node.op, "n_targets")
    return (AbstractValue((value.sizes[0], Size(node.number(width, 1))), value.axis),)


def _of_matrix(_node: Node, values: Values, _scope: Scope) -> Sequence[AbstractValue]:
    value = _matrix(values)
    return (AbstractValue(value.shape, value.axis),)


def _one_by_one(_node: Node, values: Values, _scope: Scope) -> Sequence[AbstractValue]:
    value = first(values)
    fixed(values)
    return (AbstractValue(value.shape, value.axis),)


def _one_hot(node: Node, values: Values, scope: Scope) -> Sequence[AbstractValue]:
    value = first(values)
    known = node.attributes.get("cats_strings") or node.attributes.get("cats_int64s")
    return (AbstractValue((*value.sizes, Size(len(known)) if known else scope.unknown()), value.axis),)


def _features(_node: Node, values: Values, scope: Scope) -> Sequence[AbstractValue]:
    given = [value for value in values if value is not None]
    if any(value.rank != _MATRIX or value.axis != 0 for value in given):
        raise Unproven("expects a matrix with a row for each row")
    return (joined(given, 1, scope),)


def _extracted(_node: Node, values: Values, _scope: Scope) -> Sequence[AbstractValue]:
    """`ArrayFeatureExtractor`: places of the last axis of the first argument, which the second lists."""
    table, indices = first(values), argument(values, 1)
    if indices is None or (table.axis is not None and indices.axis is not None):
        raise Unproven("picks rows by the values of others")
    if table.axis is not None and table.axis == table.rank - 1:
        raise Unproven("works along the rows")
    lead = table.sizes[:-1] if table.rank > 1 else (ONE,)
    if indices.axis is None:
        return (AbstractValue((*lead, product(indices.sizes)), table.axis),)
    if product(indices.sizes[: indices.axis]) != ONE:
        raise Unproven("moves values of one row to another")
    return (AbstractValue((*lead, product(indices.sizes)), len(lead)),)


def _normalized_text(node: Node, values: Values, _scope: Scope) -> Sequence[AbstractValue]:
    value = first(values)
    if value.rank != 1:
        raise Unproven("expects the rows on the first axis")
    if node.attributes.get("stopwords"):
        raise Unproven("leaves out rows that are a stop word")
    return (AbstractValue(value.shape, value.axis),)


def _tokens(node: Node, values: Values, scope: Scope) -> Sequence[AbstractValue]:
    """As many words as the longest row has; the others are filled up."""
    value = first(values)
    if node.number("mark", 0):
        raise Unproven("marks the ends of rows in a way that is not followed")
    return (AbstractValue((*value.sizes, scope.unknown()), value.axis, None, text(node, "pad_value", "")),)


def _word_counts(node: Node, values: Values, scope: Scope) -> Sequence[AbstractValue]:
    value = _matrix(values)
    if value.filler is not None and value.filler in node.attributes.get("pool_strings", ()):
        raise Unproven(f"counts the word {value.filler!r}, with which rows are filled up to the length of the longest")
    places = integers(node, "ngram_indexes")
    return (AbstractValue((value.sizes[0], Size(max(places) + 1) if places else scope.unknown()), value.axis),)


def _distances(_node: Node, values: Values, _scope: Scope) -> Sequence[AbstractValue]:
    one, other = first(values), argument(values, 1)
    if other is None or one.rank != _MATRIX or other.rank != _MATRIX or {one.axis, other.axis} != {None, 0}:
        raise Unproven("compares rows with each other")
    return (AbstractValue((one.sizes[0], other.sizes[0]), 0 if one.axis == 0 else 1),)


def _skip_norm(node: Node, values: Values, scope: Scope) -> Sequence[AbstractValue]:
    """The sum of two values, normalized over the last axis."""
    one, other = first(values), argument(values, 1)
    fixed(values, 2)
    whole = broadcast((one, other), scope)
    if whole.axis == whole.rank - 1 or sum(map(bool, node.outputs)) > 1:
        raise Unproven("normalizes over the rows")
    return (whole,)


def _quantized(op: str, of: tuple[int, ...], node: Node, values: Values, scope: Scope) -> Sequence[AbstractValue]:
    """An operator on whole numbers: those arguments are its own, the others are scales and zero points."""
    own = [argument(values, place) for place in of]
    others = [value for place, value in enumerate(values) if place not in of]
    fixed(others, 0)
    for place, value in enumerate(values):
        # A scale for each row of the first argument, or of the result, would be one for each caller.
        if place not in of and value is not None and product(value.sizes) != ONE and place not in _PER_CHANNEL:
            raise Unproven("scales rows one by one")
    return ARRAY_RULES["", op](node, own, scope) if op == "Conv" else matmul(node, own, scope)


# The arguments of quantized operators that may have a value for each channel: those of the weights, and the bias.
_PER_CHANNEL = frozenset((3, 4, 5, 8))


#: As in `onnx_array_rules`.
EXACT = frozenset(
    (
        *("ArrayFeatureExtractor", "Binarizer", "CategoryMapper", "FeatureVectorizer", "Imputer", "LabelEncoder"),
        *("Normalizer", "OneHotEncoder", "Scaler", "StringNormalizer", "TfIdfVectorizer", "Tokenizer"),
        *("TreeEnsemble", "TreeEnsembleClassifier", "TreeEnsembleRegressor", "ZipMap"),
    )
)
#: Those of them whose order of summing up depends on the number of threads.
FORESTS = frozenset(("TreeEnsemble", "TreeEnsembleClassifier", "TreeEnsembleRegressor"))

RULES: Mapping[tuple[str, str], Rule] = {
    **{(_ML, op): _classifier for op in ("LinearClassifier", "SVMClassifier", "TreeEnsembleClassifier")},
    **{(_ML, op): _regressor for op in ("LinearRegressor", "SVMRegressor", "TreeEnsembleRegressor", "TreeEnsemble")},
    **{(_ML, op): _of_matrix for op in ("Imputer", "Normalizer", "Scaler")},
    **{(_ML, op): _one_by_one for op in ("Binarizer", "CategoryMapper", "LabelEncoder")},
    (_ML, "OneHotEncoder"): _one_hot,
    (_ML, "FeatureVectorizer"): _features,
    (_ML, "ArrayFeatureExtractor"): _extracted,
    ("", "StringNormalizer"): _normalized_text,
    ("", "TfIdfVectorizer"): _word_counts,
    (_MICROSOFT, "Tokenizer"): _tokens,
    (_MICROSOFT, "CDist"): _distances,
    (_MICROSOFT, "SkipLayerNormalization"): _skip_norm,
    **{(_MICROSOFT, op): elementwise for op in ("BiasGelu", "FastGelu", "Gelu", "QuickGelu")},
    ("", "QLinearConv"): partial(_quantized, "Conv", (0, 3)),
    ("", "ConvInteger"): partial(_quantized, "Conv", (0, 1)),
    ("", "QLinearMatMul"): partial(_quantized, "MatMul", (0, 3)),
    ("", "MatMulInteger"): partial(_quantized, "MatMul", (0, 1)),
}
