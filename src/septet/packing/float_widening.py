"""Casts in an ONNX graph of 64-bit floats: every operator with inputs of both float widths gets 64-bit ones.

The library's converters leave 32-bit constants and results in such a graph here and there, and then it cannot be
loaded. A constant that was rounded to 32 bits stays rounded; `ParityGate` decides whether that matters.
"""

from typing import Any

_FLOAT, _DOUBLE = 1, 11
# Operators whose inputs from this number on have one type.
_ALIKE = {
    **dict.fromkeys(("Add", "Sub", "Mul", "Div", "Max", "Min", "Sum", "MatMul", "Gemm", "Concat", "Mod"), 0),
    **dict.fromkeys(("Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Equal"), 0),
    "Where": 1,
}
_NO_FLOAT = frozenset(
    ("Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Equal", "Not", "And", "Or", "IsNaN", "IsInf")
) | frozenset(("Shape", "Size", "ArgMax", "ArgMin", "NonZero"))
# Operators of `ai.onnx.ml` that give 32-bit numbers whatever they are given, by the number of that result.
_NARROW = {
    **dict.fromkeys(
        ("Scaler", "Normalizer", "OneHotEncoder", "LinearRegressor", "SVMRegressor", "FeatureVectorizer"), 0
    ),
    **dict.fromkeys(("LinearClassifier", "SVMClassifier"), 1),
}


def widen_floats(model: Any) -> None:
    """Put casts to float64 before the operators of an ONNX model that need them."""
    from onnx import helper

    graph = model.graph
    kinds: dict[str, int] = {value.name: value.data_type for value in graph.initializer}
    kinds |= {value.name: value.type.tensor_type.elem_type for value in graph.input}
    widened: dict[str, str] = {}
    nodes = []
    for node in graph.node:
        first = _ALIKE.get(node.op_type)
        alike = [] if first is None else list(range(first, len(node.input)))
        floats = {kinds.get(node.input[at]) for at in alike}
        if {_FLOAT, _DOUBLE} <= floats:
            for at in alike:
                name = node.input[at]
                if kinds.get(name) != _FLOAT:
                    continue
                if name not in widened:
                    widened[name] = f"{name}_as_double"
                    kinds[widened[name]] = _DOUBLE
                    nodes.append(helper.make_node("Cast", [name], [widened[name]], name=f"widen_{name}", to=_DOUBLE))
                node.input[at] = widened[name]
        nodes.append(node)
        for place, name in enumerate(node.output):
            kinds[name] = _kind(node, place, [kinds.get(each, 0) for each in node.input])
    del graph.node[:]
    graph.node.extend(nodes)


def _kind(node: Any, place: int, given: list[int]) -> int:
    """The type of a result, or 0 where it does not matter or is not known."""
    from onnx import helper

    kind = node.op_type
    if kind in _NARROW:
        return _FLOAT if place == _NARROW[kind] else 0
    if kind in _NO_FLOAT:
        return 0
    known = {each.name: helper.get_attribute_value(each) for each in node.attribute}
    if kind == "Cast":
        return int(known["to"])
    if kind in ("Constant", "ConstantOfShape"):
        return int(known["value"].data_type) if "value" in known else _FLOAT
    alike = node.domain != "ai.onnx.ml" or kind in ("ArrayFeatureExtractor", "Binarizer", "Imputer")
    return given[_ALIKE.get(kind, 0)] if alike and given else 0
