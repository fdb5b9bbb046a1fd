"""A runtime that is sent columns which its model does not read."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from septet.model.signature import Signature
from septet.runtimes.base import Runtime
from septet.types import Tensors


def reading(runtime: Runtime, signature: Signature) -> Runtime:
    """The runtime with the inputs of `signature`, those that it does not know left out of each run.

    They are left out only where all their columns are optional: the runtime comes back as it is where it knows every
    input, and where it lacks one that is read.
    """
    known = {tensor.name for tensor in runtime.signature.inputs}
    unknown = [tensor for tensor in signature.inputs if tensor.name not in known]
    if not unknown or not all(tensor.columns and all(each.optional for each in tensor.columns) for tensor in unknown):
        return runtime
    return Reading(runtime, signature)


class Reading:
    """Answers by the inputs that its runtime knows.

    Attributes:
        signature: the runtime's, with the inputs that are sent besides, in the order of a package's.
        facts: the runtime's.
    """

    def __init__(self, runtime: Runtime, signature: Signature) -> None:
        own = {tensor.name: tensor for tensor in runtime.signature.inputs}
        inputs = tuple(own.get(tensor.name, tensor) for tensor in signature.inputs)
        self.signature = msgspec.structs.replace(runtime.signature, inputs=inputs)
        self.facts: Mapping[str, Any] = getattr(runtime, "facts", {})
        self._names = tuple(own)
        self._runtime = runtime

    def run(self, tensors: Tensors, outputs: Sequence[str] | None = None) -> Tensors:
        """Compute the wanted outputs; see `septet.runtimes.base.Runtime`."""
        return self._runtime.run({name: tensors[name] for name in self._names}, outputs)

    def close(self) -> None:
        """Free the engine's memory."""
        self._runtime.close()
