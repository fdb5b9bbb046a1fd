"""The runtime without an engine, for tests and demonstrations: an affine function of its inputs."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from septet.model.signature import DTYPES, Signature, Tensor
from septet.runtimes.base import Independence, InputRejected
from septet.types import Array, Tensors

_INDEPENDENT = Independence(proven=True, reason="every value is computed by itself", exact=True)


class EchoRuntime:
    """Answers each output with `scale * x + shift` of an input x, shaped and typed as the output declares.

    Output k reads input k (the last one where there are fewer). A row is cut or filled up with its last value to the
    declared width. Strings are echoed, and numbers become strings where the output holds strings.

    Attributes:
        signature: as given.
        facts: the name of the engine.
        independence: proven, unless another one is given.
        open_ended: None: its runs take as long as their rows are many.
        runs: how many rows each run had, in order.
    """

    def __init__(
        self,
        signature: Signature,
        *,
        scale: float = 1.0,
        shift: float = 0.0,
        rejects: Sequence[Any] = (),
        fails: Sequence[Any] = (),
        before: Callable[[int], object] | None = None,
        independence: Independence = _INDEPENDENT,
    ) -> None:
        """Take the values on which to raise `InputRejected` or `RuntimeError`, and what to call before each run.

        `before` is called with the number of rows; a test makes the runtime slow, or holds it, there.
        """
        self.signature = signature
        self.facts: Mapping[str, Any] = {"engine": "echo"}
        self.independence = independence
        self.open_ended: str | None = None
        self.runs: list[int] = []
        self._scale = scale
        self._shift = shift
        self._rejects = tuple(rejects)
        self._fails = tuple(fails)
        self._before = before
        self._closed = False

    def run(self, tensors: Tensors, outputs: Sequence[str] | None = None) -> Tensors:
        """Compute the wanted outputs; see `septet.runtimes.base.Runtime`."""
        if self._closed:
            message = "the runtime was closed"
            raise RuntimeError(message)
        arrays = [tensors[tensor.name] for tensor in self.signature.inputs]
        rows = len(arrays[0]) if arrays[0].ndim else 1
        self.runs.append(rows)
        if self._before is not None:
            self._before(rows)
        self._refuse(arrays)
        places = {tensor.name: place for place, tensor in enumerate(self.signature.outputs)}
        last = len(arrays) - 1
        return {
            name: self._answer(self.signature.outputs[places[name]], arrays[min(places[name], last)])
            for name in (places if outputs is None else outputs)
        }

    def _refuse(self, arrays: Sequence[Array]) -> None:
        for value in self._rejects:
            if any(np.any(array == value) for array in arrays):
                message = f"the value {value!r} cannot be computed"
                raise InputRejected(message)
        for value in self._fails:
            if any(np.any(array == value) for array in arrays):
                message = f"failed on the value {value!r}"
                raise RuntimeError(message)

    def _answer(self, tensor: Tensor, array: Array) -> Array:
        values = array if array.dtype == object else array * self._scale + self._shift
        for axis, size in enumerate(tensor.shape[1:], start=1):
            if values.ndim <= axis:
                values = values[..., np.newaxis]
            if size is not None:
                values = np.take(values, np.minimum(np.arange(size), values.shape[axis] - 1), axis=axis)
        while values.ndim > len(tensor.shape):
            values = values[..., 0]
        if tensor.dtype == "string" and values.dtype != object:
            return values.astype(str).astype(object)
        return np.asarray(values).astype(DTYPES[tensor.dtype])

    def close(self) -> None:
        """Refuse to run from now on."""
        self._closed = True
