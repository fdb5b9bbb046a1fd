"""The application answers every request in one form, knows its own state, and tells the observer."""

import asyncio
from typing import Any

import msgspec
import pytest

from septet.errors import Overloaded, Unavailable
from septet.events import NullObserver
from septet.protocols.http.app import App
from septet.protocols.http.http_messages import Handle, HttpReply, HttpRequest
from septet.service import Service
from septet.testing import RecordingObserver
from tests.protocols import models


def app(**routes: Handle) -> tuple[App, RecordingObserver]:
    seen, service = RecordingObserver(), models.classifier()
    more = models.owner(*(("GET", f"/{name}", handle) for name, handle in routes.items()))
    return models.app(service, models.native(service), server=(more,), observer=seen), seen


def ask(made: App, method: str, path: str, body: bytes = b"", **headers: bytes) -> HttpReply:
    named = {name.replace("_", "-").encode(): value for name, value in headers.items()}
    return asyncio.run(made(HttpRequest(method, path, b"", named, body)))


def fault(reply: HttpReply) -> dict[str, Any]:
    error: dict[str, Any] = msgspec.json.decode(reply.body)["error"]
    assert error["id"] == reply.id
    return error


def test_before_a_model_is_installed_it_lives_but_is_not_ready() -> None:
    made = App()
    assert ask(made, "GET", "/health").body == b'{"health":"ok"}'
    assert ask(made, "GET", "/health/live").status == 200
    for path in ("/health/ready", "/health/startup", "/predict", "/nothing"):
        reply = ask(made, "GET", path)
        assert (reply.status, fault(reply)["code"]) == (503, "unavailable")
        assert (b"retry-after", b"1") in reply.headers


def test_a_server_that_has_more_to_open_is_not_ready_and_answers() -> None:
    made, _ = app()
    made.state.starting = True
    assert fault(ask(made, "GET", "/health/ready"))["message"] == "The server is starting."
    assert ask(made, "POST", "/predict", b'{"data":[[1,2,3,4]]}').status == 200


def test_a_request_that_comes_while_its_model_is_installed_is_answered_by_it() -> None:
    service = models.classifier()
    made = App()
    http = HttpRequest("POST", "/predict", b"", {b"content-type": b"application/json"}, b'{"data":[[1,2,3,4]]}')

    async def installed_meanwhile() -> HttpReply:
        replied: asyncio.Future[HttpReply] = asyncio.get_running_loop().create_future()
        made.answer(http, replied.set_result)
        made.models.install(service)
        made.install(lambda _: (models.native(service),), (), NullObserver(), models.LIMITS)
        return await replied

    assert asyncio.run(installed_meanwhile()).status == 200


def test_a_draining_server_is_not_ready_and_still_answers() -> None:
    made, _ = app()
    assert ask(made, "GET", "/health/ready").status == 200
    made.draining = True
    assert ask(made, "GET", "/health/ready").status == 503
    assert ask(made, "GET", "/health/startup").status == 200
    assert ask(made, "POST", "/predict", b'{"data":[[1,2,3,4]]}').status == 200


def test_an_unknown_path_is_not_found_whatever_it_holds() -> None:
    made, seen = app()
    for path in ("/nothing", "/\udcff", "/" + "x" * 10_000, ""):
        assert fault(ask(made, "GET", path))["code"] == "not_found"
    assert {event.route for event in seen.events} == {"unmatched"}


def test_another_method_is_told_which_are_allowed() -> None:
    made, _ = app()
    for method, path, allowed in (
        ("GET", "/predict", b"POST"),
        ("HEAD", "/predict", b"POST"),
        ("PUT", "/health", b"GET, HEAD"),
    ):
        reply = ask(made, method, path)
        assert reply.status == 405
        assert dict(reply.headers)[b"allow"] == allowed


def test_head_is_answered_as_get() -> None:
    made, _ = app()
    assert ask(made, "HEAD", "/health").status == 200
    assert ask(made, "HEAD", "/predict/test").status == 200


