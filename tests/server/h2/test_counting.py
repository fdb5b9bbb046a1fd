"""Whatever becomes of a call that the server began to see, the observer is told of it once."""

import pytest

from septet.server.h2 import h2_frames
from septet.server.h2.grpc_calls import MAX_STREAMS
from septet.server.h2.h2_frames import ErrorCode
from septet.settings import Limits
from tests.server.h2.peer import ECHO, HELLO, LATE, TALK, Peer, block, data, fields, head, message, run

RESET = h2_frames.rst_stream(1, ErrorCode.CANCEL)
PART = data(1, message(b"abc")[:6])


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (head(1) + data(1, message(b""), last=True), "ok"),
        (head(1) + data(1, message(b"bad"), last=True), "malformed"),
        (head(1) + RESET, "cancelled"),
        (head(1) + PART + RESET, "cancelled"),
        (head(1, TALK) + PART + RESET, "cancelled"),
        (head(1, LATE) + data(1, message(b""), last=True) + RESET, "cancelled"),
        (head(1) + data(1, message(b""), last=True) + RESET, "ok"),
        (head(1, last=True), "unimplemented"),
        (head(1, "/no") + PART, "unimplemented"),
        (head(1, grpc_encoding="snappy"), "unimplemented"),
        (head(1) + data(1, message(b"", flag=1), last=True), "malformed"),
        (head(1, more="x" * 40_000), "headers_too_large"),
        (head(1, content_length="7") + data(1, message(b""), last=True), "malformed"),
        (head(1, content_length="7", last=True), "malformed"),
        (head(1) + h2_frames.headers(1, b"\0\1A\1b", last=True), "malformed"),
        (head(1) + h2_frames.headers(1, b"\0\1a\1b", last=False), "malformed"),
        (h2_frames.headers(1, block([(":method", "GET"), *fields()[1:]]), last=True), "method_not_allowed"),
        (
            h2_frames.headers(1, block([*fields()[:-1], ("content-type", "text/plain")]), last=True),
            "unsupported_media_type",
        ),
        (h2_frames.headers(1, block([("Upper", "x"), *fields()]), last=True), "malformed"),
        (h2_frames.headers(1, block(fields(host="there")), last=True), "malformed"),
        (head(1) + h2_frames.window_update(1, 0), "malformed"),
        (data(0, b"x"), "malformed"),
        (h2_frames.frame(h2_frames.PING, 0, 0, b"12345678") * 1001, "overloaded"),
    ],
)
def test_a_call_is_counted_once(sent: bytes, code: str) -> None:
    async def scenario() -> None:
        peer = Peer()
        peer.send(HELLO, sent)
        await peer.turn()
        peer.pass_time(1)
        peer.connection.connection_lost(None)
        await peer.turn()
        assert peer.codes == [code]

    run(scenario)


@pytest.mark.parametrize("begun", [head(1), head(1) + PART, head(1, LATE) + data(1, message(b""), last=True)])
def test_a_call_whose_client_leaves_is_counted_once(begun: bytes) -> None:
    async def scenario() -> None:
        peer = Peer()
        peer.send(HELLO, begun)
        peer.connection.connection_lost(None)
        await peer.turn()
        assert peer.codes == ["cancelled"]

    run(scenario)


def test_calls_beyond_the_limit_are_counted_as_refused() -> None:
    async def scenario() -> None:
        peer = Peer()
        numbers = range(1, 2 * MAX_STREAMS + 6, 2)
        peer.send(HELLO, *(head(number, LATE) + data(number, message(b""), last=True) for number in numbers))
        assert peer.codes == ["overloaded"] * 3
        peer.answer()
        await peer.turn()
        assert sorted(peer.codes) == ["ok"] * MAX_STREAMS + ["overloaded"] * 3

    run(scenario)


def test_calls_on_a_connection_that_ends_with_an_error_are_counted_with_it() -> None:
    async def scenario() -> None:
        peer = Peer()
        peer.send(
            HELLO, head(1), head(3, LATE), data(3, message(b""), last=True), h2_frames.headers(5, b"\xff", last=True)
        )
        peer.connection.connection_lost(None)
        await peer.turn()
        assert sorted(peer.codes) == ["cancelled", "cancelled", "malformed"]

    run(scenario)


def test_a_connection_too_many_is_counted_and_a_message_that_does_not_end_too() -> None:
    async def scenario() -> None:
        peer = Peer(Limits(max_connections=1, body_timeout_seconds=5), connections=1)
        assert peer.codes == ["overloaded"]
        slow = Peer(Limits(body_timeout_seconds=5))
        slow.send(HELLO, head(1, ECHO), PART)
        slow.pass_time(6)
        assert slow.codes == ["request_timeout"]

    run(scenario)
