"""Whether each row's answer alone is its answer among others."""

import numpy as np

from septet.runtimes.base import Runtime
from septet.types import Tensors

#: Of a row's largest number, and in the output's own unit.
RELATIVE, ABSOLUTE = 1e-4, 1e-5


def assert_rows_apart(runtime: Runtime, rows: Tensors) -> None:
    """Each row alone has the answer it has among all, to the bit where the runtime says so."""
    together = runtime.run(rows)
    for at in range(len(next(iter(rows.values())))):
        alone = runtime.run({name: array[at : at + 1] for name, array in rows.items()})
        for name, array in alone.items():
            among = together[name][at : at + 1]
            if array.dtype.kind != "f" or runtime.independence.exact:
                np.testing.assert_array_equal(array, among)
                continue
            scale = float(np.max(np.abs(array[np.isfinite(array)]), initial=0.0))
            np.testing.assert_allclose(among, array, 0, ABSOLUTE + RELATIVE * scale)
