"""An output as its best classes (the extension `classification`): texts of the form `value:index:label`."""

import math
from collections.abc import Sequence

import numpy as np

from septet.lengthy_work import VALUES_ON_LOOP, leave_loop
from septet.types import Array


def best(array: Array, count: int, labels: Sequence[str], *, rows: bool) -> Array:
    """The `count` largest values of each row, largest first, as an array of texts of shape [rows, count].

    Without rows the whole array is one, and the shape is [count]. There are fewer where the row has fewer values. Of
    equal values the first comes first; NaN is below every number. The label is left out where there is none.
    """
    if array.size > VALUES_ON_LOOP:
        leave_loop()
    table = array.reshape((len(array), math.prod(array.shape[1:])) if rows else (1, -1))
    ranked = np.where(np.isnan(table), -np.inf, table) if table.dtype.kind == "f" else table
    # A stable sort of the reversed rows, read from the end: descending, and equal values in their own order.
    order = ranked.shape[1] - 1 - np.argsort(ranked[:, ::-1], axis=1, kind="stable")[:, ::-1][:, :count]
    texts = [
        [_text(values[at], at, labels) for at in places]
        for values, places in zip(table.tolist(), order.tolist(), strict=True)
    ]
    found = np.array(texts, object).reshape(order.shape)
    return found if rows else found[0]


def _text(value: object, index: int, labels: Sequence[str]) -> str:
    shown = f"{value:f}" if isinstance(value, float) else f"{value:d}"
    return f"{shown}:{index}:{labels[index]}" if index < len(labels) else f"{shown}:{index}"
