"""`.npy` request bodies (NumPy format 1 to 3): one array, rows on axis 0, no pickles.

Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

import io
import math
import sys

import numpy as np
from numpy.lib import format as npy

from septet.columns.casting import cast_tensor
from septet.columns.stacking import split
from septet.errors import Invalid, Malformed, Problem, SeptetError, UnsupportedMediaType, invalid
from septet.model.signature import DTYPES, Signature, Tensor
from septet.protocols.codecs.body import Body, check_rows
from septet.protocols.codecs.json_diagnosis import shape_text
from septet.types import Array

HEADER_BYTES = 10_000
SHOWN_CHARACTERS = 200
FIRST_SURROGATE, LAST_SURROGATE = 0xD800, 0xDFFF
# Formats 2.0 and 3.0 differ from each other only in the encoding of the names of fields.
_READERS = {
    (1, 0): npy.read_array_header_1_0,
    (2, 0): npy.read_array_header_2_0,
    (3, 0): npy.read_array_header_2_0,
}


class NpyBody:
    """Decodes `.npy` bytes for a signature of one input, or of several columns of one dtype."""

    def __init__(self, signature: Signature, *, max_rows: int) -> None:
        self._signature = signature
        self._max_rows = max_rows
        self._dtypes = {tensor.dtype for tensor in signature.inputs}

    def __call__(self, body: bytes) -> Body:
        """Decode a body.

        Raises:
            Malformed: it is not a `.npy` file, or its length is not what its header says.
            UnsupportedMediaType: the model's inputs cannot be one array.
            Invalid: dtype or shape do not fit the signature.
        """
        inputs = self._signature.inputs
        by_column = self._signature.rows and bool(self._signature.columns)
        if len(self._dtypes) > 1 or (len(inputs) > 1 and not by_column):
            raise UnsupportedMediaType("This model's inputs are of several dtypes; send JSON or CSV instead of .npy.")
        array = self._cast(_read(body))
        if len(inputs) == 1:
            tensor = inputs[0]
            if array.ndim == 1 and len(tensor.shape) == 2 and tensor.shape[1] == 1:  # noqa: PLR2004
                array = array.reshape(-1, 1)
            self._fits(array, tensor.shape)
            rows = len(array) if self._signature.rows else 1
            check_rows(rows, self._max_rows)
            return Body({tensor.name: array}, rows)
        self._fits(array, (None, len(self._signature.columns)))
        check_rows(len(array), self._max_rows)
        parts = split(array, inputs)
        return Body({name: np.ascontiguousarray(part) for name, part in parts.items()}, len(array))

    def _cast(self, array: Array) -> Array:
        """The array in the model's dtype: any that holds every value, and floating point of any width."""
        wanted = DTYPES[next(iter(self._dtypes))]
        if array.dtype.kind == "U" and wanted.kind in "OM":
            return _texts(array) if wanted.kind == "O" else self._exact(_texts(array))
        if array.dtype.kind == "M" and wanted.kind == "M":
            return self._exact(array)
        both_floating = array.dtype.kind in "fiu" and wanted.kind == "f"
        if (
            array.dtype.kind not in "fiub"
            or wanted.kind == "O"
            or not (both_floating or np.can_cast(array.dtype, wanted, "safe"))
        ):
            text = f"The array's dtype is {array.dtype} and the model takes {wanted if wanted.kind != 'O' else 'text'}."
            raise Invalid(text, (Problem(None, None, f"dtype {wanted}", f"dtype {array.dtype}"),))
        if wanted.kind == "f" and array.dtype.kind in "iu" and not np.can_cast(array.dtype, wanted, "safe"):
            return self._exact(array)
        with np.errstate(over="ignore"):  # what becomes infinite is refused with its row and column
            return np.require(array, wanted, ["C", "A"])

    def _exact(self, array: Array) -> Array:
        """Whole numbers, moments and texts of moments, none of which may be changed."""
        inputs, columns = self._signature.inputs, self._signature.columns
        shape = (None, len(columns)) if len(inputs) > 1 else inputs[0].shape
        return cast_tensor(array, Tensor(inputs[0].name, inputs[0].dtype, shape, columns))

    def _fits(self, array: Array, shape: tuple[int | None, ...]) -> None:
        free = 0 if self._signature.rows else None
        same = array.ndim == len(shape) and all(
            size is None or axis == free or size == array.shape[axis] for axis, size in enumerate(shape)
        )
        if not same:
            text = f"The array's shape is {list(array.shape)} and the model takes {shape_text(shape)}."
            raise Invalid(text, (Problem(None, None, f"shape {shape_text(shape)}", f"shape {list(array.shape)}"),))


def _texts(array: Array) -> Array:
    """Texts as Python's own, refusing numbers that are no characters."""
    codes = np.ascontiguousarray(array).view(np.uint32).reshape(-1, array.dtype.itemsize // 4)
    wrong = np.argwhere((codes > sys.maxunicode) | ((codes >= FIRST_SURROGATE) & (codes <= LAST_SURROGATE)))
    if len(wrong):
        flat, place = wrong[0].tolist()
        row = int(np.unravel_index(flat, array.shape)[0]) if array.ndim else None
        raise invalid([Problem(row, None, "a text", f"U+{codes[flat, place]:X}, which is no character")])
    return array.astype(object)


def _read(body: bytes) -> Array:
    """Header first: the length is checked before anything is allocated for it."""
    stream = io.BytesIO(body)
    try:
        version = npy.read_magic(stream)
        if version not in _READERS:
            raise Malformed(f"The .npy format {version[0]}.{version[1]} is not known; 1.0 to 3.0 are.")
        shape, fortran, dtype = _READERS[version](stream, max_header_size=HEADER_BYTES)
    except SeptetError:
        raise
    except Exception as error:  # noqa: BLE001 - what numpy raises for a header of garbage is no closed list
        reason = (str(error).splitlines() or [type(error).__name__])[0][:SHOWN_CHARACTERS]
        raise Malformed(f"The body is not a .npy file: {reason}.") from None
    if dtype.hasobject or dtype.fields is not None or dtype.subdtype is not None or dtype.itemsize == 0:
        text = "The array's dtype holds Python objects, fields, arrays or nothing. Save an array of numbers or texts."
        raise Invalid(text, (Problem(None, None, "numbers or texts", f"dtype {str(dtype)[:SHOWN_CHARACTERS]}"),))
    start, count = stream.tell(), math.prod(shape)
    if any(size < 0 for size in shape) or len(body) - start != count * dtype.itemsize:
        size = len(body) - start
        raise Malformed(
            f"The .npy header promises {count} values of {dtype.itemsize} bytes; the body has {size} bytes."
        )
    cells = np.frombuffer(body, dtype, count, start) if count else np.empty(0, dtype)
    try:
        return cells.reshape(shape, order="F" if fortran else "C").astype(dtype.newbyteorder("="), copy=False)
    except (ValueError, OverflowError):
        raise Malformed(f"The .npy header's shape has {len(shape)} dimensions or sizes that no array has.") from None
