"""What converters write is proven to work row by row, so that nothing of its speed is lost."""

from pathlib import Path

import numpy as np
import pytest

from septet.runtimes.base import LoadOptions
from septet.runtimes.onnx.onnx_runtime import load
from tests.runtimes.alone import assert_rows_apart
from tests.runtimes.estimators import MATRIX, NAMES, fitted, rows
from tests.runtimes.onnx_models import saved, skl2onnx

# What every engine from 1.20 on reads, as in `septet.packing.compilation`.
_OPSETS = {"": 18, "ai.onnx.ml": 3}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NAMES)
def test_a_converted_estimator_is_merged_and_each_row_keeps_its_answer(tmp_path: Path, name: str) -> None:
    made = skl2onnx.to_onnx(fitted(name, np.float32), MATRIX[:1], target_opset=_OPSETS)
    runtime = load(saved(tmp_path, made), LoadOptions())
    assert runtime.independence.proven, runtime.independence.reason
    (tensor,) = runtime.signature.inputs
    assert_rows_apart(runtime, {tensor.name: rows().astype(np.float32)})
