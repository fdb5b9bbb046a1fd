"""MLflow: saves the ONNX model in MLflow's format, once, with one thread to run it."""

import os
import shutil
import sys
from pathlib import Path

import mlflow.onnx
import numpy as np
import onnx
from mlflow.models import ModelSignature
from mlflow.types import Schema, TensorSpec

place = Path(sys.argv[1])
shutil.rmtree(place, ignore_errors=True)
mlflow.onnx.save_model(
    onnx.load(os.environ["MODEL"]),
    str(place),
    signature=ModelSignature(inputs=Schema([TensorSpec(np.dtype(np.float32), (-1, 4), "input")])),
    onnx_execution_providers=["CPUExecutionProvider"],
    onnx_session_options={"intra_op_num_threads": 1, "inter_op_num_threads": 1},
    pip_requirements=[],
)
