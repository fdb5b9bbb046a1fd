"""A user's call from its first request to its result, on a transport without a network."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest

from septet.client.call_flow import CallFlow, run_flow, run_flow_async
from septet.errors import DeadlineExceeded, Invalid, NotFound, Overloaded, SeptetError, Unavailable
from septet.model.signature import Kind, Tensor
from septet.protocols.http.error_bodies import STATUS, envelope
from septet.protocols.native.metadata import metadata
from septet.protocols.openinference.datatypes import DATATYPES
from septet.remote.channels import AsyncChannel, ThreadChannel
from septet.remote.grpc_codec import GrpcCodec
from septet.remote.http_codec import HttpCodec
from septet.remote.remote_calls import CallFailure, InferCall, MetadataCall, WireReply, WireRequest
from septet.remote.remote_model import septet_model
from septet.service import Service
from tests.protocols import models

ROW = np.array([[1.0, 2.0, 3.0, 4.0]])
DOWN = CallFailure(Unavailable("Nobody listens."), retryable=True)
OUT = (Kind.CLASSIFICATION, Tensor("out", "int64", (None,)))
ANOTHER = "sha256:" + "b2" * 32


class FakeServer:
    """A transport that ends in a service; what is in `first` is answered before it, and `seen` is what was asked."""

    def __init__(self, *first: WireReply | CallFailure, service: Service | None = None) -> None:
        self.first = list(first)
        self.service = service or models.classifier()
        self.digest = models.IDENTITY.digest
        self.seen: list[WireRequest] = []
        self.seconds: list[float] = []

    def send(self, request: WireRequest, seconds: float) -> WireReply | CallFailure:
        self.seen.append(request)
        self.seconds.append(seconds)
        if self.first:
            return self.first.pop(0)
        if request.path == "/metadata":
            said = {**metadata(self.service, limits=models.LIMITS), "digest": self.digest}
            return WireReply(200, {}, msgspec.json.encode(said))
        if request.path == "/v2/health/ready":
            return WireReply(200, {}, b"{}")
        return WireReply(200, {"septet-model-digest": self.digest}, self.answer(request))

    def answer(self, request: WireRequest) -> bytes:
        """The service's one answer, as JSON."""
        assert self.service.answer is not None
        wanted = [each["name"] for each in msgspec.json.decode(request.body)["outputs"]]
        dtypes = {each.name: each.dtype for each in self.service.signature.outputs}
        outputs = [
            {"name": name, "shape": array.shape, "datatype": DATATYPES[dtypes[name]], "data": array.ravel().tolist()}
            for name, array in self.service.answer.items()
            if not wanted or name in wanted
        ]
        return msgspec.json.encode({"model_name": "iris", "outputs": outputs})

    def close(self) -> None:
        """Nothing is open."""


class AsyncServer:
    """The same for coroutines."""

    def __init__(self, server: FakeServer) -> None:
        self.server = server

    async def send(self, request: WireRequest, seconds: float) -> WireReply | CallFailure:
        return self.server.send(request, seconds)

    async def close(self) -> None:
        """Nothing is open."""


class Caller:
    """Calls a server by threads' means or by coroutines', with no time passing but what is slept."""

    def __init__(self, server: FakeServer, kind: str, timeout: float = 10.0) -> None:
        self.now = 0.0
        self.flow = CallFlow()
        codec = HttpCodec("http://host", "", binary=False)
        time: dict[str, Any] = {"clock": lambda: self.now, "random": lambda: 1.0}
        self._run: Callable[[Any, int], Any]
        if kind == "threads":
            channel = ThreadChannel(codec, server, sleep=self._sleep, **time)
            self._run = lambda steps, retries: run_flow(steps, channel, channel.attempts(retries, timeout))
        else:
            other = AsyncChannel(codec, AsyncServer(server), sleep=self._rest, **time)
            self._run = lambda steps, retries: asyncio.run(
                run_flow_async(steps, other, other.attempts(retries, timeout))
            )

    def _sleep(self, seconds: float) -> None:
        self.now += seconds

    async def _rest(self, seconds: float) -> None:
        self.now += seconds

    def predict(self, data: Any, retries: int = 3) -> Any:
        return self._run(self.flow.predict(data), retries)

    def labels(self, data: Any) -> Any:
        return self._run(self.flow.labels(data), 3)

    def ready(self) -> Any:
        return self._run(self.flow.ready(), 0)

    def metadata(self) -> Any:
        return self._run(self.flow.metadata(), 3)


