"""A body that is a value itself: the one value of bytes that a row of the model has, such as an image."""

import math

import numpy as np

from septet.model.signature import Signature
from septet.protocols.codecs.decoded_body import DecodedBody


def takes_value(signature: Signature) -> bool:
    """Whether a model takes one value of bytes: one input, of one column at most."""
    if len(signature.inputs) != 1 or signature.inputs[0].dtype != "bytes":
        return False
    shape = signature.inputs[0].shape
    sizes = shape[1:] if signature.rows else shape
    return all(size == 1 for size in sizes)


class ValueBody:
    """Takes a body as one row, for a signature of which `takes_value` is true."""

    def __init__(self, signature: Signature) -> None:
        (tensor,) = signature.inputs
        self._name = tensor.name
        self._shape = tuple(1 if size is None else size for size in tensor.shape)
        assert math.prod(self._shape) == 1  # noqa: S101 - the value is the only one

    def __call__(self, body: bytes) -> DecodedBody:
        """Take a body; any is a value."""
        return DecodedBody({self._name: np.fromiter([body], object, 1).reshape(self._shape)}, 1)
