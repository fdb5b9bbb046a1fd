"""A middleware for Septet: a thread sleeps for `PAUSE` seconds before each request, one after the other."""

import asyncio
import os
import time
from concurrent.futures import ThreadPoolExecutor

from septet.types import Done, Pending, Predictor, Request

PAUSE = float(os.environ.get("PAUSE", "0"))


class Paused:
    """A request that waits for its turn, or that the model has."""

    def __init__(self) -> None:
        self.cancelled, self.inner = False, None

    def cancel(self) -> None:
        self.cancelled = True
        if self.inner is not None:
            self.inner.cancel()


class Pausing(Predictor):
    def __init__(self, inner: Predictor) -> None:
        self._inner = inner
        self._thread = ThreadPoolExecutor(1)

    def submit(self, request: Request, done: Done) -> Pending:
        paused, loop = Paused(), asyncio.get_running_loop()

        def go_on() -> None:
            if not paused.cancelled:
                paused.inner = self._inner.submit(request, done)

        slept = self._thread.submit(time.sleep, PAUSE)
        slept.add_done_callback(lambda _: loop.call_soon_threadsafe(go_on))
        return paused
