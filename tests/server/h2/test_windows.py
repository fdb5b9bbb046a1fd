"""What a connection may hold in memory: messages that come, and answers that wait for the client."""

import msgspec
import pytest

from septet.server.h2 import h2_frames
from septet.server.h2.grpc_calls import MAX_STREAMS, STREAM_WINDOW, UnaryCall
from septet.server.h2.receive_windows import MAX_RESERVED_BYTES
from septet.settings import Limits
from tests.server.h2.peer import ECHO, HELLO, LATE, TALK, Client, Peer, data, head, message, run, said

UNAVAILABLE, DEADLINE, OK = 14, 4, 0


def granted(peer: Peer) -> dict[int, int]:
    """The leave to send that was given since this was asked before, by stream."""
    found: dict[int, int] = {}
    for kind, _, number, payload in peer.frames():
        if kind == h2_frames.WINDOW_UPDATE:
            found[number] = found.get(number, 0) + int.from_bytes(payload)
    return found


def begun(size: int) -> bytes:
    """The first bytes of a message of so many."""
    return b"\0" + size.to_bytes(4) + b"x" * 10


@pytest.mark.parametrize("path", [ECHO, TALK])
def test_a_message_that_does_not_fit_in_a_window_is_given_leave_for_all_of_it_at_once(path: str) -> None:
    async def scenario() -> None:
        peer = Peer()
        peer.send(HELLO)
        peer.frames()
        peer.send(head(1, path), data(1, begun(1_000_000)))
        assert granted(peer) == {1: 1_000_005 - STREAM_WINDOW}
        peer.send(data(1, bytes(999_990)))
        assert [len(http.body) for http in peer.asked] == ([] if path == ECHO else [1_000_000])

    run(scenario)


@pytest.mark.parametrize("path", [ECHO, TALK])
def test_messages_without_end_hold_a_stated_number_of_bytes(path: str) -> None:
    async def scenario() -> None:
        limits = Limits(body_timeout_seconds=5)
        size = limits.max_body_bytes
        peer = Peer(limits)
        peer.send(HELLO)
        peer.frames()
        numbers = range(1, 2 * MAX_STREAMS, 2)
        leave = dict.fromkeys(numbers, STREAM_WINDOW)
        for number in numbers:
            peer.send(head(number, path), data(number, begun(size)))
        for number, more in granted(peer).items():
            leave[number] += more
        assert size < sum(leave.values()) <= MAX_STREAMS * STREAM_WINDOW + MAX_RESERVED_BYTES
        assert leave[1] == size + 5
        # Those who have leave and do not send are given up. The others then get theirs, and their time.
        peer.pass_time(6)
        later = granted(peer)
        assert sum(more >= size + 5 - STREAM_WINDOW for number, more in later.items() if number) == 2
        assert max(later) > 3

    run(scenario)


def test_the_largest_message_comes_in_where_it_is_larger_than_what_is_reserved() -> None:
    async def scenario() -> None:
        peer = Peer(Limits(max_body_bytes=3 * MAX_RESERVED_BYTES))
        peer.send(HELLO, head(1), data(1, begun(3 * MAX_RESERVED_BYTES)))
        assert granted(peer)[1] == 3 * MAX_RESERVED_BYTES + 5 - STREAM_WINDOW
        peer.send(head(3), data(3, begun(1_000_000)))
        assert 3 not in granted(peer)
        peer.send(h2_frames.rst_stream(1, h2_frames.ErrorCode.CANCEL))
        assert granted(peer)[3] == 1_000_005 - STREAM_WINDOW

    run(scenario)


def test_what_is_reserved_for_a_message_is_kept_until_it_is_answered() -> None:
    async def scenario() -> None:
        peer = Peer(Limits(max_body_bytes=MAX_RESERVED_BYTES))
        peer.send(HELLO, head(1, LATE), data(1, message(bytes(MAX_RESERVED_BYTES)), last=True))
        peer.send(head(3), data(3, begun(2_000_000)))
        assert 3 not in granted(peer)
        peer.answer()
        assert granted(peer)[3] == 2_000_005 - STREAM_WINDOW

    run(scenario)


def test_a_conversation_gives_back_what_was_reserved_for_its_large_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    most = 1 << 20
    monkeypatch.setattr("septet.server.h2.receive_windows.MAX_RESERVED_BYTES", most)

    async def scenario() -> None:
        client = Client(Peer(Limits(max_body_bytes=most)))
        talk = client.ask(TALK, last=False)
        for size in (most, 10, most, 300_000):
            client.say(1, message(bytes(size)))
        assert [len(each) for each in talk.messages] == [most, 10, most, 300_000]
        other = client.ask(ECHO, last=False)
        client.say(3, message(bytes(most)), last=True)
        assert other.status == OK

    run(scenario)


