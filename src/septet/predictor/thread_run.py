"""A run in a model's thread: what is computed there, and what the event loop knows of it meanwhile."""

import logging
import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

import msgspec

from septet.errors import ModelFailed
from septet.predictor.model_runner import Outcome
from septet.predictor.queued_request import QueuedRequest
from septet.runtimes.run_control import RunControl
from septet.types import Request

_log = logging.getLogger("septet.predictor")

Run: TypeAlias = Callable[[Sequence[Request]], list[Outcome]]


class ThreadRun(msgspec.Struct, eq=False):
    """A run in the thread.

    Attributes:
        batch: whose it is.
        begun: since when, in monotonic seconds.
        rows: of how many rows.
        control: how it is told to stop.
        abandoned: when the last request that waited for it was gone, in monotonic seconds; infinite before.
        outcomes: of each request, once it is over.
        seconds: how long it took in the thread.
    """

    batch: list[QueuedRequest]
    begun: float
    rows: int
    control: RunControl
    abandoned: float = math.inf
    outcomes: list[Outcome] = []
    seconds: float = 0.0

    def compute(self, run: Run, clock: Callable[[], float]) -> None:
        """Run, in the thread."""
        begun = clock()
        try:
            with self.control.applied():
                self.outcomes = run([queued.request for queued in self.batch])
        except BaseException:  # noqa: BLE001 - see below
            # The runner answers for whatever an engine raises; what else there is must not end the thread.
            _log.exception("A run in the thread failed")
            failure = "The model failed. The log has the reason under this id."
            self.outcomes = [ModelFailed(failure) for _ in self.batch]
        self.seconds = clock() - begun
