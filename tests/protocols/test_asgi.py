"""The application under the ASGI 3 protocol, without a server."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import msgspec
import pytest

from septet.protocols.http.asgi import Asgi
from septet.protocols.http.http_messages import HttpReply, HttpRequest
from tests.protocols import models

ROW = b'{"data":[[1,2,3,4]]}'


def made() -> Asgi:
    service = models.classifier()
    native = models.native(service)
    app = models.app(service, native, models.owner(("GET", "/", native.test)))
    return Asgi(app, max_body_bytes=100)


def run(messages: list[dict[str, Any]], application: Asgi | None = None, **scope: Any) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []
    queue = iter(messages)

    async def receive() -> Any:
        return next(queue)

    async def send(message: Any) -> None:
        sent.append(message)

    known = {"type": "http", "http_version": "1.1", "method": "POST", "path": "/predict", "query_string": b""}
    asyncio.run((application or made())({**known, "headers": [], **scope}, receive, send))
    return sent


def part(body: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


def test_a_body_in_pieces_is_one_request() -> None:
    start, body = run([part(ROW[:5], more=True), part(b"", more=True), part(ROW[5:])])
    headers = dict(start["headers"])
    assert start["status"] == 200
    assert headers[b"content-length"] == str(len(body["body"])).encode()
    assert headers[b"septet-model"] == b"iris"
    assert headers[b"x-request-id"].decode() == msgspec.json.decode(body["body"])["id"]


@pytest.mark.parametrize("length", [b"101", b"9" * 5000])
def test_a_body_that_is_announced_too_large_is_refused_unread(length: bytes) -> None:
    start, body = run([], headers=[(b"content-length", length)])
    assert start["status"] == 413
    assert (b"connection", b"close") in start["headers"]
    assert msgspec.json.decode(body["body"])["error"]["code"] == "too_large"


def test_a_body_that_becomes_too_large_is_refused_on_the_way() -> None:
    start, _ = run([part(b"x" * 60, more=True), part(b"x" * 60, more=True)], http_version="2")
    assert start["status"] == 413
    assert (b"connection", b"close") not in start["headers"]


def test_a_caller_who_goes_away_gets_nothing() -> None:
    assert run([part(b"{", more=True), {"type": "http.disconnect"}]) == []


def test_a_caller_who_goes_away_while_its_answer_takes_gives_up_its_work() -> None:
    cancelled: list[str] = []

    async def never(_: Any) -> Any:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cancelled.append("cancelled")
            raise

    service = models.classifier()
    slow = models.owner(("GET", "/slow", never))
    app = Asgi(models.app(service, models.native(service), slow), max_body_bytes=100)
    assert run([part(b""), {"type": "http.disconnect"}], application=app, method="GET", path="/slow") == []
    assert cancelled == ["cancelled"]


def test_head_has_the_headers_of_get_and_no_body() -> None:
    head, get = run([part(b"")], method="HEAD", path="/"), run([part(b"")], method="GET", path="/")
    assert head[1]["body"] == b""
    assert head[0]["status"] == get[0]["status"] == 200
    assert dict(head[0]["headers"])[b"content-length"] == dict(get[0]["headers"])[b"content-length"]


@pytest.mark.parametrize(
    ("root", "path"), [("/iris", "/iris/predict"), ("/iris/", "/iris/predict"), ("/iris", "/predict"), ("", "/predict")]
)
def test_a_mounted_application_answers_below_its_prefix(root: str, path: str) -> None:
    assert run([part(ROW)], root_path=root, path=path)[0]["status"] == 200


def test_the_mount_itself_is_the_root() -> None:
    assert run([part(b"")], method="GET", root_path="/iris", path="/iris")[0]["status"] == 200
    assert run([part(b"")], method="GET", root_path="/iris", path="/irises")[0]["status"] == 404


def test_the_life_span_is_acknowledged() -> None:
    sent = run([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}], type="lifespan")
    assert [message["type"] for message in sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


def test_web_sockets_are_declined() -> None:
    assert [message["type"] for message in run([], type="websocket")] == ["websocket.close"]


def in_pieces(ended: list[str], *, held: bool = False) -> Asgi:
    async def following() -> AsyncGenerator[bytes, None]:
        try:
            yield b"second"
            if held:
                await asyncio.Event().wait()
            yield b"third"
        finally:
            ended.append("ended")

    async def handle(_: HttpRequest) -> HttpReply:
        return HttpReply(200, b"first", "an-id", b"text/plain", pieces=following())

    service = models.classifier()
    return Asgi(models.app(service, models.native(service), models.owner(("GET", "/", handle))), max_body_bytes=100)


def test_a_reply_in_pieces_is_sent_as_they_come() -> None:
    ended: list[str] = []
    sent = run([part(b"")], in_pieces(ended), method="GET", path="/")
    start, *bodies = sent
    assert b"content-length" not in dict(start["headers"])
    assert [each["body"] for each in bodies] == [b"first", b"second", b"third", b""]
    assert [each.get("more_body", False) for each in bodies] == [True, True, True, False]
    assert ended == ["ended"]
    (head, nothing) = run([part(b"")], in_pieces(ended), method="HEAD", path="/")
    assert (head["status"], nothing["body"]) == (200, b"")


def test_a_reply_in_pieces_ends_where_the_caller_goes_away() -> None:
    ended: list[str] = []
    gone = {"type": "http.disconnect"}
    run([part(b""), gone, gone], in_pieces(ended, held=True), method="GET", path="/")
    assert ended == ["ended"]
