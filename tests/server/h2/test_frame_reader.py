"""A connection has its share of a turn of the event loop, and what it sends means the same however it comes."""

import asyncio
from collections.abc import Iterator
from itertools import count, islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from septet.server.h2 import h2_frames
from septet.server.h2.frame_reader import LARGE_CHUNK_BYTES, SMALL_CHUNK_BYTES, TURN_SECONDS, FrameReader
from septet.server.h2.h2_frames import ErrorCode, Frame, FrameSplitter, H2ConnectionError, frame
from tests.server.h2.peer import Memory, run

PING = frame(h2_frames.PING, 0, 0, b"12345678")
STEP = TURN_SECONDS / 10


class Reading:
    """A reader whose every frame takes a tenth of a turn."""

    def __init__(self, step: float = STEP) -> None:
        self.frames: list[Frame] = []
        self.faults: list[H2ConnectionError] = []
        ticks: Iterator[float] = count(0.0, step)
        self.reader = FrameReader(self._take, self._fail, clock=lambda: next(ticks))
        self.transport = Memory()
        self.reader.start(self.transport)

    def _take(self, *taken: int | bytes) -> None:
        self.frames.append(taken)  # type: ignore[arg-type]

    def _fail(self, fault: H2ConnectionError) -> None:
        self.faults.append(fault)
        self.reader.stop()


async def turn() -> None:
    await asyncio.sleep(0)


def test_what_takes_longer_than_a_share_of_a_turn_waits_for_the_next_one() -> None:
    async def scenario() -> None:
        reading = Reading()
        reading.reader.feed(h2_frames.PREFACE + PING * 35)
        counts = []
        while reading.transport.paused:
            counts.append(len(reading.frames))
            await turn()
        assert len(counts) >= 3
        assert max(later - earlier for earlier, later in pairwise(counts)) <= 11
        assert len(reading.frames) == 35
        reading.reader.feed(PING)
        assert len(reading.frames) == 36

    run(scenario)


def test_a_small_chunk_is_acted_on_at_once_up_to_the_frame_that_ends_the_connection() -> None:
    async def scenario() -> None:
        reading = Reading()
        pings = (SMALL_CHUNK_BYTES - len(h2_frames.PREFACE)) // len(PING)
        reading.reader.feed(h2_frames.PREFACE + PING * pings)
        assert len(reading.frames) == pings > 10
        assert not reading.transport.paused
        too_large = (h2_frames.MAX_FRAME_BYTES + 1).to_bytes(3) + bytes(6)
        reading.reader.feed(PING + too_large + PING)
        reading.reader.feed(PING)
        assert len(reading.frames) == pings + 1
        assert [fault.code for fault in reading.faults] == [ErrorCode.FRAME_SIZE_ERROR]

    run(scenario)


def test_what_comes_all_the_same_is_kept_in_its_order() -> None:
    async def scenario() -> None:
        reading = Reading()
        reading.reader.feed(h2_frames.PREFACE + PING * 15)
        for number in range(3):
            reading.reader.feed(frame(h2_frames.PING, 0, 0, bytes((number,)) * 8) * 15)
        while reading.transport.paused:
            await turn()
        assert [payload[0] for *_, payload in reading.frames] == [*[49] * 15, *[0] * 15, *[1] * 15, *[2] * 15]

    run(scenario)


def test_a_large_chunk_is_the_last_one_of_its_turn() -> None:
    async def scenario() -> None:
        reading = Reading(0.0)
        reading.reader.feed(h2_frames.PREFACE + frame(99, 0, 0, bytes(16_000)) * (LARGE_CHUNK_BYTES // 16_000 + 1))
        seen = [reading.transport.paused]
        await turn()
        seen.append(reading.transport.paused)
        reading.reader.stop()
        reading.reader.feed(bytes(LARGE_CHUNK_BYTES))
        seen.append(reading.transport.paused)
        await turn()
        assert [*seen, reading.transport.paused] == [True, False, True, False]

    run(scenario)


def test_nothing_is_read_while_the_client_does_not_read() -> None:
    async def scenario() -> None:
        reading = Reading(0.0)
        reading.reader.feed(h2_frames.PREFACE)
        reading.reader.hold()
        reading.reader.feed(PING * 3)
        await turn()
        assert (reading.frames, reading.transport.paused) == ([], True)
        reading.reader.release()
        assert (len(reading.frames), reading.transport.paused) == (3, False)

    run(scenario)


def test_nothing_is_passed_on_after_a_fault_or_the_end() -> None:
    async def scenario() -> None:
        reading = Reading(0.0)
        reading.reader.feed(h2_frames.PREFACE + PING + frame(0, 0, 1, bytes(20_000)) + PING)
        assert [fault.code for fault in reading.faults] == [ErrorCode.FRAME_SIZE_ERROR]
        reading.reader.feed(PING)
        assert len(reading.frames) == 1
        ended = Reading()
        ended.reader.feed(h2_frames.PREFACE + PING * 35)
        seen = len(ended.frames)
        ended.reader.close()
        await turn()
        assert len(ended.frames) == seen

    run(scenario)


FRAMES = st.lists(
    st.tuples(st.integers(0, 255), st.integers(0, 255), st.integers(0, 2**31 - 1), st.binary(max_size=40)), max_size=20
)


@given(FRAMES, st.lists(st.integers(1, 60), max_size=40))
def test_any_frames_come_back_however_they_are_cut_and_paced(frames: list[Frame], sizes: list[int]) -> None:
    async def scenario() -> None:
        sent = h2_frames.PREFACE + b"".join(frame(*each) for each in frames)
        reading = Reading()
        rest = iter(sent)
        for size in sizes:
            if piece := bytes(islice(rest, size)):
                reading.reader.feed(piece)
        if last := bytes(rest):
            reading.reader.feed(last)
        while reading.transport.paused:
            await turn()
        assert reading.frames == frames == list(FrameSplitter().feed(sent))

    run(scenario)


@pytest.mark.parametrize("size", [1, 8, 9, 23])
def test_a_frame_may_come_byte_by_byte(size: int) -> None:
    async def scenario() -> None:
        reading = Reading(0.0)
        sent = h2_frames.PREFACE + frame(0, 1, 3, b"abc") * 3
        for at in range(0, len(sent), size):
            reading.reader.feed(sent[at : at + size])
        assert reading.frames == [(0, 1, 3, b"abc")] * 3

    run(scenario)
