"""ONNX graphs built by hand: in some each row is computed by itself, in others rows meet."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tests.runtimes.onnx_models import FLOAT, INT64, ML, STRING, constant, info, model, node, onnx

_ROW = [1.0, 0.5, -0.25, 2.0]
_X = info("x", FLOAT, ("n", 4))
_Y = info("y", FLOAT, ("n", 4))
_VECTOR = info("y", FLOAT, ("n",))


def _float(name: str, *shape: int) -> Any:
    values = np.random.default_rng(len(name)).normal(size=shape)
    return constant(name, values.astype(np.float32))


def _ints(name: str, values: Any) -> Any:
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
        [_X],
        [_Y],
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
        [_X],
        [_Y],
        [_ints("times", 2), constant("go", np.array(True))],  # noqa: FBT003 - a value of the graph
    )


def _scan(*, over_rows: bool) -> Any:
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
        [_ints("last", [-1])],
    )
    start, through = ("begin", "x") if over_rows else ("x", "table")
    outer = [node("Scan", [start, through], ["end", "scanned"], body=body, num_scan_inputs=1)]
    if over_rows:
        outer.append(node("Identity", ["scanned"], ["y"]))
        return model(outer, [_X], [_VECTOR], [constant("begin", np.zeros(4, np.float32))])
    outer.append(node("Transpose", ["scanned"], ["y"], perm=[1, 0]))
    return model(outer, [_X], [info("y", FLOAT, ("n", 3))], [_float("table", 3, 4)])


def _with(nodes: list[Any], *constants: Any, output: Any = _Y, opset: int = 17) -> Any:
    return model(nodes, [_X], [output], constants, opset=opset)


def _crossed() -> Any:
    """[N] times [N, 1] is [N, N]: every row with every other."""
    return _with(
        [
            node("ReduceSum", ["x", "last"], ["flat"], keepdims=0),
            node("ReduceSum", ["x", "last"], ["column"], keepdims=1),
            node("Mul", ["flat", "column"], ["square"]),
            node("ReduceSum", ["square", "last"], ["y"], keepdims=0),
        ],
        _ints("last", [1]),
        output=_VECTOR,
    )


def _normalization(*, training: bool) -> Any:
    outputs = ["y", "mean", "variance"] if training else ["y"]
    return _with(
        [node("BatchNormalization", ["x", "s", "b", "m", "v"], outputs, training_mode=int(training))],
        constant("s", np.ones(4, np.float32)),
        _float("b", 4),
        _float("m", 4),
        constant("v", np.ones(4, np.float32)),
    )


def _count_of_rows() -> Any:
    return _with(
        [
            node("Shape", ["x"], ["shape"]),
            node("Gather", ["shape", "first"], ["count"]),
            node("Cast", ["count"], ["number"], to=FLOAT),
            node("Div", ["x", "number"], ["y"]),
        ],
        _ints("first", 0),
    )


def _of_a_function() -> Any:
    """A file may define an operator itself, under a name that is known."""
    made = _with([node("Relu", ["x"], ["y"])])
    function = onnx.helper.make_function(
        "", "Relu", ["a"], ["b"], [node("Softmax", ["a"], ["b"], axis=0)], [onnx.helper.make_opsetid("", 17)]
    )
    made.functions.append(function)
    return made


def mixing() -> Mapping[str, Any]:
    """Graphs in which a row's answer depends on other rows."""
    square = info("x", FLOAT, ("n", "n"))
    return {
        "mean over the rows": _with(
            [node("ReduceMean", ["x"], ["m"], axes=[0], keepdims=1), node("Sub", ["x", "m"], ["y"])]
        ),
        "mean over all axes": _with([node("ReduceMean", ["x"], ["m"], keepdims=1), node("Sub", ["x", "m"], ["y"])]),
        "softmax over the rows": _with([node("Softmax", ["x"], ["y"], axis=0)]),
        "old softmax over all": _with([node("Softmax", ["x"], ["y"], axis=0)], opset=11),
        "sum so far": _with([node("CumSum", ["x", "axis"], ["y"])], _ints("axis", 0)),
        "sorted rows": _with(
            [
                node("Shape", ["x"], ["shape"]),
                node("Gather", ["shape", "at"], ["count"]),
                node("TopK", ["x", "count"], ["y", "places"], axis=0),
            ],
            _ints("at", [0]),
        ),
        "condition on all": _conditional(),
        "loop over all": _loop(),
        "scan over the rows": _scan(over_rows=True),
        "rows times rows": _crossed(),
        "rows by matrix": _with(
            [node("Transpose", ["x"], ["t"]), node("MatMul", ["x", "t"], ["g"]), node("MatMul", ["g", "x"], ["y"])]
        ),
        "training": _normalization(training=True),
        "dynamic quantization": _with(
            [node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]), node("DequantizeLinear", ["q", "s", "z"], ["y"])]
        ),
        "number of rows": _count_of_rows(),
        "last row": _with(
            [node("Gather", ["x", "at"], ["l"], axis=0), node("Add", ["x", "l"], ["y"])], _ints("at", [-1])
        ),
        "reversed": _with(
            [node("Slice", ["x", "start", "stop", "axis", "step"], ["y"])],
            _ints("start", [-1]),
            _ints("stop", [-(2**31)]),
            _ints("axis", [0]),
            _ints("step", [-1]),
        ),
        "shifted": _with(
            [node("Pad", ["x", "pads"], ["p"]), node("Slice", ["p", "start", "stop"], ["y"])],
            _ints("pads", [1, 0, -1, 0]),
            _ints("start", [0]),
            _ints("stop", [2**31]),
        ),
        "unique": _with(
            [
                node("Unique", ["x"], ["u", "i", "back", "c"]),
                node("Reshape", ["back", "s"], ["r"]),
                node("Cast", ["r"], ["y"], to=FLOAT),
            ],
            _ints("s", [-1, 4]),
        ),
        "moved by a reshape": _with(
            [
                node("Reshape", ["x", "s"], ["r"]),
                node("Softmax", ["r"], ["q"], axis=1),
                node("Reshape", ["q", "back"], ["y"]),
            ],
            _ints("s", [4, -1]),
            _ints("back", [-1, 4]),
        ),
        "squeezed": _with(
            [node("Squeeze", ["x"], ["s"]), node("ReduceSum", ["s", "last"], ["y"], keepdims=0)],
            _ints("last", [-1]),
            output=info("y", FLOAT, None),
        ),
        "of a function": _of_a_function(),
        "random": _with([node("RandomNormalLike", ["x"], ["r"]), node("Add", ["x", "r"], ["y"])]),
        "a column for each row": model(
            [node("ReduceSum", ["x", "last"], ["y"], keepdims=0)], [square], [_VECTOR], [_ints("last", [1])]
        ),
        "flattened to one": _with(
            [node("Flatten", ["x"], ["f"], axis=0), node("Softmax", ["f"], ["q"]), node("Reshape", ["q", "s"], ["y"])],
            _ints("s", [-1, 4]),
        ),
        "einsum over rows": _with(
            [node("Einsum", ["x", "x"], ["g"], equation="ij,kj->ik"), node("MatMul", ["g", "x"], ["y"])]
        ),
        "normalized over rows": _with([node("LpNormalization", ["x"], ["y"], axis=0)]),
        "layers over rows": _with(
            [node("LayerNormalization", ["x", "s"], ["y"], axis=0)], constant("s", np.ones(4, np.float32))
        ),
        "counted fillers": _counted("cat", "#"),
        "stop words": _stopped(),
        "distances between rows": _microsoft("CDist", "x", output=info("y", FLOAT, ("n", "m"))),
        "unknown operator": _microsoft(
            "DynamicQuantizeMatMul",
            "w",
            "s",
            constants=[constant("w", np.ones((4, 4), np.uint8)), constant("s", np.ones(1, np.float32))],
        ),
        "scaled row by row": _scaled_row_by_row(),
        "many to one": _with(
            [node("GatherElements", ["x", "at"], ["g"], axis=0), node("Add", ["x", "g"], ["y"])],
            _ints("at", [[0, 0, 0, 0]]),
        ),
    }


