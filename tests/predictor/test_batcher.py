"""Requests that share a run are answered as if each were alone, in time, or refused."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

import numpy as np
import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from septet.errors import DeadlineExceeded, Invalid, ModelFailed, Overloaded, SeptetError
from septet.predictor.batcher import (
    FIRST_LEAVE_SECONDS,
    LONGEST_PAUSE_SECONDS,
    MOST_LONG,
    PAUSE_SECONDS,
    RECOUNT_SECONDS,
    Batcher,
)
from septet.predictor.latency_model import INLINE_SECONDS, LatencyModel
from septet.predictor.queued_request import QueuedRequest, take
from septet.types import Request, Response
from tests.predictor.echoes import LONG, SHORT, Clock, batcher, request, runtime


async def gathered(batch: Batcher, requests: list[Request]) -> list[Response | BaseException]:
    return await asyncio.gather(*(batch.predict(each) for each in requests), return_exceptions=True)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - a thread sets it, and the loop has to turn
            await asyncio.sleep(0)


Draw: TypeAlias = list[tuple[int, str, str]]


@given(
    st.lists(st.tuples(st.integers(1, 5), st.sampled_from("ab"), st.sampled_from(["live", "late", "gone"]))),
    st.integers(1, 8),
)
def test_every_ticket_is_taken_once_in_order_with_its_own_kind(drawn: Draw, max_rows: int) -> None:
    waiting: deque[QueuedRequest] = deque()
    for rows, key, state in drawn:
        deadline = 5.0 if state == "late" else 50.0
        waiting.append(QueuedRequest(request(*range(rows), deadline=deadline), lambda _: None, key, 0.0))
        if state == "gone":
            waiting[-1].cancel()
    tickets = list(waiting)
    taken: list[QueuedRequest] = []
    late: list[QueuedRequest] = []
    while waiting:
        batch, expired = take(waiting, 10.0, max_rows, lambda _: 0.0)
        assert len({ticket.key for ticket in batch}) <= 1
        assert len(batch) <= 1 or sum(ticket.request.rows for ticket in batch) <= max_rows
        taken += batch
        late += expired
    states = [state for _, _, state in drawn]
    assert [id(t) for t in taken] == [id(t) for t, state in zip(tickets, states, strict=True) if state == "live"]
    assert [id(t) for t in late] == [id(t) for t, state in zip(tickets, states, strict=True) if state == "late"]


@pytest.mark.parametrize("cost", [SHORT, LONG])
@given(sizes=st.lists(st.integers(1, 9), min_size=1, max_size=20), limit=st.integers(1, 16))
def test_concurrent_requests_are_answered_as_if_alone(cost: Any, sizes: list[int], limit: int) -> None:
    requests = [request(*(10 * at + row for row in range(rows))) for at, rows in enumerate(sizes)]
    model = runtime()
    batch = batcher(model, cost, max_batch_rows=limit)
    answers = asyncio.run(gathered(batch, requests))
    batch.close()
    for asked, answer in zip(requests, answers, strict=True):
        assert isinstance(answer, Response)
        assert answer.rows == asked.rows
        np.testing.assert_array_equal(answer.tensors["y"], asked.tensors["x"][:, 0] * 2 + 1)
    assert sum(model.runs) == sum(sizes)


def test_requests_of_one_turn_share_a_run_and_say_so() -> None:
    model = runtime()
    answers = asyncio.run(gathered(batcher(model), [request(1), request(2), request(3), request(4)]))
    assert model.runs == [1, 3]  # a lone caller does not wait; those right behind it share
    assert [answer.timings.batch_rows for answer in answers if isinstance(answer, Response)] == [1, 3, 3, 3]


def test_what_comes_while_others_are_read_shares_their_run() -> None:
    async def story(batch: Batcher) -> None:
        answered: list[Any] = []
        loop = asyncio.get_running_loop()
        for value in (1, 2):
            batch.submit(request(value), answered.append)
        # As a socket does that becomes readable during the turn: it is heard in the next.
        loop.call_soon(batch.submit, request(3), answered.append)
        await until(lambda: len(answered) == 3)

    model = runtime()
    asyncio.run(story(batcher(model)))
    assert model.runs == [1, 2]


def test_requests_for_different_outputs_do_not_share_a_run() -> None:
    model = runtime()
    answers = asyncio.run(
        gathered(batcher(model), [request(0), request(1, outputs=("y",)), request(2, outputs=("z",))])
    )
    assert model.runs == [1, 1, 1]
    assert [list(answer.tensors) for answer in answers if isinstance(answer, Response)] == [["y", "z"], ["y"], ["z"]]


@pytest.mark.parametrize("cost", [SHORT, LONG])
def test_one_bad_request_fails_alone_and_names_its_own_row_and_id(cost: Any) -> None:
    model = runtime(rejects=[7], fails=[8])
    requests = [request(1), request(2), request(3, 2000), request(7), request(8), request(4)]
    batch = batcher(model, cost)
    answers = asyncio.run(gathered(batch, requests))
    batch.close()
    kinds = [Response, Response, Invalid, Invalid, ModelFailed, Response]
    assert [type(answer) for answer in answers] == kinds
    for asked, answer in zip(requests, answers, strict=True):
        if isinstance(answer, SeptetError):
            assert answer.request_id == asked.id
    assert isinstance(answers[2], Invalid)
    assert (answers[2].problems[0].row, answers[2].problems[0].column) == (1, "x")


class Held:
    """A model whose runs wait in their thread until they are let go."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.began = threading.Event()
        self.model = runtime(before=self._wait)

    def _wait(self, _: int) -> None:
        self.began.set()
        assert self.go.wait(10)


