"""Models whose weights are in a file beside them, in every place where a tensor may stand."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper

from septet.types import Array
from tests.runtimes.onnx_models import FLOAT, TensorProto, constant, info, model, node

ROW = {"x": np.ones((1, 2), np.float32)}
SPARSE = "a sparse initializer"


def weights(number: float) -> bytes:
    return np.full((2, 2), number, np.float32).tobytes()


def external(name: str = "w", location: str = "w.bin", shape: tuple[int, ...] = (2, 2)) -> Any:
    tensor = TensorProto(name=name, data_type=FLOAT, dims=shape, data_location=TensorProto.EXTERNAL)
    for key, value in (("location", location), ("offset", "0"), ("length", str(4 * math.prod(shape)))):
        tensor.external_data.add(key=key, value=value)
    return tensor


def _held(*nodes: Any, constants: Any = (), **more: Any) -> Any:
    return model(nodes, [info("x", FLOAT, ["N", 2])], [info("y", FLOAT, ["N", 2])], constants, **more)


def _constant() -> Any:
    return node("Constant", [], ["w"], value=external())


def _branch(out: str, *nodes: Any, constants: Any = ()) -> Any:
    nodes = (*nodes, node("MatMul", ["x", "w"], [out]))
    return helper.make_graph(list(nodes), out, [], [info(out, FLOAT, None)], list(constants))


def _chosen(**branches: Any) -> Any:
    condition = node("Constant", [], ["c"], value=constant("c", np.bool_(1)))
    return _held(condition, node("If", ["c"], ["y"], **branches))


def _sparse() -> Any:
    made = _held(node("MatMul", ["x", "w"], ["y"]))
    sparse = made.graph.sparse_initializer.add(dims=[2, 2])
    sparse.values.CopyFrom(external(shape=(2,)))
    sparse.indices.CopyFrom(constant("i", np.array([0, 3])))
    return made


def _function() -> Any:
    made = _held(node("Own", ["x"], ["y"], domain="own"), opsets=[helper.make_opsetid("own", 1)])
    body = [_constant(), node("MatMul", ["a", "w"], ["b"])]
    made.functions.append(helper.make_function("own", "Own", ["a"], ["b"], body, [helper.make_opsetid("", 17)]))
    return made


def places() -> dict[str, Any]:
    """Models of one product with weights in `w.bin`, by where these are declared."""
    inline = _branch("e", node("Constant", [], ["w"], value=constant("w", np.eye(2, dtype=np.float32))))
    return {
        "an initializer": _held(node("MatMul", ["x", "w"], ["y"]), constants=[external()]),
        "a constant": _held(_constant(), node("MatMul", ["x", "w"], ["y"])),
        "an initializer of a branch": _chosen(then_branch=_branch("t", constants=[external()]), else_branch=inline),
        "a constant of a branch": _chosen(then_branch=_branch("t", _constant()), else_branch=inline),
        "a function": _function(),
        SPARSE: _sparse(),
    }


def written(folder: Path, made: Any, number: float = 2) -> Path:
    path = folder / "model.onnx"
    onnx.save_model(made, path)
    (folder / "w.bin").write_bytes(weights(number))
    return path


def mapped(folder: Path, number: float = 2) -> Path:
    """A model whose weights an engine uses where they are, as it does not repack them."""
    return written(folder, _held(node("Mul", ["x", "w"], ["y"]), constants=[external(shape=(2,))]), number)


def answer(runtime: Any) -> Array:
    found: Array = runtime.run(ROW)["y"]
    return found
