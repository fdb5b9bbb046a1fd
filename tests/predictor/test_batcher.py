"""Requests that share a run are answered as if each were alone, in time, or refused."""

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import numpy as np
import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from septet.errors import DeadlineExceeded, Invalid, ModelFailed, Overloaded, SeptetError, Unavailable
from septet.predictor.admission import GROUP_REFUSALS
from septet.predictor.batcher import RECOUNT_SECONDS, Batcher
from septet.predictor.latency_model import FIRST_LEAVE_SECONDS, INLINE_SECONDS, MOST_LONG, LatencyModel
from septet.predictor.paced_refusals import MOST_ARRIVALS
from septet.types import Request, Response
from tests.predictor.echoes import LONG, SHORT, Clock, batcher, request, runtime


async def gathered(batch: Batcher, requests: list[Request]) -> list[Response | BaseException]:
    return await asyncio.gather(*(batch.predict(each) for each in requests), return_exceptions=True)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - a thread sets it, and the loop has to turn
            await asyncio.sleep(0)


@pytest.mark.parametrize("latency", [SHORT, LONG])
@given(sizes=st.lists(st.integers(1, 9), min_size=1, max_size=20), limit=st.integers(1, 16))
def test_concurrent_requests_are_answered_as_if_alone(latency: Any, sizes: list[int], limit: int) -> None:
    requests = [request(*(10 * at + row for row in range(rows))) for at, rows in enumerate(sizes)]
    model = runtime()
    batch = batcher(model, latency, max_batch_rows=limit)
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


@pytest.mark.parametrize("latency", [SHORT, LONG])
def test_one_bad_request_fails_alone_and_names_its_own_row_and_id(latency: Any) -> None:
    model = runtime(rejects=[7], fails=[8])
    requests = [request(1), request(2), request(3, 2000), request(7), request(8), request(4)]
    batch = batcher(model, latency)
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
        assert self.go.wait(60)


def held(
    story: Callable[[Held, Batcher, Clock], Coroutine[Any, Any, None]], latency: LatencyModel = LONG, **more: Any
) -> list[int]:
    """Tell a story of a model that is running, on the loop that serves; the rows of its runs in the end."""
    model, clock = Held(), Clock()
    batch = batcher(model.model, latency, clock=clock, **more)
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


def test_a_request_that_could_not_be_answered_in_time_is_refused() -> None:
    async def story(model: Held, batch: Batcher, clock: Clock) -> None:
        first = asyncio.ensure_future(batch.predict(request(1)))
        await until(model.began.is_set)
        clock.now += 0.5  # half of the run that is under way is over
        for rows, seconds, fits in ((1, 2.0, False), (1, 2.5, True), (2, 5.0, False), (2, 9.0, True), (1, 6.0, False)):
            asked = request(*range(rows), deadline=clock.now + seconds)
            told: list[Any] = []
            queued = batch.submit(asked, told.append)
            assert (queued in batch._waiting) == fits, (rows, seconds)
            if not fits:
                await until(told.__len__)
                assert [(type(error), error.request_id) for error in told] == [(Overloaded, asked.id)]
        model.go.set()
        await first

    held(story, LatencyModel(0.0, 1.0), max_batch_rows=2)


def late(clock: Clock) -> Request:
    """A request that is refused while a run of a second is under way."""
    return request(2, deadline=clock.now + 0.1)


def test_the_first_refusal_is_told_at_once_and_those_behind_it_in_groups() -> None:
    async def story(model: Held, batch: Batcher, clock: Clock) -> None:
        first = asyncio.ensure_future(batch.predict(request(1)))
        await until(model.began.is_set)
        told: list[Any] = []
        sizes: list[int] = []
        for _ in range(1 + 2 * GROUP_REFUSALS + 1):
            batch.submit(late(clock), told.append)
        assert [type(each) for each in told] == [Overloaded]
        assert batch.gate.closed
        while len(told) < 2 * GROUP_REFUSALS + 2:
            before = len(told)
            await asyncio.sleep(0)
            if len(told) > before:
                sizes.append(len(told) - before)
        await until(lambda: not batch.gate.closed)
        assert sizes == [GROUP_REFUSALS, GROUP_REFUSALS, 1]
        batch.submit(late(clock), told.append)
        assert len(told) == 1 + sum(sizes) + 1  # told at once again
        assert {type(each) for each in told} == {Overloaded}
        model.go.set()
        assert (await first).rows == 1

    assert held(story, LatencyModel(0.0, 1.0)) == [1]


