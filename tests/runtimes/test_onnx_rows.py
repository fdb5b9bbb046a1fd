"""Rows of an ONNX model are independent where the graph proves it, and nowhere else."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from septet.runtimes.base import LoadOptions
from septet.runtimes.onnx import load
from septet.types import Tensors
from tests.runtimes.graphs import apart, mixing
from tests.runtimes.onnx_models import saved

ROWS = 16
#: Of a row's largest number, and in the output's own unit.
RELATIVE, ABSOLUTE = 1e-4, 1e-5


def rows_for(runtime: Any) -> Tensors:
    """Rows of which one is far from the others."""
    generator = np.random.default_rng(7)
    made = {}
    for tensor in runtime.signature.inputs:
        shape = (ROWS, *(6 if size is None else size for size in tensor.shape[1:]))
        values = generator.normal(size=shape)
        values[3] = 1e4
        if tensor.dtype.startswith("int"):
            values = generator.integers(0, 10, shape)
        made[tensor.name] = values.astype(tensor.dtype)
    return made


@pytest.mark.parametrize("name", apart())
def test_a_graph_that_computes_row_by_row_is_proven_and_is_right(tmp_path: Path, name: str) -> None:
    runtime = load(saved(tmp_path, apart()[name]), LoadOptions())
    assert runtime.independence.proven, runtime.independence.reason
    rows = rows_for(runtime)
    together = runtime.run(rows)
    for at in range(ROWS):
        alone = runtime.run({key: array[at : at + 1] for key, array in rows.items()})
        for output, array in alone.items():
            if runtime.independence.exact:
                np.testing.assert_array_equal(array[0], together[output][at])
            scale = float(np.max(np.abs(array)))
            np.testing.assert_allclose(together[output][at], array[0], 0, ABSOLUTE + RELATIVE * scale)


@pytest.mark.parametrize("name", mixing())
def test_a_graph_in_which_rows_meet_is_not_proven_and_says_why(tmp_path: Path, name: str) -> None:
    runtime = load(saved(tmp_path, mixing()[name]), LoadOptions())
    assert not runtime.independence.proven
    assert not runtime.independence.foreign
    assert "operator" in runtime.independence.reason or "input" in runtime.independence.reason
