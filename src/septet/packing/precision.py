"""How precise the numbers of a compiled model must be, by what the data and the columns say."""

import numpy as np

from septet.model.signature import Signature
from septet.types import Tensors


def reason_for_float64(rows: Tensors, signature: Signature) -> str | None:
    """Why numbers need 64 bits, whatever the rows given answer; None where nothing speaks for it.

    A whole number of the data that float32 does not hold would become its neighbour, and so would a decimal beside one
    of the few values that a column takes.
    """
    for tensor in signature.inputs:
        for column in tensor.columns:
            listed = column.categories is not None and not column.other_categories
            if listed and column.dtype.startswith("float"):
                return f"column {column.name!r} takes some numbers and no others, beside which 32 bits round"
    for name, array in rows.items():
        if array.dtype.kind in "fi" and array.size:
            wide = array[np.isfinite(array)].astype(np.float64)
            whole_ones = wide[(np.abs(wide) > 2.0**24) & (wide == np.floor(wide))]
            with np.errstate(over="ignore"):
                lost = whole_ones[whole_ones.astype(np.float32) != whole_ones]
            if lost.size:
                return f"input {name!r} holds {lost[0]:.0f}, which 32 bits cannot"
    return None
