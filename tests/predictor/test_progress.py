"""What code tells of its progress reaches those requests that it runs for, whatever thread it runs in."""

import asyncio
import contextvars
import threading
from collections import defaultdict
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from septet import report_progress
from septet.predictor.model_runner import ModelRunner
from septet.runtimes.run_progress import reporting
from septet.types import Request
from tests.predictor.echoes import LONG, SAMPLE, SHORT, SIGNATURE, batcher, request, runtime


class Told(defaultdict[str, list[float]]):
    """What each request was told, by a name of its own."""

    def __init__(self) -> None:
        super().__init__(list)

    def request(self, name: str, *values: float) -> Request:
        return request(*values, report=self[name].append)


class Failing:
    """Has no number to give, in one way or another."""

    def __float__(self) -> float:
        raise OSError("no")


@pytest.mark.parametrize("done", [None, "much", float("nan"), [0.5], np.zeros(3), 1j, Failing(), object()])
def test_what_is_no_part_of_a_whole_is_ignored(done: Any) -> None:
    told = Told()
    with reporting([told.request("a", 1)]):
        report_progress(done)
    assert told == {"a": []}


def test_a_part_is_any_number_and_counts_as_0_or_1_beyond_them() -> None:
    told = Told()
    with reporting([told.request("a", 1)]):
        for done in (-0.5, 0, 0.25, np.float32(0.5), Decimal("0.75"), "0.875", 1, 7, float("inf"), float("-inf")):
            report_progress(done)  # type: ignore[arg-type]
    assert told == {"a": [0.0, 0.0, 0.25, 0.5, 0.75, 0.875, 1.0, 1.0, 1.0, 0.0]}


def test_outside_of_a_run_and_for_requests_that_are_answered_at_once_nothing_happens() -> None:
    report_progress(0.5)
    model = runtime(before=lambda _: report_progress(0.5))
    ModelRunner(model, SIGNATURE, SAMPLE).run([request(1), request(2)])
    assert model.runs == [2]


def test_all_requests_of_a_run_hear_of_it_and_no_others() -> None:
    told = Told()
    runner = ModelRunner(runtime(before=lambda rows: report_progress(rows / 10)), SIGNATURE, SAMPLE)
    runner.run([told.request("a", 1), told.request("b", 2, 3)])
    runner.run([told.request("c", 4)])
    assert told == {"a": [0.3], "b": [0.3], "c": [0.1]}


def test_where_a_run_fails_each_request_hears_of_its_own_alone() -> None:
    told = Told()
    runner = ModelRunner(runtime(before=lambda rows: report_progress(rows / 10), fails=[7]), SIGNATURE, SAMPLE)
    runner.run([told.request("a", 1, 2), told.request("b", 7)])
    # Neither hears of the run by which the model's soundness is tried.
    assert told == {"a": [0.3, 0.2], "b": [0.3, 0.1]}


@pytest.mark.parametrize("latency", [SHORT, LONG])
def test_runs_on_the_loop_and_in_the_thread_are_heard_of_by_their_own_requests(latency: Any) -> None:
    told, threads = Told(), set()

    def before(rows: int) -> None:
        threads.add(threading.current_thread())
        report_progress(rows / 10)

    async def scenario() -> None:
        predictor = batcher(runtime(before=before), latency)
        # The turn of the loop in which they run was begun for one of them.
        with reporting([told.request("a", 0)]):
            first = asyncio.create_task(predictor.predict(told.request("a", 1)))
        others = [asyncio.create_task(predictor.predict(told.request(name, 1, 2))) for name in "bc"]
        await asyncio.gather(first, *others)
        predictor.close()

    asyncio.run(scenario())
    assert (threads == {threading.current_thread()}) is (latency is SHORT)
    assert sum(map(len, told.values())) >= 3
    assert set(told["b"]) <= {0.2, 0.4, 0.5}
    assert set(told["a"]) <= {0.1, 0.5}


def test_a_thread_of_the_codes_own_is_heard_of_where_it_runs_in_its_context() -> None:
    told = Told()

    def before(_: int) -> None:
        for target, arguments in ((report_progress, (0.5,)), (contextvars.copy_context().run, (report_progress, 0.75))):
            thread = threading.Thread(target=target, args=arguments)
            thread.start()
            thread.join()

    ModelRunner(runtime(before=before), SIGNATURE, SAMPLE).run([told.request("a", 1)])
    assert told == {"a": [0.75]}
