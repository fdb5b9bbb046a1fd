"""The thread for work that would hold up the event loop: reading large bodies, and writing large answers.

There is one, and what comes waits for its turn, so that no more is read at a time than one body. What waits is bounded
in bytes; who would be beyond that is refused.
"""

import asyncio
import contextlib
import gc
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Final

import msgspec

from septet.errors import DeadlineExceeded, Overloaded

#: Bytes that may wait, of bodies and of answers, beside the one that is worked on.
MOST_WAITING_BYTES: Final = 1 << 28
#: Pieces of work that may wait.
MOST_WAITING: Final = 256


class ThreadWork(msgspec.Struct, eq=False):
    """One piece of work, as a `Pending`: `done` gets its result, or the exception that it raised, on the loop.

    `alarm` is for when its time is over.
    """

    work: Callable[[], Any] | None
    done: Callable[[Any], None] | None
    loop: asyncio.AbstractEventLoop
    size: int
    alarm: asyncio.TimerHandle | None = None

    def cancel(self) -> None:
        """Want no result any more. Work that has begun is done to its end."""
        self.work = self.done = None
        if self.alarm is not None:
            self.alarm.cancel()
            self.alarm = None

    def settle(self, outcome: Any) -> None:
        """Tell the outcome, unless nobody wants it any more."""
        done = self.done
        self.cancel()
        if done is not None:
            done(outcome)

    def expire(self) -> None:
        """Its time is over."""
        self.settle(DeadlineExceeded("The answer was not ready before the request's deadline."))


class WorkThread:
    """Does one piece of work after the other; the thread is started with the first."""

    def __init__(self) -> None:
        self._waiting: SimpleQueue[ThreadWork] = SimpleQueue()
        self._count = 0
        self._bytes = 0
        self._thread: threading.Thread | None = None

    def submit(
        self, work: Callable[[], Any], done: Callable[[Any], None], size: int, seconds: float | None = None
    ) -> ThreadWork:
        """Do work on `size` bytes, and call `done` on the running event loop: with an error after so many seconds.

        Raises:
            Overloaded: too much waits already.
        """
        if self._count and (self._count >= MOST_WAITING or self._bytes + size > MOST_WAITING_BYTES):
            raise Overloaded("Too many large bodies and answers wait to be read or written. Try again.")
        self._count += 1
        self._bytes += size
        loop = asyncio.get_running_loop()
        found = ThreadWork(work, done, loop, size)
        if seconds is not None:
            found.alarm = loop.call_later(max(0.0, seconds), found.expire)
        self._waiting.put(found)
        if self._thread is None:
            # A daemon: a process that stops waits for no body that nobody wants any more.
            self._thread = threading.Thread(target=self._run, name="lengthy-work", daemon=True)
            self._thread.start()
        return found

    async def run(self, work: Callable[[], Any], size: int) -> Any:
        """Do work on `size` bytes and return its result, for a coroutine.

        Raises:
            Overloaded: too much waits already.
            Exception: that the work raised.
        """
        ended: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def settle(outcome: Any) -> None:
            if not ended.done():  # cancelled, and its coroutine has not run since
                ended.set_result(outcome)

        pending = self.submit(work, settle, size)
        try:
            outcome = await ended
        finally:
            pending.cancel()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def _run(self) -> None:
        while True:
            self._do(self._waiting.get())

    def _do(self, found: ThreadWork) -> None:
        work, found.work = found.work, None
        outcome: Any = None
        if work is not None:
            collecting = gc.isenabled()
            # Of a million values none is in a cycle: the collector would look at them again and again, and keep the
            # event loop waiting while it does.
            gc.disable()
            try:
                outcome = work()
            except Exception as error:  # noqa: BLE001 - whatever it is, the caller tells it
                outcome = error
            finally:
                if collecting:
                    gc.enable()
        del work
        # The loop may have ended meanwhile.
        with contextlib.suppress(RuntimeError):
            found.loop.call_soon_threadsafe(self._ended, found, outcome)

    def _ended(self, found: ThreadWork, outcome: Any) -> None:
        self._count -= 1
        self._bytes -= found.size
        found.settle(outcome)
