"""Proves of an ONNX graph, operator by operator, that each row's answer depends on that row alone.

Theory of operation. The graph is gone through once, as the engine would run it, with what is known of each value in
place of its numbers: that it does not depend on the rows, that it has the rows on one axis and what lies there depends
on that row alone, or that nothing of that kind is certain (`onnx_value`). Each operator has a rule that says which of
these its results are (`onnx_shape_rules`, `onnx_index_rules`, `onnx_array_rules`, `onnx_model_rules`); one without a
rule proves nothing, and neither does one that computes along the axis of the rows, or takes from the values of a whole
run how to treat each row. Free sizes beside the rows are equal for all requests that share a run, and count as
constant.
"""

from collections import ChainMap
from collections.abc import Mapping, MutableMapping, Sequence
from typing import TypeAlias

import msgspec

from septet.runtimes.onnx import onnx_array_rules, onnx_index_rules, onnx_model_rules, onnx_shape_rules
from septet.runtimes.onnx.onnx_graph import Graph, Node
from septet.runtimes.onnx.onnx_graph import GraphValue as Declared
from septet.runtimes.onnx.onnx_shape_rules import COUNTING
from septet.runtimes.onnx.onnx_sizes import MANY, Size
from septet.runtimes.onnx.onnx_value import (
    CONSTANT,
    AbstractValue,
    Rule,
    Scope,
    Unproven,
    Values,
    constant,
    integers,
    place_of,
)
from septet.runtimes.onnx.onnx_zipmaps import zipmaps

#: What is known of a value, or why nothing is.
Known: TypeAlias = AbstractValue | str

