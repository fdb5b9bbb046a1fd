"""A run that nobody waits for is told to stop, what comes behind it is refused, and one that never ends is told of."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop

from septet.errors import DeadlineExceeded, Overloaded
from septet.predictor.batcher import STOP_SECONDS, Batcher
from septet.runtimes.run_control import RUN_CONTROL, RunStopped
from septet.types import Response
from tests.predictor.echoes import LONG, Clock, batcher, request, runtime
from tests.predictor.test_batcher import until


class Endless:
    """A model whose runs of the value 0 end when they are told to stop; where `deaf`, when the test says so."""

    def __init__(self, *, deaf: bool = False) -> None:
        self.began = threading.Event()
        self.told = threading.Event()
        self.end = threading.Event()
        self.deaf = deaf
        self.echo = runtime()
        self.runtime = runtime()
        self.runtime.run = self.run  # type: ignore[method-assign]

    def run(self, tensors: Any, outputs: Any = None) -> Any:
        if tensors["x"][0, 0] != 0:
            return self.echo.run(tensors, outputs)
        control = RUN_CONTROL.get()
        assert control is not None
        with control.stopping(self.told.set):
            self.began.set()
            (self.end if self.deaf else self.told).wait(60)
        raise RunStopped


Story = Callable[[Endless, Batcher, Clock], Coroutine[Any, Any, None]]


def told(story: Story, *, deaf: bool = False) -> Endless:
    model, clock = Endless(deaf=deaf), Clock()
    batch = batcher(model.runtime, LONG, clock=clock)
    try:
        uvloop.run(asyncio.wait_for(story(model, batch, clock), 60))
    finally:
        model.end.set()
        batch.close()
    return model


def test_a_run_stops_when_the_deadlines_of_all_its_requests_have_passed() -> None:
    async def story(model: Endless, batch: Batcher, clock: Clock) -> None:
        waiting = asyncio.ensure_future(batch.predict(request(0, deadline=clock.now + 0.01)))
        await until(model.began.is_set)
        clock.now += 1
        with pytest.raises(DeadlineExceeded):
            await waiting
        await until(model.told.is_set)
        assert (await batch.predict(request(1))).rows == 1
        assert batch.stuck() == 0

    assert told(story).echo.runs == [1]


def test_a_run_stops_when_its_callers_have_gone() -> None:
    async def story(model: Endless, batch: Batcher, _: Clock) -> None:
        answered: list[Response | Exception] = []
        pending = batch.submit(request(0), answered.append)
        await until(model.began.is_set)
        pending.cancel()
        pending.cancel()
        await until(model.told.is_set)
        assert (await batch.predict(request(1))).rows == 1
        assert not answered

    told(story)


def test_a_run_goes_on_for_the_one_who_still_waits() -> None:
    async def story(model: Endless, batch: Batcher, _: Clock) -> None:
        first = batch.submit(request(0), lambda _: None)
        others = [batch.submit(request(value), lambda _: None) for value in (1, 2)]
        await until(model.began.is_set)
        first.cancel()
        others[0].cancel()
        for _turn in range(10):
            await asyncio.sleep(0)
        assert not model.told.is_set()
        others[1].cancel()
        await until(model.told.is_set)

    told(story)


def test_behind_a_run_that_does_not_stop_everyone_is_refused_at_once() -> None:
    async def story(model: Endless, batch: Batcher, clock: Clock) -> None:
        pending = batch.submit(request(0), lambda _: None)
        await until(model.began.is_set)
        waiting = asyncio.ensure_future(batch.predict(request(1)))
        await asyncio.sleep(0)
        pending.cancel()
        assert batch.stuck() == 0
        clock.now += 2 * STOP_SECONDS
        with pytest.raises(Overloaded, match="a run that has not ended") as refused:
            await waiting
        assert refused.value.retry_after >= 1
        with pytest.raises(Overloaded, match="a run that has not ended"):
            await batch.predict(request(2))
        assert batch.stuck() == pytest.approx(2 * STOP_SECONDS)
        model.end.set()
        await until(lambda: batch.stuck() == 0)
        assert (await batch.predict(request(3))).rows == 1

    told(story, deaf=True)
