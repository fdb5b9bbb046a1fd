"""Steps of a model that is slow to load, or slow to run, by as many seconds as the environment says."""

import os
import time
from typing import Any

from sklearn.preprocessing import FunctionTransformer


def wait(rows: Any) -> Any:
    """Give back the rows, late."""
    time.sleep(float(os.environ.get("RUN_SECONDS", "0")))
    return rows


class SlowToLoad(FunctionTransformer):  # type: ignore[misc]
    """Changes nothing."""

    def __setstate__(self, state: Any) -> None:
        time.sleep(float(os.environ.get("LOAD_SECONDS", "0")))
        super().__setstate__(state)
