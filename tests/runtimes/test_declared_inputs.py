"""A runtime answers by the names that its package declares, and is not sent what it does not read."""

from collections.abc import Sequence

import numpy as np

from septet.model.signature import Column, Kind, Signature, Tensor
from septet.runtimes.base import Independence
from septet.runtimes.declared_inputs import with_declared_inputs
from septet.types import Tensors

OUTPUTS = (Tensor("label", "int64", (None,)),)


def signature(*names: str, unread: Sequence[str] = ()) -> Signature:
    inputs = tuple(
        Tensor(name, "float32", (None, 1), (Column(name, "float32", nullable=name in unread, optional=name in unread),))
        for name in names
    )
    return Signature(Kind.CLASSIFICATION, inputs, OUTPUTS, label="label")


class Remembering:
    """A model that notes what it is given."""

    def __init__(self, *names: str) -> None:
        self.signature = signature(*names)
        self.independence = Independence(proven=True, reason="it answers zeros", exact=True)
        self.open_ended: str | None = None
        self.facts = {"engine": "none"}
        self.given: Tensors = {}
        self.closed = False

    def run(self, tensors: Tensors, outputs: Sequence[str] | None = None) -> Tensors:
        assert outputs is None
        self.given = tensors
        return {"label": np.zeros(1, dtype=np.int64)}

    def close(self) -> None:
        self.closed = True


def rows(*names: str) -> Tensors:
    return {name: np.zeros((1, 1), dtype=np.float32) for name in names}


def test_a_runtime_of_the_declared_inputs_stays_as_it_is() -> None:
    runtime = Remembering("a", "b")
    assert with_declared_inputs(runtime, signature("a", "b")) is runtime


def test_an_input_named_as_an_output_is_known_to_the_graph_by_another_name() -> None:
    runtime = Remembering("label (input)", "size")
    served = with_declared_inputs(runtime, signature("label", "size"))
    assert [tensor.name for tensor in served.signature.inputs] == ["label", "size"]
    served.run(rows("label", "size"))
    assert list(runtime.given) == ["label (input)", "size"]
    served.close()
    assert runtime.closed


def test_inputs_that_are_not_read_are_not_sent() -> None:
    runtime = Remembering("size")
    served = with_declared_inputs(runtime, signature("note", "size", unread=["note"]))
    assert [tensor.name for tensor in served.signature.inputs] == ["note", "size"]
    served.run(rows("note", "size"))
    assert list(runtime.given) == ["size"]


def test_inputs_that_are_read_and_missing_are_left_to_whoever_compares() -> None:
    runtime = Remembering("size", "weight")
    assert with_declared_inputs(runtime, signature("size")) is runtime
    other = Remembering("size")
    served = with_declared_inputs(other, signature("note", "size"))
    assert [tensor.name for tensor in served.signature.inputs] == ["size"]
