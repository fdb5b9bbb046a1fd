"""The values beside a value, at which a comparison in 32 or in 64 bits may come out otherwise."""

import numpy as np

from septet.types import Array

_NARROW = np.float32


def beside(values: Array) -> Array:
    """Of each value [N] the values around it [N, 8] in float64.

    Itself, one ulp of float64 to each side, the nearest float32 and its neighbours, and where rounding to float32
    changes between them, one ulp beyond.
    """
    values = np.asarray(values, dtype=np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        near = values.astype(_NARROW)
        below = np.nextafter(near, _NARROW(-np.inf)).astype(np.float64)
        above = np.nextafter(near, _NARROW(np.inf)).astype(np.float64)
        exact = near.astype(np.float64)
        columns = (
            values,
            np.nextafter(values, -np.inf),
            np.nextafter(values, np.inf),
            exact,
            below,
            above,
            np.nextafter((below + exact) / 2, -np.inf),
            np.nextafter((above + exact) / 2, np.inf),
        )
    return np.stack(columns, axis=1)


def around(values: Array) -> Array:
    """Of each value [N] values further off [N, 4], as of a category: a half and a whole to each side."""
    values = np.asarray(values, dtype=np.float64)
    return np.stack([values - 1, values - 0.5, values + 0.5, values + 1], axis=1)


def spread(values: Array) -> float:
    """A length that matters to a column: the width of the middle of its finite values, else of all, else 1."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 1.0
    low, high = np.quantile(finite, (0.1, 0.9))
    width = float(high - low) or float(np.ptp(finite))
    return width if 0 < width < np.inf else max(1.0, float(np.abs(finite).max()))
