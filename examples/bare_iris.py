"""A bare ONNX file as other tools write it, with a ZipMap, and its labels in a file beside it."""

import json
from pathlib import Path

import numpy as np
from iris import model
from skl2onnx import to_onnx
from sklearn.datasets import load_iris


def train(folder: Path) -> tuple[Path, Path]:
    flowers = load_iris()
    fitted = model().fit(flowers.data, flowers.target)
    file, labels = folder / "iris_svc.onnx", folder / "label.json"
    folder.mkdir(parents=True, exist_ok=True)
    file.write_bytes(to_onnx(fitted, flowers.data[:1].astype(np.float32)).SerializeToString())
    names = {str(place): str(name) for place, name in enumerate(flowers.target_names)}
    labels.write_text(json.dumps(names, indent=2) + "\n")
    return file, labels
