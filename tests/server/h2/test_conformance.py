"""Rules of RFC 9113 that no other test holds; `docs/http2.md` lists all of them."""

import hpack
import pytest

from septet.server.h2 import h2_frames
from septet.server.h2.grpc_calls import MAX_STREAMS, STREAM_WINDOW
from septet.server.h2.h2_frames import ErrorCode, frame
from septet.settings import Limits
from tests.server.h2.peer import ECHO, HELLO, LATE, TALK, Client, Peer, block, data, fields, head, message, run


def test_the_server_speaks_first_and_begins_with_its_settings() -> None:
    async def scenario() -> None:
        peer = Peer(Limits(max_header_bytes=2048))
        (kind, flags, number, payload), *_ = peer.frames()
        assert (kind, flags, number) == (h2_frames.SETTINGS, 0, 0)
        settings = dict(h2_frames.read_settings(payload))
        assert settings[h2_frames.MAX_CONCURRENT_STREAMS] == MAX_STREAMS
        assert settings[h2_frames.MAX_HEADER_LIST_SIZE] == 2048

    run(scenario)


def test_each_settings_frame_is_acknowledged_once() -> None:
    async def scenario() -> None:
        peer = Peer()
        peer.frames()
        peer.send(HELLO, h2_frames.settings({3: 1}), frame(h2_frames.SETTINGS, h2_frames.ACK, 0))
        assert peer.frames() == [(h2_frames.SETTINGS, h2_frames.ACK, 0, b"")] * 2

    run(scenario)


@pytest.mark.parametrize("flags", [0, 0xFE])
def test_a_ping_is_answered_with_its_bytes_and_undefined_flags_mean_nothing(flags: int) -> None:
    async def scenario() -> None:
        peer = Peer()
        peer.send(HELLO)
        peer.frames()
        peer.send(frame(h2_frames.PING, flags, 0, b"12345678"))
        assert peer.frames() == [(h2_frames.PING, h2_frames.ACK, 0, b"12345678")]

    run(scenario)


def test_padding_counts_in_the_windows() -> None:
    async def scenario() -> None:
        peer = Peer()
        peer.send(HELLO, head(1, TALK))
        padded = frame(h2_frames.DATA, h2_frames.PADDED, 1, b"\xff" + message(b"") + bytes(255))
        sent = 10_000 * (len(padded) - h2_frames.FRAME_HEADER_BYTES)
        for _ in range(10_000):
            peer.send(padded)
        granted = sum(
            int.from_bytes(payload)
            for kind, _, number, payload in peer.frames()
            if (kind, number) == (h2_frames.WINDOW_UPDATE, 1)
        )
        assert 0 <= sent - granted < STREAM_WINDOW

    run(scenario)


def test_a_window_that_shrinks_below_what_was_sent_is_waited_for() -> None:
    async def scenario() -> None:
        peer = Peer()
        peer.send(HELLO, h2_frames.window_update(0, 1_000_000), head(1), data(1, message(bytes(100_000)), last=True))
        assert sum(len(payload) for kind, *_, payload in peer.frames() if kind == h2_frames.DATA) == 65_535
        # The stream's window is 10 - 65,535 now.
        peer.send(h2_frames.settings({h2_frames.INITIAL_WINDOW_SIZE: 10}), h2_frames.window_update(1, 65_525))
        assert h2_frames.DATA not in peer.kinds()
        peer.send(h2_frames.window_update(1, 7))
        assert [len(payload) for kind, *_, payload in peer.frames() if kind == h2_frames.DATA] == [7]

    run(scenario)


def test_no_frame_is_larger_than_the_protocol_allows_without_asking() -> None:
    async def scenario() -> None:
        peer = Peer()
        wide = h2_frames.settings({h2_frames.MAX_FRAME_SIZE: 1 << 20, h2_frames.INITIAL_WINDOW_SIZE: 1 << 20})
        peer.send(HELLO, wide, h2_frames.window_update(0, 1 << 20), head(1))
        peer.send(data(1, message(bytes(100_000)), last=True))
        sizes = [len(payload) for kind, *_, payload in peer.frames() if kind == h2_frames.DATA]
        assert (max(sizes), sum(sizes)) == (16_384, 100_005)

    run(scenario)


def indexed(encoder: hpack.Encoder, pairs: list[tuple[str, str]]) -> bytes:
    return bytes(encoder.encode(pairs, huffman=False))


