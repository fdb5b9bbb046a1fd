"""How long a connection waits for its client."""

import pytest

from septet.server.h2 import h2_frames
from septet.server.h2.h2_frames import ErrorCode
from septet.settings import Limits
from tests.server.h2.peer import HELLO, LATE, TALK, Client, Peer, data, head, message, run, said

LIMITS = Limits(header_timeout_seconds=3, body_timeout_seconds=5, keep_alive_seconds=10)
DEADLINE = 4


def test_a_client_that_says_nothing_is_left() -> None:
    async def scenario() -> None:
        for sent in (b"", h2_frames.PREFACE[:5], h2_frames.PREFACE):
            peer = Peer(LIMITS)
            peer.send(sent)
            peer.pass_time(3)
            assert not peer.ended()
            peer.pass_time(1)
            assert peer.goaway() == (0, ErrorCode.SETTINGS_TIMEOUT)
            peer.pass_time(3)
            assert peer.closed()

    run(scenario)


def test_a_head_that_does_not_end_is_left() -> None:
    async def scenario() -> None:
        peer = Peer(LIMITS)
        peer.send(HELLO, h2_frames.frame(h2_frames.HEADERS, 0, 1, b"\0"))
        peer.pass_time(3)
        assert not peer.ended()
        peer.pass_time(1)
        assert peer.goaway()[1] == ErrorCode.ENHANCE_YOUR_CALM

    run(scenario)


@pytest.mark.parametrize("path", ["/t.T/Echo", TALK])
def test_a_message_that_does_not_end_is_refused_and_the_connection_kept(path: str) -> None:
    async def scenario() -> None:
        peer = Peer(LIMITS)
        client = Client(peer)
        answer = client.ask(path, message(b"abc")[:6], last=False)
        peer.pass_time(5)
        client.exchange()
        assert not answer.ended()
        peer.pass_time(1)
        client.exchange()
        assert (answer.status, answer.ended()) == (DEADLINE, True)
        assert b"within 5 s" in answer.head[b"grpc-message"]
        assert client.ask("/t.T/Echo", message(b"ab")).messages == [b"ab"]

    run(scenario)


def test_a_conversation_may_be_silent_between_messages_while_the_client_is_there() -> None:
    async def scenario() -> None:
        peer = Peer(LIMITS)
        client = Client(peer)
        talk = client.ask(TALK, message(b"a"), last=False)
        for _ in range(60):
            peer.pass_time(1)
            client.exchange()  # which answers pings
        client.say(1, message(b"b"))
        assert talk.messages == [b"a", b"b"]

    run(scenario)


def test_a_client_that_does_not_answer_whether_it_is_there_is_left() -> None:
    async def scenario() -> None:
        peer = Peer(LIMITS)
        peer.send(HELLO, head(1, TALK), data(1, message(b"a")))
        peer.frames()
        peer.pass_time(11)
        assert peer.kinds() == [h2_frames.PING]
        peer.pass_time(20)
        assert not peer.closed()
        peer.pass_time(1)
        assert peer.closed()
        assert peer.kinds() == []

    run(scenario)


def test_an_idle_connection_is_closed_after_telling_the_client() -> None:
    async def scenario() -> None:
        peer = Peer(LIMITS)
        client = Client(peer)
        client.ask("/t.T/Echo", message(b"ab"))
        peer.pass_time(10)
        client.exchange()
        assert not client.farewells
        peer.pass_time(1)
        client.exchange()
        assert client.farewells == [(h2_frames.MAX_STREAM_ID, 0), (1, 0)]
        assert peer.ended()

    run(scenario)


def test_an_answer_that_the_client_gives_no_window_for_is_dropped() -> None:
    async def scenario() -> None:
        peer = Peer(LIMITS)
        client = Client(peer)
        client.acknowledging = False
        answer = client.ask("/t.T/Echo", message(bytes(100_000)))
        for _ in range(3):
            peer.pass_time(8)
            client.h2.increment_flow_control_window(10)
            client.h2.increment_flow_control_window(10, 1)
            client.exchange()
            assert answer.reset is None
        peer.pass_time(11)
        client.exchange()
        assert answer.reset == ErrorCode.CANCEL
        client.h2.increment_flow_control_window(100_000)
        client.exchange()
        assert len(answer.body) == 65_565
        assert client.ask("/t.T/Echo", message(b"ab")).messages == [b"ab"]

    run(scenario)


def test_a_client_that_does_not_read_is_neither_read_nor_kept() -> None:
    async def scenario() -> None:
        peer = Peer(LIMITS)
        peer.send(HELLO, h2_frames.window_update(0, 1_000_000), h2_frames.settings({4: 1_000_000}), head(1, LATE))
        peer.send(data(1, message(b""), last=True))
        peer.connection.pause_writing()
        assert peer.paused()
        peer.held[0].answer(said(bytes(100_000)))
        await peer.turn()
        assert h2_frames.DATA not in peer.kinds()
        peer.connection.resume_writing()
        assert not peer.paused()
        assert peer.kinds().count(h2_frames.DATA) == 7
        peer.connection.pause_writing()
        peer.pass_time(11)
        assert peer.closed()
        peer.connection.resume_writing()

    run(scenario)


def test_a_client_that_reads_slowly_is_kept() -> None:
    async def scenario() -> None:
        peer = Peer(LIMITS)
        peer.send(HELLO)
        peer.transport.unread = 100_000
        peer.connection.pause_writing()
        for _ in range(20):
            peer.pass_time(8)
            peer.transport.unread -= 1000
        assert not peer.closed()
        peer.pass_time(12)
        assert peer.closed()

    run(scenario)


def test_a_connection_that_is_aborted_gives_up_its_calls() -> None:
    async def scenario() -> None:
        peer = Peer(LIMITS)
        peer.send(HELLO, head(1, LATE), data(1, message(b""), last=True))
        peer.connection.shutdown()
        peer.connection.abort()
        await peer.turn()
        assert (peer.given_up, peer.closed()) == (1, True)

    run(scenario)
