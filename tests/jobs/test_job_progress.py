"""A job shows how much of it is done, as the code that computes it tells."""

import asyncio
import threading
from collections.abc import Sequence
from functools import partial

import numpy as np
import pytest

from septet import report_progress, testing
from septet.errors import Unavailable
from septet.jobs import progress_reports
from septet.jobs.progress_reports import ProgressReports
from septet.queues.job import LeasedJob, ProgressReport
from septet.testing import ConstantPredictor
from septet.types import Report, Request, Response, adapt
from tests.jobs.in_process import JobServer
from tests.jobs.test_jobs_in_process import BODY, read, run
from tests.queues.samples import NOW, a_job


class Stepping:
    """A middleware that has done a part of its work, and goes on with the rest when it is let."""

    def __init__(self, done: float) -> None:
        self._done = done
        self.go_on = asyncio.Event()
        self._inner = ConstantPredictor({"y": np.zeros((1, 1))})

    async def answer(self, request: Request) -> Response:
        await asyncio.to_thread(report_progress, self._done)
        await self.go_on.wait()
        return await self._inner.predict(request)


async def _until(server: JobServer, href: str, progress: float) -> bytes:
    """The event that tells of this progress."""
    events = (await server.ask("GET", href + "/events")).pieces
    assert events is not None
    async with asyncio.timeout(60):
        while f'"progress":{progress}'.encode() not in (event := await anext(events)):
            pass
    await events.aclose()
    return event


def test_progress_reaches_the_document_and_the_events_of_its_own_job() -> None:
    async def scenario() -> None:
        step = Stepping(0.4)
        async with JobServer(testing.service(predictor=adapt(step.answer))) as server:
            ticket = read(await server.post("/predict/async", BODY))
            event = await _until(server, ticket["href"], 0.4)
            assert b"event: running\n" in event
            job = read(await server.ask("GET", ticket["href"]))
            assert (job["state"], job["progress"]) == ("running", 0.4)
            step.go_on.set()
            assert read(await server.ask("GET", ticket["href"] + "?wait=30"))["state"] == "succeeded"

    run(scenario)


def test_a_request_that_is_answered_at_once_is_not_held_up_by_its_reports() -> None:
    async def scenario() -> None:
        step = Stepping(0.4)
        step.go_on.set()
        async with JobServer(testing.service(predictor=adapt(step.answer)), working=False) as server:
            assert (await server.post("/predict", BODY)).status == 200

    run(scenario)


class Teller:
    """Takes reports when it is let."""

    def __init__(self) -> None:
        self.told: list[dict[str, float]] = []
        self.asked, self.go_on = asyncio.Event(), asyncio.Semaphore(0)

    async def __call__(self, reports: Sequence[ProgressReport]) -> None:
        self.told.append({each.id: each.progress for each in reports})
        self.asked.set()
        await self.go_on.acquire()
        if len(self.told) == 1:
            raise Unavailable("The store is away.")


def test_of_many_reports_from_threads_the_store_is_told_the_latest_of_each_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_reports, "PAUSE_SECONDS", 0.0)

    async def scenario() -> None:
        teller = Teller()
        reports = ProgressReports(teller)
        jobs = [a_job() for _ in range(3)]
        first, *others = (reports.of(LeasedJob(job, 1, NOW)) for job in jobs)
        first(0.5)
        await teller.asked.wait()
        # The store is busy meanwhile, and nobody waits for it.
        threads = [threading.Thread(target=partial(_count_up, each)) for each in others]
        for thread in threads:
            thread.start()
        for thread in threads:
            await asyncio.to_thread(thread.join)
        teller.asked.clear()
        teller.go_on.release()
        await teller.asked.wait()
        teller.go_on.release()
        teller.asked.clear()
        assert teller.told == [{jobs[0].id: 0.5}, {jobs[1].id: 0.999, jobs[2].id: 0.999}]
        first(1.0)
        await teller.asked.wait()
        assert teller.told[2:] == [{jobs[0].id: 1.0}]
        reports.close()

    run(scenario)


def _count_up(report: Report) -> None:
    for part in range(1000):
        report(part / 1000)


def test_what_runs_on_when_its_loop_has_ended_is_not_disturbed() -> None:
    async def scenario() -> Report:
        return ProgressReports(Teller()).of(LeasedJob(a_job(), 1, NOW))

    asyncio.run(scenario())(0.5)
