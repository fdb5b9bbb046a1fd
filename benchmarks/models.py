"""The models that are served: trained or made here, the same on every run, each an ONNX file with rows to ask about."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

Array = NDArray[Any]
FEATURES = 28
IMAGE = (3, 224, 224)
LARGE_WIDTH = 11_180  # squared, of 4 bytes each: 500 MB
OPSET = 18
PASSENGER = (("age", "INT64"), ("fare", "FP32"), ("sex", "BYTES"), ("port", "BYTES"))
_DTYPES: dict[str, Any] = {"INT64": np.int64, "FP32": np.float32, "BYTES": object}


@dataclass(frozen=True)
class BenchmarkModel:
    """A model file.

    Attributes:
        path: where it is.
        rows: float32 for its only input, `input`; else objects, with a column for each of `inputs`.
        output: what answers are compared by.
        inputs: where each column is an input of its own: names, and datatypes of the Open Inference Protocol.
    """

    path: Path
    rows: Array
    output: str
    inputs: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """As servers call it."""
        return self.path.stem

    def session(self) -> onnxruntime.InferenceSession:
        """The engine itself, with one thread."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        return onnxruntime.InferenceSession(str(self.path), options, providers=["CPUExecutionProvider"])

    def answers(self) -> Array:
        """What the engine says of `rows`, asked together."""
        feeds = {name: array for name, _, array in self.tensors(self.rows)}
        answers: Array = self.session().run([self.output], feeds)[0]
        return answers

    def tensors(self, rows: Array) -> list[tuple[str, str, Array]]:
        """Rows as the model takes them: of each input its name, datatype and array."""
        if not self.inputs:
            return [("input", "FP32", rows)]
        return [
            (name, datatype, rows[:, at : at + 1].astype(_DTYPES[datatype]))
            for at, (name, datatype) in enumerate(self.inputs)
        ]


def iris(cache: Path) -> BenchmarkModel:
    """A scaler and an SVC with probabilities."""
    rows = [[5.1, 3.5, 1.4, 0.2], [6.7, 3.1, 4.4, 1.4], [6.3, 3.3, 6.0, 2.5], [5.8, 2.7, 4.1, 1.0]]
    return BenchmarkModel(_once(cache / "iris.onnx", _iris), np.array(rows, np.float32), "probabilities")


def trees(cache: Path) -> BenchmarkModel:
    """300 gradient-boosted trees over 28 features."""
    return BenchmarkModel(_once(cache / "trees.onnx", _trees), generated(256), "probabilities")


def mlp(cache: Path) -> BenchmarkModel:
    """A network 28-256-256-2."""
    return BenchmarkModel(_once(cache / "mlp.onnx", _mlp), generated(256), "probabilities")


def passengers(cache: Path) -> BenchmarkModel:
    """Numbers that are scaled and texts that are encoded, and a logistic regression; each column is an input."""
    return BenchmarkModel(_once(cache / "passengers.onnx", _passengers), _table(4000), "probabilities", PASSENGER)


def image(cache: Path) -> BenchmarkModel:
    """One is added to every pixel of an image of 602,112 bytes: as little as an engine can do with it."""
    rows = np.random.default_rng(0).random((2, *IMAGE), np.float32)
    return BenchmarkModel(_once(cache / "image.onnx", _image), rows, "output")


def slow(cache: Path, milliseconds: int) -> BenchmarkModel:
    """A matrix product that takes about so long for each row, on one thread of this machine."""
    path = cache / f"slow-{milliseconds}.onnx"
    return BenchmarkModel(_once(path, lambda: _slow(milliseconds)), np.ones((4, 4), np.float32), "output")


def large(cache: Path) -> BenchmarkModel:
    """A layer whose weights are 500 MB."""
    return BenchmarkModel(_once(cache / "large.onnx", _large), np.ones((1, 4), np.float32), "output")


def _once(path: Path, make: Callable[[], bytes]) -> Path:
    if not path.exists():
        print(f"making {path.name} ...", flush=True)
        path.write_bytes(make())
    return path


def generated(rows: int) -> Array:
    """Rows of `FEATURES` columns, the first always the same."""
    found: Array = np.random.default_rng(1).normal(size=(rows, FEATURES)).astype(np.float32).round(4)
    return found


def _labelled(rows: int) -> tuple[Array, Array]:
    features = generated(rows)
    return features, (features[:, :4].sum(axis=1) + features[:, 4] * features[:, 5] > 0).astype(np.int64)


def _table(rows: int) -> Array:
    """Passengers, made up."""
    drawn = np.random.default_rng(2)
    columns = (
        drawn.integers(1, 80, rows).tolist(),
        drawn.normal(30, 9, rows).astype(np.float32).round(2).astype(str).astype(float).tolist(),
        drawn.choice(["female", "male"], rows).tolist(),
        drawn.choice(["C", "Q", "S"], rows).tolist(),
    )
    return np.array(list(zip(*columns, strict=True)), object)


def _iris() -> bytes:
    from sklearn.datasets import load_iris
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    features, target = load_iris(return_X_y=True)
    with warnings.catch_warnings():
        # scikit-learn announces another way to get probabilities; the figures are about this one.
        warnings.simplefilter("ignore")
        fitted = make_pipeline(StandardScaler(), SVC(probability=True, random_state=0)).fit(features, target)
    return _converted(fitted, _matrix(features))


