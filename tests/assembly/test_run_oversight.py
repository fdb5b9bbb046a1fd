"""A worker says that a run in it does not end, also where the model has been replaced."""

import asyncio
import os
from collections.abc import Iterator

import msgspec
import pytest

from septet.assembly.run_oversight import RunOversight
from septet.monitoring.metrics_layout import MetricsLayout
from septet.monitoring.shared_metrics import SharedMetrics
from septet.predictor.run_record import RunRecord
from septet.registry import Models
from septet.server.worker_context import STUCK, WorkerContext
from septet.service import Service
from tests.protocols.models import classifier

LONGEST = 5.0


class Parent:
    """What a worker's context writes to."""

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._reading, False)
        metrics = SharedMetrics(MetricsLayout([], []), 1)
        self.context = WorkerContext(0, 0, [], metrics, self._writing, RunRecord(1))

    def heard(self) -> bytes:
        try:
            return os.read(self._reading, 4096)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        os.close(self._reading)
        os.close(self._writing)


@pytest.fixture
def parent() -> Iterator[Parent]:
    parent = Parent()
    yield parent
    parent.close()


class Run:
    """A run of a model: for how many seconds it has not ended though nobody waits for it."""

    seconds = 0.0

    def service(self) -> Service:
        return msgspec.structs.replace(classifier(), stuck=lambda: self.seconds)


def test_a_run_that_does_not_end_is_told_of_in_time(parent: Parent) -> None:
    run, models = Run(), Models()
    models.install(run.service())
    oversight = RunOversight(parent.context, LONGEST)
    run.seconds = LONGEST
    oversight.beat(models)
    assert parent.heard() == b""
    run.seconds += 1
    oversight.beat(models)
    assert parent.heard() == STUCK + b"\n"


def test_a_run_that_does_not_end_is_asked_about_again_and_logged_once(
    parent: Parent, caplog: pytest.LogCaptureFixture
) -> None:
    run, models = Run(), Models()
    models.install(run.service())
    oversight = RunOversight(parent.context, LONGEST)
    run.seconds = LONGEST + 1
    for _ in range(3):
        oversight.beat(models)
    assert parent.heard() == 3 * (STUCK + b"\n")
    assert [record.getMessage().count("has not ended") for record in caplog.records] == [1]


def test_a_run_of_a_model_that_was_replaced_is_told_of_as_well(parent: Parent) -> None:
    async def story() -> None:
        run, models = Run(), Models()
        models.install(run.service())
        oversight = RunOversight(parent.context, LONGEST)
        run.seconds = 1.0
        oversight.beat(models)
        models.swap(classifier())
        run.seconds = LONGEST + 1
        oversight.beat(models)
        assert parent.heard() == STUCK + b"\n"
        run.seconds = 0.0
        oversight.beat(models)
        oversight.beat(models)
        assert parent.heard() == b""

    asyncio.run(story())
