"""A runtime is not sent the columns that its model does not read."""

import numpy as np
import pytest

from septet.model.signature import Column, Kind, Signature, Tensor
from septet.runtimes.echo import EchoRuntime
from septet.runtimes.unread import Reading, reading

READ = Tensor("size", "float32", (None, 1), (Column("size", "float32"),))
UNREAD = Tensor("note", "string", (None, 1), (Column("note", "string", nullable=True, optional=True),))
OUT = Tensor("prediction", "float32", (None,))
ROWS = {"note": np.array([["x"], [None]], dtype=object), "size": np.array([[1.0], [2.0]], np.float32)}


def signature(*inputs: Tensor) -> Signature:
    return Signature(Kind.REGRESSION, inputs, (OUT,))


def test_what_it_does_not_know_is_left_out_of_each_run() -> None:
    runtime = reading(EchoRuntime(signature(READ)), signature(UNREAD, READ))
    assert isinstance(runtime, Reading)
    assert [tensor.name for tensor in runtime.signature.inputs] == ["note", "size"]
    assert runtime.facts == {"engine": "echo"}
    assert runtime.run(ROWS)["prediction"].tolist() == [1, 2]
    runtime.close()
    with pytest.raises(RuntimeError, match="closed"):
        runtime.run(ROWS)


def test_a_runtime_that_knows_every_input_stays_as_it_is() -> None:
    runtime = EchoRuntime(signature(READ))
    assert reading(runtime, signature(READ)) is runtime


def test_an_input_that_is_read_is_not_left_out() -> None:
    runtime = EchoRuntime(signature(READ))
    needed = Tensor("note", "string", (None, 1), (Column("note", "string", nullable=True),))
    assert reading(runtime, signature(needed, READ)) is runtime
