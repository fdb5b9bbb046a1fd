"""Finds in an ONNX graph whether the values of a request decide how long a run takes, or how much memory it needs.

Theory of operation. The graph is gone through once, as the engine would run it, with two facts of each value: whether
its numbers come from the caller's, and whether its sizes do. The inputs have the caller's numbers, but their sizes are
those of the request, which are known before the run. A graph is open-ended where the caller's numbers say how often a
part of it runs (Loop, If), or how large a result is that its operands do not bound (Range, ConstantOfShape, Expand and
others), and where it has an operator whose code is not known. What only cuts or counts (NonZero, Slice) makes sizes of
the caller's choice, but never more than came in.
"""

from collections import ChainMap
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from operator import or_
from typing import Final

from septet.runtimes.onnx.onnx_graph import Graph, Node

_NUMBERS, _SIZES = 1, 2
_BOTH = _NUMBERS | _SIZES

#: The operands that say how large the result is, and how many of the others there may be.
_SIZING: Final[Mapping[str, Sequence[int]]] = {
    **dict.fromkeys(("BlackmanWindow", "ConstantOfShape", "HammingWindow", "HannWindow", "ImageDecoder"), (0,)),
    **dict.fromkeys(("AffineGrid", "CenterCropPad", "DFT", "Expand", "OneHot", "Tile"), (1,)),
    **dict.fromkeys(("MelWeightMatrix", "Range"), (0, 1, 2)),
    **dict.fromkeys(("Resize", "Pad", "STFT", "Upsample"), (1, 2, 3)),
    "Col2Im": (1, 2),
    "MaxUnpool": (2,),
}
#: The first operand that says which part of the others is left, by operator.
_CUTTING: Final[Mapping[str, int]] = {
    **dict.fromkeys(("Compress", "NonMaxSuppression", "NonZero", "Unique"), 0),
    **dict.fromkeys(("StringSplit", "TfIdfVectorizer"), 0),
    **dict.fromkeys(("Reshape", "SequenceAt", "SequenceErase", "Slice", "Split", "SplitToSequence", "TopK"), 1),
}
_COUNTING: Final = frozenset(("SequenceLength", "Shape", "Size"))
#: Operators beyond the standard of which the engine's own optimiser and quantiser make graphs.
_KNOWN_BEYOND: Final = frozenset(
    (
        *("Attention", "BiasGelu", "DynamicQuantizeLSTM", "DynamicQuantizeMatMul", "EmbedLayerNormalization"),
        *("FastGelu", "FusedConv", "FusedGemm", "FusedMatMul", "Gelu", "MatMulIntegerToFloat", "MatMulNBits"),
        *("MultiHeadAttention", "NhwcMaxPool", "QAttention", "QEmbedLayerNormalization", "QGemm", "QLinearAdd"),
        *("QLinearAveragePool", "QLinearConcat", "QLinearConv", "QLinearGlobalAveragePool", "QLinearLeakyRelu"),
        *("QLinearMul", "QLinearSigmoid", "QLinearSoftmax", "QuickGelu", "SkipLayerNormalization"),
    )
)
_STANDARD: Final = frozenset(("", "ai.onnx.ml"))


#: Operators that are looked at, those of nested graphs each time: as many as they are learned of.
MOST_STEPS: Final = 1_000_000


class _OpenEnded(Exception):
    """Raised where the caller's values decide."""


def open_ended(graph: Graph) -> str | None:
    """Why the values of a request may decide how long a run of the graph takes; None where they do not."""
    known = {value.name: _NUMBERS for value in graph.inputs if value.name not in graph.initializers}
    # An initializer that is an input as well is a constant here: Septet asks for no such input.
    try:
        _Facts(graph.bodies, known, [MOST_STEPS]).through(graph)
    except _OpenEnded as found:
        return str(found)
    except RecursionError:
        return "its graphs are nested too deeply to be followed"
    return None