def test_the_header_blocks_of_refused_streams_and_of_trailers_keep_the_table_in_step() -> None:
    async def scenario() -> None:
        peer, encoder = Peer(), hpack.Encoder()
        peer.send(HELLO, *(head(1 + 2 * number, LATE) for number in range(MAX_STREAMS)))
        # Refused: there are too many. Its fields are in the table from now on.
        peer.send(h2_frames.headers(1001, indexed(encoder, fields(x_request_id="first")), last=False))
        assert peer.resets() == [(1001, ErrorCode.REFUSED_STREAM)]
        peer.send(h2_frames.rst_stream(1, ErrorCode.CANCEL), h2_frames.rst_stream(3, ErrorCode.CANCEL))
        peer.send(head(1003), data(1003, message(b"")))
        peer.send(h2_frames.headers(1003, indexed(encoder, [("x-end", "of it")]), last=True))
        peer.send(h2_frames.headers(1005, indexed(encoder, fields(x_request_id="first", x_end="of it")), last=False))
        peer.send(data(1005, message(b"ab"), last=True))
        asked = peer.asked[-1]
        assert (asked.path, asked.body, asked.headers) == (ECHO, b"ab", {b"x-request-id": b"first", b"host": b"here"})

    run(scenario)


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (head(5, LATE) + head(3), ErrorCode.PROTOCOL_ERROR),
        (head(5, LATE) + head(9, LATE) + head(7), ErrorCode.PROTOCOL_ERROR),
        (head(1, last=True) + head(3, LATE) + head(1), ErrorCode.STREAM_CLOSED),
    ],
)
def test_a_stream_that_was_passed_over_or_has_ended_cannot_be_opened(sent: bytes, code: ErrorCode) -> None:
    async def scenario() -> None:
        peer = Peer()
        peer.send(HELLO, sent)
        assert peer.goaway()[1] == code

    run(scenario)


@pytest.mark.parametrize(
    "more", [head(1), data(1, b"x"), data(1, b"x", last=True), h2_frames.headers(1, b"\0\1a\1b", last=True)]
)
def test_what_was_on_its_way_on_a_stream_that_was_reset_ends_nothing(more: bytes) -> None:
    async def scenario() -> None:
        for cause in (h2_frames.rst_stream(1, ErrorCode.CANCEL), data(1, b"\7\0\0\0\0")):
            peer = Peer()
            peer.send(HELLO, head(1), cause, more)
            peer.frames()
            peer.call(3, b"ab")
            assert peer.kinds() == [h2_frames.HEADERS, h2_frames.DATA, h2_frames.HEADERS]

    run(scenario)


def test_data_on_a_stream_that_has_ended_is_refused() -> None:
    async def scenario() -> None:
        peer = Peer()
        peer.send(HELLO)
        peer.call(1, b"ab")
        peer.frames()
        peer.send(data(1, b"x"))
        assert peer.resets() == [(1, ErrorCode.STREAM_CLOSED)]

    run(scenario)


@pytest.mark.parametrize("name", [":path", "Upper", "connection", "te"])
def test_trailers_are_held_to_the_rules_of_fields(name: str) -> None:
    async def scenario() -> None:
        peer = Peer()
        peer.send(HELLO, head(1), data(1, message(b"ab")), h2_frames.headers(1, block([(name, "x")]), last=True))
        assert peer.resets() == [(1, ErrorCode.PROTOCOL_ERROR)]
        assert not peer.asked

    run(scenario)


@pytest.mark.parametrize("code", [ErrorCode.CANCEL, 99, 2**32 - 1])
def test_a_reset_call_sends_nothing_whatever_the_code(code: int) -> None:
    async def scenario() -> None:
        peer = Peer()
        peer.send(HELLO, head(1, LATE), data(1, message(b""), last=True))
        peer.frames()
        peer.send(frame(h2_frames.RST_STREAM, 0, 1, code.to_bytes(4)))
        assert (peer.given_up, peer.frames()) == (1, [])

    run(scenario)


@pytest.mark.parametrize(
    "sent",
    [
        head(1, content_length="6") + data(1, message(b"ab"), last=True),
        head(1, content_length="8") + data(1, message(b"ab"), last=True),
        head(1, content_length="8") + data(1, message(b"ab")) + h2_frames.headers(1, b"\0\1a\1b", last=True),
        head(1, content_length="7", last=True),
        head(1, content_length="-7"),
        head(1, content_length="9" * 5000),
    ],
)
def test_a_call_of_another_length_than_announced_ends_in_a_stream_error(sent: bytes) -> None:
    async def scenario() -> None:
        peer = Peer()
        peer.send(HELLO, sent)
        assert peer.resets() == [(1, ErrorCode.PROTOCOL_ERROR)]
        assert not peer.asked

    run(scenario)


def test_a_call_of_the_announced_length_is_answered() -> None:
    async def scenario() -> None:
        client = Client(Peer())
        assert client.ask(ECHO, message(b"ab"), content_length="7").messages == [b"ab"]
        assert client.ask(ECHO, message(b"ab"), content_length="7").messages == [b"ab"]

    run(scenario)


def test_a_request_to_connect_is_refused() -> None:
    async def scenario() -> None:
        peer = Peer()
        peer.send(HELLO, h2_frames.headers(1, block([(":method", "CONNECT"), (":authority", "here:80")]), last=False))
        assert peer.resets() == [(1, ErrorCode.PROTOCOL_ERROR)]

    run(scenario)