def error(code: str, retry_after: str | None = None) -> WireReply:
    headers = {} if retry_after is None else {"retry-after": retry_after}
    return WireReply(STATUS[code], headers, envelope(code, "No.", (), "id"))


@pytest.fixture(params=["threads", "coroutines"])
def kind(request: pytest.FixtureRequest) -> str:
    """How the client is driven."""
    return str(request.param)


def paths(server: FakeServer) -> list[str]:
    return [request.path for request in server.seen]


def test_the_model_is_asked_for_once(kind: str) -> None:
    server = FakeServer()
    caller = Caller(server, kind)
    for _ in range(3):
        np.testing.assert_array_equal(caller.predict(ROW), np.array([[0.9, 0.07, 0.03]], np.float32))
    assert paths(server) == ["/metadata", *["/v2/models/iris/infer"] * 3]


@pytest.mark.parametrize("name", models.every_kind())
def test_a_model_is_understood_by_its_description(name: str) -> None:
    service = models.every_kind()[name]
    assert septet_model(metadata(service, limits=models.LIMITS)).signature == service.signature


@pytest.mark.parametrize("body", [b"", b"\xff\xff", b"\x3a\x02ab"])
def test_a_call_that_is_answered_with_something_else_is_an_error(body: bytes) -> None:
    codec = GrpcCodec("grpc://host")
    for question in (MetadataCall(), InferCall("iris", {}, ("label",))):
        read = codec.read(question, WireReply(0, {}, body))
        assert isinstance(read, CallFailure)
        assert read.error.message.startswith("grpc://host answered something else")


def test_only_the_outputs_that_are_shown_are_asked_for(kind: str) -> None:
    server = FakeServer()
    caller = Caller(server, kind)
    caller.predict(ROW)
    caller.labels(ROW)
    wanted = [msgspec.json.decode(request.body)["outputs"] for request in server.seen[1:]]
    assert wanted == [[{"name": "probabilities"}], [{"name": "label"}]]


def test_the_server_is_told_the_time_that_is_left(kind: str) -> None:
    server = FakeServer()
    caller = Caller(server, kind, timeout=2.0)
    caller.predict(ROW)
    assert msgspec.json.decode(server.seen[-1].body)["parameters"]["timeout"] == 2_000_000
    server.first = [error("overloaded", "1")]
    caller.predict(ROW)
    assert msgspec.json.decode(server.seen[-1].body)["parameters"]["timeout"] == pytest.approx(950_000, abs=1)
    assert server.seconds[-1] == pytest.approx(0.95)


@pytest.mark.parametrize("failure", [DOWN, error("overloaded"), error("unavailable")])
def test_what_is_safe_is_asked_again(failure: WireReply | CallFailure, kind: str) -> None:
    server = FakeServer(failure, failure)
    assert Caller(server, kind).predict([[1, 2, 3, 4]])
    assert paths(server) == [*["/metadata"] * 3, "/v2/models/iris/infer"]


@pytest.mark.parametrize("code", ["internal", "model_failed", "deadline_exceeded", "too_large"])
def test_what_is_not_safe_or_will_not_help_is_asked_once(code: str, kind: str) -> None:
    server = FakeServer()
    caller = Caller(server, kind)
    caller.metadata()
    server.first = [error(code)]
    with pytest.raises(SeptetError, match=r"No\."):
        caller.predict(ROW)
    assert len(server.seen) == 2


def test_a_call_gives_up_after_its_retries(kind: str) -> None:
    server = FakeServer(*[error("overloaded")] * 9)
    with pytest.raises(Overloaded):
        Caller(server, kind).predict(ROW, retries=2)
    assert len(server.seen) == 3


def test_a_call_gives_up_at_its_deadline(kind: str) -> None:
    server = FakeServer(*[error("unavailable", "1")] * 9)
    caller = Caller(server, kind, timeout=2.5)
    with pytest.raises(Unavailable):
        caller.predict(ROW)
    assert len(server.seen) == 3
    assert caller.now <= 2.5


def test_no_question_is_asked_past_the_deadline(kind: str) -> None:
    server = FakeServer()
    caller = Caller(server, kind)

    def slow(request: WireRequest, seconds: float) -> WireReply | CallFailure:
        caller.now += seconds
        return FakeServer.send(server, request, seconds)

    server.send = slow  # type: ignore[method-assign]
    with pytest.raises(DeadlineExceeded):
        caller.predict(ROW)
    assert paths(server) == ["/metadata"]


