"""One observer for several, which hears of the requests of a turn of the event loop all at once.

To count a request costs a tenth of answering one with a small model, most of it the way to the counter and back. So
what a turn brings is kept, and passed on at its end in one call.
"""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from septet.events import Finished


class TurnObserver(Protocol):
    """Whoever is told what a turn brought. Must neither block nor raise.

    Attributes:
        least_status: answers of a lower status are not told; 0 for all, and for the number of arrivals.
    """

    least_status: int

    def turned(self, started: int, finished: Sequence[Finished]) -> None:
        """So many requests have arrived, and these have been answered."""


class TurnObservers:
    """An `Observer` for the event loop's thread, where it passes on what happens at the end of the turn."""

    def __init__(self, *listeners: TurnObserver) -> None:
        self._listeners = listeners
        self._started = 0
        self._finished: list[Finished] = []
        self._due = False

    def started(self) -> None:
        """A request has arrived."""
        self._started += 1
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self._turn)

    def finished(self, event: Finished) -> None:
        """A request has been answered."""
        self._finished.append(event)
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        started, finished = self._started, self._finished
        self._started, self._finished, self._due = 0, [], False
        for listener in self._listeners:
            least = listener.least_status
            if least == 0:
                listener.turned(started, finished)
            elif wanted := [event for event in finished if event.status >= least]:
                listener.turned(0, wanted)
