"""ONNX graphs built by hand: in some each row is computed by itself, in others rows meet."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tests.runtimes.onnx_models import FLOAT, INT64, STRING, constant, info, model, node, onnx

X = info("x", FLOAT, ("n", 4))
Y = info("y", FLOAT, ("n", 4))
VECTOR = info("y", FLOAT, ("n",))
MICROSOFT = "com.microsoft"
_TEXTS = info("x", STRING, ("n",))


def floats(name: str, *shape: int) -> Any:
    values = np.random.default_rng(len(name)).normal(size=shape)
    return constant(name, values.astype(np.float32))


def whole(name: str, values: Any) -> Any:
    return constant(name, np.asarray(values, np.int64))


def _branch(op: str, name: str) -> Any:
    return onnx.helper.make_graph([node(op, ["x"], [name])], name, [], [info(name, FLOAT, ("n", 4))])


def _conditional() -> Any:
    return model(
        [
            node("ReduceMax", ["x"], ["highest"], keepdims=0),
            node("Greater", ["highest", "limit"], ["over"]),
            node("If", ["over"], ["y"], then_branch=_branch("Identity", "same"), else_branch=_branch("Neg", "other")),
        ],
        [X],
        [Y],
        [constant("limit", np.float32(0))],
    )


def _loop() -> Any:
    body = onnx.helper.make_graph(
        [
            node("Identity", ["going"], ["still"]),
            node("ReduceMean", ["state"], ["middle"], axes=[0], keepdims=1),
            node("Sub", ["state", "middle"], ["next"]),
        ],
        "body",
        [
            info("at", INT64, ()),
            info("going", onnx.TensorProto.BOOL, ()),
            info("state", FLOAT, ("n", 4)),
        ],
        [info("still", onnx.TensorProto.BOOL, ()), info("next", FLOAT, ("n", 4))],
    )
    return model(
        [node("Loop", ["times", "go", "x"], ["y"], body=body)],
        [X],
        [Y],
        [whole("times", 2), constant("go", np.array(True))],  # noqa: FBT003 - a value of the graph
    )


def scan(*, over_rows: bool) -> Any:
    """Sums of products with each row of a table, or running sums over the rows themselves."""
    state, each = ("state", "each")
    nodes = [node("Add" if over_rows else "Identity", [state, each] if over_rows else [state], ["next"])]
    nodes.append(node("Mul", ["next", each], ["product"]))
    nodes.append(node("ReduceSum", ["product", "last"], ["out"], keepdims=0))
    shape = (4,) if over_rows else ("n", 4)
    body = onnx.helper.make_graph(
        nodes,
        "body",
        [info(state, FLOAT, shape), info(each, FLOAT, (4,))],
        [info("next", FLOAT, shape), info("out", FLOAT, () if over_rows else ("n",))],
        [whole("last", [-1])],
    )
    start, through = ("begin", "x") if over_rows else ("x", "table")
    outer = [node("Scan", [start, through], ["end", "scanned"], body=body, num_scan_inputs=1)]
    if over_rows:
        outer.append(node("Identity", ["scanned"], ["y"]))
        return model(outer, [X], [VECTOR], [constant("begin", np.zeros(4, np.float32))])
    outer.append(node("Transpose", ["scanned"], ["y"], perm=[1, 0]))
    return model(outer, [X], [info("y", FLOAT, ("n", 3))], [floats("table", 3, 4)])


def of_rows(nodes: list[Any], *constants: Any, output: Any = Y, opset: int = 17) -> Any:
    return model(nodes, [X], [output], constants, opset=opset)


def _crossed() -> Any:
    """[N] times [N, 1] is [N, N]: every row with every other."""
    return of_rows(
        [
            node("ReduceSum", ["x", "last"], ["flat"], keepdims=0),
            node("ReduceSum", ["x", "last"], ["column"], keepdims=1),
            node("Mul", ["flat", "column"], ["square"]),
            node("ReduceSum", ["square", "last"], ["y"], keepdims=0),
        ],
        whole("last", [1]),
        output=VECTOR,
    )


def normalization(*, training: bool) -> Any:
    outputs = ["y", "mean", "variance"] if training else ["y"]
    return of_rows(
        [node("BatchNormalization", ["x", "s", "b", "m", "v"], outputs, training_mode=int(training))],
        constant("s", np.ones(4, np.float32)),
        floats("b", 4),
        floats("m", 4),
        constant("v", np.ones(4, np.float32)),
    )


def _count_of_rows() -> Any:
    return of_rows(
        [
            node("Shape", ["x"], ["shape"]),
            node("Gather", ["shape", "first"], ["count"]),
            node("Cast", ["count"], ["number"], to=FLOAT),
            node("Div", ["x", "number"], ["y"]),
        ],
        whole("first", 0),
    )


def _of_a_function() -> Any:
    """A file may define an operator itself, under a name that is known."""
    made = of_rows([node("Relu", ["x"], ["y"])])
    function = onnx.helper.make_function(
        "", "Relu", ["a"], ["b"], [node("Softmax", ["a"], ["b"], axis=0)], [onnx.helper.make_opsetid("", 17)]
    )
    made.functions.append(function)
    return made


def mixing() -> Mapping[str, Any]:
    """Graphs in which a row's answer depends on other rows."""
    square = info("x", FLOAT, ("n", "n"))
    return {
        "mean over the rows": of_rows(
            [node("ReduceMean", ["x"], ["m"], axes=[0], keepdims=1), node("Sub", ["x", "m"], ["y"])]
        ),
        "mean over all axes": of_rows([node("ReduceMean", ["x"], ["m"], keepdims=1), node("Sub", ["x", "m"], ["y"])]),
        "softmax over the rows": of_rows([node("Softmax", ["x"], ["y"], axis=0)]),
        "old softmax over all": of_rows([node("Softmax", ["x"], ["y"], axis=0)], opset=11),
        "sum so far": of_rows([node("CumSum", ["x", "axis"], ["y"])], whole("axis", 0)),
        "sorted rows": of_rows(
            [
                node("Shape", ["x"], ["shape"]),
                node("Gather", ["shape", "at"], ["count"]),
                node("TopK", ["x", "count"], ["y", "places"], axis=0),
            ],
            whole("at", [0]),
        ),
        "condition on all": _conditional(),
        "loop over all": _loop(),
        "scan over the rows": scan(over_rows=True),
        "rows times rows": _crossed(),
        "rows by matrix": of_rows(
            [node("Transpose", ["x"], ["t"]), node("MatMul", ["x", "t"], ["g"]), node("MatMul", ["g", "x"], ["y"])]
        ),
        "training": normalization(training=True),
        "dynamic quantization": of_rows(
            [node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]), node("DequantizeLinear", ["q", "s", "z"], ["y"])]
        ),
        "number of rows": _count_of_rows(),
        "last row": of_rows(
            [node("Gather", ["x", "at"], ["l"], axis=0), node("Add", ["x", "l"], ["y"])], whole("at", [-1])
        ),
        "reversed": of_rows(
            [node("Slice", ["x", "start", "stop", "axis", "step"], ["y"])],
            whole("start", [-1]),
            whole("stop", [-(2**31)]),
            whole("axis", [0]),
            whole("step", [-1]),
        ),
        "shifted": of_rows(
            [node("Pad", ["x", "pads"], ["p"]), node("Slice", ["p", "start", "stop"], ["y"])],
            whole("pads", [1, 0, -1, 0]),
            whole("start", [0]),
            whole("stop", [2**31]),
        ),
        "unique": of_rows(
            [
                node("Unique", ["x"], ["u", "i", "back", "c"]),
                node("Reshape", ["back", "s"], ["r"]),
                node("Cast", ["r"], ["y"], to=FLOAT),
            ],
            whole("s", [-1, 4]),
        ),
        "moved by a reshape": of_rows(
            [
                node("Reshape", ["x", "s"], ["r"]),
                node("Softmax", ["r"], ["q"], axis=1),
                node("Reshape", ["q", "back"], ["y"]),
            ],
            whole("s", [4, -1]),
            whole("back", [-1, 4]),
        ),
        "squeezed": of_rows(
            [node("Squeeze", ["x"], ["s"]), node("ReduceSum", ["s", "last"], ["y"], keepdims=0)],
            whole("last", [-1]),
            output=info("y", FLOAT, None),
        ),
        "of a function": _of_a_function(),
        "random": of_rows([node("RandomNormalLike", ["x"], ["r"]), node("Add", ["x", "r"], ["y"])]),
        "a column for each row": model(
            [node("ReduceSum", ["x", "last"], ["y"], keepdims=0)], [square], [VECTOR], [whole("last", [1])]
        ),
        "flattened to one": of_rows(
            [node("Flatten", ["x"], ["f"], axis=0), node("Softmax", ["f"], ["q"]), node("Reshape", ["q", "s"], ["y"])],
            whole("s", [-1, 4]),
        ),
        "einsum over rows": of_rows(
            [node("Einsum", ["x", "x"], ["g"], equation="ij,kj->ik"), node("MatMul", ["g", "x"], ["y"])]
        ),
        "normalized over rows": of_rows([node("LpNormalization", ["x"], ["y"], axis=0)]),
        "layers over rows": of_rows(
            [node("LayerNormalization", ["x", "s"], ["y"], axis=0)], constant("s", np.ones(4, np.float32))
        ),
        "counted fillers": counted("cat", "#"),
        "stop words": _stopped(),
        "distances between rows": microsoft("CDist", "x", output=info("y", FLOAT, ("n", "m"))),
        "unknown operator": microsoft(
            "DynamicQuantizeMatMul",
            "w",
            "s",
            constants=[constant("w", np.ones((4, 4), np.uint8)), constant("s", np.ones(1, np.float32))],
        ),
        "scaled row by row": _scaled_row_by_row(),
        "many to one": of_rows(
            [node("GatherElements", ["x", "at"], ["g"], axis=0), node("Add", ["x", "g"], ["y"])],
            whole("at", [[0, 0, 0, 0]]),
        ),
    }


