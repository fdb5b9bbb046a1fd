"""Runs a coroutine without an asyncio task.

A task costs two turns of the event loop and several microseconds; most requests need none of it. `Drive` takes the
first step at once, and each further step from the callback of the future that the coroutine waits for. It keeps the
contract with futures that `asyncio.Task` keeps (`_asyncio_future_blocking`, see `asyncio.isfuture`). What it drives
must await futures only, and must not ask for the current task.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Drive(Generic[T]):
    """Steps a coroutine to its end and gives the result to `done`; a cancelled one gives nothing."""

    __slots__ = ("_coroutine", "_done", "_waiting")

    def __init__(self, coroutine: Coroutine[Any, Any, T], done: Callable[[T], None]) -> None:
        self._coroutine = coroutine
        self._done = done
        self._waiting: asyncio.Future[Any] | None = None

    def step(self, _: object = None) -> None:
        """Take the next step; `_` is the future that is done."""
        try:
            waiting = self._coroutine.send(None)
        except StopIteration as stop:
            self._waiting = None
            self._done(stop.value)
        except asyncio.CancelledError:
            self._waiting = None
        else:
            waiting._asyncio_future_blocking = False  # noqa: SLF001 - the contract named above
            self._waiting = waiting
            waiting.add_done_callback(self.step)

    def cancel(self) -> None:
        """Cancel what the coroutine waits for, if anything."""
        if self._waiting is not None:
            self._waiting.cancel()
