"""The one call shape, and the two frozen messages that travel through it.

Everything that answers a prediction is a `Predictor`: a loaded model, a limiter, a recorder, a remote server.
Middleware is `Predictor -> Predictor`. The records are msgspec structs because one is made per request: creating a
frozen dataclass costs more than decoding a small JSON body. Those that live for a request are not tracked by the
collector: they hold no way back to themselves, and many of them would let it run in each turn of the loop.
"""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any, Protocol, TypeAlias

import msgspec
from numpy.typing import NDArray

from septet.identity import Identity as Identity  # noqa: PLC0414 - it is one of these records

_log = logging.getLogger("septet")

Array: TypeAlias = NDArray[Any]
Tensors: TypeAlias = Mapping[str, Array]


#: Takes which part of an answer is computed, from 0 to 1. It is called from any thread, and returns at once.
Report: TypeAlias = Callable[[float], None]


class Request(msgspec.Struct, frozen=True, gc=False):
    """Rows to predict, already decoded and valid under the model's signature.

    Attributes:
        tensors: one array per model input; axis 0 is the row, the same length in each.
        rows: that length.
        id: the caller's request id, or one made for it.
        outputs: the wanted output names, or None for all.
        deadline: seconds on the monotonic clock after which no answer is wanted, or None.
        trace: the W3C `traceparent` header as received, or None.
        report: what `septet.report_progress` calls; None where nobody wants to know.
    """

    tensors: Tensors
    rows: int
    id: str
    outputs: tuple[str, ...] | None = None
    deadline: float | None = None
    trace: str | None = None
    report: Report | None = None


class Timings(msgspec.Struct, frozen=True, gc=False):
    """Seconds spent waiting for the runtime and running it; `batch_rows` is the size of the run shared with others."""

    queue: float
    run: float
    batch_rows: int


class Response(msgspec.Struct, frozen=True, gc=False):
    """What the model answered: one array per output, rows in the request's order.

    `flags` names what a caller should know of this answer, such as `degraded`.
    """

    tensors: Tensors
    rows: int
    model: Identity
    timings: Timings
    flags: tuple[str, ...] = ()


class Pending(Protocol):
    """A request that may still be given up."""

    def cancel(self) -> None:
        """Want no answer any more: none will be given."""


#: The flag of an answer that its owner wrote for when the model cannot answer.
FALLBACK = "fallback"


class DoneAlready:
    """The `Pending` of a request that has its answer already."""

    def cancel(self) -> None:
        """Nothing is left to give up."""


DONE_ALREADY = DoneAlready()

#: Takes the answer of a request, or the error in place of one. It must not raise: where it does, it is called once
#: more, with what it raised.
Done: TypeAlias = Callable[[Response | Exception], None]


def tell(done: Done, outcome: Response | Exception) -> None:
    """Call `done`; where it raises, call it once more with that error, so that its own request fails and no other."""
    try:
        done(outcome)
    except Exception as error:  # noqa: BLE001 - middleware is other people's code
        try:
            done(error)
        except Exception:  # noqa: BLE001 - the same
            _log.exception("A middleware took no answer: it raised twice, and its request stays without one")


class Predictor(ABC):
    """Whatever answers predictions.

    `submit` is the primitive: a caller that has many requests in hand at once needs neither a coroutine nor a future
    for each. `predict` is derived from it, for callers that await.
    """

    @abstractmethod
    def submit(self, request: Request, done: Done) -> Pending:
        """Begin to answer a request, on the event loop's thread.

        `done` is called once, on that thread, with the answer or the error, perhaps before this returns; never after
        the returned `Pending` was cancelled.
        """

    async def predict(self, request: Request) -> Response:
        """Answer a request; to cancel the awaiting task cancels the request.

        Raises:
            Exception: whatever error `submit` gives.
        """
        future: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        pending = self.submit(request, partial(_resolve, future))
        try:
            return await future
        except asyncio.CancelledError:
            pending.cancel()
            raise


#: Wraps a predictor in another one, which sees each of its requests.
Middleware: TypeAlias = Callable[[Predictor], Predictor]


def adapt(function: Callable[[Request], Coroutine[Any, Any, Response]]) -> Predictor:
    """A coroutine function as a predictor: each request runs it in a task of its own."""
    return _CoroutinePredictor(function)


class _CoroutinePredictor(Predictor):
    def __init__(self, function: Callable[[Request], Coroutine[Any, Any, Response]]) -> None:
        self._function = function

    def submit(self, request: Request, done: Done) -> Pending:
        return _PendingTask(asyncio.get_running_loop().create_task(self._function(request)), done)


class _PendingTask:
    """The `Pending` of a task."""

    def __init__(self, task: "asyncio.Task[Response]", done: Done) -> None:
        self._task = task
        self._done: Done | None = done
        task.add_done_callback(self._ended)

    def cancel(self) -> None:
        self._done = None
        self._task.cancel()

    def _ended(self, task: "asyncio.Task[Response]") -> None:
        done, self._done = self._done, None
        if done is None:
            return
        if task.cancelled():
            tell(done, RuntimeError("The coroutine of a predictor was cancelled by its own code."))
            return
        error = task.exception()
        if isinstance(error, BaseException) and not isinstance(error, Exception):
            error = RuntimeError(f"The coroutine of a predictor ended in {error!r}.")
        tell(done, task.result() if error is None else error)


def _resolve(future: "asyncio.Future[Response]", outcome: Response | Exception) -> None:
    if future.done():
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
