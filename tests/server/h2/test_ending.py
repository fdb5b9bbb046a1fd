"""How calls and connections end when the server stops, or the client does."""

from septet.server.h2 import h2_frames
from tests.server.h2.peer import HELLO, LATE, TALK, WATCH, Client, Memory, Peer, head, message, run, said
from tests.server.h2.peer import data as data_frames

INVALID, UNAVAILABLE = 3, 14


def test_who_watches_is_told_of_draining_and_the_end() -> None:
    async def scenario() -> None:
        peer = Peer()
        client = Client(peer)
        watch, bad = client.ask(WATCH, message(b"")), client.ask(WATCH, message(b"bad"))
        await peer.turn()
        client.exchange()
        assert watch.messages == [b"serving"]
        assert bad.status == INVALID
        unfinished = client.ask(WATCH, message(b""), last=False)
        peer.state.draining = True
        peer.connection.announce_draining()
        peer.connection.announce_draining()
        await peer.turn()
        client.exchange()
        assert watch.messages == [b"serving", b"draining"]
        assert unfinished.messages == []
        client.h2.end_stream(5)
        client.exchange()
        await peer.turn()
        client.exchange()
        assert unfinished.messages == [b"draining"]
        peer.connection.shutdown()
        client.exchange()
        assert (watch.status, watch.ended(), unfinished.ended()) == (0, True, True)
        assert peer.ended()

    run(scenario)


def test_the_end_of_a_watch_waits_for_the_windows_of_the_client() -> None:
    async def scenario() -> None:
        peer = Peer()
        peer.send(HELLO, h2_frames.settings({4: 3}), head(1, WATCH), data_frames(1, message(b""), last=True))
        peer.connection.shutdown()
        peer.send(h2_frames.frame(h2_frames.PING, h2_frames.ACK, 0, b"farewell"))
        await peer.turn()
        assert not peer.ended()
        peer.send(h2_frames.window_update(1, 100))
        assert peer.kinds()[-2:] == [h2_frames.DATA, h2_frames.HEADERS]
        assert peer.ended()

    run(scenario)


def test_the_end_answers_what_came_before_the_client_knew() -> None:
    async def scenario() -> None:
        peer = Peer()
        client = Client(peer)
        late, talk = client.ask(LATE, message(b"")), client.ask(TALK, message(b"a"), last=False)
        peer.connection.shutdown()
        peer.connection.shutdown()
        assert peer.transport.sent.count(b"farewell") == 1
        # On its way while the client does not know yet.
        sent = bytes(peer.transport.sent)
        peer.transport.sent.clear()
        peer.send(head(5, LATE), data_frames(5, message(b""), last=True))
        peer.send(h2_frames.frame(h2_frames.PING, h2_frames.ACK, 0, b"farewell"))
        away = [payload for kind, _, _, payload in peer.frames() if kind == h2_frames.GOAWAY]
        assert [int.from_bytes(payload[:4]) for payload in away] == [5]
        assert sent
        peer.send(head(7), data_frames(7, message(b""), last=True))
        assert peer.resets() == [(7, h2_frames.ErrorCode.REFUSED_STREAM)]
        assert not peer.ended()
        peer.answer()
        assert peer.ended()
        assert [kind for kind in peer.kinds() if kind == h2_frames.DATA] == [h2_frames.DATA] * 2
        assert (late.ended(), talk.ended()) == (False, False)  # what was read here, the client has not got

    run(scenario)


def test_a_conversation_ends_with_the_server() -> None:
    async def scenario() -> None:
        peer = Peer()
        client = Client(peer)
        talk = client.ask(TALK, message(b"a"), message(b"b")[:2], last=False)
        peer.connection.shutdown()
        client.exchange()
        assert (talk.messages, talk.status) == ([b"a"], UNAVAILABLE)
        assert b"draining" in talk.trailers[b"grpc-message"]
        assert client.farewells[-1] == (1, 0)
        assert peer.ended()

    run(scenario)


def test_a_client_that_says_goodbye_gets_its_answers() -> None:
    async def scenario() -> None:
        peer = Peer()
        peer.send(
            HELLO,
            head(1, LATE),
            data_frames(1, message(b""), last=True),
            h2_frames.goaway(0, h2_frames.ErrorCode.NO_ERROR),
        )
        assert not peer.ended()
        peer.held[0].answer(said(b"answer"))
        await peer.turn()
        assert peer.ended()

    run(scenario)


def test_a_slow_reader_is_not_cut_off_within_the_last_answer() -> None:
    async def scenario() -> None:
        peer = Peer()
        client = Client(peer)
        client.ask("/t.T/Echo", message(b"ab"))
        peer.transport.unread = 100_000
        peer.connection.shutdown()
        client.exchange()
        assert peer.ended()
        for _ in range(9):
            peer.pass_time(2)
            peer.transport.unread -= 10_000
        assert not peer.closed()
        peer.pass_time(4)
        assert peer.closed()

    run(scenario)


def test_a_client_that_connects_at_the_very_end_is_told_so() -> None:
    async def scenario() -> None:
        peer = Peer()
        peer.state.stopping = True
        transport, connection = peer.connect()
        assert b"farewell" in transport.sent
        connection.data_received(HELLO + h2_frames.frame(h2_frames.PING, h2_frames.ACK, 0, b"farewell"))
        assert isinstance(transport, Memory)
        assert transport.ended

    run(scenario)
