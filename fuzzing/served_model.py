"""A model without an engine: it answers each request with its own values, and keeps what it was asked."""

import asyncio
from collections.abc import Mapping

import msgspec
import numpy as np

from fuzzing.promise import require
from septet.assembly.composition import application, layout
from septet.events import Finished
from septet.model.signature import Column, Kind, Signature, Tensor
from septet.monitoring.shared_metrics import SharedMetrics
from septet.protocols.http.app import App
from septet.protocols.http.http_messages import HttpReply, HttpRequest
from septet.protocols.openinference.grpc_service import GrpcService
from septet.settings import Limits, Settings
from septet.testing import service
from septet.testing.predictors import EchoPredictor
from septet.types import DONE_ALREADY, Done, Pending, Predictor, Request, Response, Tensors

MOST_BODY_BYTES = 1 << 16
ROWS = 100
FAULTS = frozenset({"internal", "model_failed", "unavailable", "deadline_exceeded", "other"})


def _identity(*inputs: Tensor) -> Signature:
    """A model that gives what it takes."""
    outputs = tuple(Tensor(f"y_{each.name}", each.dtype, each.shape) for each in inputs)
    return Signature(Kind.TENSORS, inputs, outputs)


def _column(name: str, dtype: str, *, nullable: bool = False) -> Tensor:
    return Tensor(name, dtype, (None, 1), (Column(name, dtype, nullable=nullable),))


SIGNATURES: Mapping[str, Signature] = {
    "four": _identity(Tensor("x", "float32", (None, 4), tuple(Column(f"c{at}", "float32") for at in range(4)))),
    "mixed": _identity(
        _column("n", "int64"),
        _column("f", "float64", nullable=True),
        _column("s", "string", nullable=True),
        _column("b", "bool"),
    ),
    "free": _identity(Tensor("x", "float32", (None, 2, 2))),
    "small": _identity(Tensor("x", "int8", (None, 2), (Column("a", "int8"), Column("b", "int8")))),
    "moments": _identity(_column("t", "datetime64[ms]", nullable=True), _column("u", "uint16")),
}
NAMES = tuple(SIGNATURES)


class _Keeping(Predictor):
    def __init__(self, signature: Signature) -> None:
        self._echo = EchoPredictor([each.name for each in signature.outputs])
        self.asked: list[Request] = []

    def submit(self, request: Request, done: Done) -> Pending:
        self.asked.append(request)
        if request.outputs is None:
            return self._echo.submit(request, done)

        names = request.outputs

        def some(outcome: Response | Exception) -> None:
            if isinstance(outcome, Response):
                outcome = msgspec.structs.replace(outcome, tensors={name: outcome.tensors[name] for name in names})
            done(outcome)

        self._echo.submit(request, some)
        return DONE_ALREADY


class Asked(msgspec.Struct, frozen=True):
    """What became of one request: the reply, its code in the metrics, and the tensors that the model was given."""

    reply: HttpReply
    code: str
    tensors: Tensors | None


class ServedModel:
    """An application with one such model, over HTTP and over gRPC; every request is to be counted once."""

    def __init__(self, signature: Signature) -> None:
        self.signature = signature
        self._predictor = _Keeping(signature)
        self._loop = asyncio.get_event_loop()
        settings = Settings(limits=Limits(max_body_bytes=MOST_BODY_BYTES, max_rows=ROWS))
        self._http, self._grpc = App(), App()
        made = service(signature, predictor=self._predictor)
        self._http.models.install(made)
        shared = SharedMetrics(layout(1))
        shared.claim().count_models([made.identity.name])
        application(self._http, settings, self, shared.snapshot, [made.identity.name])
        self._grpc = App(self._http.models)
        inference = GrpcService(self._http.models, settings.limits, self._http.find, lambda: True)
        self._grpc.install(lambda _: (), (inference,), self, Limits(max_body_bytes=MOST_BODY_BYTES))
        self._started = 0
        self._events: list[Finished] = []

    def started(self) -> None:
        """Count an arrival."""
        self._started += 1

    def finished(self, event: Finished) -> None:
        """Keep the event of an answer."""
        self._events.append(event)

    def ask(self, path: str, body: bytes, headers: Mapping[bytes, bytes], *, grpc: bool = False) -> Asked:
        """Answer one request, which may be no fault of the server's.

        Raises:
            BrokenPromise: it is answered by a fault, twice, never, or counted otherwise.
        """
        self._predictor.asked.clear()
        self._events.clear()
        self._started = 0
        http = HttpRequest("POST", path, b"", dict(headers), body)
        replies: list[HttpReply] = []
        self._answer(self._grpc if grpc else self._http, http, replies)
        require(len(replies) == 1, f"it was answered {len(replies)} times")
        require((self._started, len(self._events)) == (1, 1), f"counted {self._started}, {len(self._events)}")
        reply, event = replies[0], self._events[0]
        require(event.code == reply.code and event.code not in FAULTS, f"{reply.status} {event.code}: {reply.message}")
        asked = self._predictor.asked
        if event.code == "ok":
            require(len(asked) == 1, f"the model was asked {len(asked)} times")
        elif not grpc:
            require(400 <= reply.status < 500, f"{event.code} was answered with {reply.status}")
            require(isinstance(msgspec.json.decode(reply.body), dict), "the error is no JSON object")
        return Asked(reply, event.code, asked[0].tensors if event.code == "ok" else None)

    def _answer(self, app: App, http: HttpRequest, replies: list[HttpReply]) -> None:
        """Mostly the answer comes at once, and a task for each would take more time than it."""
        loop = self._loop
        asyncio.events._set_running_loop(loop)  # noqa: SLF001 - as the loop itself does while it runs
        try:
            app.answer(http, replies.append)
        finally:
            asyncio.events._set_running_loop(None)  # noqa: SLF001
        if not replies:
            loop.run_until_complete(_until(replies))


async def _until(replies: list[HttpReply]) -> None:
    while not replies:  # noqa: ASYNC110 - there is nobody to tell
        await asyncio.sleep(0)


def same(one: Tensors, other: Tensors) -> bool:
    """Whether tensors are equal to the bit, but that any NaN is another's equal."""
    return one.keys() == other.keys() and all(_same(np.asarray(one[name]), np.asarray(other[name])) for name in one)


def _same(one: "np.ndarray[tuple[int, ...], np.dtype[np.generic]]", other: object) -> bool:
    array = np.asarray(other)
    if one.shape != array.shape or one.dtype != array.dtype:
        return False
    if one.dtype.kind == "f":
        return bool(np.array_equal(one, array, equal_nan=True)) and bool(
            (np.signbit(one) == np.signbit(array))[~np.isnan(one)].all()
        )
    if one.dtype.kind == "M":
        return bool((one.view("int64") == array.view("int64")).all())
    return bool(one.tolist() == array.tolist())
