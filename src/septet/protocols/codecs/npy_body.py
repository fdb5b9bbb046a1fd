"""`.npy` request bodies: one array, rows on axis 0."""

import numpy as np

from septet.columns.casting import cast_tensor
from septet.columns.stacking import split
from septet.errors import Invalid, Problem, UnsupportedMediaType
from septet.lengthy_work import VALUES_ON_LOOP, leave_loop
from septet.model.received import shape_text
from septet.model.signature import DTYPES, Signature, Tensor
from septet.protocols.codecs.body_formats import npy_refusal
from septet.protocols.codecs.decoded_body import DecodedBody, check_rows
from septet.tables.npy_table import npy_array, npy_texts
from septet.types import Array


class NpyBody:
    """Decodes `.npy` bytes for a signature of one input, or of several columns of one dtype."""

    def __init__(self, signature: Signature, *, max_rows: int) -> None:
        self._signature = signature
        self._max_rows = max_rows
        self._dtypes = {tensor.dtype for tensor in signature.inputs}

    def __call__(self, body: bytes) -> DecodedBody:
        """Decode a body.

        Raises:
            Malformed: it is not a `.npy` file, or its length is not what its header says.
            UnsupportedMediaType: the model's inputs cannot be one array.
            Invalid: dtype or shape do not fit the signature.
        """
        inputs = self._signature.inputs
        refusal = npy_refusal(self._signature)
        if refusal is not None:
            raise UnsupportedMediaType(refusal)
        array = self._cast(npy_array(body))
        if len(inputs) == 1:
            tensor = inputs[0]
            if array.ndim == 1 and len(tensor.shape) == 2 and tensor.shape[1] == 1:  # noqa: PLR2004
                array = array.reshape(-1, 1)
            self._fits(array, tensor.shape)
            rows = len(array) if self._signature.rows else 1
            check_rows(rows, self._max_rows)
            return DecodedBody({tensor.name: array}, rows)
        self._fits(array, (None, len(self._signature.columns)))
        check_rows(len(array), self._max_rows)
        parts = split(array, inputs)
        return DecodedBody({name: np.ascontiguousarray(part) for name, part in parts.items()}, len(array))

    def _cast(self, array: Array) -> Array:
        """The array in the model's dtype: any that holds every value, and floating point of any width."""
        wanted = DTYPES[next(iter(self._dtypes))]
        if array.dtype == wanted and array.flags.c_contiguous and array.flags.aligned:
            return array
        if array.size > VALUES_ON_LOOP and array.dtype.kind in "UM":
            leave_loop()
        if array.dtype.kind == "U" and wanted.kind in "OM":
            return npy_texts(array) if wanted.kind == "O" else self._exact(npy_texts(array))
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