def _heads() -> Any:
    """Attention as exporters write it: shapes read from the input, heads split off and joined again."""
    nodes = [
        node("Shape", ["x"], ["shape"]),
        node("Gather", ["shape", "zero"], ["count"]),
        node("Gather", ["shape", "one"], ["steps"]),
        *(node("Unsqueeze", [name, "front"], [f"{name}_1"]) for name in ("count", "steps")),
        node("Concat", ["count_1", "steps_1", "two", "three"], ["split"], axis=0),
        node("Concat", ["count_1", "steps_1", "six"], ["whole"], axis=0),
    ]
    for name in ("q", "k", "v"):
        nodes += [
            node("MatMul", ["x", f"w{name}"], [f"{name}0"]),
            node("Reshape", [f"{name}0", "split"], [f"{name}1"]),
            node("Transpose", [f"{name}1"], [name], perm=[0, 2, 3, 1] if name == "k" else [0, 2, 1, 3]),
        ]
    nodes += [
        node("MatMul", ["q", "k"], ["raw"]),
        node("Div", ["raw", "root"], ["scaled"]),
        node("Softmax", ["scaled"], ["weights"], axis=-1),
        node("MatMul", ["weights", "v"], ["heads"]),
        node("Transpose", ["heads"], ["turned"], perm=[0, 2, 1, 3]),
        node("Reshape", ["turned", "whole"], ["joined"]),
        node("Add", ["joined", "x"], ["sum"]),
        node("LayerNormalization", ["sum", "s", "b"], ["normal"], axis=-1),
        node("ReduceMean", ["normal"], ["pooled"], axes=[1], keepdims=0),
        node("Gemm", ["pooled", "wo", "bo"], ["y"], transB=1),
    ]
    constants = [
        *(_ints(name, value) for name, value in (("zero", 0), ("one", 1), ("front", [0]), ("two", [2]))),
        *(_ints(name, [value]) for name, value in (("three", 3), ("six", 6))),
        *(_float(f"w{name}", 6, 6) for name in "qkv"),
        constant("root", np.float32(3**0.5)),
        constant("s", np.ones(6, np.float32)),
        _float("b", 6),
        _float("wo", 2, 6),
        _float("bo", 2),
    ]
    return model(nodes, [info("x", FLOAT, ("n", "t", 6))], [info("y", FLOAT, ("n", 2))], constants)


