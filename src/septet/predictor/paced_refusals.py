"""Refusals of one model, a group at a time, so that refusing leaves the model most of the core.

To read each request as it comes, and to refuse it by itself, costs several times as much as a group of them, and
callers who ask again at once would have the loop refuse and do nothing else. So while requests are refused, those that
come wait at the gate for a few milliseconds and are read as a group, and only so many refusals are told with each. The
event loop never waits: it goes on with other connections and other models.
"""

import asyncio
from collections import deque

from septet.errors import Overloaded
from septet.predictor.admission import GROUP_SECONDS, refusals_due
from septet.predictor.queued_request import QueuedRequest
from septet.service import ArrivalGate

# The arrivals that are let in within one turn of the loop: what they take holds up all others.
MOST_ARRIVALS = 32


class PacedRefusals:
    """For the event loop's thread.

    Attributes:
        gate: closed from the first refusal until a group has none.
    """

    def __init__(self) -> None:
        self.gate = ArrivalGate()
        self._untold: deque[tuple[QueuedRequest, Overloaded]] = deque()

    def refuse(self, queued: QueuedRequest, error: Overloaded) -> None:
        """Tell a refusal: the first one now, those that come close behind it with their group."""
        if self.gate.closed:
            self._untold.append((queued, error))
            return
        self.gate.closed = True
        asyncio.get_running_loop().call_later(GROUP_SECONDS, self._begin_group)
        queued.fail(error)

    def _begin_group(self) -> None:
        self._let_in(self.gate.waiting)

    def _let_in(self, left: int) -> None:
        """Let in the arrivals of this group, some in each turn of the loop."""
        self.gate.let_in(min(left, MOST_ARRIVALS))
        if left > MOST_ARRIVALS:
            asyncio.get_running_loop().call_soon(self._let_in, left - MOST_ARRIVALS)
        else:
            self._end_group()

    def _end_group(self) -> None:
        """Tell those whose turn it is that they are refused; who asks again at once comes with the next group."""
        due = refusals_due(len(self._untold))
        if due:
            asyncio.get_running_loop().call_later(GROUP_SECONDS, self._begin_group)
        else:
            self.gate.closed = False
        for _ in range(due):
            queued, error = self._untold.popleft()
            queued.fail(error)