def counted(*pool: str, filler: str = "#") -> Any:
    """Texts cut into words, filled up to the longest with another word, and counted."""
    nodes = [
        node("Tokenizer", ["x"], ["t"], domain=MICROSOFT, mark=0, mincharnum=1, pad_value=filler, tokenexp="[^ ]+"),
        node("Flatten", ["t"], ["f"]),
        node(
            "TfIdfVectorizer",
            ["f"],
            ["y"],
            max_gram_length=1,
            max_skip_count=0,
            min_gram_length=1,
            mode="TF",
            ngram_counts=[0],
            ngram_indexes=list(range(len(pool))),
            pool_strings=list(pool),
            weights=[1.0] * len(pool),
        ),
    ]
    opsets = [onnx.helper.make_opsetid(MICROSOFT, 1)]
    return model(nodes, [_TEXTS], [info("y", FLOAT, ("n", len(pool)))], opsets=opsets)


def _stopped() -> Any:
    """A row that is a stop word is left out."""
    nodes = [node("StringNormalizer", ["x"], ["y"], stopwords=["the"], is_case_sensitive=1)]
    return model(nodes, [_TEXTS], [info("y", STRING, ("n",))])


def microsoft(op: str, *names: str, constants: Any = (), output: Any = Y) -> Any:
    opsets = [onnx.helper.make_opsetid(MICROSOFT, 1)]
    nodes = [node(op, ["x", *names], ["y"], domain=MICROSOFT)]
    return model(nodes, [X], [output], constants, opsets=opsets)


def _scaled_row_by_row() -> Any:
    """A scale for each of three rows, whoever they are from."""
    constants = [
        constant("s", np.array([0.1, 0.2, 0.3], np.float32)),
        constant("z", np.array([1, 2, 3], np.uint8)),
    ]
    nodes = [node("QuantizeLinear", ["x", "s", "z"], ["q"], axis=0), node("Cast", ["q"], ["y"], to=FLOAT)]
    return of_rows(nodes, *constants)
