"""A model of which no row was known that it answers learns what it costs from the first that it does."""

import asyncio
import threading
from typing import Any

import pytest

from septet.errors import Unavailable
from septet.predictor.batcher import Batcher
from septet.predictor.latency_model import LatencyModel
from septet.predictor.model_runner import ModelRunner
from septet.types import Response, Tensors
from tests.predictor.echoes import IDENTITY, SHORT, SIGNATURE, request, runtime
from tests.waiting import until


class Teacher:
    """Says what is to be learned once it is told to, and keeps what it was given."""

    def __init__(self, lesson: tuple[LatencyModel, int] | Exception) -> None:
        self.given: list[Tensors] = []
        self._lesson = lesson

    def __call__(self, tensors: Tensors) -> tuple[LatencyModel, int]:
        self.given.append(tensors)
        if isinstance(self._lesson, Exception):
            raise self._lesson
        return self._lesson


def cold(model: Any, learn: Teacher) -> Batcher:
    return Batcher(ModelRunner(model, SIGNATURE), IDENTITY, None, max_batch_rows=1, max_pending=100, learn=learn)


async def asked(batch: Batcher, *values: float) -> list[Response | BaseException]:
    return await asyncio.gather(*(batch.predict(request(value)) for value in values), return_exceptions=True)


async def warmed(batch: Batcher, learn: Teacher, *values: float) -> None:
    """Ask until something was learned, and the loop has heard of it."""
    async with asyncio.timeout(60):
        while not learn.given:
            await asked(batch, *values)
    await asyncio.get_running_loop().shutdown_default_executor()


def test_requests_of_a_cold_model_are_not_merged_nor_refused_for_a_wait_that_nobody_knows() -> None:
    async def main() -> list[Response | BaseException]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + 10
        return await asyncio.gather(
            *(batch.predict(request(value, deadline=deadline)) for value in (1.0, 2.0, 3.0)), return_exceptions=True
        )

    model = runtime()
    batch = cold(model, Teacher((SHORT, 64)))
    answers = asyncio.run(main())
    batch.close()
    assert [answer.tensors["y"].tolist() for answer in answers if isinstance(answer, Response)] == [[3], [5], [7]]
    assert model.runs == [1, 1, 1]


def test_the_first_answered_request_teaches_and_refused_ones_do_not() -> None:
    async def main() -> None:
        (refused,) = await asked(batch, 13.0)
        assert isinstance(refused, Exception)
        assert learn.given == []
        await warmed(batch, learn, 2.0)
        model.runs.clear()
        await asked(batch, 1.0, 2.0, 3.0, 4.0)

    model = runtime(rejects=[13.0])
    learn = Teacher((SHORT, 64))
    batch = cold(model, learn)
    asyncio.run(main())
    batch.close()
    assert [tensors["x"].tolist() for tensors in learn.given] == [[[2.0]]]
    assert sum(model.runs) == 4
    assert len(model.runs) < 4, "now that it is warm, requests are merged"


def test_a_model_that_cannot_be_warmed_up_is_still_asked(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> list[Response | BaseException]:
        await warmed(batch, learn, 2.0)
        model.runs.clear()
        return await asked(batch, 1.0, 2.0)

    model = runtime()
    learn = Teacher(RuntimeError("moody"))
    batch = cold(model, learn)
    answers = asyncio.run(main())
    batch.close()
    assert all(isinstance(answer, Response) for answer in answers)
    assert model.runs == [1, 1]
    assert "moody" in caplog.text


def test_what_is_learned_of_a_model_that_was_closed_meanwhile_opens_it_no_more() -> None:
    release = threading.Event()

    def learn(_: Tensors) -> tuple[LatencyModel, int]:
        release.wait(60)
        return LatencyModel(1.0, 1.0), 64

    async def main() -> Response | BaseException:
        batch = Batcher(
            ModelRunner(runtime(), SIGNATURE), IDENTITY, None, max_batch_rows=1, max_pending=100, learn=learn
        )
        await asked(batch, 1.0)
        batch.close()
        release.set()
        await asyncio.get_running_loop().shutdown_default_executor()
        await asyncio.sleep(0)
        (answer,) = await asked(batch, 2.0)
        return answer

    before = set(threading.enumerate())
    assert isinstance(asyncio.run(main()), Unavailable)
    until(lambda: not [each for each in threading.enumerate() if each not in before and "runtime" in each.name])
