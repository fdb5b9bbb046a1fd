"""The tensors of a model as the Open Inference Protocol carries them, and back."""

import numpy as np

from septet.errors import ModelFailed
from septet.model.moments import as_texts, is_moment
from septet.model.signature import DTYPES, Signature, Tensor
from septet.model.values import bare
from septet.types import Array, Request, Tensors


class RemoteTensors:
    """Converts for one signature. The protocol has no moments: they travel as ISO 8601 texts.

    Attributes:
        byte_outputs: the names of outputs of bytes, for `InferCall`.
    """

    def __init__(self, signature: Signature) -> None:
        self._moments = {each.name: each.columns or (bare(each),) for each in signature.inputs if is_moment(each.dtype)}
        self._outputs = {each.name: each for each in signature.outputs}
        self._rows = signature.rows
        self.byte_outputs = frozenset(each.name for each in signature.outputs if each.dtype == "bytes")

    def inputs(self, tensors: Tensors) -> Tensors:
        """The tensors of a request with texts in place of moments."""
        if not self._moments:
            return tensors
        return {
            name: as_texts(array, self._moments[name]) if name in self._moments else array
            for name, array in tensors.items()
        }

    def outputs(self, tensors: Tensors, request: Request) -> Tensors:
        """The outputs that the request wants, as the signature has them.

        Raises:
            ModelFailed: one is missing, or has another dtype, rank or number of rows than the signature says.
        """
        return {name: self._output(self._outputs[name], tensors, request) for name in request.outputs or self._outputs}

    def _output(self, tensor: Tensor, tensors: Tensors, request: Request) -> Array:
        array = tensors.get(tensor.name)
        if array is None:
            raise ModelFailed(f"The model's server left out the output {tensor.name!r}.")
        if is_moment(tensor.dtype) and array.dtype == object:
            texts = [text or "NaT" for text in array.ravel().tolist()]
            array = np.array(texts, DTYPES[tensor.dtype]).reshape(array.shape)
        if array.dtype != DTYPES[tensor.dtype]:
            text = f"The model's server answered {array.dtype} for the output {tensor.name!r}, which is {tensor.dtype}."
            raise ModelFailed(text)
        shape = array.shape
        if shape[len(tensor.shape) :] == (1,):  # MLServer answers a column for a value of each row
            array = array.reshape(shape[:-1])
        if array.ndim != len(tensor.shape) or (self._rows and len(array) != request.rows):
            text = f"The model's server answered the shape {list(shape)} for {request.rows} rows of {tensor.name!r}."
            raise ModelFailed(text)
        return array
