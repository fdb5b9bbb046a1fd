"""A faulty middleware fails its own request, with a message in the log, and no other; at the start it is named."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from septet import testing
from septet.assembly.loading import load_service, with_middleware
from septet.errors import SettingsInvalid
from septet.protocols.http.response_headers import flags_header
from septet.settings import Model, Settings
from septet.types import Done, Middleware, Pending, Predictor, Request, Response, adapt
from tests.e2e.process import IRIS

ROWS = {"data": [[1.0]]}


class RaisesBefore(Predictor):
    """Fails before the model is asked."""

    def __init__(self, inner: Predictor) -> None:
        self._inner = inner

    def submit(self, request: Request, done: Done) -> Pending:
        if request.id == "boom":
            raise RuntimeError("the middleware's secret")
        return self._inner.submit(request, done)


class RaisesAfter(Predictor):
    """Fails over the model's answer."""

    def __init__(self, inner: Predictor) -> None:
        self._inner = inner

    def submit(self, request: Request, done: Done) -> Pending:
        def ended(outcome: Response | Exception) -> None:
            if request.id == "boom" and isinstance(outcome, Response):
                raise RuntimeError("the middleware's secret")
            done(outcome)

        return self._inner.submit(request, ended)


def answers_nothing(inner: Predictor) -> Predictor:
    """A coroutine that forgets to return what it has."""

    async def predict(request: Request) -> Any:
        found = await inner.predict(request)
        return None if request.id == "boom" else found

    return adapt(predict)


def as_coroutine(inner: Predictor) -> Predictor:
    return adapt(inner.predict)


@pytest.mark.parametrize(
    "middleware",
    [[RaisesBefore], [RaisesAfter], [answers_nothing], [RaisesBefore, as_coroutine], [RaisesAfter, as_coroutine]],
)
def test_only_the_request_on_which_a_middleware_fails_is_failed(
    middleware: list[Middleware], caplog: pytest.LogCaptureFixture
) -> None:
    app = testing.application(testing.service(), middleware=middleware)
    with testing.TestClient(app) as client:
        for name, status in (("one", 200), ("boom", 500), ("two", 200)):
            reply = client.post("/predict", ROWS, headers={"x-request-id": name})
            assert (reply.status, reply.headers["x-request-id"]) == (status, name)
            assert "secret" not in reply.text
    assert "A request failed unexpectedly" in caplog.text


@pytest.mark.parametrize("fail", [RaisesAfter, lambda inner: RaisesAfter(as_coroutine(inner))])
def test_the_neighbours_of_a_request_on_which_a_middleware_fails_are_answered(
    fail: Callable[[Predictor], Predictor],
) -> None:
    async def story() -> None:
        service = load_service(IRIS, Settings())
        app = testing.application(with_middleware(service, [fail]))
        body = {"data": [[5.1, 3.5, 1.4, 0.2]]}
        names = ["one", "boom", "two", "three"]
        asked = [
            testing.asgi_request(app, "POST", "/predict", json=body, headers={"x-request-id": name}) for name in names
        ]
        async with asyncio.timeout(20):
            replies = await asyncio.gather(*asked)
        assert [reply.status for reply in replies] == [200, 500, 200, 200]
        service.close()

    asyncio.run(story())


def no_predictor(_: Predictor) -> Any:
    return None


def fails(_: Predictor) -> Predictor:
    raise ValueError("it cannot be made")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_predictor", "the middleware 'no_predictor' made a NoneType, not a Predictor"),
        ("fails", "the middleware 'fails' fails: ValueError: it cannot be made"),
        ("ROWS", "is a dict, not a function or class"),
        ("nothing", "cannot be imported"),
    ],
)
def test_a_middleware_that_cannot_be_used_is_named_at_the_start(name: str, message: str) -> None:
    with pytest.raises(SettingsInvalid, match=message):
        load_service(IRIS, Settings(model=Model(middleware=(f"{__name__}:{name}",))))


def test_a_flag_begins_no_header_of_its_own() -> None:
    assert flags_header(["a\r\nset-cookie: b", "é"]) == ((b"septet-flags", b"a\\r\\nset-cookie: b, \\xe9"),)
