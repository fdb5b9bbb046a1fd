"""Tensors as raw bytes behind the JSON of a body (the extension `binary_tensor_data`).

The header `Inference-Header-Content-Length` gives the place where the JSON ends and the tensors begin. Where it is 0
there is no JSON: the whole body is the model's only input, and its shape follows from its size.
"""

from math import prod

from septet.errors import Invalid, Problem
from septet.model.signature import DTYPES
from septet.model.values import is_text
from septet.protocols.openinference.datatypes import input_from_raw
from septet.protocols.openinference.infer_schema import InputSpec
from septet.types import Array

LENGTH_HEADER = b"inference-header-content-length"
SIZE = "binary_data_size"


class BinaryPart:
    """The bytes behind the JSON, taken in the order of the inputs."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._taken = 0

    def take(self, size: int, name: str) -> memoryview:
        """The next bytes, for the input of that name.

        Raises:
            Invalid: there are not so many left.
        """
        start, self._taken = self._taken, self._taken + size
        if self._taken > len(self._data):
            left = len(self._data) - start
            text = f"The input {name!r} has {SIZE} {size}, but {left} bytes are left behind the JSON."
            raise Invalid(text, (Problem(None, name, f"{size} bytes", f"{left} bytes"),))
        return self._data[start : self._taken]

    def rewind(self) -> None:
        """Begin again with the first byte."""
        self._taken = 0

    def close(self) -> None:
        """Refuse bytes that belong to no input.

        Raises:
            Invalid: there are some.
        """
        if self._taken != len(self._data):
            text = f"The inputs take {self._taken} bytes behind the JSON, which has {len(self._data)} there."
            raise Invalid(text, (Problem(None, None, f"{self._taken} bytes", f"{len(self._data)} bytes"),))


def whole(body: bytes, spec: InputSpec) -> Array:
    """The whole body as one input.

    Raises:
        Invalid: no shape of the input's has so many bytes, or more than one.
        Malformed: the bytes are no values of its type.
    """
    dtype = spec.tensor.dtype
    free = [axis for axis, size in enumerate(spec.shape) if size < 0]
    shape = [1 if size < 0 else size for size in spec.shape]
    if is_text(dtype):
        if prod(shape) != 1:
            raise _no_shape(spec, "a body is one text")
        return input_from_raw(len(body).to_bytes(4, "little") + body, spec.tensor, shape)
    if len(free) > 1:
        raise _no_shape(spec, "only one size can follow from the size of a body")
    if free:
        unit = prod(shape) * DTYPES[dtype].itemsize
        if unit == 0 or len(body) % unit:
            raise _no_shape(spec, f"a body of {len(body)} bytes does not fit it")
        shape[free[0]] = len(body) // unit
    return input_from_raw(body, spec.tensor, shape)


def _no_shape(spec: InputSpec, reason: str) -> Invalid:
    text = f"The input {spec.tensor.name!r} of shape {list(spec.shape)} cannot be a body without JSON: {reason}."
    return Invalid(text, (Problem(None, spec.tensor.name, f"shape {list(spec.shape)}", reason),))
