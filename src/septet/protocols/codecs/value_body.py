"""A body that is a value itself: the one value of bytes that a row of the model has, such as an image."""

import math

import numpy as np

from septet.model.signature import Signature
from septet.protocols.codecs.decoded_body import DecodedBody


class ValueBody:
    """Takes a body as one row, for a signature that `ONE_VALUE` does not refuse."""

    def __init__(self, signature: Signature) -> None:
        (tensor,) = signature.inputs
        self._name = tensor.name
        self._shape = tuple(1 if size is None else size for size in tensor.shape)
        assert math.prod(self._shape) == 1  # noqa: S101 - the value is the only one

    def __call__(self, body: bytes) -> DecodedBody:
        """Take a body; any is a value."""
        return DecodedBody({self._name: np.fromiter([body], object, 1).reshape(self._shape)}, 1)
