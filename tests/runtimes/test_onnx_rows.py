"""Rows of an ONNX model are independent where the graph proves it, and nowhere else."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from septet.runtimes.base import LoadOptions
from septet.runtimes.onnx.onnx_runtime import load
from septet.types import Tensors
from tests.runtimes.alone import assert_rows_apart
from tests.runtimes.exported_graphs import apart
from tests.runtimes.graphs import mixing
from tests.runtimes.onnx_models import saved

ROWS = 16
WORDS = ["", "cat", "dog cat", "a long row of words about a cat", "#", "# cat #", "the"]


def rows_for(runtime: Any) -> Tensors:
    """Rows of which one is far from the others."""
    generator = np.random.default_rng(7)
    made = {}
    for tensor in runtime.signature.inputs:
        shape = (ROWS, *(6 if size is None else size for size in tensor.shape[1:]))
        if tensor.dtype == "string":
            made[tensor.name] = generator.choice(WORDS if len(shape) == 1 else ["a", "b"], shape).astype(object)
            continue
        if tensor.dtype.startswith("int"):
            made[tensor.name] = generator.integers(0, 10, shape).astype(tensor.dtype)
            continue
        values = generator.normal(size=shape)
        values[3] = 1e4
        made[tensor.name] = values.astype(tensor.dtype)
    return made


@pytest.mark.parametrize("name", apart())
def test_a_graph_that_computes_row_by_row_is_proven_and_is_right(tmp_path: Path, name: str) -> None:
    runtime = load(saved(tmp_path, apart()[name]), LoadOptions())
    assert runtime.independence.proven, runtime.independence.reason
    assert_rows_apart(runtime, rows_for(runtime))


@pytest.mark.parametrize("name", mixing())
def test_a_graph_in_which_rows_meet_is_not_proven_and_says_why(tmp_path: Path, name: str) -> None:
    runtime = load(saved(tmp_path, mixing()[name]), LoadOptions())
    assert not runtime.independence.proven
    assert not runtime.independence.foreign
    assert "operator" in runtime.independence.reason or "input" in runtime.independence.reason
