"""A graph is open-ended where the values of a request decide how long it runs, and where its sizes do it is not."""

from typing import Any

import numpy as np
import pytest

from septet.runtimes.onnx import onnx_run_length
from septet.runtimes.onnx.onnx_graph import read
from septet.runtimes.onnx.onnx_run_length import open_ended
from tests.runtimes.onnx_models import FLOAT, INT64, TensorProto, constant, info, model, node, onnx

OPS = ("Neg", "Abs")
X, Y = info("x", FLOAT, ("n", 4)), info("y", FLOAT, None)
ONE = constant("one", np.array([1], np.int64))
HIGHEST = [
    node("ReduceMax", ["x"], ["highest"], keepdims=0),
    node("Cast", ["highest"], ["number"], to=INT64),
    node("Unsqueeze", ["number", "first"], ["numbers"]),
    node("Size", ["x"], ["rows"]),
]
CONSTANTS = [
    ONE,
    constant("first", np.array([0], np.int64)),
    constant("zero", np.int64(0)),
    constant("step", np.int64(1)),
    constant("ten", np.int64(10)),
    constant("two", np.array([2], np.int64)),
    constant("go", np.array(1, bool)),
    constant("pads", np.array([0, 0, 0, 1], np.int64)),
    constant("limit", np.float32(0)),
]


def made(*nodes: Any, **more: Any) -> Any:
    return model([*HIGHEST, *nodes], [X], [Y], CONSTANTS, **more)


def loop(count: str, condition: str = "going") -> Any:
    body = onnx.helper.make_graph(
        [
            node("ReduceMax", ["state"], ["top"], keepdims=0),
            node("Less", ["top", "limit"], ["below"]),
            node("Identity", [condition], ["still"]),
            node("Identity", ["state"], ["next"]),
        ],
        "body",
        [info("at", INT64, ()), info("going", TensorProto.BOOL, ()), info("state", FLOAT, None)],
        [info("still", TensorProto.BOOL, ()), info("next", FLOAT, None)],
    )
    return made(node("Loop", [count, "go", "x"], ["y"], body=body))


def conditional(over: Any) -> Any:
    branches = [
        onnx.helper.make_graph([node(op, ["x"], [op])], op, [], [info(op, FLOAT, None)]) for op in ("Neg", "Abs")
    ]
    return made(over, node("If", ["over"], ["y"], then_branch=branches[0], else_branch=branches[1]))


def nested() -> Any:
    inner = onnx.helper.make_graph(
        [node("Range", ["zero", "number", "step"], ["inner"])], "inner", [], [info("inner", INT64, None)]
    )
    other = onnx.helper.make_graph([node("Identity", ["first"], ["other"])], "other", [], [info("other", INT64, None)])
    return made(node("If", ["go"], ["y"], then_branch=inner, else_branch=other))


def function(op: str) -> Any:
    opsets = [onnx.helper.make_opsetid("", 17)]
    own = onnx.helper.make_function("own", "Sized", ["a", "b"], ["c"], [node(op, ["a", "b"], ["c"])], opsets)
    graph = made(node("Sized", ["x", "numbers"], ["y"], domain="own"), opsets=[onnx.helper.make_opsetid("own", 1)])
    graph.functions.append(own)
    return graph


OPEN = {
    "a loop that counts to a value": loop("number"),
    "a loop without a count whose condition has values": loop("", "below"),
    "a long loop whose condition has values": loop("ten", "below"),
    "a branch chosen by values": conditional(node("Greater", ["highest", "limit"], ["over"])),
    "a range within a branch": nested(),
    "a range": made(node("Range", ["zero", "number", "step"], ["y"])),
    "a constant of a shape": made(node("ConstantOfShape", ["numbers"], ["y"])),
    "expanding": made(node("Expand", ["x", "numbers"], ["y"])),
    "tiles": made(node("Concat", ["numbers", "one"], ["times"], axis=0), node("Tile", ["x", "times"], ["y"])),
    "padding": made(node("Mul", ["pads", "number"], ["more"]), node("Pad", ["x", "more"], ["y"])),
    "one of many": made(node("OneHot", ["two", "numbers", "pads"], ["y"])),
    "resizing": made(node("Cast", ["numbers"], ["scale"], to=FLOAT), node("Resize", ["x", "", "scale"], ["y"])),
    "as many as were found": made(
        node("NonZero", ["x"], ["found"]),
        node("Shape", ["found"], ["size"]),
        node("ConstantOfShape", ["size"], ["y"]),
    ),
    "a function of its own": function("Expand"),
    "foreign code": made(node("Anything", ["x"], ["y"], domain="com.example")),
}
CLOSED = {
    "as many as there are rows": made(node("Shape", ["x"], ["size"]), node("ConstantOfShape", ["size"], ["y"])),
    "a loop that counts to a constant": loop("ten"),
    "a branch chosen by a size": conditional(node("Cast", ["rows"], ["over"], to=TensorProto.BOOL)),
    "what was found": made(node("NonZero", ["x"], ["found"]), node("Transpose", ["found"], ["y"])),
    "the highest": made(node("TopK", ["x", "two"], ["y", ""])),
    "a cut at a value": made(node("Slice", ["x", "first", "numbers"], ["y"])),
    "a function of its own": function("Gather"),
    "integers": made(node("Div", ["number", "ten"], ["y"])),
}


@pytest.mark.parametrize("name", OPEN)
def test_values_decide_how_long_it_runs(name: str) -> None:
    assert open_ended(read(memoryview(OPEN[name].SerializeToString()))) is not None


@pytest.mark.parametrize("name", CLOSED)
def test_values_do_not_decide_how_long_it_runs(name: str) -> None:
    assert open_ended(read(memoryview(CLOSED[name].SerializeToString()))) is None


def test_graphs_in_graphs_are_followed_for_so_long_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_run_length, "MOST_STEPS", 1000)
    nodes: list[Any] = []
    for depth in range(14):
        states = [info(f"{name}{depth}", FLOAT, None) for name in "abcdef"]
        counter = [info(f"at{depth}", INT64, ()), info(f"going{depth}", TensorProto.BOOL, ())]
        body = onnx.helper.make_graph(
            nodes,
            "body",
            [*counter, *states],
            [counter[1], *states[1:], states[0]],  # the first is carried around
        )
        outer = [f"{name}{depth + 1}" for name in "abcdef"]
        nodes = [node("Loop", ["ten", "go", *outer], [f"{name}{depth}y" for name in "abcdef"], body=body)]
    graph = made(node("Identity", ["x"], ["a14"]), *nodes)
    assert "nested too deeply" in (open_ended(read(memoryview(graph.SerializeToString()))) or "")
