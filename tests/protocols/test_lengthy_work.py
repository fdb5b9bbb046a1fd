"""What would hold up the event loop is done in a thread, and nothing else of a request changes."""

import asyncio
import gzip
import json
import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest

from septet.errors import Overloaded
from septet.lengthy_work import BYTES_ON_LOOP, LengthyWork, leave_loop, on_loop
from septet.protocols.http import work_thread
from septet.protocols.http.app import App
from septet.protocols.http.http_messages import HttpReply, HttpRequest
from septet.protocols.http.request_factory import RequestFactory, answered
from septet.protocols.http.routes import Decode
from septet.protocols.http.work_thread import WorkThread
from septet.registry import ServedModel
from septet.service import Service
from septet.settings import Limits
from septet.testing import HeldPredictor, RecordingObserver
from septet.types import Request, Response, Timings
from tests.protocols import models

JSON = {b"content-type": b"application/json"}
NO_TIME = Timings(0.0, 0.0, 1)


def post(body: bytes = b"", headers: dict[bytes, bytes] | None = None, path: str = "/predict") -> HttpRequest:
    """A request."""
    return HttpRequest("POST", path, b"", headers or JSON, body)


def app_of(
    service: Service,
    decode: Callable[[ServedModel], Decode],
    observer: RecordingObserver | None = None,
    **limits: Any,
) -> tuple[App, ServedModel]:
    """An application whose one route decodes so."""
    made, seen = App(), observer or RecordingObserver()
    made.models.install(service)
    bounds = Limits(max_body_bytes=BYTES_ON_LOOP * 4, **limits)
    made.install(lambda model: (models.decoder("/predict", decode(model)),), (), seen, bounds)
    model = made.models.sole
    assert model is not None
    return made, model


