"""What one connection may take: work in a turn of the event loop, memory, and time."""

import asyncio

import pytest

from septet.server.http_connection import LARGE_CHUNK_BYTES, MAX_PIPELINED, MAX_WAITING_BYTES, SLICE_BYTES
from septet.server.http_server_state import MAX_LINGER_BYTES, MAX_LINGER_SECONDS
from septet.settings import Limits
from septet.testing import RecordingObserver
from tests.server.memory import HOST, MemoryTransport, Peer

GET = b"GET /echo HTTP/1.1\r\n" + HOST + b"\r\n"
SLOW = b"GET /slow HTTP/1.1\r\n" + HOST + b"\r\n"
PREDICT = b"POST /predict HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\nhello"
CHUNKED = b"POST /echo HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
LAST = b"GET /echo HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"

pytestmark = pytest.mark.usefixtures("loop")


def upload(size: int) -> bytes:
    return b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % size + b"x" * size


# Work.


@pytest.mark.parametrize("flood", [GET * 2_000, PREDICT * 2_000, CHUNKED + b"1\r\na\r\n" * 100_000])
def test_others_are_answered_while_one_connection_floods(flood: bytes) -> None:
    peer = Peer(Limits(max_body_bytes=1_000_000))
    other = MemoryTransport()
    second = peer.connect(other)

    async def main() -> None:
        peer.connection.data_received(flood)
        assert not peer.transport.reading
        second.data_received(GET)
        for _ in range(10):
            await asyncio.sleep(0)
        assert other.written.startswith(b"HTTP/1.1 200 ")
        assert not peer.transport.reading

    peer.loop.run_until_complete(main())
    peer.call(lambda: None)
    assert peer.transport.written.count(b"HTTP/1.1 200 ") == flood.count(b"HTTP/1.1") * (b"chunked" not in flood)


def test_a_turn_answers_for_a_moment_and_goes_on_in_the_next() -> None:
    peer = Peer()
    peer.send(PREDICT * 2_000)
    assert peer.statuses == [200] * 2_000
    assert peer.transport.reading


def test_a_large_chunk_is_followed_by_a_pause_of_one_turn() -> None:
    peer = Peer(Limits(max_body_bytes=1_000_000))
    body = upload(500_000)

    async def main() -> None:
        peer.connection.data_received(body[:LARGE_CHUNK_BYTES])
        assert not peer.transport.reading

    peer.loop.run_until_complete(main())
    peer.call(lambda: None)
    assert peer.transport.reading
    peer.send(body[LARGE_CHUNK_BYTES:])
    # The whole of it has come: the route takes no body as large.
    assert peer.answers[0].json["error"]["code"] == "too_large"


def test_what_is_left_to_later_turns_is_parsed_before_what_comes_then() -> None:
    peer = Peer()

    async def main() -> None:
        peer.connection.data_received(GET * 500 + GET[:10])
        # A transport that has been told to pause may still bring what it had read.
        peer.connection.data_received(GET[10:] + PREDICT)

    peer.loop.run_until_complete(main())
    peer.call(lambda: None)
    assert peer.statuses == [200] * 502


def test_what_is_left_when_the_client_ends_its_sending_is_answered() -> None:
    peer = Peer()

    async def main() -> None:
        peer.connection.data_received(GET * 500)
        assert peer.connection.eof_received()

    peer.loop.run_until_complete(main())
    peer.call(lambda: None)
    assert peer.statuses == [200] * 500
    assert peer.transport.closed


# Memory.


