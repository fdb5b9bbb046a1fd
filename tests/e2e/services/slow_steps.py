"""Steps of a model that loads for as long, and runs no sooner, than the environment says."""

import os
import time
from pathlib import Path
from typing import Any

from sklearn.preprocessing import FunctionTransformer


def wait(rows: Any) -> Any:
    """Give back the rows, late: after some seconds, and not while the file exists that the environment names."""
    time.sleep(float(os.environ.get("RUN_SECONDS", "0")))
    barrier = os.environ.get("RUN_BARRIER")
    while barrier is not None and Path(barrier).exists():
        time.sleep(0.01)
    return rows


class SlowToLoad(FunctionTransformer):  # type: ignore[misc]
    """Changes nothing."""

    def __setstate__(self, state: Any) -> None:
        time.sleep(float(os.environ.get("LOAD_SECONDS", "0")))
        super().__setstate__(state)