def test_a_refused_request_that_is_given_up_is_told_nothing() -> None:
    async def story(model: Held, batch: Batcher, clock: Clock) -> None:
        first = asyncio.ensure_future(batch.predict(request(1)))
        await until(model.began.is_set)
        told: list[Any] = []
        for _ in range(3):
            queued = batch.submit(late(clock), told.append)
        queued.cancel()
        await until(lambda: not batch.gate.closed)
        assert len(told) == 2
        model.go.set()
        await first

    held(story, LatencyModel(0.0, 1.0))


def test_arrivals_at_the_closed_gate_are_let_in_with_the_next_group_while_the_loop_goes_on() -> None:
    async def story(model: Held, batch: Batcher, clock: Clock) -> None:
        first = asyncio.ensure_future(batch.predict(request(1)))
        await until(model.began.is_set)
        told: list[Any] = []
        batch.submit(late(clock), told.append)
        entered: list[int] = []
        for number in range(2 * MOST_ARRIVALS + 1):
            batch.gate.wait(partial(entered.append, number))
        portions: list[int] = []
        while batch.gate.closed:  # each turn of it is one in which others are answered
            before = len(entered)
            await asyncio.sleep(0)
            if len(entered) > before:
                portions.append(len(entered) - before)
        assert portions == [MOST_ARRIVALS, MOST_ARRIVALS, 1]
        assert entered == sorted(entered)
        model.go.set()
        await first

    held(story, LatencyModel(0.0, 1.0))


def test_a_free_thread_does_not_wait_for_the_next_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("septet.predictor.paced_refusals.GROUP_SECONDS", 3600.0)

    async def story(model: Held, batch: Batcher, clock: Clock) -> None:
        answered: list[Any] = []
        batch.submit(request(1), answered.append)
        await until(model.began.is_set)
        batch.submit(late(clock), answered.append)

        def enter() -> None:
            batch.submit(request(3), answered.append)

        batch.gate.wait(enter)
        model.go.set()
        await until(lambda: len(answered) == 3)

    assert held(story, LatencyModel(0.0, 1.0)) == [1, 1]


def test_closing_ends_the_thread_and_frees_the_model() -> None:
    async def story() -> tuple[Batcher, "weakref.ref[object]"]:
        model = runtime()
        batch = batcher(model, LONG)
        assert (await batch.predict(request(1))).rows == 1
        batch.close()
        return batch, weakref.ref(model)

    before = set(threading.enumerate())
    batch, model = asyncio.run(story())
    for thread in set(threading.enumerate()) - before:
        thread.join(60)
        assert not thread.is_alive()
    gc.collect()
    assert model() is None
    assert not batch.gate.closed  # who still holds the predictor does not hold the model


def test_closing_lets_a_run_that_nobody_waits_for_come_to_its_end() -> None:
    async def story(model: Held, batch: Batcher, _: Clock) -> None:
        given_up = batch.submit(request(1), lambda _: None)
        await until(model.began.is_set)
        given_up.cancel()
        batch.close()
        (thread,) = (
            each for each in threading.enumerate() if each.name.startswith("septet-runtime") and each not in before
        )
        assert thread.is_alive()
        model.go.set()
        await asyncio.get_running_loop().run_in_executor(None, thread.join, 10)
        assert not thread.is_alive()
        with pytest.raises(Unavailable, match="not served any more"):
            await batch.predict(request(2))

    before = set(threading.enumerate())
    assert held(story) == [1]


def test_two_models_share_nothing_but_the_loop() -> None:
    """While one runs and refuses, the other is answered within the turn that asks it."""

    async def story(model: Held, batch: Batcher, clock: Clock) -> None:
        first = asyncio.ensure_future(batch.predict(request(1)))
        await until(model.began.is_set)
        told: list[Any] = []
        batch.submit(late(clock), told.append)
        assert batch.gate.closed
        assert not other.gate.closed
        answered: list[Any] = []
        other.submit(request(5), answered.append)
        assert [answer.tensors["y"].tolist() for answer in answered] == [[11]]
        model.go.set()
        await first

    other = batcher(runtime())
    held(story, LatencyModel(0.0, 1.0))


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


def test_a_deadline_that_has_passed_before_a_request_can_wait_is_told_as_such() -> None:
    async def story(model: Held, batch: Batcher, clock: Clock) -> None:
        running = asyncio.ensure_future(batch.predict(request(1)))
        await until(model.began.is_set)
        with pytest.raises(DeadlineExceeded):
            await batch.predict(request(2, deadline=clock.now - 0.1))
        model.go.set()
        await running

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
