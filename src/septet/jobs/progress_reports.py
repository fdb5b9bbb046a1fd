"""What jobs say of their progress, on its way to the store: the latest of each, a few times a second at most."""

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final

from septet.errors import SeptetError
from septet.queues.job import LeasedJob, ProgressReport
from septet.types import Report

#: The store is told of progress four times a second at most.
PAUSE_SECONDS: Final = 0.25


class ProgressReports:
    """For one event loop; `tell` brings reports to the store, and may raise SeptetError."""

    def __init__(self, tell: Callable[[Sequence[ProgressReport]], Awaitable[object]]) -> None:
        self._tell = tell
        self._lock = threading.Lock()
        self._latest: dict[str, ProgressReport] = {}
        self._awake = False
        self._telling: asyncio.Task[None] | None = None

    def of(self, leased: LeasedJob) -> Report:
        """What takes the progress of an attempt, from any thread; it returns at once. For the event loop's thread."""
        return partial(self._report, asyncio.get_running_loop(), leased)

    def close(self) -> None:
        """Tell nothing more."""
        if self._telling is not None:
            self._telling.cancel()

    def _report(self, loop: asyncio.AbstractEventLoop, leased: LeasedJob, done: float) -> None:
        with self._lock:
            self._latest[leased.job.id] = ProgressReport(leased.job.id, leased.attempt, done)
            awake, self._awake = self._awake, True
        if not awake:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody wants to know
                loop.call_soon_threadsafe(self._begin)

    def _begin(self) -> None:
        self._telling = asyncio.create_task(self._tell_all())

    async def _tell_all(self) -> None:
        """Tell what is new until nothing is."""
        while reports := self._taken():
            with contextlib.suppress(SeptetError):  # there will be others
                await self._tell(reports)
            await asyncio.sleep(PAUSE_SECONDS)

    def _taken(self) -> list[ProgressReport]:
        with self._lock:
            reports = list(self._latest.values())
            self._latest.clear()
            self._awake = bool(reports)
        return reports
