"""A runtime behind the names that its package declares, where its artefact has others or fewer inputs.

A graph cannot have an input of an output's name, and one that was compiled lacks inputs that the model does not read.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from septet.model.signature import Signature, Tensor
from septet.runtimes.base import Runtime
from septet.types import Tensors


def graph_name(name: str) -> str:
    """The name that an input has in a graph where its own cannot be had."""
    return f"{name} (input)"


def is_unread(tensor: Tensor) -> bool:
    """Whether the model reads no value of this input."""
    return bool(tensor.columns) and all(column.optional for column in tensor.columns)


def with_declared_inputs(runtime: Runtime, declared: Signature) -> Runtime:
    """The runtime itself where it takes the inputs that are declared; else behind the declared ones.

    Inputs that are missing in neither way are left to whoever compares the signatures.
    """
    own = {tensor.name: tensor for tensor in runtime.signature.inputs}
    if [tensor.name for tensor in declared.inputs] == list(own):
        return runtime
    names = {}
    inputs = []
    for tensor in declared.inputs:
        known = tensor.name if tensor.name in own else graph_name(tensor.name)
        if known in own:
            names[tensor.name] = known
            inputs.append(msgspec.structs.replace(own[known], name=tensor.name))
        elif is_unread(tensor):
            inputs.append(tensor)
    if set(names.values()) != set(own):
        return runtime
    return DeclaredInputs(runtime, names, msgspec.structs.replace(runtime.signature, inputs=tuple(inputs)))


class DeclaredInputs:
    """A runtime that is given, by other names, only the inputs that it has.

    Attributes:
        signature: the runtime's, with the inputs that are declared.
        facts: the runtime's.
    """

    def __init__(self, runtime: Runtime, names: dict[str, str], signature: Signature) -> None:
        self._runtime = runtime
        self._names = tuple(names.items())
        self.signature = signature
        self.independence = runtime.independence
        self.open_ended = runtime.open_ended
        self.facts: Mapping[str, Any] = getattr(runtime, "facts", {})

    def run(self, tensors: Tensors, outputs: Sequence[str] | None = None) -> Tensors:
        """Compute the wanted outputs; see `septet.runtimes.base.Runtime`."""
        return self._runtime.run({inner: tensors[outer] for outer, inner in self._names}, outputs)

    def close(self) -> None:
        """Free the engine's memory."""
        self._runtime.close()
