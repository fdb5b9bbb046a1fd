"""While a model refuses requests, those that come wait at its gate, and nothing else of them changes."""

import asyncio

from septet.protocols.http.app import App
from septet.protocols.http.http_messages import HttpReply, HttpRequest
from septet.registry import ServedModel
from septet.testing import RecordingObserver
from tests.protocols import models

BODY = b'{"data":[[1,2,3,4]]}'
PREDICT = HttpRequest("POST", "/predict", b"", {b"content-type": b"application/json", b"x-request-id": b"an-id"}, BODY)


def served() -> tuple[App, ServedModel, RecordingObserver]:
    """An application whose only model has closed its gate."""
    service, seen = models.classifier(), RecordingObserver()
    app = models.app(service, models.native(service), observer=seen)
    model = app.models.sole
    assert model is not None
    model.gate.closed = True
    return app, model, seen


def test_an_arrival_waits_at_a_closed_gate_until_it_is_let_in() -> None:
    app, model, seen = served()
    replies: list[HttpReply] = []
    assert app.answer(PREDICT, replies.append) is not None
    assert (replies, seen.in_flight, seen.events, model.gate.waiting) == ([], 0, [], 1)
    model.gate.let_in(1)
    assert [(reply.status, reply.id) for reply in replies] == [(200, "an-id")]
    assert ([event.code for event in seen.events], seen.in_flight) == (["ok"], 0)
    assert (model.gate.waiting, model.in_flight) == (0, 0)


def test_an_open_gate_keeps_nobody() -> None:
    app, model, _ = served()
    model.gate.closed = False
    replies: list[HttpReply] = []
    app.answer(PREDICT, replies.append)
    assert len(replies) == 1


def test_arrivals_are_let_in_in_order_and_no_more_than_asked_for() -> None:
    app, model, _ = served()
    replies: list[HttpReply] = []
    for number in range(3):
        headers = {**PREDICT.headers, b"x-request-id": b"%d" % number}
        app.answer(HttpRequest("POST", "/predict", b"", headers, BODY), replies.append)
    model.gate.let_in(2)
    assert ([reply.id for reply in replies], model.gate.waiting) == (["0", "1"], 1)
    model.gate.let_in(9)
    assert [reply.id for reply in replies] == ["0", "1", "2"]


def test_an_arrival_that_is_given_up_is_counted_and_never_read() -> None:
    app, model, seen = served()
    replies: list[HttpReply] = []
    pending = app.answer(PREDICT, replies.append)
    assert pending is not None
    pending.cancel()
    pending.cancel()
    model.gate.let_in(1)
    assert (replies, [event.code for event in seen.events]) == ([], ["cancelled"])
    assert (seen.in_flight, model.in_flight) == (0, 0)


def test_a_model_is_not_closed_while_arrivals_wait_at_its_gate() -> None:
    async def story() -> None:
        app, model, _ = served()
        replies: list[HttpReply] = []
        app.answer(PREDICT, replies.append)
        gone = app.models.remove(model.service.identity.name)
        await asyncio.sleep(0)
        assert not gone.done()
        model.gate.let_in(1)
        assert [reply.status for reply in replies] == [200]
        await gone

    asyncio.run(story())
