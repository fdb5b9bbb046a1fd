"""The model of the benchmark: iris, a scaler and an SVC with probabilities, as ONNX without ZipMap."""

import warnings
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

ROWS = np.array([[5.1, 3.5, 1.4, 0.2], [6.7, 3.1, 4.4, 1.4], [6.3, 3.3, 6.0, 2.5], [5.8, 2.7, 4.1, 1.0]], np.float32)


def write_model(path: Path) -> None:
    """Train it and write it, once; the result is the same on every run."""
    if path.exists():
        return
    from skl2onnx import to_onnx
    from sklearn.datasets import load_iris
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    features, target = load_iris(return_X_y=True)
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # scikit-learn announces another way to get probabilities; the figures need this
        pipeline = make_pipeline(StandardScaler(), SVC(probability=True, random_state=0)).fit(features, target)
        graph = to_onnx(pipeline, features[:1].astype(np.float32), options={"zipmap": False}, target_opset=18)
    # The names that every contender uses.
    names = {"X": "input", "probabilities": "probabilities", "label": "label"}
    for node in graph.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
    graph.graph.input[0].name = "input"
    path.write_bytes(graph.SerializeToString())


def answers(path: Path) -> NDArray[np.float32]:
    """What the engine itself says of `ROWS`: probabilities, shape [rows, 3]."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    probabilities: NDArray[np.float32] = session.run(["probabilities"], {"input": ROWS})[0]
    return probabilities