def test_readiness_is_asked_once_and_never_an_error(kind: str) -> None:
    assert Caller(FakeServer(), kind).ready() is True
    for outcome in (DOWN, WireReply(503, {}, b"{}"), error("deadline_exceeded")):
        server = FakeServer(outcome)
        assert Caller(server, kind).ready() is False
        assert len(server.seen) == 1


def test_a_wrong_readiness_is_an_error(kind: str) -> None:
    with pytest.raises(NotFound):
        Caller(FakeServer(WireReply(404, {}, b'{"error": "No such path."}')), kind).ready()


def test_a_new_model_with_the_same_signature_has_answered_right(kind: str) -> None:
    server = FakeServer()
    caller = Caller(server, kind)
    caller.predict(ROW)
    server.digest = ANOTHER
    caller.predict(ROW)
    caller.predict(ROW)
    assert paths(server)[2:] == ["/v2/models/iris/infer", "/metadata", "/v2/models/iris/infer"]


def test_a_new_model_with_another_signature_is_asked_anew(kind: str) -> None:
    server = FakeServer(service=models.single_output(*OUT, [1], label=True))
    caller = Caller(server, kind)
    assert caller.labels([[1, 2]]) == [1]
    server.digest, server.service = (
        ANOTHER,
        models.single_output(*OUT, [1], label=True, labels=("low", "high"), classes=(0, 1)),
    )
    assert caller.labels([[1, 2]]) == ["high"]
    assert paths(server)[2:] == ["/v2/models/iris/infer", "/metadata", "/v2/models/iris/infer"]


def test_data_that_only_the_new_model_takes_is_taken(kind: str) -> None:
    server = FakeServer(service=models.classifier(2))
    caller = Caller(server, kind)
    caller.predict([[1, 2]])
    server.digest, server.service = ANOTHER, models.classifier()
    assert len(caller.predict([[1, 2, 3, 4]])) == 1


def test_data_that_the_known_model_refuses_is_refused_after_a_look_at_the_server(kind: str) -> None:
    server = FakeServer()
    caller = Caller(server, kind)
    caller.predict(ROW)
    with pytest.raises(Invalid, match="c3"):
        caller.predict([{"c0": 1, "c1": 2, "c2": 3}])
    assert paths(server)[2:] == ["/metadata"]


def test_a_server_that_never_has_the_same_model_twice_is_given_up(kind: str) -> None:
    server = FakeServer()
    caller = Caller(server, kind)
    widths = iter(range(1000))

    def changing(request: WireRequest, seconds: float) -> WireReply | CallFailure:
        server.digest = f"sha256:{next(widths)}"
        server.service = models.single_output(
            *OUT, [1], label=True, labels=(str(next(widths)), "other"), classes=(0, 1)
        )
        return FakeServer.send(server, request, seconds)

    server.send = changing  # type: ignore[method-assign]
    with pytest.raises(Unavailable, match="changed its model several times"):
        caller.labels([[1, 2]])


@pytest.mark.parametrize(
    "reply",
    [b"", b"[]", b"<html>", b'{"name": "iris"}', b'{"name": 1}', b"\xff"],
)
def test_a_server_that_is_another_program_is_an_error(reply: bytes, kind: str) -> None:
    with pytest.raises(SeptetError, match=r"http://host answered something else|description of its model"):
        Caller(FakeServer(WireReply(200, {}, reply)), kind).predict(ROW)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b'{"outputs": [{"name": "probabilities", "shape": [1], "datatype": "FP32", "data": [1, 2]}]}',
        b'{"outputs": [{"name": "probabilities", "shape": [1], "datatype": "FP99", "data": [1]}]}',
        b'{"outputs": [{"name": "probabilities", "shape": [1], "datatype": "FP32", "data": ["x"]}]}',
        b'{"outputs": [{"name": "p", "shape": [9], "datatype": "FP32", "parameters": {"binary_data_size": 4}}]}',
        b'{"outputs": []}',
    ],
)
def test_an_answer_that_does_not_follow_the_protocol_is_an_error(body: bytes, kind: str) -> None:
    server = FakeServer()
    caller = Caller(server, kind)
    caller.metadata()
    server.first = [WireReply(200, {}, body)]
    with pytest.raises(SeptetError, match="something else") as told:
        caller.predict(ROW)
    assert told.value.code == "internal"
