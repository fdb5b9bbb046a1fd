"""Requests that wait for a change of a job: one question to the store for all of them whenever something changes."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from septet.errors import SeptetError
from septet.jobs.store_thread import StoreThread
from septet.queues.job import ENDED, Job
from septet.queues.job_store import Forgotten

#: How often the store is asked where nothing has told of a change, in seconds.
POLL_SECONDS: Final = 1.0
#: After a look at the store nobody looks again for so long: changes come in crowds.
REST_SECONDS: Final = 0.005

Found = Job | Forgotten | None


class JobWaiters:
    """For one event loop.

    Attributes:
        closed: the server stops, and nothing is waited for.
    """

    def __init__(self, store: StoreThread) -> None:
        self._store = store
        self._waiting: dict[str, dict[asyncio.Future[Found], Job]] = {}
        self._looking: asyncio.Task[None] | None = None
        self._again = asyncio.Event()
        self.closed = False

    async def ended(self, identifier: str, seconds: float) -> Found:
        """The job when it has ended, or as it is after so many seconds."""
        return await self.until(identifier, seconds, lambda job: job.state in ENDED)

    async def until(self, identifier: str, seconds: float, enough: Callable[[Job], bool]) -> Found:
        """The job when that is enough, or as it is after so many seconds; not waited for where it is unknown."""
        (found,) = await self._store.run(lambda store: store.find([identifier]))
        end = asyncio.get_running_loop().time() + seconds
        while isinstance(found, Job) and not enough(found) and not self.closed:
            left = end - asyncio.get_running_loop().time()
            if left <= 0.0:
                break
            found = await self._next(identifier, left, found)
        return found

    def look(self) -> None:
        """Something has changed in the store."""
        self._again.set()

    def close(self) -> None:
        """The server stops: whoever waits is answered with what is known."""
        self.closed = True
        if self._looking is not None:
            self._looking.cancel()
        for waiting in self._waiting.values():
            for future in waiting:
                future.cancel()

    async def _next(self, identifier: str, seconds: float, known: Job) -> Found:
        """The job once it is not as it is known any more; as it is known after so many seconds."""
        future: asyncio.Future[Found] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(identifier, {})
        waiting[future] = known
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._watch())
        try:
            await asyncio.wait((future,), timeout=seconds)
            return future.result() if future.done() and not future.cancelled() else known
        finally:
            del waiting[future]
            if not waiting:
                self._waiting.pop(identifier, None)

    async def _watch(self) -> None:
        """Look at the store for as long as anybody waits."""
        while self._waiting:
            self._again.clear()
            with contextlib.suppress(SeptetError):  # the store may be there again later
                await self._look_once(list(self._waiting))
            await asyncio.sleep(REST_SECONDS)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await self._again.wait()

    async def _look_once(self, identifiers: list[str]) -> None:
        found = await self._store.run(lambda store: store.find(identifiers))
        for identifier, job in zip(identifiers, found, strict=True):
            for future, known in self._waiting.get(identifier, {}).items():
                if job != known and not future.done():
                    future.set_result(job)
