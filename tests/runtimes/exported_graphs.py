"""ONNX graphs in which each row is computed by itself, as exporters write them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tests.runtimes.graphs import X, Y, counted, floats, microsoft, normalization, of_rows, scan, whole
from tests.runtimes.onnx_models import FLOAT, INT64, ML, STRING, constant, info, model, node


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
        *(whole(name, value) for name, value in (("zero", 0), ("one", 1), ("front", [0]), ("two", [2]))),
        *(whole(name, [value]) for name, value in (("three", 3), ("six", 6))),
        *(floats(f"w{name}", 6, 6) for name in "qkv"),
        constant("root", np.float32(3**0.5)),
        constant("s", np.ones(6, np.float32)),
        floats("b", 6),
        floats("wo", 2, 6),
        floats("bo", 2),
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
        whole("zero", [0]),
        whole("one", [1]),
        whole("hidden", [5]),
        floats("w", 1, 20, 3),
        floats("r", 1, 20, 5),
        floats("b", 1, 40),
        floats("wo", 2, 5),
        floats("bo", 2),
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
        *(whole(name, [value]) for name, value in (("zero", 0), ("one", 1), ("two", 2))),
        whole("places", [list(range(8))]),
        floats("table", 10, 4),
        whole("flat", [-1, 4]),
        floats("w", 4, 4),
        floats("b", 4),
    ]
    return model(nodes, [info("x", INT64, ("n", "t"))], [Y], constants)


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
        floats("w", 2, 1, 3, 3),
        floats("b", 2),
        constant("s", np.ones(2, np.float32)),
        constant("o", np.zeros(2, np.float32)),
        whole("flat", [-1, 32]),
        floats("wo", 3, 32),
        floats("bo", 3),
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
        floats("table", 10, 4),
        whole("none", 0),
        whole("last", [-1]),
        whole("middle", [1]),
        constant("least", np.float32(1e-9)),
    ]
    return model(nodes, [info("x", INT64, ("n", "t"))], [Y], constants)


def _flattened_steps() -> Any:
    """A layer over steps that are flattened into rows and put back."""
    nodes = [
        node("Reshape", ["x", "flat"], ["f"]),
        node("Gemm", ["f", "w", "b"], ["g"], transB=1),
        node("Reshape", ["g", "back"], ["t"]),
        node("ReduceMax", ["t"], ["y"], axes=[1], keepdims=0),
    ]
    constants = [whole("flat", [-1, 3]), floats("w", 4, 3), floats("b", 4), whole("back", [-1, 5, 4])]
    return model(nodes, [info("x", FLOAT, ("n", 5, 3))], [Y], constants)


def _expanded() -> Any:
    """`expand` with -1 as exporters write it: a mask of shapes, and a choice between two."""
    nodes = [
        node("Shape", ["x"], ["shape"]),
        node("Slice", ["shape", "zero", "one"], ["count"]),
        node("Concat", ["count", "minus"], ["wanted"], axis=0),
        node("ConstantOfShape", ["two"], ["ones"], value=whole("", [1])),
        node("Mul", ["ones", "minus"], ["marks"]),
        node("Equal", ["wanted", "marks"], ["is_mark"]),
        node("Where", ["is_mark", "ones", "wanted"], ["target"]),
        node("Expand", ["bias", "target"], ["spread"]),
        node("Add", ["x", "spread"], ["y"]),
    ]
    constants = [whole("zero", [0]), whole("one", [1]), whole("two", [2]), whole("minus", [-1]), floats("bias", 1, 4)]
    return of_rows(nodes, *constants)


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
    return of_rows(nodes, *constants)


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
    inputs = [info("c", STRING, ("n", 1)), X]
    return model(nodes, inputs, [info("y", FLOAT, ("n", 7))], [whole("flat", [-1, 2])])


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
    return of_rows(nodes, *constants)


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
        "counted words": counted("cat", "dog"),
        "categories": _encoded(),
        "distances to a table": microsoft(
            "CDist", "table", constants=[floats("table", 3, 4)], output=info("y", FLOAT, ("n", 3))
        ),
        "activation": microsoft("Gelu"),
        "whole numbers": _whole_numbers(),
        "scan over a table": scan(over_rows=False),
        "inference": normalization(training=False),
        "softmax of a row": of_rows([node("Softmax", ["x"], ["y"])]),
        "old softmax of a row": of_rows([node("Softmax", ["x"], ["y"])], opset=11),
        "sum so far of a row": of_rows([node("CumSum", ["x", "axis"], ["y"])], whole("axis", -1)),
        "sorted row": of_rows([node("TopK", ["x", "k"], ["y", "places"])], whole("k", [4])),
        "one row in front": of_rows([node("Add", ["x", "c"], ["y"])], floats("c", 1, 4)),
        "cut and joined": of_rows(
            [
                node("Split", ["x", "parts"], ["a", "b"], axis=1),
                node("Slice", ["a", "zero", "one", "one"], ["c"]),
                node("Pad", ["c", "pads"], ["d"]),
                node("Concat", ["d", "b"], ["y"], axis=-1),
            ],
            whole("parts", [2, 2]),
            whole("zero", [0]),
            whole("one", [1]),
            whole("pads", [0, 1, 0, 0]),
        ),
        "turned and back": of_rows(
            [
                node("Transpose", ["x"], ["t"]),
                node("MatMul", ["w", "t"], ["m"]),
                node("Transpose", ["m"], ["y"]),
            ],
            floats("w", 4, 4),
        ),
        "picked by the best": of_rows(
            [
                node("ArgMax", ["x"], ["best"], axis=1, keepdims=1),
                node("GatherElements", ["x", "best"], ["g"], axis=1),
                node("Tile", ["g", "times"], ["y"]),
            ],
            whole("times", [1, 4]),
        ),
        "one of the classes": of_rows(
            [
                node("ArgMax", ["x"], ["best"], axis=1, keepdims=0),
                node("OneHot", ["best", "depth", "values"], ["y"]),
            ],
            whole("depth", 4),
            constant("values", np.array([0, 1], np.float32)),
        ),
        "einsum of a row": of_rows([node("Einsum", ["x", "w"], ["y"], equation="bi,ij->bj")], floats("w", 4, 4)),
    }
