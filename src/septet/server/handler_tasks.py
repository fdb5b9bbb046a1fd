"""Handlers that do not predict, each run as an ordinary asyncio task.

Predictions are driven by callbacks and need no task. A handler may await whatever asyncio offers: timeouts, task
groups, other servers.
"""

import asyncio
from collections.abc import Callable

from septet.protocols.http.app import App
from septet.protocols.http.http_messages import HttpReply, HttpRequest


class HandlerTasks:
    """Starts the handlers of an application, and holds their tasks: the event loop itself refers to them weakly."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._running: set[asyncio.Task[HttpReply]] = set()

    def start(self, http: HttpRequest, done: Callable[[HttpReply], None]) -> "HandlerTask":
        """Run the handler of a request; `done` gets its reply in a later turn of the event loop."""
        task = asyncio.get_running_loop().create_task(self._app(http))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return HandlerTask(task, done)


class HandlerTask:
    """The `Pending` of one handler. A cancelled one cleans up and gives no reply."""

    __slots__ = ("_done", "_task")

    def __init__(self, task: "asyncio.Task[HttpReply]", done: Callable[[HttpReply], None]) -> None:
        self._task = task
        self._done: Callable[[HttpReply], None] | None = done
        task.add_done_callback(self._ended)

    def cancel(self) -> None:
        """The caller went away."""
        self._done = None
        self._task.cancel()

    def _ended(self, task: "asyncio.Task[HttpReply]") -> None:
        done, self._done = self._done, None
        # Without `cancel`, a task is cancelled only where the event loop ends.
        if done is not None and not task.cancelled():
            done(task.result())
