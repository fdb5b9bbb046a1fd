"""Errors of the model and of the time are answered with what its owner has written, all others as they are."""

import asyncio

import numpy as np
import pytest

from septet.errors import DeadlineExceeded, Invalid, ModelFailed, Overloaded, SeptetError, Unavailable
from septet.predictor.fallback import FallbackPredictor
from septet.types import Predictor, Request, Response, adapt
from tests.predictor.echoes import IDENTITY, batcher, request, runtime

ROW = {"y": np.array([1.5], np.float32), "z": np.array([2.5], np.float32)}


def fallback(inner: Predictor) -> FallbackPredictor:
    return FallbackPredictor(inner, IDENTITY, ROW, by_row=True)


def failing(error: SeptetError) -> Predictor:
    async def fail(_: Request) -> Response:
        raise error

    return adapt(fail)


@pytest.mark.parametrize("error", [DeadlineExceeded("late"), ModelFailed("broken"), Overloaded("full")])
def test_it_answers_with_a_row_for_each_that_was_asked(error: SeptetError) -> None:
    answer = asyncio.run(fallback(failing(error)).predict(request(1, 2, 3)))
    assert {name: array.tolist() for name, array in answer.tensors.items()} == {"y": [1.5] * 3, "z": [2.5] * 3}
    assert (answer.rows, answer.flags, answer.timings.batch_rows) == (3, ("fallback",), 0)


def test_it_answers_with_the_wanted_outputs_only() -> None:
    answer = asyncio.run(fallback(failing(ModelFailed("broken"))).predict(request(1, outputs=("z",))))
    assert list(answer.tensors) == ["z"]


@pytest.mark.parametrize("error", [Invalid("bad"), Unavailable("stopping")])
def test_the_callers_faults_and_a_server_that_stops_are_told(error: SeptetError) -> None:
    with pytest.raises(type(error)):
        asyncio.run(fallback(failing(error)).predict(request(1)))


def test_the_models_own_answers_pass() -> None:
    answer = asyncio.run(fallback(batcher(runtime())).predict(request(1)))
    assert (answer.tensors["y"].tolist(), answer.flags) == ([3.0], ())
