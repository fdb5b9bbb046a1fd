"""The one thread of a process that calls the store of jobs, which blocks.

What comes while the store is busy is gathered, and goes to it in one call: the store makes one durable step of it, so
a hundred jobs wait for one flush of the disk and not for a hundred.
"""

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from time import time
from typing import Any, Final, TypeAlias, TypeVar

import msgspec

from septet.errors import Overloaded, SeptetError, Unavailable
from septet.queues.job import NewJob, Settlement
from septet.queues.job_store import Accepted, JobSignals, JobStore

#: What may wait for the store.
MOST_WAITING: Final = 10_000
_T = TypeVar("_T")
_Done: TypeAlias = Callable[[Any], None]

logger = logging.getLogger("septet")


class _Gathered(msgspec.Struct):
    """What waits for the store."""

    jobs: list[tuple[NewJob, _Done]] = msgspec.field(default_factory=list)
    settlements: dict[str, list[tuple[Settlement, _Done]]] = msgspec.field(default_factory=dict)
    calls: list[tuple[Callable[[JobStore], Any], bool, _Done]] = msgspec.field(default_factory=list)
    waiting: int = 0


class StoreThread:
    """Calls a store for one event loop; `open_store` is called in the thread, which closes the store at its end.

    Outcomes, which may be errors, are given to `done` on the event loop.
    """

    def __init__(self, open_store: Callable[[], JobStore], clock: Callable[[], float] = time) -> None:
        self._open_store = open_store
        self._clock = clock
        self._gathered = _Gathered()
        self._changed = threading.Condition()
        self._closing = False
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop

    def start(self, signals: JobSignals) -> tuple[str, bool]:
        """Open the store, and tell `signals` of changes from now on; the store's `durability` and `safe`.

        Raises:
            StartupError: it cannot be opened.
        """
        opened: Future[tuple[str, bool]] = Future()
        self._thread = threading.Thread(target=self._run, args=(opened, signals), name="septet-jobs", daemon=True)
        self._thread.start()
        return opened.result()

    async def close(self) -> None:
        """Do what waits, and close the store."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        thread = self._thread
        if thread is not None:
            await asyncio.get_running_loop().run_in_executor(None, thread.join)

    def accept(self, job: NewJob, done: Callable[[Accepted | Exception], None]) -> None:
        """Store a job; `done` gets why not, where it is not stored."""
        self._put(lambda waiting: waiting.jobs.append((job, done)), done)

    def settle(self, worker: str, settlement: Settlement, done: Callable[[bool | Exception], None]) -> None:
        """End an attempt of a worker's; `done` gets whether it was still its own."""
        self._put(lambda waiting: waiting.settlements.setdefault(worker, []).append((settlement, done)), done)

    async def run(self, work: Callable[[JobStore], _T], *, changes: bool = False) -> _T:
        """Call the store with a function of one's own; where it `changes` jobs, others are told if its result is true.

        Who is told looks at the store, so whoever looks and finds nothing must tell nobody.

        Raises:
            Exception: whatever that raises.
        """
        future: asyncio.Future[_T] = asyncio.get_running_loop().create_future()

        def done(outcome: Any) -> None:
            if future.done():
                return
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)

        self._put(lambda waiting: waiting.calls.append((work, changes, done)), done)
        return await future

    def _put(self, put: Callable[[_Gathered], object], done: _Done) -> None:
        self._loop = asyncio.get_running_loop()
        with self._changed:
            if self._closing:
                error: SeptetError = Unavailable("The server is stopping.")
            elif self._gathered.waiting >= MOST_WAITING:
                error = Overloaded("The store of jobs cannot keep up. Try again in a moment.")
            else:
                put(self._gathered)
                self._gathered.waiting += 1
                self._changed.notify()
                return
        done(error)

    def _run(self, opened: "Future[tuple[str, bool]]", signals: JobSignals) -> None:
        try:
            store = self._open_store()
        except Exception as error:  # noqa: BLE001 - who starts the thread raises it
            opened.set_exception(error)
            return
        opened.set_result((store.durability, store.safe))
        try:
            while (gathered := self._next()) is not None:
                told, changed = self._act(store, gathered)
                if changed:
                    signals.notify()
                self._loop.call_soon_threadsafe(_tell, told)
        except RuntimeError:  # the loop is closed: nobody waits any more
            logger.debug("the event loop ended before the store of jobs")
        finally:
            store.close()

    def _next(self) -> _Gathered | None:
        with self._changed:
            while not self._gathered.waiting and not self._closing:
                self._changed.wait()
            gathered, self._gathered = self._gathered, _Gathered()
        return gathered if gathered.waiting else None

    def _act(self, store: JobStore, gathered: _Gathered) -> tuple[list[tuple[_Done, Any]], bool]:
        """Call the store; who is told what, and whether jobs have changed."""
        told: list[tuple[_Done, Any]] = []
        changed = bool(gathered.jobs or gathered.settlements)
        if gathered.jobs:
            jobs = [job for job, _ in gathered.jobs]
            outcomes = _each(lambda: store.accept(jobs, self._clock()), len(jobs))
            told += zip((done for _, done in gathered.jobs), outcomes, strict=True)
        for worker, ended in gathered.settlements.items():
            settlements = [settlement for settlement, _ in ended]
            outcomes = _each(lambda w=worker, s=settlements: store.settle(w, s, self._clock()), len(ended))  # type: ignore[misc]
            told += zip((done for _, done in ended), outcomes, strict=True)
        for work, changes, done in gathered.calls:
            (outcome,) = _each(lambda work=work: [work(store)], 1)  # type: ignore[misc]
            changed = changed or (changes and bool(outcome))
            told.append((done, outcome))
        return told, changed


def _each(call: Callable[[], list[Any]], count: int) -> list[Any]:
    """What the call says of each, or its error for all of them."""
    try:
        return call()
    except Exception as error:
        if not isinstance(error, SeptetError):
            logger.exception("the store of jobs failed")
        return [error] * count


def _tell(told: list[tuple[_Done, Any]]) -> None:
    for done, outcome in told:
        try:
            done(outcome)
        except Exception:  # one must not keep the others from their outcomes
            logger.exception("what the store of jobs did was told to nobody")