LIMITS = Limits(max_unread_bytes=1_000_000, timeout_seconds=5, keep_alive_seconds=60)
ANSWER = bytes(100_000)


def closed_windows(peer: Peer, calls: int) -> None:
    """Ask, as a client that takes no answers."""
    peer.send(HELLO, h2_frames.settings({h2_frames.INITIAL_WINDOW_SIZE: 0}))
    for number in range(1, 2 * calls, 2):
        peer.send(head(number, LATE), data(number, message(b""), last=True))


def test_answers_that_nobody_reads_hold_a_stated_number_of_bytes() -> None:
    async def scenario() -> None:
        peer = Peer(LIMITS)
        closed_windows(peer, 100)
        assert len(peer.held) == 100
        for request in [*peer.held]:
            request.answer(said(ANSWER))
            await peer.turn(1)
        out = peer.connection._streams.out
        assert 1_000_000 < out.waiting_bytes <= 2_000_000
        # The rest is told so, and may try again.
        ended = [number for kind, flags, number, _ in peer.frames() if kind == h2_frames.HEADERS and flags & 1]
        assert len(ended) == 100 - out.waiting_bytes // 100_005
        assert peer.codes == ["ok"] * 100

    run(scenario)


def test_calls_wait_while_answers_are_not_read_and_begin_when_they_are() -> None:
    async def scenario() -> None:
        peer = Peer(LIMITS)
        closed_windows(peer, 9)
        for request in [*peer.held]:
            request.answer(said(ANSWER))
        await peer.turn()
        peer.held.clear()
        for number in range(101, 141, 2):
            peer.send(head(number, LATE, grpc_timeout="3S"), data(number, message(b""), last=True))
        assert len(peer.held) == 1
        peer.held[0].answer(said(ANSWER))
        await peer.turn()
        assert len(peer.held) == 1
        peer.frames()
        peer.send(h2_frames.window_update(0, 10_000_000), h2_frames.window_update(1, 1 << 20))
        # One answer is gone: there is room for one more.
        assert len(peer.held) == 2
        peer.send(*(h2_frames.window_update(number, 1 << 20) for number in range(3, 19, 2)))
        assert 2 < len(peer.held) <= 11
        peer.send(h2_frames.settings({h2_frames.INITIAL_WINDOW_SIZE: 1 << 20}))
        for _ in range(30):
            if waiting := [request for request in peer.held if request not in answered]:
                answered.append(waiting[0])
                waiting[0].answer(said(b"small"))
                await peer.turn(1)
        assert len(peer.held) == 20
        assert peer.codes == ["ok"] * 29

    answered: list[object] = []
    run(scenario)


@pytest.mark.parametrize(
    "limits", [LIMITS, msgspec.structs.replace(LIMITS, timeout_seconds=60.0, route_timeouts=("/v2=5",))]
)
def test_a_call_does_not_wait_for_ever_for_others_to_be_read(limits: Limits) -> None:
    async def scenario() -> None:
        peer = Peer(limits)
        closed_windows(peer, 10)
        for request in [*peer.held]:
            request.answer(said(ANSWER))
        await peer.turn()
        peer.send(head(101, LATE), data(101, message(b""), last=True))
        peer.send(head(103, LATE), data(103, message(b""), last=True))
        assert len(peer.held) == 10
        peer.send(h2_frames.rst_stream(103, h2_frames.ErrorCode.CANCEL))
        assert peer.codes[-1] == "cancelled"
        call = peer.connection._streams.calls[101]
        call._held_since -= 6
        peer.frames()
        peer.pass_time(1)
        (last,) = [payload for kind, _, number, payload in peer.frames() if kind == h2_frames.HEADERS and number == 101]
        assert b"were not read in time" in last
        assert peer.codes[-1] == "deadline_exceeded"

    run(scenario)


def test_a_client_that_opens_its_window_byte_by_byte_makes_little_work() -> None:
    async def scenario() -> None:
        peer = Peer()
        closed_windows(peer, 200)
        for request in [*peer.held]:
            request.answer(said(bytes(1000)))
        await peer.turn()
        peer.frames()
        advanced = []

        class Noted(UnaryCall):
            """Counts how often something of it is sent."""

            __slots__ = ()

            def advanced(self) -> None:
                advanced.append(self.number)

        for call in peer.connection._streams.calls.values():
            call.__class__ = Noted
        peer.send(h2_frames.window_update(1, 1) * 100)
        assert advanced == [1] * 100
        assert peer.kinds() == [h2_frames.DATA] * 100

    run(scenario)
