"""Waiting for conditions of real processes: always with a deadline, never for a fixed time."""

import time
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")

PAUSE_SECONDS = 0.02


def until(condition: Callable[[], Value], seconds: float = 60.0) -> Value:
    """The first true value of `condition`; an AssertionError after so many seconds without one."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} seconds"
        time.sleep(PAUSE_SECONDS)
    return value
