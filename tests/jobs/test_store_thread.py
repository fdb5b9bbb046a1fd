"""The thread that calls the store tells other processes of changes, and of nothing else."""

import asyncio
from collections.abc import Callable
from typing import Any

from septet.jobs.store_thread import StoreThread
from septet.queues.job_store import JobFilter, JobStore
from septet.queues.memory_store import MemoryStore
from tests.queues.samples import NOW, a_job


class CountedSignals:
    """Signals that nobody hears; `told` counts them."""

    told = 0

    def fileno(self) -> int:
        return -1

    def drain(self) -> None:
        """Nothing was told."""

    def notify(self) -> None:
        self.told += 1

    def close(self) -> None:
        """Nothing is open."""


def test_who_looks_at_the_store_and_finds_nothing_tells_nobody() -> None:
    async def scenario() -> None:
        store, signals = MemoryStore(), CountedSignals()
        store.join("w", ["iris"], NOW)
        thread = StoreThread(lambda: store)
        thread.start(signals)

        async def told_by(work: Callable[[JobStore], Any], *, changes: bool = False) -> int:
            before = signals.told
            await thread.run(work, changes=changes)
            return signals.told - before

        # Two workers that told each other of having found nothing would never rest.
        assert await told_by(lambda store: store.lease("w", 9, NOW), changes=True) == 0
        assert await told_by(lambda store: store.next_due(NOW)) == 0
        accepted: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        thread.accept(a_job(), accepted.set_result)
        await accepted
        assert signals.told == 1
        assert await told_by(lambda store: store.page(JobFilter(), None, 9)) == 0
        assert await told_by(lambda store: store.lease("w", 9, NOW), changes=True) == 1
        assert await told_by(lambda store: store.cancel("f" * 32, NOW), changes=True) == 0
        await thread.close()

    asyncio.run(scenario())
