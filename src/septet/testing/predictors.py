"""Predictors without a model: they answer constantly, echo, fail, note what they are asked, or hold every request."""

import asyncio
from collections.abc import Callable, Sequence

from septet.types import DONE_ALREADY, Done, Identity, Pending, Predictor, Request, Response, Tensors, Timings

#: Who answers, unless another identity is given.
IDENTITY = Identity("model", "1", "sha256:" + "0" * 64)
_NO_TIME = Timings(0.0, 0.0, 1)


class ConstantPredictor(Predictor):
    """Answers every request the same, at once.

    `answer` has one array per output, of one row (axis 0 of length 1), which is repeated for each row of the request.
    Without `rows` the arrays are the whole answer.
    """

    def __init__(self, answer: Tensors, *, rows: bool = True, identity: Identity = IDENTITY) -> None:
        self._answer = answer
        self._rows = rows
        self._identity = identity

    def submit(self, request: Request, done: Done) -> Pending:
        """Answer."""
        wanted = self._answer if request.outputs is None else {name: self._answer[name] for name in request.outputs}
        each = {name: array.repeat(request.rows, 0) if self._rows else array for name, array in wanted.items()}
        done(Response(each, request.rows, self._identity, _NO_TIME))
        return DONE_ALREADY


class EchoPredictor(Predictor):
    """Answers every request with its own tensors, at once; `outputs` are their names in the answer, in order."""

    def __init__(self, outputs: Sequence[str] = (), *, identity: Identity = IDENTITY) -> None:
        self._outputs = tuple(outputs)
        self._identity = identity

    def submit(self, request: Request, done: Done) -> Pending:
        """Answer."""
        names = self._outputs or tuple(request.tensors)
        tensors = dict(zip(names, request.tensors.values(), strict=True))
        done(Response(tensors, request.rows, self._identity, _NO_TIME))
        return DONE_ALREADY


class FailingPredictor(Predictor):
    """Gives the same error for every request, at once."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def submit(self, request: Request, done: Done) -> Pending:  # noqa: ARG002 - whatever is asked
        """Fail."""
        done(self._error)
        return DONE_ALREADY


class RecordingPredictor(Predictor):
    """Notes every request, and lets the predictor behind answer it.

    Attributes:
        requests: what was asked, oldest first.
    """

    def __init__(self, predictor: Predictor) -> None:
        self.requests: list[Request] = []
        self._predictor = predictor

    def submit(self, request: Request, done: Done) -> Pending:
        """Note it, and pass it on."""
        self.requests.append(request)
        return self._predictor.submit(request, done)


class HeldRequest:
    """A request that waits until the test lets it go on; a `Pending`.

    Attributes:
        request: what was asked.
        cancelled: whether nobody wants its answer any more.
    """

    def __init__(self, request: Request, done: Done, proceed: Callable[[Request, Done], Pending]) -> None:
        self.request = request
        self.cancelled = False
        self._done = done
        self._proceed = proceed

    def cancel(self) -> None:
        """Want no answer any more."""
        self.cancelled = True

    def release(self) -> None:
        """Let the predictor behind answer it, unless it was cancelled."""
        if not self.cancelled:
            self._proceed(self.request, self._done)

    def answer(self, outcome: Response | Exception) -> None:
        """Give it this answer, or this error, unless it was cancelled."""
        if not self.cancelled:
            self._done(outcome)


class HeldPredictor(Predictor):
    """Holds every request until it is told what becomes of it.

    Attributes:
        held: the requests that were held and not released by `release`, oldest first.
        holding: whether those that come are held; where not, the predictor behind answers them.
    """

    def __init__(self, predictor: Predictor, *, holding: bool = True) -> None:
        self.held: list[HeldRequest] = []
        self.holding = holding
        self._predictor = predictor
        self._awaited: list[tuple[int, asyncio.Future[None]]] = []

    def submit(self, request: Request, done: Done) -> Pending:
        """Hold it, or pass it on."""
        if not self.holding:
            return self._predictor.submit(request, done)
        made = HeldRequest(request, done, self._predictor.submit)
        self.held.append(made)
        for count, future in self._awaited:
            if len(self.held) >= count and not future.done():
                future.set_result(None)
        return made

    async def until_held(self, count: int = 1) -> None:
        """Wait until so many requests are held."""
        if len(self.held) < count:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._awaited.append((count, future))
            await future

    def release(self) -> None:
        """Let the predictor behind answer all that are held."""
        held, self.held = self.held, []
        for each in held:
            each.release()
