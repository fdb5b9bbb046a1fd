"""Builds the ONNX files that the tests serve, and asks a plain onnxruntime session for the answers to expect."""

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from septet.types import Tensors

if "CI" in os.environ:
    import onnx
    import skl2onnx
else:
    onnx = pytest.importorskip("onnx")
    skl2onnx = pytest.importorskip("skl2onnx")

from onnx import TensorProto, helper

__all__ = ["FLOAT", "INT64", "ML", "STRING", "TensorProto", "onnx", "skl2onnx"]

FLOAT, INT64, STRING = TensorProto.FLOAT, TensorProto.INT64, TensorProto.STRING
ML = "ai.onnx.ml"


def info(name: str, element: int, shape: Sequence[int | str | None] | None) -> Any:
    return helper.make_tensor_value_info(name, element, shape)


def constant(name: str, array: Any) -> Any:
    return onnx.numpy_helper.from_array(np.asarray(array), name)


def node(op: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any) -> Any:
    return helper.make_node(op, list(inputs), list(outputs), **attributes)


def model(
    nodes: Sequence[Any], inputs: Sequence[Any], outputs: Sequence[Any], constants: Sequence[Any] = (), **more: Any
) -> Any:
    opset, ir = more.pop("opset", 17), more.pop("ir_version", 8)
    graph = helper.make_graph(list(nodes), "graph", list(inputs), list(outputs), list(constants))
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid(ML, 3), *more.pop("opsets", ())]
    return helper.make_model(graph, opset_imports=opsets, ir_version=ir, producer_name="tests", **more)


def identity(element: int = FLOAT, shape: Sequence[int | str | None] | None = ("rows", 2), **more: Any) -> Any:
    return model([node("Identity", ["x"], ["y"])], [info("x", element, shape)], [info("y", element, shape)], **more)


def with_metadata(made: Any, **metadata: str) -> Any:
    helper.set_model_props(made, metadata)
    return made


def saved(folder: Path, made: Any, **options: Any) -> Path:
    path = folder / "model.onnx"
    onnx.save(made, str(path), **options)
    return path


def converted(estimator: Any, rows: Any, **options: Any) -> Any:
    made = {id(estimator): options} if options else None
    with warnings.catch_warnings():
        # The converter reads attributes that scikit-learn has deprecated.
        warnings.simplefilter("ignore", FutureWarning)
        return skl2onnx.to_onnx(estimator, rows[:1], options=made)


def engine(path: Path, tensors: Tensors) -> dict[str, Any]:
    """What the engine itself answers, in whatever type it likes."""
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    session = onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(tensors)), strict=True))


def matrix_of_maps(maps: Sequence[dict[Any, float]], classes: Sequence[Any]) -> Any:
    """A ZipMap's answer as a matrix. The engine sorts a map by its keys, so the order is asked for."""
    return np.array([[row[name] for name in classes] for row in maps], np.float32)