def held(
    story: Callable[[Held, Batcher, Clock], Coroutine[Any, Any, None]], cost: LatencyModel = LONG, **more: Any
) -> list[int]:
    """Tell a story of a model that is running, on the loop that serves; the rows of its runs in the end."""
    model, clock = Held(), Clock()
    batch = batcher(model.model, cost, clock=clock, **more)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(story(model, batch, clock))
    finally:
        model.go.set()
        batch.close()
    return model.model.runs


def test_a_long_run_leaves_the_loop_free_and_what_arrives_meanwhile_is_the_next_batch() -> None:
    async def story(model: Held, batch: Batcher, _: Clock) -> None:
        first = asyncio.ensure_future(batch.predict(request(1)))
        await until(model.began.is_set)  # the loop turns while the thread is held
        others = [asyncio.ensure_future(batch.predict(request(value))) for value in (2, 3)]
        await asyncio.sleep(0)
        model.go.set()
        answers = await asyncio.gather(first, *others)
        assert [answer.tensors["y"].tolist() for answer in answers] == [[3], [5], [7]]

    assert held(story) == [1, 2]


def test_one_request_more_than_may_wait_is_refused_at_once() -> None:
    async def story(model: Held, batch: Batcher, clock: Clock) -> None:
        first = asyncio.ensure_future(batch.predict(request(1)))
        await until(model.began.is_set)
        waiting = [asyncio.ensure_future(batch.predict(request(2))) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded, match="2 requests wait"):
            await batch.predict(request(3))
        waiting[0].cancel()
        await asyncio.sleep(0)
        clock.now += RECOUNT_SECONDS
        third = asyncio.ensure_future(batch.predict(request(4)))  # the place of the one who left
        await asyncio.sleep(0)
        model.go.set()
        assert [answer.rows for answer in await asyncio.gather(first, waiting[1], third)] == [1, 1, 1]

    assert held(story, max_pending=2) == [1, 2]


def test_a_request_that_is_cancelled_before_its_run_never_reaches_the_model() -> None:
    async def story(model: Held, batch: Batcher, _: Clock) -> None:
        first = asyncio.ensure_future(batch.predict(request(1)))
        await until(model.began.is_set)
        second = asyncio.ensure_future(batch.predict(request(2)))
        await asyncio.sleep(0)
        second.cancel()
        model.go.set()
        await first

    assert held(story) == [1]


def test_a_deadline_is_kept_while_the_run_is_under_way_and_while_others_run() -> None:
    async def story(model: Held, batch: Batcher, clock: Clock) -> None:
        patient = asyncio.ensure_future(batch.predict(request(0, deadline=clock.now + 3600)))
        await until(model.began.is_set)
        soon = clock.now + 0.02  # earlier than the alarm that is set already
        late = [asyncio.ensure_future(batch.predict(request(value, deadline=soon))) for value in (1, 2)]
        await asyncio.sleep(0)
        clock.now += 1
        for each in late:
            with pytest.raises(DeadlineExceeded):
                await each
        assert not patient.done()
        model.go.set()
        assert (await patient).rows == 1

    assert held(story, LatencyModel(2 * INLINE_SECONDS, 0.0)) == [1]


def test_a_request_that_could_not_be_answered_in_time_is_refused_at_once() -> None:
    async def story(model: Held, batch: Batcher, clock: Clock) -> None:
        first = asyncio.ensure_future(batch.predict(request(1)))
        await until(model.began.is_set)
        clock.now += 0.5  # half of the run that is under way is over
        for rows, seconds, fits in ((1, 2.0, False), (1, 2.5, True), (2, 5.0, False), (2, 9.0, True), (1, 6.0, False)):
            asked = request(*range(rows), deadline=clock.now + seconds)
            refused: list[Any] = []
            ticket = batch.submit(asked, refused.append)
            assert (ticket.done is not None) == fits, (rows, seconds)
            assert [(type(error), error.request_id) for error in refused] == ([] if fits else [(Overloaded, asked.id)])
        model.go.set()
        await first

    held(story, LatencyModel(0.0, 1.0), max_batch_rows=2)


