"""Where an operator of the ONNX project's own cases is proven to work row by row, it does, and as exactly as said."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest

from septet.runtimes.onnx import onnx_graph
from septet.runtimes.onnx.onnx_rows import row_dependence
from septet.runtimes.onnx.onnx_sizes import MANY, over
from septet.runtimes.onnx.onnx_value import AbstractValue
from septet.types import Array
from tests.e2e.onnx_cases import Case, cases
from tests.runtimes.onnx_models import constant, info, onnx

PARTS = 8
RELATIVE, ABSOLUTE = 1e-4, 1e-5


def freed(case: Case, names: tuple[str, ...]) -> Any:
    """The case with as many rows as one likes in these inputs, and the others fixed to their values."""
    made = onnx.load_from_string(case.model)
    for item in list(made.graph.input):
        made.graph.input.remove(item)
        array = case.inputs[item.name]
        if item.name not in names:
            made.graph.initializer.append(constant(item.name, array))
            continue
        made.graph.input.append(info(item.name, item.type.tensor_type.elem_type, ["n", *array.shape[1:]]))
    outputs = [info(item.name, item.type.tensor_type.elem_type, None) for item in made.graph.output]
    del made.graph.output[:]
    made.graph.output.extend(outputs)
    return made


def choices(case: Case) -> Iterator[tuple[str, ...]]:
    """Each input by itself, and all of them where they have as many rows."""
    able = [name for name, array in case.inputs.items() if array.ndim and len(array)]
    yield from ((name,) for name in able)
    if len(able) == len(case.inputs) > 1 and len({len(case.inputs[name]) for name in able}) == 1:
        yield tuple(able)


def run(model: bytes, inputs: Mapping[str, Array]) -> dict[str, Array] | None:
    """What the engine answers, or None where it does not."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, map(np.asarray, session.run(names, dict(inputs))), strict=True))
    except Exception:  # noqa: BLE001 - the case does not allow other numbers of rows
        return None


def assert_apart(case: Case, names: tuple[str, ...]) -> int:
    """Compare the first row alone with the same row between others; how many outputs were proven."""
    model = freed(case, names).SerializeToString()
    view = row_dependence(onnx_graph.read(memoryview(model)), threads=1)
    proven = {
        name: known
        for name, known in view.outputs.items()
        if isinstance(known, AbstractValue) and known.axis is not None
    }
    if not proven:
        return 0
    rows = {name: case.inputs[name] for name in names}
    one = {name: array[:1] for name, array in rows.items()}
    before = len(next(iter(rows.values())))
    alone = run(model, one)
    among = run(model, {name: np.concatenate([array[::-1], array[:1], array]) for name, array in rows.items()})
    if alone is None or among is None:
        return 0
    for name, known in proven.items():
        axis = known.axis or 0
        array, many = alone[name], among[name]
        factor = over(known.sizes[axis], MANY)
        assert factor is not None
        assert array.ndim == known.rank, (case.name, name)
        for at, size in enumerate(known.sizes):
            assert at == axis or size.names or array.shape[at] == size.number, (case.name, name, at)
        places = array.shape[axis]
        assert many.shape[axis] == places * (2 * before + 1), (case.name, name)
        own = np.take(many, range(before * places, (before + 1) * places), axis=axis)
        if view.rounding and array.dtype.kind == "f":
            np.testing.assert_allclose(own, array, RELATIVE, ABSOLUTE, err_msg=case.name)
        else:
            np.testing.assert_array_equal(own, array, err_msg=case.name)
    return len(proven)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("part", range(PARTS))
def test_what_is_proven_of_an_operator_is_so(part: int) -> None:
    proven = sum(assert_apart(case, names) for case in cases(part, PARTS) for names in choices(case))
    assert proven > 50
