"""Frames of HTTP/2 to bytes and back, however these are cut."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from septet.server.h2.h2_frames import (
    CONTINUATION,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    MAX_FRAME_BYTES,
    MAX_STREAM_ID,
    PADDED,
    PREFACE,
    PRIORITISED,
    ErrorCode,
    Frame,
    FrameSplitter,
    H2ConnectionError,
    block_of,
    frame,
    goaway,
    headers,
    read_number,
    read_settings,
    rst_stream,
    settings,
    unpadded,
    window_update,
)

FRAMES = st.lists(
    st.tuples(st.integers(0, 255), st.integers(0, 255), st.integers(0, MAX_STREAM_ID), st.binary(max_size=300))
)


def split(data: bytes, cuts: list[int]) -> list[Frame]:
    splitter = FrameSplitter()
    found: list[Frame] = []
    at = 0
    for cut in [*sorted(min(cut, len(data)) for cut in cuts), len(data)]:
        found += splitter.feed(data[at:cut])
        at = cut
    assert not splitter.partial
    return found


@given(FRAMES, st.lists(st.integers(0, 2000), max_size=30))
def test_frames_come_back_however_they_are_cut(made: list[Frame], cuts: list[int]) -> None:
    assert split(PREFACE + b"".join(frame(*each) for each in made), cuts) == made


def test_the_reserved_bit_of_a_stream_means_nothing() -> None:
    whole = bytearray(frame(0, 0, 5, b"x"))
    whole[5] |= 0x80
    assert split(PREFACE + bytes(whole), []) == [(0, 0, 5, b"x")]


def test_a_frame_that_is_not_complete_waits() -> None:
    splitter = FrameSplitter()
    assert list(splitter.feed(PREFACE + frame(6, 0, 0, b"12345678")[:-1])) == []
    assert splitter.partial
    assert list(splitter.feed(b"8")) == [(6, 0, 0, b"12345678")]


@given(st.binary(min_size=1, max_size=40).filter(lambda data: not PREFACE.startswith(data[: len(PREFACE)])))
def test_who_does_not_begin_as_http2_is_refused(data: bytes) -> None:
    with pytest.raises(H2ConnectionError) as caught:
        list(FrameSplitter().feed(data))
    assert caught.value.code is ErrorCode.PROTOCOL_ERROR


def test_a_frame_over_the_limit_is_refused_before_it_has_come() -> None:
    with pytest.raises(H2ConnectionError) as caught:
        list(FrameSplitter().feed(PREFACE + frame(0, 0, 1, bytes(MAX_FRAME_BYTES + 1))[:9]))
    assert caught.value.code is ErrorCode.FRAME_SIZE_ERROR


@example(block=bytes(MAX_FRAME_BYTES), last=True)
@example(block=bytes(MAX_FRAME_BYTES + 1), last=True)
@example(block=bytes(3 * MAX_FRAME_BYTES), last=False)
@given(block=st.binary(max_size=300), last=st.booleans())
def test_a_header_block_goes_in_as_many_frames_as_it_needs(*, block: bytes, last: bool) -> None:
    found = split(PREFACE + headers(3, block, last=last), [])
    assert b"".join(payload for *_, payload in found) == block
    assert [kind for kind, *_ in found] == [HEADERS] + [CONTINUATION] * (len(found) - 1)
    assert [bool(flags & END_HEADERS) for _, flags, *_ in found] == [False] * (len(found) - 1) + [True]
    assert bool(found[0][1] & END_STREAM) is last


@given(st.binary(max_size=50), st.integers(0, 255))
def test_padding_is_taken_off(body: bytes, pad: int) -> None:
    assert unpadded(PADDED, bytes((pad,)) + body + bytes(pad)) == body
    assert unpadded(0, body) == body


@pytest.mark.parametrize("payload", [b"", b"\1", b"\5abcd"])
def test_more_padding_than_bytes_is_refused(payload: bytes) -> None:
    with pytest.raises(H2ConnectionError) as caught:
        unpadded(PADDED, payload)
    assert caught.value.code is ErrorCode.PROTOCOL_ERROR


def test_the_priority_before_a_header_block_is_passed_over() -> None:
    assert block_of(PRIORITISED, b"12345block") == b"block"
    assert block_of(PRIORITISED | PADDED, b"\x0212345block\0\0") == b"block"
    with pytest.raises(H2ConnectionError, match="cut"):
        block_of(PRIORITISED, b"1234")


def test_settings_come_back() -> None:
    ((_, _, _, payload),) = split(PREFACE + settings({1: 0, INITIAL_WINDOW_SIZE: 5, 77: 2**32 - 1}), [])
    assert dict(read_settings(payload)) == {1: 0, INITIAL_WINDOW_SIZE: 5, 77: 2**32 - 1}


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        (2, 2, ErrorCode.PROTOCOL_ERROR),
        (4, 2**31, ErrorCode.FLOW_CONTROL_ERROR),
        (5, 16_383, ErrorCode.PROTOCOL_ERROR),
        (5, 2**24, ErrorCode.PROTOCOL_ERROR),
    ],
)
def test_settings_that_are_not_allowed_are_refused(name: int, value: int, code: ErrorCode) -> None:
    ((_, _, _, payload),) = split(PREFACE + settings({name: value}), [])
    with pytest.raises(H2ConnectionError) as caught:
        list(read_settings(payload))
    assert caught.value.code is code


def test_settings_that_are_cut_are_refused() -> None:
    with pytest.raises(H2ConnectionError) as caught:
        list(read_settings(bytes(7)))
    assert caught.value.code is ErrorCode.FRAME_SIZE_ERROR


@given(st.integers(0, MAX_STREAM_ID))
def test_numbers_come_back(number: int) -> None:
    ((_, _, stream, payload),) = split(PREFACE + window_update(3, number), [])
    assert (stream, read_number(payload)) == (3, number)


@pytest.mark.parametrize("payload", [b"", b"123", b"12345"])
def test_a_number_of_another_length_is_refused(payload: bytes) -> None:
    with pytest.raises(H2ConnectionError) as caught:
        read_number(payload)
    assert caught.value.code is ErrorCode.FRAME_SIZE_ERROR


def test_the_ends_of_streams_and_connections_carry_their_codes() -> None:
    reset, away = split(PREFACE + rst_stream(7, ErrorCode.CANCEL) + goaway(9, ErrorCode.NO_ERROR, "why"), [])
    assert reset == (3, 0, 7, b"\0\0\0\x08")
    assert away == (7, 0, 0, b"\0\0\0\x09\0\0\0\0why")