def test_a_pause_after_a_refusal_ends_with_the_run() -> None:
    async def story(model: Held, batch: Batcher, clock: Clock) -> None:
        first = asyncio.ensure_future(batch.predict(request(1)))
        await until(model.began.is_set)
        refused: list[Any] = []
        for _ in range(3):
            batch.submit(request(2, deadline=clock.now + 0.1), refused.append)
        assert [type(each) for each in refused] == [Overloaded] * 3
        model.go.set()  # nobody else would, were the loop to wait for long
        assert (await first).rows == 1

    assert held(story, LatencyModel(0.0, 1.0)) == [1]


class Patient(threading.Event):
    """Waits as long as it takes, whatever the time it is given."""

    def wait(self, timeout: float | None = None) -> bool:  # noqa: ARG002 - the library's signature
        return super().wait(10)


def test_runs_follow_each_other_while_the_loop_looks_away() -> None:
    async def story(model: Held, batch: Batcher, clock: Clock) -> None:
        batch._idle = Patient()
        answered: list[Any] = []
        loop = asyncio.get_running_loop()
        batch.submit(request(1), answered.append)
        await until(model.began.is_set)
        batch.submit(request(2), answered.append)
        model.go.set()
        refused: list[Any] = []
        batch.submit(request(3, deadline=clock.now + 0.1), refused.append)
        seen: list[int] = []
        loop.call_soon(lambda: seen.append(len(answered)))  # in the turn of the pause, right behind it
        await until(lambda: seen)
        assert ([type(each) for each in refused], seen) == ([Overloaded], [2])

    assert held(story, LatencyModel(0.0, 1.0), max_batch_rows=1) == [1, 1]