_RULES: Mapping[tuple[str, str], Rule] = {
    **onnx_shape_rules.RULES,
    **onnx_index_rules.RULES,
    **onnx_array_rules.RULES,
    **onnx_model_rules.RULES,
}
_MOVING = frozenset(op for _, op in (*onnx_shape_rules.RULES, *onnx_index_rules.RULES))
_EXACT = onnx_array_rules.EXACT | onnx_model_rules.EXACT | _MOVING
_RANDOM = frozenset(
    (
        *("Bernoulli", "Dropout", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform"),
        "RandomUniformLike",
    )
)
_NESTED = frozenset(("If", "Loop", "Scan", "SequenceMap"))
# Only the shape of these is changed: what fills up a row stays at its end.
_KEEPING = frozenset(("Flatten", "Identity", "Reshape", "Squeeze", "TfIdfVectorizer"))
_SCAN_WITHOUT_BATCH = 9


class RowDependence(msgspec.Struct, frozen=True):
    """What is known of a graph's outputs by name, and which operators on their way may round as others do not."""

    outputs: Mapping[str, Known]
    rounding: tuple[str, ...]

    def axis(self, name: str) -> int | None:
        """Where the rows of an output lie, one place each; None where that is not proven."""
        value = self.outputs.get(name, "")
        if isinstance(value, str) or value.axis is None or value.filler is not None:
            return None
        return value.axis if value.sizes[value.axis] == MANY else None


def row_dependence(graph: Graph, *, threads: int) -> RowDependence:
    """Go through a graph whose inputs have the rows on their first axes.

    `threads` is how many of them the engine sums up trees with.
    """
    walk = _GraphWalk(graph, threads)
    walk.through(graph)
    return RowDependence({name: walk.known.get(name, "is not computed") for name in graph.outputs}, walk.rounding)


class _GraphWalk:
    """What is known of each value so far, by name."""

    def __init__(self, graph: Graph, threads: int) -> None:
        self.known: MutableMapping[str, Known] = {}
        self._graph = graph
        self._exact = _EXACT if threads == 1 else _EXACT - onnx_model_rules.FORESTS
        self._scope = Scope(graph.opsets)
        self._replaced = {id(node) for node in zipmaps(graph).values()}
        self._rounding: dict[str, None] = {}
        leads = {value.sizes[0] for value in graph.inputs if value.sizes}
        for value in graph.inputs:
            self.known[value.name] = self._input(value, leads)

    @property
    def rounding(self) -> tuple[str, ...]:
        return tuple(self._rounding)

    def _input(self, value: Declared, leads: set[int | str]) -> Known:
        if not value.sizes:
            return "has no axis of rows"
        inner = value.sizes[1:]
        if any(isinstance(size, str) and size and size in leads for size in inner):
            return f"the input {value.name!r} has as many places in a row as there are rows"
        return AbstractValue((MANY, *map(self._declared, inner)), 0)

    def _declared(self, size: int | str) -> Size:
        if isinstance(size, int):
            return Size(size) if size > 0 else self._scope.unknown()
        return Size(1, (f"input {size}",)) if size else self._scope.unknown()

    def through(self, graph: Graph) -> None:
        """Go through the nodes, which are sorted: what one takes was made before."""
        for name, item in graph.initializers.items():
            self.known[name] = constant(item)
        for node in graph.nodes:
            for name, known in zip(node.outputs, self._results(node), strict=False):
                self.known[name] = known

    def _results(self, node: Node) -> Sequence[Known]:
        given = [self.known.get(name, f"the value {name!r} is not known") if name else None for name in node.inputs]
        reason = next((each for each in given if isinstance(each, str)), None)
        if reason is not None:
            return [reason for _ in node.outputs]
        values = [each if isinstance(each, AbstractValue) else None for each in given]
        try:
            results = self._checked(node, values)
        except Unproven as exc:
            return [f"the operator {_named(node)} {exc}" for _ in node.outputs]
        if node.op not in self._exact and any(result.axis is not None for result in results):
            self._rounding[node.op] = None
        return [*results, *(f"the operator {_named(node)} has more results" for _ in node.outputs[len(results) :])]

    def _checked(self, node: Node, values: Values) -> Sequence[AbstractValue]:
        own = (node.domain, node.op) in self._graph.bodies
        rows = any(value is not None and (value.axis is not None or value.sized) for value in values)
        if not rows and not own and node.domain in {"", "ai.onnx.ml"} and node.op not in _RANDOM | _NESTED:
            return self._of_constants(node, values)
        if any(value is not None and value.sized for value in values) and node.op not in COUNTING:
            raise Unproven("computes with the number of rows")
        if any(value is not None and value.filler is not None for value in values) and node.op not in _KEEPING:
            raise Unproven("takes rows that are filled up to the length of the longest")
        rule = _RULES.get((node.domain, node.op))
        if id(node) in self._replaced:
            rule = _RULES["", "Identity"]
        if (node.domain, node.op) == ("", "Scan"):
            rule = self._scan
        if own or rule is None:
            raise Unproven("is not known to work row by row")
        return _followed(rule, node, values, self._scope)

    def _of_constants(self, node: Node, values: Values) -> Sequence[AbstractValue]:
        rule = _RULES.get((node.domain, node.op))
        try:
            results = _followed(rule, node, values, self._scope) if rule is not None else ()
        except Unproven:
            results = ()
        return [*results, *(CONSTANT for _ in node.outputs[len(results) :])]

    def _scan(self, node: Node, values: Values, scope: Scope) -> Sequence[AbstractValue]:
        """A graph that is run for each place along an axis which is not that of the rows."""
        body, count = node.body, node.number("num_scan_inputs", 0)
        if body is None or scope.opset < _SCAN_WITHOUT_BATCH or any(value is None for value in values):
            raise Unproven("is written in a way that is not followed")
        given = [value for value in values if value is not None]
        states, scanned = given[: len(given) - count], given[len(given) - count :]
        axes = integers(node, "scan_input_axes") or (0,) * count
        inner = _GraphWalk.__new__(_GraphWalk)
        inner.__dict__.update(self.__dict__, known=ChainMap({}, self.known))
        slices = [_slice_of(value, place_of(axis, value.rank)) for value, axis in zip(scanned, axes, strict=True)]
        for declared, value in zip(body.inputs, (*states, *slices), strict=True):
            inner.known[declared.name] = value
        inner.through(body)
        results = [inner.known.get(name, "is not computed") for name in body.outputs]
        reason = next((each for each in results if isinstance(each, str)), None)
        if reason is not None:
            raise Unproven(f"runs a graph again and again in which {reason}")
        found = [each for each in results if isinstance(each, AbstractValue)]
        if found[: len(states)] != states:
            raise Unproven("carries values from one run of its graph to the next that are not of the rows")
        length = scanned[0].sizes[place_of(axes[0], scanned[0].rank)] if scanned else scope.unknown()
        if any(integers(node, "scan_output_axes") or ()):
            raise Unproven("is written in a way that is not followed")
        stacked = [AbstractValue((length, *each.sizes), _behind(each.axis)) for each in found[len(states) :]]
        return (*states, *stacked)


def _slice_of(value: AbstractValue, axis: int) -> AbstractValue:
    if value.axis == axis:
        raise Unproven("goes through the rows one after the other")
    place = value.axis
    if place is not None and place > axis:
        place -= 1
    return AbstractValue((*value.sizes[:axis], *value.sizes[axis + 1 :]), place)


def _behind(axis: int | None) -> int | None:
    return None if axis is None else axis + 1


def _followed(rule: Rule, node: Node, values: Values, scope: Scope) -> Sequence[AbstractValue]:
    try:
        return rule(node, values, scope)
    except (IndexError, KeyError, TypeError, ValueError) as exc:
        # A graph that the engine would not run either, or arguments that no rule foresaw.
        raise Unproven("is written in a way that is not followed") from exc


def _named(node: Node) -> str:
    """The operator, and which value it computes."""
    domain = f"{node.domain}." if node.domain not in {"", "ai.onnx.ml"} else ""
    name = next(filter(None, node.outputs), "")
    return f"{domain}{node.op} (of {name!r})" if name else f"{domain}{node.op}"