def _recurrent() -> Any:
    """Steps first, as the operator wants them, with states of zeros made as wide as the batch."""
    nodes = [
        node("Transpose", ["x"], ["steps"], perm=[1, 0, 2]),
        node("Shape", ["x"], ["shape"]),
        node("Slice", ["shape", "zero", "one"], ["count"]),
        node("Concat", ["one", "count", "hidden"], ["state"], axis=0),
        node("ConstantOfShape", ["state"], ["h"]),
        node("ConstantOfShape", ["state"], ["c"]),
        node("LSTM", ["steps", "w", "r", "b", "", "h", "c"], ["all", "last"], hidden_size=5),
        node("Squeeze", ["last", "zero"], ["vector"]),
        node("Gemm", ["vector", "wo", "bo"], ["y"], transB=1),
    ]
    constants = [
        _ints("zero", [0]),
        _ints("one", [1]),
        _ints("hidden", [5]),
        _float("w", 1, 20, 3),
        _float("r", 1, 20, 5),
        _float("b", 1, 40),
        _float("wo", 2, 5),
        _float("bo", 2),
    ]
    return model(nodes, [info("x", FLOAT, ("n", 7, 3))], [info("y", FLOAT, ("n", 2))], constants)


def _positions() -> Any:
    """Words and their positions, cut from a table as long as the request, then a layer over both."""
    nodes = [
        node("Shape", ["x"], ["shape"]),
        node("Slice", ["shape", "one", "two"], ["steps"]),
        node("Slice", ["places", "zero", "steps", "one", "one"], ["own"]),
        node("Gather", ["table", "x"], ["words"]),
        node("Gather", ["table", "own"], ["positions"]),
        node("Add", ["words", "positions"], ["sum"]),
        node("Shape", ["sum"], ["whole"]),
        node("Reshape", ["sum", "flat"], ["rows"]),
        node("Gemm", ["rows", "w", "b"], ["layer"]),
        node("Reshape", ["layer", "whole"], ["back"]),
        node("ReduceMean", ["back"], ["y"], axes=[1], keepdims=0),
    ]
    constants = [
        *(_ints(name, [value]) for name, value in (("zero", 0), ("one", 1), ("two", 2))),
        _ints("places", [list(range(8))]),
        _float("table", 10, 4),
        _ints("flat", [-1, 4]),
        _float("w", 4, 4),
        _float("b", 4),
    ]
    return model(nodes, [info("x", INT64, ("n", "t"))], [_Y], constants)