class SlowDecoding:
    """Decodes in a thread alone, and only when it is told to."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.go_on = threading.Event()
        self.threads: list[str] = []

    def of(self, model: ServedModel) -> Decode:
        """The decoding of one model."""
        factory = RequestFactory(model, models.LIMITS)

        def decode(_: HttpRequest) -> tuple[ServedModel, Request, Any]:
            leave_loop()
            self.threads.append(threading.current_thread().name)
            self.begun.set()
            assert self.go_on.wait(60)
            request = factory.request({"x": np.zeros((1, 4), np.float32)}, 1, "an-id")
            return model, request, lambda request, response: answered(request, response, b"{}")

        return decode


async def until(event: threading.Event) -> None:
    """Wait for a thread without holding up the loop."""
    assert await asyncio.to_thread(event.wait, 60)


class Outcomes(list[Any]):
    """What came so far."""

    def __init__(self) -> None:
        super().__init__()
        self._came = asyncio.Event()

    def append(self, outcome: Any) -> None:
        """One more."""
        super().append(outcome)
        self._came.set()

    async def first(self) -> Any:
        """The first of them."""
        await self.until(1)
        return self[0]

    async def until(self, count: int) -> None:
        """Wait until there are so many."""
        while len(self) < count:
            self._came.clear()
            await self._came.wait()


def test_only_a_thread_that_runs_a_loop_is_left() -> None:
    async def leaves() -> bool:
        with pytest.raises(LengthyWork):
            leave_loop()
        await asyncio.to_thread(leave_loop)
        return on_loop()

    leave_loop()
    assert (on_loop(), asyncio.run(leaves())) == (False, True)


def test_the_loop_goes_on_while_a_body_is_decoded() -> None:
    slow, seen = SlowDecoding(), RecordingObserver()

    async def scenario() -> None:
        app, model = app_of(models.classifier(), slow.of, seen)
        replies = Outcomes()
        app.answer(post(), replies.append)
        # That this goes on is the point.
        await until(slow.begun)
        assert (replies, seen.in_flight, model.in_flight) == ([], 1, 1)
        slow.go_on.set()
        assert ((await replies.first()).status, replies[0].id) == (200, "an-id")
        assert ([event.code for event in seen.events], seen.in_flight, model.in_flight) == (["ok"], 0, 0)

    asyncio.run(scenario())
    assert slow.threads == ["lengthy-work"]


def test_a_caller_that_goes_away_while_its_body_is_decoded_is_counted_once_and_not_predicted() -> None:
    slow, seen = SlowDecoding(), RecordingObserver()
    held = HeldPredictor(models.classifier().predictor)

    async def scenario() -> None:
        app, model = app_of(msgspec.structs.replace(models.classifier(), predictor=held), slow.of, seen)
        replies = Outcomes()
        pending = app.answer(post(), replies.append)
        waiting = app.answer(post(), replies.append)
        await until(slow.begun)
        pending.cancel()
        waiting.cancel()
        slow.go_on.set()
        # What is asked for behind them is answered behind them.
        app.answer(post(), replies.append)
        await held.until_held()
        assert (replies, model.in_flight, len(held.held)) == ([], 1, 1)
        assert [event.code for event in seen.events] == ["cancelled", "cancelled"]

    asyncio.run(scenario())
    assert len(slow.threads) == 2


def test_a_model_is_not_closed_while_a_body_for_it_is_decoded() -> None:
    slow = SlowDecoding()
    closed: list[str] = []

    async def scenario() -> None:
        old = msgspec.structs.replace(models.classifier(), close=lambda: closed.append("old"))
        app, _ = app_of(old, slow.of)
        replies = Outcomes()
        app.answer(post(), replies.append)
        await until(slow.begun)
        gone = app.models.swap(models.classifier())
        assert closed == []
        slow.go_on.set()
        assert (await replies.first()).status == 200
        await gone
        assert closed == ["old"]

    asyncio.run(scenario())


def test_a_deadline_counts_from_the_arrival() -> None:
    slow, held = SlowDecoding(), HeldPredictor(models.classifier().predictor)

    async def scenario() -> None:
        app, _ = app_of(msgspec.structs.replace(models.classifier(), predictor=held), slow.of)
        before = time.monotonic()
        app.answer(post(), lambda _: None)
        arrived = time.monotonic()
        await until(slow.begun)
        slow.go_on.set()
        await held.until_held()
        deadline = held.held[0].request.deadline
        assert deadline is not None
        left = models.LIMITS.timeout_seconds
        # A little is spent between the clocks' readings.
        assert before + left - 0.1 <= deadline <= arrived + left + 0.1

    asyncio.run(scenario())


def test_a_caller_is_told_when_its_time_is_over_though_its_body_still_waits() -> None:
    slow, seen = SlowDecoding(), RecordingObserver()

    async def scenario() -> None:
        app, model = app_of(models.classifier(), slow.of, seen)
        first, late = Outcomes(), Outcomes()
        app.answer(post(), first.append)
        app.answer(post(headers={**JSON, b"septet-timeout": b"0.01"}), late.append)
        # Before the first one is read.
        assert (await late.first()).status == 504
        assert model.in_flight == 1
        slow.go_on.set()
        assert (await first.first()).status == 200
        assert [event.code for event in seen.events] == ["deadline_exceeded", "ok"]

    asyncio.run(scenario())
    assert len(slow.threads) == 1


@pytest.mark.parametrize("limits", [{"timeout_seconds": 0.01}, {"route_timeouts": ("/predict=0.01",)}])
def test_the_servers_own_time_is_kept_though_a_body_waits(limits: dict[str, Any]) -> None:
    slow = SlowDecoding()

    async def scenario() -> None:
        app, _ = app_of(models.classifier(), slow.of, **limits)
        late = Outcomes()
        app.answer(post(), late.append)
        assert (await late.first()).status == 504
        slow.go_on.set()

    asyncio.run(scenario())


def test_a_timeout_that_is_none_is_told_before_a_body_is_read_in_the_thread() -> None:
    slow = SlowDecoding()

    async def scenario() -> None:
        app, model = app_of(models.classifier(), slow.of)
        assert (await app(post(headers={**JSON, b"septet-timeout": b"soon"}))).status == 400
        assert model.in_flight == 0

    asyncio.run(scenario())
    assert slow.threads == []


def test_more_than_may_wait_is_told_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work_thread, "MOST_WAITING", 2)
    slow, seen = SlowDecoding(), RecordingObserver()

    async def scenario() -> None:
        app, model = app_of(models.classifier(), slow.of, seen)
        replies = Outcomes()
        for _ in range(3):
            app.answer(post(), replies.append)
        assert [(each.status, dict(each.headers)[b"retry-after"]) for each in replies] == [(429, b"1")]
        assert model.in_flight == 2
        slow.go_on.set()
        await replies.until(3)
        assert ([event.code for event in seen.events], seen.in_flight) == (["overloaded", "ok", "ok"], 0)

    asyncio.run(scenario())


def test_bytes_that_wait_are_bounded_but_for_one_piece_of_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work_thread, "MOST_WAITING_BYTES", 10)

    async def scenario() -> list[int]:
        thread, found, go_on = WorkThread(), Outcomes(), threading.Event()
        thread.submit(lambda: go_on.wait(60) and 1, found.append, 100)
        with pytest.raises(Overloaded):
            thread.submit(lambda: 2, found.append, 1)
        go_on.set()
        await found.until(1)
        thread.submit(lambda: 3, found.append, 100)
        await found.until(2)
        return found

    assert asyncio.run(scenario()) == [1, 3]


def test_an_error_of_the_decoding_is_answered() -> None:
    def of(_: ServedModel) -> Decode:
        def decode(_: HttpRequest) -> Any:
            leave_loop()
            raise ValueError("nobody expected this")

        return decode

    async def scenario() -> HttpReply:
        app, model = app_of(models.classifier(), of)
        reply = await app(post())
        assert model.in_flight == 0
        return reply

    assert asyncio.run(scenario()).status == 500


@pytest.mark.parametrize("coded", [False, True])
def test_a_long_body_is_answered_as_if_it_were_read_on_the_loop(coded: bool) -> None:  # noqa: FBT001
    service = models.regressor()
    record = {column.name: 1 for column in service.signature.columns}
    body = json.dumps({"records": [record] * 800}).encode() + b" " * BYTES_ON_LOOP

    async def scenario() -> HttpReply:
        made = models.app(service, models.native(service), max_body_bytes=BYTES_ON_LOOP * 4)
        headers = {**JSON, b"content-encoding": b"gzip"} if coded else JSON
        return await made(post(gzip.compress(body) if coded else body, headers))

    read = models.native(service)
    _, request, encode = read.predict(post(body))
    reply = asyncio.run(scenario())
    assert (reply.status, reply.rows) == (200, 800)
    expected = json.loads(models.answered(service, request, encode).body)
    assert json.loads(reply.body)["prediction"] == expected["prediction"]


def test_a_large_answer_is_written_in_a_thread_and_the_request_is_under_way_until_then() -> None:
    service, seen = models.regressor(), RecordingObserver()
    name = service.signature.outputs[0].name
    values = np.arange(300_000, dtype=np.float32).reshape(300, 1000) / 7
    held = HeldPredictor(models.classifier().predictor)
    service = msgspec.structs.replace(service, predictor=held)

    async def scenario() -> HttpReply:
        made = models.app(service, models.native(service), observer=seen)
        assert service.sample is not None
        body = json.dumps({"inputs": {name: array.tolist() for name, array in service.sample.items()}}).encode()
        replies = Outcomes()
        made.answer(post(body), replies.append)
        (one,) = held.held
        one.answer(Response({name: values}, 300, models.IDENTITY, NO_TIME))
        assert (replies, seen.in_flight) == ([], 1)
        found: HttpReply = await replies.first()
        assert (seen.in_flight, [event.code for event in seen.events]) == (0, ["ok"])
        return found

    reply = asyncio.run(scenario())
    shape = next(each.shape for each in service.signature.outputs if each.name == name)
    flat = len(shape) == 2 and shape[1] == 1
    assert msgspec.json.decode(reply.body)["prediction"] == (values.ravel() if flat else values).tolist()


def test_a_caller_that_goes_away_while_its_answer_is_written_is_counted_once() -> None:
    go_on, begun, seen, held = (
        threading.Event(),
        threading.Event(),
        RecordingObserver(),
        HeldPredictor(models.classifier().predictor),
    )

    def of(model: ServedModel) -> Decode:
        factory = RequestFactory(model, models.LIMITS)

        def encode(request: Request, response: Response) -> HttpReply:
            leave_loop()
            begun.set()
            assert go_on.wait(60)
            return answered(request, response, b"{}")

        return lambda _: (model, factory.request({"x": np.zeros((1, 4), np.float32)}, 1, None), encode)

    async def scenario() -> None:
        app, model = app_of(msgspec.structs.replace(models.classifier(), predictor=held), of, seen)
        replies = Outcomes()
        pending = app.answer(post(), replies.append)
        held.held[0].answer(Response({}, 1, models.IDENTITY, NO_TIME))
        await until(begun)
        pending.cancel()
        go_on.set()
        assert (model.in_flight, seen.in_flight, [each.code for each in seen.events]) == (0, 0, ["cancelled"])
        await asyncio.to_thread(lambda: None)
        assert replies == []

    asyncio.run(scenario())


def test_a_caller_is_told_when_its_time_is_over_though_its_answer_is_still_written() -> None:
    go_on, seen = threading.Event(), RecordingObserver()
    held = HeldPredictor(models.classifier().predictor)

    def of(model: ServedModel) -> Decode:
        factory = RequestFactory(model, models.LIMITS)

        def encode(request: Request, response: Response) -> HttpReply:
            leave_loop()
            assert go_on.wait(60)
            return answered(request, response, b"{}")

        return lambda _: (model, factory.request({"x": np.zeros((1, 4), np.float32)}, 1, None, timeout=0.01), encode)

    async def scenario() -> None:
        app, model = app_of(msgspec.structs.replace(models.classifier(), predictor=held), of, seen)
        replies = Outcomes()
        app.answer(post(), replies.append)
        held.held[0].answer(Response({}, 1, models.IDENTITY, NO_TIME))
        assert (await replies.first()).status == 504
        go_on.set()
        assert (model.in_flight, seen.in_flight) == (0, 0)
        assert [each.code for each in seen.events] == ["deadline_exceeded"]

    asyncio.run(scenario())


def test_routes_that_predict_nothing_take_no_large_bodies() -> None:
    async def answer(http: HttpRequest) -> HttpReply:
        return HttpReply(200, http.body, "id")

    async def scenario(body: bytes, headers: dict[bytes, bytes]) -> int:
        service = models.classifier()
        made = models.app(service, server=(models.owner(("POST", "/small", answer)),), max_body_bytes=1 << 20)
        return (await made(post(body, headers, "/small"))).status

    coded = {b"content-encoding": b"gzip"}
    assert asyncio.run(scenario(b"a" * 1000, JSON)) == 200
    assert asyncio.run(scenario(b"a" * 100_000, JSON)) == 413
    assert asyncio.run(scenario(gzip.compress(b"a" * 1000), coded)) == 200
    assert asyncio.run(scenario(gzip.compress(b"a" * 100_000), coded)) == 413