class Waits(threading.Event):
    """Notes for how long it is waited for, and does not wait."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.seconds.append(timeout or 0.0)
        return self.is_set()


@pytest.mark.parametrize(
    ("spent", "deadline", "pause"),
    [
        (0.0, None, PAUSE_SECONDS),
        (0.005, None, 0.02),
        (1.0, None, LONGEST_PAUSE_SECONDS),
        (1.0, 1.03, 0.03),
        (1.0, 0.5, None),
    ],
)
def test_refusing_leaves_the_model_its_time(spent: float, deadline: float | None, pause: float | None) -> None:
    async def story(model: Held, batch: Batcher, clock: Clock) -> None:
        begun = clock.now
        first = asyncio.ensure_future(
            batch.predict(request(1, deadline=None if deadline is None else begun + deadline))
        )
        await until(model.began.is_set)
        batch._idle = waits = Waits()
        batch.submit(request(2, deadline=begun + 0.001), lambda _: None)
        clock.now += spent  # refused others, and read them
        await asyncio.sleep(0)
        assert waits.seconds == ([] if pause is None else [pytest.approx(pause)])
        model.go.set()
        await asyncio.gather(first, return_exceptions=True)

    held(story, LatencyModel(0.01, 0.0))


def test_rows_are_merged_as_far_as_it_pays() -> None:
    assert LatencyModel(1e-5, 0.0).worthwhile(256) == 256
    assert LatencyModel(2**-17, 2**-20).worthwhile(256) == 128
    assert LatencyModel(2**-17, 2**-20).worthwhile(64) == 64
    assert LatencyModel(0.0, 0.01).worthwhile(256, 0.0003) == 1
    assert LatencyModel(0.01, 0.001).worthwhile(256, 0.0003) == 165


def test_a_batch_is_no_larger_than_its_earliest_deadline_allows() -> None:
    deadlines = (20.0, 13.5, 30.0, 13.0, None)
    waiting = deque(QueuedRequest(request(1, deadline=each), lambda _: None, None, 0.0) for each in deadlines)
    sizes = []
    while waiting:
        batch, _ = take(waiting, 10.0, 64, float)
        sizes.append(len(batch))
    assert sizes == [3, 2]  # three rows are done at 13.0, before 13.5; four would not be


def test_a_burst_is_run_in_full_batches_and_none_of_it_is_refused() -> None:
    model = runtime()
    burst = [request(value) for value in range(50)]
    answers = asyncio.run(gathered(batcher(model, max_batch_rows=8, max_pending=8), burst))
    assert [answer.tensors["y"].tolist() for answer in answers if isinstance(answer, Response)] == [
        [2 * value + 1] for value in range(50)
    ]
    assert model.runs == [1, *[8] * 6, 1]


def test_a_model_that_is_slower_than_at_warm_up_leaves_the_loop_and_comes_back() -> None:
    threads: list[bool] = []
    seconds = [0.5]
    clock = Clock()

    def run(_: int) -> None:
        threads.append(threading.current_thread() is not threading.main_thread())
        clock.now += seconds[0]

    async def asked(times: int) -> list[bool]:
        threads.clear()
        for _ in range(times):
            await batch.predict(request(1))
            for _ in range(3):  # until the turn is over
                await asyncio.sleep(0)
        return list(threads)

    async def story() -> None:
        assert await asked(5) == [False] * MOST_LONG + [True] * 2
        clock.now += FIRST_LEAVE_SECONDS
        assert await asked(5) == [False] * MOST_LONG + [True] * 2
        clock.now += FIRST_LEAVE_SECONDS
        assert await asked(1) == [True]  # away for twice as long
        clock.now += FIRST_LEAVE_SECONDS
        assert await asked(MOST_LONG - 1) == [False] * (MOST_LONG - 1)
        seconds[0] = 0.0
        assert await asked(1) == [False]
        seconds[0] = 0.5
        assert await asked(MOST_LONG - 1) == [False] * (MOST_LONG - 1)  # they count in a row only

    batch = batcher(runtime(before=run), SHORT, clock=clock)
    asyncio.run(story())
    batch.close()


@pytest.mark.parametrize(("waiting", "on_the_loop"), [(2, 2), (5, 5), (6, 5), (11, 5)])
def test_the_loop_is_left_free_where_many_wait_for_short_runs(waiting: int, on_the_loop: int) -> None:
    clock, here = Clock(), []
    seconds = 0.9 * INLINE_SECONDS  # five of them fit a turn

    def run(rows: int) -> None:
        clock.now += rows * seconds
        if threading.current_thread() is threading.main_thread():
            here.append(rows)

    async def story() -> None:
        answers = await gathered(batch, [request(value) for value in range(waiting)])
        assert all(isinstance(answer, Response) for answer in answers)

    model = runtime(before=run)
    batch = batcher(model, LatencyModel(0.0, seconds), clock=clock)
    asyncio.run(story())
    batch.close()
    assert here == [1] * on_the_loop
    assert model.runs == here + ([waiting - on_the_loop] if waiting > on_the_loop else [])


class Changing(Clock):
    """A clock that shows 2 ms more when another thread looks at it than the one before."""

    def __init__(self) -> None:
        super().__init__()
        self._last = threading.current_thread()

    def __call__(self) -> float:
        if threading.current_thread() is not self._last:
            self._last = threading.current_thread()
            self.now += 0.002
        return super().__call__()


def test_runs_grow_with_what_handing_them_over_takes() -> None:
    model = runtime()
    batch = batcher(model, LatencyModel(0.0, 0.002), clock=Changing())
    asyncio.run(gathered(batch, [request(value) for value in range(64)]))
    batch.close()
    assert model.runs[0] == 3  # as if it took 0.3 ms
    assert max(model.runs) > 6


def test_the_request_that_is_running_keeps_its_deadline_too() -> None:
    async def story(model: Held, batch: Batcher, clock: Clock) -> None:
        only = asyncio.ensure_future(batch.predict(request(1, deadline=clock.now + 0.01)))
        await until(model.began.is_set)
        clock.now += 1
        with pytest.raises(DeadlineExceeded):
            await only

    assert held(story) == [1]


def test_deadlines_that_are_as_good_as_over_hold_nobody_up() -> None:
    """uvloop's handle of a timer of less than half a millisecond does not know when it is due."""

    async def story(model: Held, batch: Batcher, clock: Clock) -> None:
        settled: list[Any] = []
        batch.submit(request(1, deadline=clock.now + 0.0004), settled.append)
        await until(model.began.is_set)
        batch.submit(request(2, deadline=clock.now + 3600), settled.append)
        clock.now += 1
        await until(lambda: settled)
        assert [type(each) for each in settled] == [DeadlineExceeded]
        model.go.set()
        await until(lambda: len(settled) == 2)
        assert (await batch.predict(request(3))).rows == 1

    assert held(story, LatencyModel(2 * INLINE_SECONDS, 0.0)) == [1, 1, 1]


def test_a_deadline_that_has_passed_is_never_run() -> None:
    clock, model = Clock(), runtime()
    batch = batcher(model, clock=clock)
    answers = asyncio.run(
        gathered(batch, [request(1, deadline=99.0), request(2, deadline=99.0), request(3, deadline=101.0)])
    )
    assert [type(answer) for answer in answers] == [DeadlineExceeded, DeadlineExceeded, Response]
    assert model.runs == [1]