def _images() -> Any:
    nodes = [
        node("Conv", ["x", "w", "b"], ["c"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        node("BatchNormalization", ["c", "s", "o", "o", "s"], ["n"]),
        node("Relu", ["n"], ["r"]),
        node("MaxPool", ["r"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Reshape", ["p", "flat"], ["f"]),
        node("Gemm", ["f", "wo", "bo"], ["logits"], transB=1),
        node("Softmax", ["logits"], ["y"], axis=1),
    ]
    constants = [
        _float("w", 2, 1, 3, 3),
        _float("b", 2),
        constant("s", np.ones(2, np.float32)),
        constant("o", np.zeros(2, np.float32)),
        _ints("flat", [-1, 32]),
        _float("wo", 3, 32),
        _float("bo", 3),
    ]
    return model(nodes, [info("x", FLOAT, ("n", 1, 8, 8))], [info("y", FLOAT, ("n", 3))], constants)


def _words() -> Any:
    """Embeddings, masked and averaged, with the mask expanded as exporters do it."""
    nodes = [
        node("Gather", ["table", "x"], ["e"]),
        node("Equal", ["x", "none"], ["empty"]),
        node("Not", ["empty"], ["full"]),
        node("Cast", ["full"], ["mask"], to=FLOAT),
        node("Unsqueeze", ["mask", "last"], ["wide"]),
        node("Shape", ["e"], ["shape"]),
        node("Expand", ["wide", "shape"], ["spread"]),
        node("Mul", ["e", "spread"], ["kept"]),
        node("ReduceSum", ["kept", "middle"], ["total"], keepdims=0),
        node("ReduceSum", ["spread", "middle"], ["count"], keepdims=0),
        node("Max", ["count", "least"], ["some"]),
        node("Div", ["total", "some"], ["y"]),
    ]
    constants = [
        _float("table", 10, 4),
        _ints("none", 0),
        _ints("last", [-1]),
        _ints("middle", [1]),
        constant("least", np.float32(1e-9)),
    ]
    return model(nodes, [info("x", INT64, ("n", "t"))], [_Y], constants)


def _flattened_steps() -> Any:
    """A layer over steps that are flattened into rows and put back."""
    nodes = [
        node("Reshape", ["x", "flat"], ["f"]),
        node("Gemm", ["f", "w", "b"], ["g"], transB=1),
        node("Reshape", ["g", "back"], ["t"]),
        node("ReduceMax", ["t"], ["y"], axes=[1], keepdims=0),
    ]
    constants = [_ints("flat", [-1, 3]), _float("w", 4, 3), _float("b", 4), _ints("back", [-1, 5, 4])]
    return model(nodes, [info("x", FLOAT, ("n", 5, 3))], [_Y], constants)


def _expanded() -> Any:
    """`expand` with -1 as exporters write it: a mask of shapes, and a choice between two."""
    nodes = [
        node("Shape", ["x"], ["shape"]),
        node("Slice", ["shape", "zero", "one"], ["count"]),
        node("Concat", ["count", "minus"], ["wanted"], axis=0),
        node("ConstantOfShape", ["two"], ["ones"], value=_ints("", [1])),
        node("Mul", ["ones", "minus"], ["marks"]),
        node("Equal", ["wanted", "marks"], ["is_mark"]),
        node("Where", ["is_mark", "ones", "wanted"], ["target"]),
        node("Expand", ["bias", "target"], ["spread"]),
        node("Add", ["x", "spread"], ["y"]),
    ]
    constants = [_ints("zero", [0]), _ints("one", [1]), _ints("two", [2]), _ints("minus", [-1]), _float("bias", 1, 4)]
    return _with(nodes, *constants)


def _quantized() -> Any:
    """Static quantization: the scales stand in the file."""
    nodes = [
        node("QuantizeLinear", ["x", "sx", "zx"], ["qx"]),
        node("QLinearMatMul", ["qx", "sx", "zx", "w", "sw", "zw", "sy", "zx"], ["qy"]),
        node("DequantizeLinear", ["qy", "sy", "zx"], ["y"]),
    ]
    constants = [
        constant("sx", np.float32(0.02)),
        constant("zx", np.uint8(128)),
        constant("w", np.arange(16, dtype=np.int8).reshape(4, 4)),
        constant("sw", np.float32(0.1)),
        constant("zw", np.int8(0)),
        constant("sy", np.float32(0.5)),
    ]
    return _with(nodes, *constants)


_MICROSOFT = "com.microsoft"
_TEXTS = info("x", STRING, ("n",))


def _counted(*pool: str, filler: str = "#") -> Any:
    """Texts cut into words, filled up to the longest with another word, and counted."""
    nodes = [
        node("Tokenizer", ["x"], ["t"], domain=_MICROSOFT, mark=0, mincharnum=1, pad_value=filler, tokenexp="[^ ]+"),
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
    opsets = [onnx.helper.make_opsetid(_MICROSOFT, 1)]
    return model(nodes, [_TEXTS], [info("y", FLOAT, ("n", len(pool)))], opsets=opsets)


def _stopped() -> Any:
    """A row that is a stop word is left out."""
    nodes = [node("StringNormalizer", ["x"], ["y"], stopwords=["the"], is_case_sensitive=1)]
    return model(nodes, [_TEXTS], [info("y", STRING, ("n",))])


def _encoded() -> Any:
    """Categories as numbers and as columns of 0 and 1, beside numbers, as converters write them."""
    nodes = [
        node("LabelEncoder", ["c"], ["l"], domain=ML, keys_strings=["a", "b"], values_floats=[1.0, 2.0]),
        node("OneHotEncoder", ["c"], ["o"], domain=ML, cats_strings=["a", "b"], zeros=1),
        node("Reshape", ["o", "flat"], ["h"]),
        node("FeatureVectorizer", ["l", "h", "x"], ["f"], domain=ML, inputdimensions=[1, 2, 4]),
        node("Scaler", ["f"], ["s"], domain=ML, offset=[0.0] * 7, scale=[1.0] * 7),
        node("Binarizer", ["s"], ["y"], domain=ML, threshold=0.5),
    ]
    inputs = [info("c", STRING, ("n", 1)), _X]
    return model(nodes, inputs, [info("y", FLOAT, ("n", 7))], [_ints("flat", [-1, 2])])


def _microsoft(op: str, *names: str, constants: Any = (), output: Any = _Y) -> Any:
    opsets = [onnx.helper.make_opsetid(_MICROSOFT, 1)]
    nodes = [node(op, ["x", *names], ["y"], domain=_MICROSOFT)]
    return model(nodes, [_X], [output], constants, opsets=opsets)


def _whole_numbers() -> Any:
    """Products of whole numbers whose zero point stands in the file."""
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        node("MatMulInteger", ["q", "w", "z"], ["m"]),
        node("Cast", ["m"], ["y"], to=FLOAT),
    ]
    constants = [
        constant("s", np.float32(0.02)),
        constant("z", np.uint8(128)),
        constant("w", np.arange(16, dtype=np.int8).reshape(4, 4)),
    ]
    return _with(nodes, *constants)


def _scaled_row_by_row() -> Any:
    """A scale for each of three rows, whoever they are from."""
    constants = [
        constant("s", np.array([0.1, 0.2, 0.3], np.float32)),
        constant("z", np.array([1, 2, 3], np.uint8)),
    ]
    nodes = [node("QuantizeLinear", ["x", "s", "z"], ["q"], axis=0), node("Cast", ["q"], ["y"], to=FLOAT)]
    return _with(nodes, *constants)


def apart() -> Mapping[str, Any]:
    """Graphs that compute each row by itself, as exporters write them."""
    return {
        "attention": _heads(),
        "recurrent": _recurrent(),
        "images": _images(),
        "words": _words(),
        "positions": _positions(),
        "flattened steps": _flattened_steps(),
        "expanded": _expanded(),
        "static quantization": _quantized(),
        "counted words": _counted("cat", "dog"),
        "categories": _encoded(),
        "distances to a table": _microsoft(
            "CDist", "table", constants=[_float("table", 3, 4)], output=info("y", FLOAT, ("n", 3))
        ),
        "activation": _microsoft("Gelu"),
        "whole numbers": _whole_numbers(),
        "scan over a table": _scan(over_rows=False),
        "inference": _normalization(training=False),
        "softmax of a row": _with([node("Softmax", ["x"], ["y"])]),
        "old softmax of a row": _with([node("Softmax", ["x"], ["y"])], opset=11),
        "sum so far of a row": _with([node("CumSum", ["x", "axis"], ["y"])], _ints("axis", -1)),
        "sorted row": _with([node("TopK", ["x", "k"], ["y", "places"])], _ints("k", [4])),
        "one row in front": _with([node("Add", ["x", "c"], ["y"])], _float("c", 1, 4)),
        "cut and joined": _with(
            [
                node("Split", ["x", "parts"], ["a", "b"], axis=1),
                node("Slice", ["a", "zero", "one", "one"], ["c"]),
                node("Pad", ["c", "pads"], ["d"]),
                node("Concat", ["d", "b"], ["y"], axis=-1),
            ],
            _ints("parts", [2, 2]),
            _ints("zero", [0]),
            _ints("one", [1]),
            _ints("pads", [0, 1, 0, 0]),
        ),
        "turned and back": _with(
            [
                node("Transpose", ["x"], ["t"]),
                node("MatMul", ["w", "t"], ["m"]),
                node("Transpose", ["m"], ["y"]),
            ],
            _float("w", 4, 4),
        ),
        "picked by the best": _with(
            [
                node("ArgMax", ["x"], ["best"], axis=1, keepdims=1),
                node("GatherElements", ["x", "best"], ["g"], axis=1),
                node("Tile", ["g", "times"], ["y"]),
            ],
            _ints("times", [1, 4]),
        ),
        "one of the classes": _with(
            [
                node("ArgMax", ["x"], ["best"], axis=1, keepdims=0),
                node("OneHot", ["best", "depth", "values"], ["y"]),
            ],
            _ints("depth", 4),
            constant("values", np.array([0, 1], np.float32)),
        ),
        "einsum of a row": _with([node("Einsum", ["x", "w"], ["y"], equation="bi,ij->bj")], _float("w", 4, 4)),
    }
