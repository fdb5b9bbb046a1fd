"""The runtime for tests keeps the same promises as the real ones."""

import numpy as np
import pytest

from septet.model.signature import DTYPES, Kind, Signature, Tensor
from septet.runtimes.base import InputRejected
from septet.runtimes.echo.echo_runtime import EchoRuntime

IDENTITY = Signature(Kind.TENSORS, (Tensor("x", "float32", (None, 2)),), (Tensor("y", "float32", (None, 2)),))
ROWS = np.array([[1, 2], [3, 4]], np.float32)


def test_it_echoes_its_input_or_an_affine_function_of_it() -> None:
    np.testing.assert_array_equal(EchoRuntime(IDENTITY).run({"x": ROWS})["y"], ROWS)
    np.testing.assert_array_equal(EchoRuntime(IDENTITY, scale=2, shift=1).run({"x": ROWS})["y"], 2 * ROWS + 1)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(None,), (None, 1), (None, 2), (None, 3), (None, None), (None, 2, 4)])
def test_answers_have_the_declared_dtype_and_shape(dtype: str, shape: tuple[int | None, ...]) -> None:
    signature = Signature(Kind.TENSORS, IDENTITY.inputs, (Tensor("y", dtype, shape),))
    answer = EchoRuntime(signature).run({"x": ROWS})["y"]
    assert answer.dtype == DTYPES[dtype]
    assert answer.ndim == len(shape)
    assert all(size in {None, real} for size, real in zip(shape, answer.shape, strict=True))
    assert len(answer) == len(ROWS)
    if dtype == "string":
        assert set(map(type, answer.ravel())) == {str}


def test_strings_are_echoed() -> None:
    signature = Signature(Kind.TENSORS, (Tensor("x", "string", (None,)),), (Tensor("y", "string", (None,)),))
    words = np.array(["a", "é"], object)
    np.testing.assert_array_equal(EchoRuntime(signature).run({"x": words})["y"], words)


def test_each_output_reads_an_input_of_its_own_while_there_are_some() -> None:
    inputs = (Tensor("a", "int64", (None,)), Tensor("b", "int64", (None,)))
    outputs = tuple(Tensor(name, "int64", (None,)) for name in ("p", "q", "r"))
    answers = EchoRuntime(Signature(Kind.TENSORS, inputs, outputs)).run({"a": np.array([1]), "b": np.array([2])})
    assert {name: array.tolist() for name, array in answers.items()} == {"p": [1], "q": [2], "r": [2]}


def test_only_wanted_outputs_are_answered_in_the_order_asked_for() -> None:
    outputs = tuple(Tensor(name, "float32", (None, 2)) for name in ("p", "q"))
    runtime = EchoRuntime(Signature(Kind.TENSORS, IDENTITY.inputs, outputs))
    assert list(runtime.run({"x": ROWS}, ["q"])) == ["q"]
    assert list(runtime.run({"x": ROWS}, ["q", "p"])) == ["q", "p"]
    assert runtime.run({"x": ROWS}, []) == {}


def test_a_model_without_a_row_axis_answers_scalars() -> None:
    signature = Signature(Kind.TENSORS, (Tensor("x", "float32", ()),), (Tensor("y", "float32", ()),), rows=False)
    assert EchoRuntime(signature).run({"x": np.array(3, np.float32)})["y"].shape == ()


def test_it_rejects_and_fails_on_given_values() -> None:
    runtime = EchoRuntime(IDENTITY, rejects=[3], fails=[8])
    with pytest.raises(InputRejected, match="3"):
        runtime.run({"x": ROWS})
    with pytest.raises(RuntimeError, match="8"):
        runtime.run({"x": ROWS * 2})
    np.testing.assert_array_equal(runtime.run({"x": ROWS * 5})["y"], ROWS * 5)


def test_it_calls_before_each_run_and_remembers_the_rows_of_each() -> None:
    seen: list[int] = []
    runtime = EchoRuntime(IDENTITY, before=seen.append)
    runtime.run({"x": ROWS})
    runtime.run({"x": ROWS[:1]})
    assert seen == runtime.runs == [2, 1]


def test_a_closed_runtime_refuses_to_run() -> None:
    runtime = EchoRuntime(IDENTITY)
    runtime.close()
    with pytest.raises(RuntimeError, match="closed"):
        runtime.run({"x": ROWS})
