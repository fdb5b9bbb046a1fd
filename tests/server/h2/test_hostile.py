"""Clients that break HTTP/2 or wear the server out: each ends in one last word, or the end of its own stream."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from septet.server.h2 import h2_frames
from septet.server.h2.frame_budget import FRAMES_PER_SECOND
from septet.server.h2.grpc_calls import MAX_STREAMS, STREAM_WINDOW
from septet.server.h2.h2_frames import ErrorCode, frame
from septet.settings import Limits
from tests.server.h2.peer import ECHO, HELLO, LATE, SETTINGS, TALK, Peer, block, data, fields, head, message, run

PING = frame(h2_frames.PING, 0, 0, b"12345678")
OPEN = head(1, TALK)
BLOCK = block(fields())


def window(number: int, size: int) -> bytes:
    return h2_frames.window_update(number, size)


CONNECTION_FAULTS: dict[str, tuple[bytes, ErrorCode]] = {
    "HTTP/1.1": (b"POST /v2 HTTP/1.1\r\nhost: here\r\n\r\n", ErrorCode.PROTOCOL_ERROR),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", ErrorCode.PROTOCOL_ERROR),
    "another frame before the settings": (h2_frames.PREFACE + PING, ErrorCode.PROTOCOL_ERROR),
    "an acknowledgement before the settings": (
        h2_frames.PREFACE + frame(h2_frames.SETTINGS, h2_frames.ACK, 0),
        ErrorCode.PROTOCOL_ERROR,
    ),
    "a frame that is too large": (HELLO + frame(0, 0, 1, bytes(16_385)), ErrorCode.FRAME_SIZE_ERROR),
    "settings of a stream": (HELLO + frame(h2_frames.SETTINGS, 0, 1), ErrorCode.PROTOCOL_ERROR),
    "settings that are cut": (HELLO + frame(h2_frames.SETTINGS, 0, 0, bytes(5)), ErrorCode.FRAME_SIZE_ERROR),
    "an acknowledgement with settings": (
        HELLO + frame(h2_frames.SETTINGS, h2_frames.ACK, 0, bytes(6)),
        ErrorCode.FRAME_SIZE_ERROR,
    ),
    "a window that is too large": (HELLO + h2_frames.settings({4: 2**31}), ErrorCode.FLOW_CONTROL_ERROR),
    "windows that get too large": (
        HELLO + OPEN + window(1, 2**31 - 1 - 65_535) + h2_frames.settings({4: 65_536}),
        ErrorCode.FLOW_CONTROL_ERROR,
    ),
    "a ping of a stream": (HELLO + frame(h2_frames.PING, 0, 1, bytes(8)), ErrorCode.PROTOCOL_ERROR),
    "a ping that is cut": (HELLO + frame(h2_frames.PING, 0, 0, bytes(7)), ErrorCode.FRAME_SIZE_ERROR),
    "a goodbye of a stream": (HELLO + frame(h2_frames.GOAWAY, 0, 1, bytes(8)), ErrorCode.PROTOCOL_ERROR),
    "a goodbye that is cut": (HELLO + frame(h2_frames.GOAWAY, 0, 0, bytes(7)), ErrorCode.FRAME_SIZE_ERROR),
    "a promise": (HELLO + frame(h2_frames.PUSH_PROMISE, 4, 1, bytes(8)), ErrorCode.PROTOCOL_ERROR),
    "a priority of the connection": (HELLO + frame(h2_frames.PRIORITY, 0, 0, bytes(5)), ErrorCode.PROTOCOL_ERROR),
    "data of the connection": (HELLO + frame(h2_frames.DATA, 0, 0, b"x"), ErrorCode.PROTOCOL_ERROR),
    "data of a stream that was not opened": (HELLO + frame(h2_frames.DATA, 0, 1, b"x"), ErrorCode.PROTOCOL_ERROR),
    "data of a stream of ours": (HELLO + head(5) + frame(h2_frames.DATA, 0, 2, b"x"), ErrorCode.PROTOCOL_ERROR),
    "data with too much padding": (HELLO + OPEN + frame(h2_frames.DATA, 8, 1, b"\2x"), ErrorCode.PROTOCOL_ERROR),
    "a head of the connection": (HELLO + h2_frames.headers(0, BLOCK, last=True), ErrorCode.PROTOCOL_ERROR),
    "a head of a stream of ours": (HELLO + h2_frames.headers(2, BLOCK, last=True), ErrorCode.PROTOCOL_ERROR),
    "a head that cannot be decoded": (HELLO + h2_frames.headers(1, b"\xff", last=True), ErrorCode.COMPRESSION_ERROR),
    "a head with a priority that is cut": (
        HELLO + frame(h2_frames.HEADERS, 0x24, 1, b"123"),
        ErrorCode.FRAME_SIZE_ERROR,
    ),
    "the rest of a head that did not begin": (
        HELLO + frame(h2_frames.CONTINUATION, 4, 1, BLOCK),
        ErrorCode.PROTOCOL_ERROR,
    ),
    "a frame within a head": (HELLO + frame(h2_frames.HEADERS, 0, 1, BLOCK) + PING, ErrorCode.PROTOCOL_ERROR),
    "an unknown frame within a head": (
        HELLO + frame(h2_frames.HEADERS, 0, 1, BLOCK) + frame(99, 0, 0),
        ErrorCode.PROTOCOL_ERROR,
    ),
    "the rest of another head": (
        HELLO + frame(h2_frames.HEADERS, 0, 1, BLOCK) + frame(h2_frames.CONTINUATION, 4, 3),
        ErrorCode.PROTOCOL_ERROR,
    ),
    "a head without end": (
        HELLO + frame(h2_frames.HEADERS, 0, 1, BLOCK) + frame(h2_frames.CONTINUATION, 0, 1, bytes(16_000)) * 9,
        ErrorCode.ENHANCE_YOUR_CALM,
    ),
    "the reset of the connection": (HELLO + h2_frames.rst_stream(0, ErrorCode.CANCEL), ErrorCode.PROTOCOL_ERROR),
    "the reset of a stream that was not opened": (
        HELLO + h2_frames.rst_stream(1, ErrorCode.CANCEL),
        ErrorCode.PROTOCOL_ERROR,
    ),
    "a reset that is cut": (HELLO + OPEN + frame(h2_frames.RST_STREAM, 0, 1, b"123"), ErrorCode.FRAME_SIZE_ERROR),
    "a window for nothing": (HELLO + window(0, 0), ErrorCode.PROTOCOL_ERROR),
    "a window over the limit": (HELLO + window(0, 2**31 - 1), ErrorCode.FLOW_CONTROL_ERROR),
    "a window of a stream that was not opened": (HELLO + window(1, 5), ErrorCode.PROTOCOL_ERROR),
    "a window that is cut": (HELLO + frame(h2_frames.WINDOW_UPDATE, 0, 0, b"123"), ErrorCode.FRAME_SIZE_ERROR),
    "many pings": (HELLO + PING * (FRAMES_PER_SECOND + 1), ErrorCode.ENHANCE_YOUR_CALM),
    "many settings": (HELLO + SETTINGS * FRAMES_PER_SECOND, ErrorCode.ENHANCE_YOUR_CALM),
    "much empty data": (HELLO + OPEN + data(1, b"") * (FRAMES_PER_SECOND + 1), ErrorCode.ENHANCE_YOUR_CALM),
    "many empty pieces of a head": (
        HELLO + frame(h2_frames.HEADERS, 0, 1, BLOCK) + frame(h2_frames.CONTINUATION, 0, 1) * (FRAMES_PER_SECOND + 1),
        ErrorCode.ENHANCE_YOUR_CALM,
    ),
    "many calls that are reset at once": (
        HELLO
        + b"".join(head(number, LATE) + h2_frames.rst_stream(number, ErrorCode.CANCEL) for number in range(1, 2100, 2)),
        ErrorCode.ENHANCE_YOUR_CALM,
    ),
    "many priorities": (
        HELLO + frame(h2_frames.PRIORITY, 0, 1, bytes(5)) * (FRAMES_PER_SECOND + 1),
        ErrorCode.ENHANCE_YOUR_CALM,
    ),
    "many unknown frames": (HELLO + frame(99, 0, 0) * (FRAMES_PER_SECOND + 1), ErrorCode.ENHANCE_YOUR_CALM),
    "many windows": (HELLO + window(0, 1) * (FRAMES_PER_SECOND + 1), ErrorCode.ENHANCE_YOUR_CALM),
    "many windows of a stream that is over": (
        HELLO + head(1, last=True) + window(1, 1) * (FRAMES_PER_SECOND + 1),
        ErrorCode.ENHANCE_YOUR_CALM,
    ),
    "many acknowledgements": (
        HELLO + frame(h2_frames.SETTINGS, h2_frames.ACK, 0) * (FRAMES_PER_SECOND + 1),
        ErrorCode.ENHANCE_YOUR_CALM,
    ),
    "many answers to pings": (
        HELLO + frame(h2_frames.PING, h2_frames.ACK, 0, bytes(8)) * (FRAMES_PER_SECOND + 1),
        ErrorCode.ENHANCE_YOUR_CALM,
    ),
    "many goodbyes": (
        HELLO + head(1, LATE) + h2_frames.goaway(0, ErrorCode.NO_ERROR) * (FRAMES_PER_SECOND + 1),
        ErrorCode.ENHANCE_YOUR_CALM,
    ),
    "settings of many values": (
        HELLO + h2_frames.frame(h2_frames.SETTINGS, 0, 0, bytes(16_380)),
        ErrorCode.ENHANCE_YOUR_CALM,
    ),
    "much data of one byte": (
        HELLO + OPEN + data(1, message(bytes(100_000))[:5]) + data(1, b"x") * (FRAMES_PER_SECOND + 1),
        ErrorCode.ENHANCE_YOUR_CALM,
    ),
    "much padding around nothing": (
        HELLO + OPEN + frame(h2_frames.DATA, h2_frames.PADDED, 1, b"\x09" + bytes(9)) * (FRAMES_PER_SECOND + 1),
        ErrorCode.ENHANCE_YOUR_CALM,
    ),
    "many pieces of a head of one byte": (
        HELLO
        + frame(h2_frames.HEADERS, 0, 1, BLOCK)
        + frame(h2_frames.CONTINUATION, 0, 1, b"x") * (FRAMES_PER_SECOND + 1),
        ErrorCode.ENHANCE_YOUR_CALM,
    ),
    "many calls of no method": (
        HELLO + b"".join(head(number, "/no", last=True) for number in range(1, 2 * FRAMES_PER_SECOND + 5, 2)),
        ErrorCode.ENHANCE_YOUR_CALM,
    ),
    "many calls of no type": (
        HELLO
        + b"".join(
            h2_frames.headers(number, block([(":method", "GET"), *fields()[1:]]), last=True)
            for number in range(1, 2 * FRAMES_PER_SECOND + 5, 2)
        ),
        ErrorCode.ENHANCE_YOUR_CALM,
    ),
    "many heads over the limits": (
        HELLO + b"".join(head(number, last=True, more="x" * 40_000) for number in range(1, 80, 2)),
        ErrorCode.ENHANCE_YOUR_CALM,
    ),
    "too many calls at once": (
        HELLO + b"".join(head(number, LATE) for number in range(1, 2 * (FRAMES_PER_SECOND + MAX_STREAMS) + 5, 2)),
        ErrorCode.ENHANCE_YOUR_CALM,
    ),
    "many calls against the rules": (
        HELLO + b"".join(h2_frames.headers(number, b"\x82", last=True) for number in range(1, 2100, 2)),
        ErrorCode.ENHANCE_YOUR_CALM,
    ),
}


@pytest.mark.parametrize("what", CONNECTION_FAULTS)
def test_what_nobody_can_understand_ends_the_connection_with_the_reason(what: str) -> None:
    sent, code = CONNECTION_FAULTS[what]

    async def scenario() -> None:
        peer = Peer()
        peer.send(sent)
        assert peer.goaway()[1] == code
        assert peer.ended()
        peer.send(HELLO, head(99), PING)
        assert peer.frames() == []
        peer.connection.shutdown()
        peer.pass_time(3)
        assert peer.closed()

    run(scenario)


@pytest.mark.parametrize(
    ("sent", "number", "code"),
    [
        (h2_frames.headers(1, b"\x82", last=True), 1, ErrorCode.PROTOCOL_ERROR),
        (OPEN + h2_frames.headers(1, b"\0\1a\1b", last=False), 1, ErrorCode.PROTOCOL_ERROR),
        (head(1, LATE) + data(1, message(b""), last=True) + data(1, b"x"), 1, ErrorCode.STREAM_CLOSED),
        (head(1, LATE) + data(1, message(b""), last=True) + head(1, LATE), 1, ErrorCode.STREAM_CLOSED),
        (OPEN + window(1, 0), 1, ErrorCode.PROTOCOL_ERROR),
        (OPEN + window(1, 2**31 - 1), 1, ErrorCode.FLOW_CONTROL_ERROR),
        (OPEN + frame(h2_frames.PRIORITY, 0, 1, bytes(4)), 1, ErrorCode.FRAME_SIZE_ERROR),
        (head(1, LATE) + data(1, message(bytes(STREAM_WINDOW * 3))[: STREAM_WINDOW // 2]), None, None),
    ],
)
def test_what_breaks_a_stream_leaves_the_others(sent: bytes, number: int | None, code: ErrorCode | None) -> None:
    async def scenario() -> None:
        peer = Peer()
        peer.send(HELLO, sent)
        assert peer.resets() == ([] if number is None else [(number, code)])
        peer.send(head(9), data(9, message(b"ab"), last=True))
        assert peer.kinds() == [h2_frames.HEADERS, h2_frames.DATA, h2_frames.HEADERS]
        peer.connection.connection_lost(None)
        await peer.turn()
        assert peer.given_up == len(peer.held)

    run(scenario)


def test_who_sends_more_than_a_stream_may_loses_the_stream() -> None:
    async def scenario() -> None:
        peer = Peer()
        peer.send(HELLO, head(1, TALK))
        # The answer that the client does not take holds up the next message, and so the leave to send.
        peer.send(data(1, message(bytes(300_000))))
        peer.send(data(1, message(bytes(STREAM_WINDOW))))
        assert (1, ErrorCode.FLOW_CONTROL_ERROR) in peer.resets()

    run(scenario)


def test_more_calls_than_a_connection_may_have_are_refused() -> None:
    async def scenario() -> None:
        peer = Peer()
        peer.send(HELLO, *(head(1 + 2 * number, LATE) for number in range(MAX_STREAMS)))
        assert peer.resets() == []
        peer.call(1001)
        assert peer.resets() == [(1001, ErrorCode.REFUSED_STREAM)]
        peer.send(h2_frames.rst_stream(1, ErrorCode.CANCEL))
        peer.call(1003, b"ab")
        assert peer.kinds() == [h2_frames.HEADERS, h2_frames.DATA, h2_frames.HEADERS]

    run(scenario)


def test_calls_that_are_answered_make_up_for_pings() -> None:
    async def scenario() -> None:
        peer = Peer()
        peer.send(HELLO)
        for number in range(1, 4 * FRAMES_PER_SECOND, 2):
            peer.call(number)
            peer.send(PING)
        assert h2_frames.GOAWAY not in peer.kinds()

    run(scenario)


def test_the_next_second_forgives_the_pings_of_the_last() -> None:
    async def scenario() -> None:
        peer = Peer()
        peer.send(HELLO)
        for _ in range(5):
            peer.send(PING * (FRAMES_PER_SECOND - 1))
            peer.pass_time(1)
        assert h2_frames.GOAWAY not in peer.kinds()

    run(scenario)


def test_what_is_unknown_is_passed_over() -> None:
    async def scenario() -> None:
        peer = Peer()
        more = (
            h2_frames.settings({99: 1, 1: 0, 3: 5})
            + frame(99, 255, 1, b"x")
            + frame(h2_frames.PRIORITY, 0, 7, bytes(5))
        )
        peer.send(HELLO, more, head(1), window(1, 5), data(1, message(b"ab"), last=True), window(1, 5))
        peer.send(h2_frames.rst_stream(1, ErrorCode.CANCEL), frame(h2_frames.PING, h2_frames.ACK, 0, b"whatever"))
        assert peer.kinds()[-3:] == [h2_frames.HEADERS, h2_frames.DATA, h2_frames.HEADERS]
        peer.call(3, b"ab")
        assert peer.kinds() == [h2_frames.HEADERS, h2_frames.DATA, h2_frames.HEADERS]

    run(scenario)


def test_too_many_connections_are_turned_away() -> None:
    async def scenario() -> None:
        peer = Peer(Limits(max_connections=2), connections=2)
        assert peer.goaway() == (0, ErrorCode.ENHANCE_YOUR_CALM)
        assert peer.ended()
        assert peer.counted == [1, 2, 3]

    run(scenario)


KINDS = st.integers(0, 11)
NUMBERS = st.sampled_from([0, 1, 1, 3, 3, 5, 2])
PIECES = st.one_of(
    st.builds(frame, KINDS, st.integers(0, 255), NUMBERS, st.binary(max_size=20)),
    st.builds(head, st.sampled_from([1, 3, 5, 7]), st.sampled_from([ECHO, LATE, TALK, "/no"]), last=st.booleans()),
    st.builds(
        lambda number, body, last: data(number, message(body), last=last),
        st.sampled_from([1, 3, 5, 7]),
        st.binary(max_size=20),
        st.booleans(),
    ),
    st.builds(window, NUMBERS, st.sampled_from([0, 1, 1000, 2**31 - 1])),
    st.builds(lambda value: h2_frames.settings({4: value}), st.sampled_from([0, 1, 10, 2**31 - 1, 2**31])),
    st.builds(h2_frames.rst_stream, NUMBERS, st.sampled_from(ErrorCode)),
)
ACTS: tuple[Callable[[Peer], object], ...] = (
    lambda peer: peer.pass_time(1),
    lambda peer: peer.connection.announce_draining(),
    lambda peer: peer.connection.shutdown(),
    lambda peer: peer.answer(),
    lambda peer: peer.connection.pause_writing(),
    lambda peer: peer.connection.resume_writing(),
)


@given(st.lists(st.one_of(PIECES, st.sampled_from(ACTS)), max_size=30))
def test_whatever_comes_the_connection_goes_on_or_ends_with_a_last_word(
    pieces: list[bytes | Callable[[Peer], object]],
) -> None:
    async def scenario() -> None:
        peer = Peer()
        peer.send(HELLO)
        for piece in pieces:
            if callable(piece):
                piece(peer)
                await peer.turn()
            else:
                peer.send(piece)
        peer.connection.resume_writing()
        if not peer.ended():
            peer.send(frame(h2_frames.CONTINUATION, 0, 0))
        assert peer.ended()
        assert peer.frames()[-1][0] in (h2_frames.GOAWAY, h2_frames.HEADERS, h2_frames.RST_STREAM)
        peer.connection.connection_lost(None)
        await peer.turn()
        assert all(request.cancelled for request in peer.held)

    run(scenario)


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_raise_nothing(sent: bytes, settings_received: bool) -> None:  # noqa: FBT001 - by hypothesis
    async def scenario() -> None:
        peer = Peer()
        peer.send(HELLO if settings_received else b"", sent)
        peer.pass_time(100)
        peer.connection.connection_lost(None)

    run(scenario)