def _trees() -> bytes:
    from sklearn.ensemble import GradientBoostingClassifier

    features, target = _labelled(3000)
    fitted = GradientBoostingClassifier(n_estimators=300, subsample=0.5, random_state=0).fit(features, target)
    return _converted(fitted, _matrix(features))


def _mlp() -> bytes:
    from sklearn.neural_network import MLPClassifier

    features, target = _labelled(3000)
    return _converted(
        MLPClassifier((256, 256), max_iter=30, tol=1e-2, random_state=0).fit(features, target), _matrix(features)
    )


def _passengers() -> bytes:
    import pandas as pd
    from skl2onnx.common import data_types
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    names = [name for name, _ in PASSENGER]
    frame = pd.DataFrame(_table(3000), columns=names).astype({"age": int, "fare": float})
    survived = (frame.sex == "female") & (frame.fare > 25) | (frame.age < 12)
    encoded = ColumnTransformer([("numbers", StandardScaler(), names[:2]), ("texts", OneHotEncoder(), names[2:])])
    types = {
        "INT64": data_types.Int64TensorType,
        "FP32": data_types.FloatTensorType,
        "BYTES": data_types.StringTensorType,
    }
    initial = [(name, types[datatype]([None, 1])) for name, datatype in PASSENGER]
    return _converted(make_pipeline(encoded, LogisticRegression()).fit(frame, survived.astype(int)), initial)


def _matrix(features: Array) -> list[tuple[str, Any]]:
    from skl2onnx.common.data_types import FloatTensorType

    return [("input", FloatTensorType([None, features.shape[1]]))]


def _converted(fitted: Any, initial: list[tuple[str, Any]]) -> bytes:
    """As ONNX with the outputs `label` and `probabilities`, which every contender expects."""
    from skl2onnx import to_onnx

    graph = to_onnx(
        fitted,
        initial_types=initial,
        options={"zipmap": False, "output_class_labels": False},
        target_opset=OPSET,
    )
    names = [output.name for output in graph.graph.output]
    if names != ["label", "probabilities"]:
        raise RuntimeError(f"the converted model's outputs are {names}")
    return bytes(graph.SerializeToString())


def _image() -> bytes:
    import onnx.helper as make

    graph = [make.make_node("Add", ["input", "one"], ["output"])]
    return _graph(graph, {"one": np.ones(1, np.float32)}, IMAGE, IMAGE)


def _slow(milliseconds: int) -> bytes:
    """Each row scales the matrix that is multiplied, so that rows run together are not cheaper."""
    from time import perf_counter

    import onnx.helper as make

    def made(side: int) -> bytes:
        matrix = np.random.default_rng(0).random((side, side), np.float32) / side
        constants: dict[str, Array] = {"matrix": matrix, "last": np.array([1]), "both": np.array([1, 2])}
        graph = [
            make.make_node("ReduceMean", ["input", "last"], ["mean"], keepdims=1),
            make.make_node("Unsqueeze", ["mean", "last"], ["scale"]),
            make.make_node("Mul", ["scale", "matrix"], ["scaled"]),
            make.make_node("MatMul", ["scaled", "matrix"], ["product"]),
            make.make_node("ReduceMean", ["product", "both"], ["output"], keepdims=0),
        ]
        return _graph(graph, constants, (4,), ())

    def seconds(graph: bytes) -> float:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        times = []
        for _ in range(9):
            begun = perf_counter()
            session.run(None, {"input": np.ones((1, 4), np.float32)})
            times.append(perf_counter() - begun)
        return sorted(times)[len(times) // 2]

    # A product costs the cube of the side.
    side = 400
    for _ in range(3):
        side = max(64, round(side * (milliseconds / 1000 / seconds(made(side))) ** (1 / 3)))
    return made(side)


def _large() -> bytes:
    import onnx.helper as make

    weights: dict[str, Array] = {
        "first": np.full((4, LARGE_WIDTH), 0.25, np.float32),
        "second": np.full((LARGE_WIDTH, LARGE_WIDTH), 1 / LARGE_WIDTH, np.float32),
        "last": np.array([1], np.int64),
    }
    graph = [
        make.make_node("MatMul", ["input", "first"], ["wide"]),
        make.make_node("MatMul", ["wide", "second"], ["mixed"]),
        make.make_node("ReduceMean", ["mixed", "last"], ["output"], keepdims=0),
    ]
    return _graph(graph, weights, (4,), ())


def _graph(nodes: list[Any], constants: dict[str, Array], taken: tuple[int, ...], given: tuple[int, ...]) -> bytes:
    import onnx
    import onnx.helper as make
    from onnx import numpy_helper

    graph = make.make_graph(
        nodes,
        "made",
        [make.make_tensor_value_info("input", onnx.TensorProto.FLOAT, ["rows", *taken])],
        [make.make_tensor_value_info("output", onnx.TensorProto.FLOAT, ["rows", *given])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", OPSET)], ir_version=9)
    return bytes(model.SerializeToString())
