"""The thread of a model: one run after the other, beside the event loop."""

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import TypeAlias

Work: TypeAlias = Callable[[], None]


class RunThread:
    """Runs what it is given, in order; it begins with the first.

    The interpreter does not wait for it when it ends: an engine that does not come back must not hold up the exit, as a
    thread of `concurrent.futures` would.
    """

    def __init__(self) -> None:
        self._work: SimpleQueue[Work | None] = SimpleQueue()
        self._begun = False

    def submit(self, work: Work) -> None:
        """Run this when what was given before is over; it must not raise."""
        self._work.put(work)
        if not self._begun:
            self._begun = True
            # Of the queue, not of this object: it may be dropped while the thread is in the engine.
            threading.Thread(target=_run_all, args=(self._work,), name="septet-runtime", daemon=True).start()

    def close(self) -> None:
        """End the thread when what was given is over."""
        self._work.put(None)


def _run_all(queue: "SimpleQueue[Work | None]") -> None:
    while (work := queue.get()) is not None:
        work()
        # What it refers to is freed while the thread waits.
        del work