@pytest.mark.parametrize(
    ("error", "seconds"), [(Overloaded("later", retry_after=7), b"7"), (Unavailable("later"), b"1")]
)
def test_a_refusal_for_now_says_when_to_come_again(error: Exception, seconds: bytes) -> None:
    async def busy(_: HttpRequest) -> HttpReply:
        raise error

    made, _ = app(busy=busy)
    assert dict(ask(made, "GET", "/busy").headers)[b"retry-after"] == seconds


def test_an_unexpected_error_is_answered_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(_: HttpRequest) -> HttpReply:
        raise KeyError("secret")

    made, seen = app(broken=broken)
    reply = ask(made, "GET", "/broken", x_request_id=b"mine")
    assert (reply.status, reply.id, fault(reply)["code"]) == (500, "mine", "internal")
    assert b"secret" not in reply.body
    assert "secret" in caplog.text
    assert (seen.events[0].code, seen.events[0].status) == ("internal", 500)


def test_each_request_is_observed_once_with_its_rows_and_times() -> None:
    made, seen = app()
    ask(made, "POST", "/predict", b'{"data":[[1,2,3,4],[1,2,3,4]]}', traceparent=b"00-ab-cd-01", x_request_id=b"a")
    ask(made, "POST", "/predict", b"{}", x_request_id=b"b")
    good, bad = seen.events
    assert seen.in_flight == 0
    assert (good.route, good.id, good.code, good.status, good.rows) == ("/predict", "a", "ok", 200, 2)
    assert (good.trace, good.batch_rows) == ("00-ab-cd-01", 1)
    assert (bad.route, bad.id, bad.code, bad.status, bad.rows) == ("/predict", "b", "invalid", 422, 0)
    assert bad.message is not None


def test_a_request_whose_caller_went_away_is_observed_as_cancelled() -> None:
    async def forever(_: HttpRequest) -> HttpReply:
        await asyncio.get_running_loop().create_future()
        raise AssertionError

    made, seen = app(forever=forever)

    async def story() -> None:
        task = asyncio.ensure_future(made(HttpRequest("GET", "/forever", b"", {}, b"")))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(story())
    assert [(event.code, event.status) for event in seen.events] == [("cancelled", 499)]


@pytest.mark.parametrize("value", [b"", b"a b", b"a\n", b"\xc3\xa9", b"x" * 129, b"\x7f"])
def test_a_bad_id_is_refused_and_not_repeated(value: bytes) -> None:
    made, _ = app()
    reply = ask(made, "GET", "/health", x_request_id=value)
    assert fault(reply)["code"] == "malformed"
    assert len(reply.id) == 32


def test_keys_that_cannot_be_sent_back_are_refused_all_the_same() -> None:
    made, _ = app()
    assert ask(made, "POST", "/predict", b'{"\\ud800":1}').status == 422


def test_services_of_every_kind_refuse_an_empty_object() -> None:
    for service in models.every_kind().values():
        check_refused(service)


def check_refused(service: Service) -> None:
    made = models.app(service, models.native(service))
    for body in (b"{}", b"", b"null", b"[]", b'{"data":[]}', b'{"inputs":{}}', b"\xff"):
        assert ask(made, "POST", "/predict", body).status in {400, 422}


def test_what_a_transport_refuses_is_counted_and_keeps_the_callers_id() -> None:
    made, seen = app()
    reply = made.refuse(Unavailable("Too many connections."), "/predict", {b"x-request-id": b"mine"})
    assert (reply.status, reply.id, fault(reply)["code"]) == (503, "mine", "unavailable")
    assert made.refuse(Unavailable("Again."), "/predict", {b"x-request-id": b"no good"}).id != "no good"
    assert [(event.route, event.code, event.status) for event in seen.events] == [("unmatched", "unavailable", 503)] * 2
    assert seen.in_flight == 0