class _Facts:
    """What is known of each value so far, by name; a name that was not seen is a constant."""

    def __init__(
        self, functions: Mapping[tuple[str, str], Graph], known: MutableMapping[str, int], left: list[int]
    ) -> None:
        """Take, in a list that all graphs share, how many more operators may be looked at."""
        self._functions = functions
        self._known = known
        self._left = left

    def through(self, graph: Graph) -> list[int]:
        """Go through the nodes, and return what is known of the results."""
        known = self._known
        known.update(dict.fromkeys(graph.initializers, 0))
        self._left[0] -= len(graph.nodes)
        if self._left[0] < 0:
            raise _OpenEnded("its graphs are nested too deeply to be followed")
        for node in graph.nodes:
            given = [known.get(name, 0) for name in node.inputs]
            results = self._results(node, given)
            for at, name in enumerate(node.outputs):
                known[name] = results[min(at, len(results) - 1)]
        return [known.get(name, 0) for name in graph.outputs]

    def _results(self, node: Node, given: Sequence[int]) -> list[int]:
        own = self._functions.get((node.domain, node.op))
        if own is not None:
            names = (value.name for value in own.inputs)
            return _Facts(self._functions, dict(zip(names, given, strict=False)), self._left).through(own) or [0]
        if node.domain not in _STANDARD and node.op not in _KNOWN_BEYOND:
            raise _OpenEnded(f"the operator {_shown(node)} is code that Septet does not know")
        if node.op == "If":
            return self._if(node, given)
        if node.op == "Loop":
            return self._loop(node, given)
        if node.body is not None:  # Scan, SequenceMap
            return self._repeated(node.body, [_union(given)] * len(node.body.inputs))
        return [_computed(node, given)]

    def _if(self, node: Node, given: Sequence[int]) -> list[int]:
        if _union(given):
            raise _OpenEnded(f"the operator {_shown(node)} chooses by values what is run")
        found = [result for branch in node.branches for result in self._inner().through(branch)]
        return [_union(found)]

    def _loop(self, node: Node, given: Sequence[int]) -> list[int]:
        count = given[0] if node.inputs and node.inputs[0] else None
        body = node.body
        if body is None or (count is not None and count & _NUMBERS):
            raise _OpenEnded(f"the operator {_shown(node)} runs as often as values say")
        results = self._repeated(body, [0, *(given[1:] or [0])], first=1)
        if results[:1] != [0]:
            raise _OpenEnded(f"the operator {_shown(node)} runs for as long as values say")
        return results[1:] or [0]

    def _repeated(self, body: Graph, given: Sequence[int], first: int = 0) -> list[int]:
        """Go through a graph that is run again and again, until nothing more is learned of what it carries on.

        Its first result is carried on as its input at `first`, and so on.
        """
        given = [*given, *([_BOTH] * (len(body.inputs) - len(given)))]
        while True:
            names = (value.name for value in body.inputs)
            results = self._inner(dict(zip(names, given, strict=False))).through(body)
            learned = [*given[:first], *map(or_, given[first:], [*results, *([0] * len(given))])]
            if learned == given:
                return results or [0]
            given = learned

    def _inner(self, known: dict[str, int] | None = None) -> "_Facts":
        outer = self._known
        maps = outer.maps if isinstance(outer, ChainMap) else [outer]
        return _Facts(self._functions, ChainMap(known or {}, *maps), self._left)


def _computed(node: Node, given: Sequence[int]) -> int:
    if node.op in _COUNTING:
        return _NUMBERS if _union(given) & _SIZES else 0
    if any(given[at] & _NUMBERS for at in _SIZING.get(node.op, ()) if at < len(given)):
        raise _OpenEnded(f"the operator {_shown(node)} makes as many values as values say")
    result = _union(given)
    if _union(given[_CUTTING.get(node.op, len(given)) :]) & _NUMBERS:
        result |= _SIZES
    return result


def _union(facts: Iterable[int]) -> int:
    found = 0
    for each in facts:
        found |= each
    return found


def _shown(node: Node) -> str:
    name = next(filter(None, node.outputs), "")
    op = f"{node.domain}.{node.op}" if node.domain not in _STANDARD else node.op
    return f"{op} (of {name!r})" if name else op