def test_reading_pauses_while_the_bodies_that_wait_are_large() -> None:
    peer = Peer(Limits(max_body_bytes=10 * MAX_WAITING_BYTES)).send(SLOW)
    sent = 0
    while peer.transport.reading:
        peer.send(upload(MAX_WAITING_BYTES // 4))
        sent += 1
    assert sent == 4
    peer.answer()
    # The route takes no bodies as large, once they are read.
    assert peer.statuses == [200, *[413] * 4]
    assert peer.transport.reading


def test_no_more_is_parsed_than_may_wait() -> None:
    peer = Peer().send(SLOW)
    peer.send(GET * 2_000)
    most = MAX_PIPELINED + SLICE_BYTES // len(GET) + 1
    assert len(peer.connection._queue) <= most
    peer.answer()
    assert peer.statuses == [200] * 2_001


def test_answers_are_not_made_while_the_client_reads_none() -> None:
    peer = Peer()
    peer.connection.pause_writing()
    peer.call(peer.connection.data_received, PREDICT * 2_000)
    assert peer.answers == []
    peer.call(peer.connection.resume_writing)
    assert len(peer.answers) == 2_000


# Time.


def test_a_client_that_reads_slowly_is_not_cut_off() -> None:
    peer = Peer(Limits(keep_alive_seconds=5)).send(GET)
    peer.transport.unsent = 1_000_000
    peer.connection.pause_writing()
    for _ in range(20):
        peer.transport.unsent -= 1
        peer.seconds_pass(4)
    assert not peer.transport.closed
    peer.seconds_pass(3)
    assert peer.transport.aborted


def test_the_last_answer_is_sent_to_the_end_to_a_client_that_reads_slowly() -> None:
    peer = Peer(Limits(keep_alive_seconds=5)).send(LAST)
    for unsent in range(100, 50, -1):
        peer.transport.unsent = unsent
        peer.seconds_pass(2)
    assert not peer.transport.closed
    peer.seconds_pass(4)
    assert peer.transport.closed


def test_time_in_which_the_server_does_not_read_is_not_the_clients() -> None:
    peer = Peer(Limits(body_timeout_seconds=5)).send(SLOW + GET * MAX_PIPELINED + upload(10)[:-5])
    assert not peer.transport.reading
    peer.seconds_pass(60)
    peer.answer()
    peer.send(b"x" * 5)
    assert peer.statuses == [200] * (MAX_PIPELINED + 2)


def test_a_client_that_waits_behind_another_request_is_told_to_continue() -> None:
    peer = Peer().send(SLOW, b"POST /echo HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    assert peer.transport.written == b""
    peer.answer()
    assert peer.transport.written.endswith(b"HTTP/1.1 100 Continue\r\n\r\n")
    peer.send(b"ab")
    assert peer.transport.written.count(b"HTTP/1.1 200 ") == 2


# The end.


@pytest.mark.parametrize("sent", [LAST, b"\x00\r\n\r\n", GET.replace(b"1.1", b"1.0")])
def test_what_comes_behind_the_last_answer_is_read_and_discarded(sent: bytes) -> None:
    peer = Peer().send(sent + GET * 50)
    assert len(peer.answers) == 1
    assert peer.answers[0].headers["connection"] == "close"
    assert peer.transport.ended
    for _ in range(MAX_LINGER_SECONDS):
        assert peer.transport.reading
        peer.send(b"x" * 1_000)
        peer.seconds_pass(1)
    assert not peer.transport.closed
    for _ in range(4):
        peer.send(b"x" * 1_000)
        peer.seconds_pass(1)
    assert peer.transport.closed
    assert len(peer.answers) == 1


def test_only_so_many_bytes_are_discarded() -> None:
    peer = Peer().send(LAST)
    chunk = b"x" * (MAX_LINGER_BYTES // 64)
    for _ in range(65):
        peer.send(chunk)
    assert not peer.transport.reading
    peer.seconds_pass(4)
    assert peer.transport.closed


def test_a_client_that_never_stops_asking_is_told_when_the_server_stops() -> None:
    peer = Peer().send(SLOW + GET * 10)
    peer.call(peer.connection.shutdown)
    assert not peer.transport.reading
    peer.answer()
    assert peer.statuses == [200] * 11
    assert peer.answers[-1].headers["connection"] == "close"
    assert peer.transport.ended


def test_what_was_left_to_later_turns_is_not_begun_when_the_server_stops() -> None:
    peer = Peer().send(SLOW + GET * 2_000)
    peer.call(peer.connection.shutdown)
    peer.answer()
    answers = peer.answers
    assert len(answers) < 1_000
    assert [each.headers.get("connection") for each in answers] == [None] * (len(answers) - 1) + ["close"]


# Counting.


def test_whatever_is_answered_refused_or_given_up_is_counted_once() -> None:
    observer = RecordingObserver()
    peer = Peer(observer=observer).send(GET * 3, PREDICT, SLOW + GET * 3 + b"\x00\r\n\r\n")
    peer.transport.close()
    peer.call(peer.connection.connection_lost, None)
    codes = [event.code for event in observer.events]
    assert sorted(codes) == ["cancelled"] * 4 + ["malformed"] + ["ok"] * 4
    assert observer.in_flight == 0
