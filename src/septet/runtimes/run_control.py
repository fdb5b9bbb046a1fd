"""How a run in a thread is told that nobody waits for it any more.

The predictor makes a `RunControl` for each run in its thread, and the run finds it in the thread's context: what stands
between the two, such as preprocessing code, need not pass it on. An engine that can be stopped says how, with
`stopping`; one that cannot goes on to its end, and nobody takes what it answers. A run on the event loop has none.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class RunStopped(Exception):
    """Raised by `Runtime.run` when the run was told to stop, and did."""


class RunControl:
    """Of one run: who waits for it, and how to stop it.

    Attributes:
        stopped: nobody waits any more.
    """

    __slots__ = ("_on_abandoned", "_stop", "_waiting", "stopped")

    def __init__(self, waiting: int, on_abandoned: Callable[[], None]) -> None:
        """Take the number of requests that wait, and what to call when none does any more."""
        self.stopped = False
        self._waiting = waiting
        self._on_abandoned = on_abandoned
        self._stop: Callable[[], None] | None = None

    def leave(self) -> None:
        """One request less waits: it has expired, or its caller has gone. For the event loop's thread."""
        self._waiting -= 1
        if self._waiting == 0:
            self.stop()
            self._on_abandoned()

    def stop(self) -> None:
        """Tell the engine to stop. From any thread."""
        self.stopped = True
        stop = self._stop
        if stop is not None:
            stop()

    @contextmanager
    def stopping(self, stop: Callable[[], None]) -> Iterator[None]:
        """While the engine runs: `stop` makes it end soon. It is called from another thread, perhaps twice."""
        self._stop = stop
        # Looked at afterwards: of two threads that each write one of the two and then read the other, one sees both.
        if self.stopped:
            stop()
        try:
            yield
        finally:
            self._stop = None

    @contextmanager
    def applied(self) -> Iterator[None]:
        """What runs in this thread meanwhile is this run."""
        token = RUN_CONTROL.set(self)
        try:
            yield
        finally:
            RUN_CONTROL.reset(token)


#: Of the run in this thread; None on the event loop.
RUN_CONTROL: ContextVar[RunControl | None] = ContextVar("RUN_CONTROL", default=None)


def is_stopped() -> bool:
    """Whether the run in this thread was told to stop."""
    control = RUN_CONTROL.get()
    return control is not None and control.stopped
